"""Hard examples as files."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dexhand.hard_examples.reports import HardExampleReport
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.sinks.hard_example_folder import HardExampleFolder


def report(step: int, *shades: int) -> HardExampleReport:
    """Samples with a picture of one shade each, which is also their key and their loss."""
    tracker = HardExampleTracker(ranking="return")

    def image(place: int) -> torch.Tensor:
        return torch.full((4, 6, 3), shades[place], dtype=torch.uint8)

    tracker.update(step, [str(shade) for shade in shades], torch.tensor(shades).float(), image)
    return tracker.report(step)


def pictures(folder: Path) -> dict:
    """Shade of each picture by file name."""
    return {path.name: int(np.asarray(Image.open(path))[0, 0, 0]) for path in (folder / "return").iterdir()}


def test_lines_and_pictures(tmp_path: Path) -> None:
    """All lines stay, and the pictures of the newest report."""
    sink = HardExampleFolder(tmp_path / "hard_examples")
    sink.hard_examples(report(1, 10, 20))
    assert pictures(tmp_path / "hard_examples") == {"10.png": 10, "20.png": 20}
    sink.hard_examples(report(2, 20, 30))
    assert pictures(tmp_path / "hard_examples") == {"20.png": 20, "30.png": 30}
    lines = (tmp_path / "hard_examples" / "return.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    assert [entry["key"] for entry in json.loads(lines[1])["entries"]] == ["30", "20"]


def test_pictures_of_an_earlier_process_are_replaced(tmp_path: Path) -> None:
    """The same key may be another episode after going back to an older checkpoint; half a file is removed."""
    folder = tmp_path / "return"
    folder.mkdir()
    for name in ("10.png", ".20.png.0123abcd.tmp"):
        (folder / name).write_bytes(b"old")
    HardExampleFolder(tmp_path).hard_examples(report(1, 10))
    assert pictures(tmp_path) == {"10.png": 10}


def test_a_disk_that_fails_is_said_once_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What can be written later is written, pictures of before included."""
    sink = HardExampleFolder(tmp_path / "later" / "hard_examples")
    with caplog.at_level(logging.ERROR):
        sink.hard_examples(report(1, 10))
        sink.hard_examples(report(2, 10))
    assert [record.getMessage().split(" cannot")[0] for record in caplog.records] == [
        "Pictures of hard examples",
        "Hard examples",
    ]
    (tmp_path / "later").mkdir()
    sink.hard_examples(report(3, 10))
    assert pictures(tmp_path / "later" / "hard_examples") == {"10.png": 10}
