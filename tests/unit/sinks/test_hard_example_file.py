"""Reports of hard examples on disk."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.hard_examples.reports import HardExampleReport
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.sinks.hard_example_file import HardExampleFile


def report(step: int) -> HardExampleReport:
    """Of two samples, one of them NaN."""
    tracker = HardExampleTracker()
    tracker.update(step, ["a", "b"], torch.tensor([2.0, float("nan")]))
    return tracker.report(step)


def test_a_line_for_each_report(tmp_path: Path) -> None:
    """JSON that any reader takes; lines of an earlier run stay."""
    for step in range(3):
        HardExampleFile(tmp_path / "a.jsonl").hard_examples(report(step))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert lines[0]["entries"][0]["key"] == "a"
    assert lines[0]["nonfinite"][0]["loss"] == "nan"


def test_a_disk_that_fails_is_said_once_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What can be written later is written."""
    file = HardExampleFile(tmp_path / "later" / "a.jsonl")
    with caplog.at_level(logging.ERROR):
        file.hard_examples(report(0))
        file.hard_examples(report(1))
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text
    (tmp_path / "later").mkdir()
    file.hard_examples(report(2))
    assert json.loads((tmp_path / "later" / "a.jsonl").read_text())["step"] == 2


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path, disk_with_room_for: Any) -> None:
    """The next report is a line of its own."""
    file = HardExampleFile(tmp_path / "a.jsonl")
    file.hard_examples(report(0))
    with disk_with_room_for((tmp_path / "a.jsonl").stat().st_size + 10):
        file.hard_examples(report(1))
    file.hard_examples(report(2))
    assert [json.loads(line)["step"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [0, 2]
