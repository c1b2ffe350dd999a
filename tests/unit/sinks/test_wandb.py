"""What is sent to Weights & Biases, with a stand-in of its package."""

import importlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.hard_examples.tracker import HardExampleTracker

STANDIN = str(Path(__file__).parent / "standin")


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in, and our sink imported anew on it."""
    monkeypatch.syspath_prepend(STANDIN)
    for name in ("wandb", "dexhand.sinks.wandb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("wandb")
    for name in ("wandb", "dexhand.sinks.wandb"):
        sys.modules.pop(name, None)


def sink(folder: Path) -> Any:
    """A sink for the run in ``folder``."""
    module = importlib.import_module("dexhand.sinks.wandb")
    return module.WandbSink(
        folder, folder / "wandb_id.txt", project="p", entity=None, name="n", config={"train": {"seed": 3}}
    )


def logged(folder: Path) -> list[Any]:
    """What the run was given: pairs of kind and value."""
    (file,) = folder.glob("wandb/*/log.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_everything_is_sent_at_its_frame(tmp_path: Path, wandb: Any) -> None:
    """Frames are the x-axis; a colon becomes an underscore, as in TensorBoard."""
    ours = sink(tmp_path)
    ours.scalars(32, {"episodes/failure:dropped": 0.5})
    ours.close()
    ours.close()
    assert logged(tmp_path) == [
        ["init", {"entity": None, "project": "p", "name": "n", "config": {"train": {"seed": 3}}, "mode": None}],
        ["define_metric", ["frames", None]],
        ["define_metric", ["*", "frames"]],
        ["log", {"episodes/failure_dropped": 0.5, "frames": 32}],
        ["finish", None],
    ]


def test_hard_examples_are_a_table(tmp_path: Path, wandb: Any) -> None:
    """A row for each, hardest first; the details are columns."""
    tracker = HardExampleTracker(ranking="return")
    picture = torch.zeros(4, 6, 3, dtype=torch.uint8)
    tracker.update(5, ["a", "b"], torch.tensor([1.0, 2.0]), lambda place: picture, lambda place: {"env": place})
    ours = sink(tmp_path)
    ours.hard_examples(tracker.report(7))
    kind, value = logged(tmp_path)[-1]
    assert (kind, value["frames"], value["hard_examples/return/interval_max"]) == ("log", 7, 2.0)
    assert value["hard_examples/return/table"] == {
        "columns": ["rank", "key", "loss", "picture", "env"],
        "data": [[1, "b", 2.0, {"shape": [4, 6, 3]}, 1], [2, "a", 1.0, {"shape": [4, 6, 3]}, 0]],
    }


def test_videos_are_sent(tmp_path: Path, wandb: Any) -> None:
    """Each under its own name."""
    sink(tmp_path).video(tmp_path / "best.mp4")
    assert logged(tmp_path)[-1] == ["log", {"videos/best": {"path": f"{tmp_path}/best.mp4"}}]


def test_replays_are_sent(tmp_path: Path, wandb: Any) -> None:
    """As pages, to which nothing is added."""
    (tmp_path / "replay.html").write_text("<title>Reach</title>")
    sink(tmp_path).replay(tmp_path / "replay.html")
    assert logged(tmp_path)[-1] == ["log", {"replay": {"html": "<title>Reach</title>", "inject": False}}]


def test_a_run_that_goes_on_is_the_same_run(tmp_path: Path, wandb: Any) -> None:
    """Its id lies in the run folder; another folder is another run."""
    for folder in ("one", "one", "two"):
        (tmp_path / folder).mkdir(exist_ok=True)
        sink(tmp_path / folder).close()
    assert [kind for kind, _ in logged(tmp_path / "one")].count("init") == 2
    first, second = ((tmp_path / name / "wandb_id.txt").read_text() for name in ("one", "two"))
    assert first != second


def test_a_server_that_cannot_be_reached_leaves_an_offline_run(
    tmp_path: Path, wandb: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, with the command that sends it later."""
    wandb.failures.append(wandb.CommError("timed out"))
    with caplog.at_level(logging.ERROR):
        sink(tmp_path).close()
    assert "cannot be reached: timed out. Later: wandb sync" in caplog.text
    assert logged(tmp_path)[0][1]["mode"] == "offline"


def test_what_it_refuses_is_one_line(tmp_path: Path, wandb: Any) -> None:
    """Such as a machine that has not logged in."""
    wandb.failures.append(wandb.UsageError("No API key configured.\n  Use `wandb login`"))
    sink_module = importlib.import_module("dexhand.sinks.wandb")
    with pytest.raises(sink_module.WandbRefused, match=r"^No API key configured. Use `wandb login`$"):
        sink(tmp_path)


@pytest.mark.parametrize("call", ["log", "finish"])
def test_a_service_that_dies_is_said_once_and_stops_nothing(
    call: str, tmp_path: Path, wandb: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is sent after that."""

    def dead(*arguments: Any) -> None:
        raise BrokenPipeError("service is gone")

    ours = sink(tmp_path)
    monkeypatch.setattr(wandb.Run, call, dead)
    with caplog.at_level(logging.ERROR):
        for step in range(3):
            ours.scalars(step, {"loss": 0.5})
        ours.close()
    assert caplog.text.count("Weights & Biases failed: service is gone") == 1
