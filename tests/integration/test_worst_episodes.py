"""The training script keeps its worst episodes."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import BACKEND, SMALL, run
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_resume import differences, state_of

from dexhand.core.interfaces import RenderingUnavailable
from dexhand.mock.simulator import MockSimulator

WORST = [*SMALL, "task.episodeLength=6", "seed=5", "train.hardExamples.reportInterval=2", "train.hardExamples.keep=3"]
ON = [*WORST, "train.hardExamples.enabled=true"]
STANDIN = str(Path(__file__).parents[1] / "unit" / "sinks" / "standin")


def lines(folder: Path, ranking: str) -> list[dict[str, Any]]:
    """The reports of the newest run."""
    path = folder / "runs" / "latest_train" / "hard_examples" / f"{ranking}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("backend", sorted({"mock", BACKEND}))
def test_they_are_in_the_run_folder_and_in_tensorboard(tmp_path: Path, backend: str) -> None:
    """At the interval and at the end, ranked, with what was rewarded, how they ended, and a picture."""
    done = run([*ON, f"sim.backend={backend}", "maxIter=3"], tmp_path)
    assert done.returncode == 0, done.stderr
    reports = lines(tmp_path, "return")
    assert [report["step"] for report in reports] == [64, 96]
    entries = reports[0]["entries"]
    assert [entry["loss"] for entry in entries] == sorted((entry["loss"] for entry in entries), reverse=True)
    details = entries[0]["details"]
    assert (details["outcome"], details["length"], len(entries)) == ("timeout", 5, 3)
    rewards = [value for name, value in details.items() if name.startswith("rewards/")]
    assert details["return"] == pytest.approx(sum(rewards)) == pytest.approx(-entries[0]["loss"])
    newest = lines(tmp_path, "sample_loss")[-1]["entries"]
    if newest[0]["image_shape"] is None:
        pytest.skip(f"nothing can draw here: {done.stdout}")
    folder = tmp_path / "runs" / "latest_train" / "hard_examples" / "sample_loss"
    assert {path.stem for path in folder.iterdir()} == {entry["key"] for entry in newest}
    assert Image.open(folder / f"{newest[0]['key']}.png").size == (320, 240)
    events = EventAccumulator(str(tmp_path / "runs" / "latest_train" / "summaries"))
    events.Reload()
    assert [event.step for event in events.Images("hard_examples/return/01")] == [64, 96]
    assert events.Scalars("hard_examples/return/interval_max")[0].value == pytest.approx(entries[0]["loss"])


def test_a_training_that_goes_on_is_the_same_in_every_bit(tmp_path: Path) -> None:
    """With trackers, poses and sums of the episodes under way; the network is that of a training without them."""
    mock = "sim.backend=mock"
    assert run([*WORST, mock, "maxIter=5"], tmp_path).returncode == 0
    plain = state_of(tmp_path)
    assert run([*ON, mock, "maxIter=5"], tmp_path).returncode == 0
    whole, reports = state_of(tmp_path), lines(tmp_path, "return")
    assert differences(plain["model"], whole["model"]) == []
    assert run([*ON, mock, "maxIter=3"], tmp_path).returncode == 0
    assert run(["resume=latest", "maxIter=5"], tmp_path).returncode == 0
    assert differences(whole, state_of(tmp_path)) == []
    # the first half ended with a report of its own, after its last checkpoint
    assert reports == [report for report in lines(tmp_path, "return") if report["step"] != 96]


def test_they_can_be_switched_on_and_off_between(tmp_path: Path) -> None:
    """A checkpoint with or without them is read by a training without or with them."""
    assert run([*WORST, "maxIter=1"], tmp_path).returncode == 0
    done = run(["resume=latest", "maxIter=2", "train.hardExamples.enabled=true"], tmp_path)
    assert done.returncode == 0, done.stderr
    done = run(["resume=latest", "maxIter=3", "train.hardExamples.enabled=false"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert state_of(tmp_path)["epoch"] == 3


def test_without_opengl_the_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once, in one line; everything but the pictures is there."""

    def cannot(*arguments: Any, **settings: Any) -> None:
        raise RenderingUnavailable("No OpenGL library was found")

    monkeypatch.setattr(MockSimulator, "render", cannot)
    done = run([*ON, "sim.backend=mock", "maxIter=4"], tmp_path)
    assert done.returncode == 0
    assert done.stdout.count("Hard examples have no pictures: No OpenGL library was found") == 1
    assert lines(tmp_path, "return")[0]["entries"][0]["image_shape"] is None


def test_weights_and_biases_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the command that installs it, before anything is built."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else find(name))
    done = run([*SMALL, "train.wandb.enabled=true"], tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("Weights & Biases is not installed: pip install 'dexhand[wandb]'")
    assert not (tmp_path / "runs_all").exists()


def test_weights_and_biases_is_given_metrics_and_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the old spelling of the keys; a run that goes on is the same one there. A test sends its videos and replay."""
    monkeypatch.syspath_prepend(STANDIN)
    for name in ("wandb", "dexhand.sinks.wandb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        done = run([*ON, "maxIter=2", "wandb_activate=True", "wandb_project=hands", "wandb_entity=me"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert run(["resume=latest", "maxIter=3"], tmp_path).returncode == 0
        words = [
            "test=true",
            "checkpoint=latest",
            "sim.backend=mock",
            "numEnvs=1",
            "testGamesNum=1",
            "task.episodeLength=4",
        ]
        tested = run([*words, "videoRecord=true", "replayDuration=1", "wandb_activate=True"], tmp_path)
        assert tested.returncode == 0, tested.stderr
    finally:
        for name in ("wandb", "dexhand.sinks.wandb"):
            sys.modules.pop(name, None)
    (file,) = (tmp_path / "runs" / "latest_train").glob("wandb/*/log.jsonl")
    sent = [json.loads(line) for line in file.read_text().splitlines()]
    first = sent[0][1]
    assert (first["project"], first["entity"]) == ("hands", "me")
    assert first["name"] == (tmp_path / "runs" / "latest_train").resolve().name
    assert [value["frames"] for kind, value in sent if kind == "log" and "losses/actor" in value] == [32, 64, 96]
    tables = [value["hard_examples/return/table"] for _, value in sent if "hard_examples/return/table" in (value or {})]
    assert len(tables) == 2
    assert tables[0]["columns"][:4] == ["rank", "key", "loss", "picture"]

    (file,) = (tmp_path / "runs" / "latest_test").glob("wandb/*/log.jsonl")
    sent_by_test = [json.loads(line)[1] or {} for line in file.read_text().splitlines()]
    assert {"replay", "videos/0001", "videos/best", "videos/worst"} <= {
        name for value in sent_by_test for name in value
    }
