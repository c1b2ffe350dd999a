"""A test plays while checkpoints come, good and bad."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import BACKEND, SMALL, Forked, Running, run

from dexhand.app import build
from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.config.compose import compose

EPISODE = "task.episodeLength=20"
TASK = [*SMALL, EPISODE]
TEST = [f"sim.backend={BACKEND}", EPISODE, "test=true", "testGamesNum=0"]


def play(folder: Path, meanwhile: Callable[[Running], None], *arguments: str) -> str:
    """Run a test without end, which ``meanwhile`` stops; returns what it said."""
    done = run([*TEST, "checkpoint=latest", *arguments], folder, meanwhile)
    assert done.returncode == 0, done.stderr
    return done.stdout


def results_of(folder: Path) -> dict[str, Any]:
    """What the newest test has written."""
    results: dict[str, Any] = json.loads((folder / "runs" / "latest_test" / "results.json").read_text())
    return results


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one short training has run."""
    folder = tmp_path_factory.mktemp("trained")
    done = run([*TASK, "maxIter=3", "train.saveFrequency=1"], folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    """A copy of that folder's workspace: one run."""
    for name in ("runs", "runs_all"):
        subprocess.run(["cp", "-a", str(trained / name), str(tmp_path)], check=True)
    return tmp_path


def nn_of(workspace: Path) -> Path:
    """The checkpoints of the newest training run."""
    return (workspace / "runs" / "latest_train").resolve() / "nn"


def put(path: Path, content: bytes) -> None:
    """Put a file in place as a store does."""
    temporary = path.with_name(f".{path.name}.test")
    temporary.write_bytes(content)
    os.replace(temporary, path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_test_without_end_ends_in_good_order(workspace: Path, number: int) -> None:
    """Summary printed and written, exit code 0, curves under the test run."""

    def meanwhile(player: Running) -> None:
        player.wait_for("^episodes ")
        player.signal(number)

    said = play(workspace, meanwhile)
    results = results_of(workspace)
    assert results["summary"]["games"] > 0
    assert f"{results['summary']['games']} episodes: return" in said
    assert list((workspace / "runs" / "latest_test" / "summaries").iterdir())
    assert results["checkpoints"][0]["iteration"] == 3


def test_bad_checkpoints_are_reported_and_the_next_good_one_is_loaded(workspace: Path) -> None:
    """Whatever comes, the policy before plays on; each bad file is one warning with file and reason."""
    latest = nn_of(workspace) / "latest.pth"
    good, state = latest.read_bytes(), load_checkpoint(latest)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    other = {**state["train_loop"], "contract": {**state["train_loop"]["contract"], "task.name": "BlindGrasping"}}
    shorter = {name: tensor[:1] if tensor.ndim == 2 else tensor for name, tensor in state["model"].items()}
    diverged = {name: tensor.double() * float("nan") for name, tensor in state["model"].items()}
    damaged = {
        "empty": b"",
        "truncated": good[: len(good) // 3],
        "not a checkpoint": b"hello",
    }
    unfit = {
        "its network has": {"model": shorter},
        "trained with task=BlindGrasping": {"train_loop": other},
        "not the checkpoint of a training": {"model": None},
        "diverged": {"model": diverged},
    }

    def meanwhile(player: Running) -> None:
        player.wait_for("^Playing .*iteration 3")
        for words, content in damaged.items():
            lines, place = len(player.said), re.escape(str(latest))
            put(latest, content)
            player.wait_for(f"^warning: Checkpoint not loaded: {place}: .*{words}.*Iteration 3 plays", after=lines)
        for words, change in unfit.items():
            lines = len(player.said)
            save_checkpoint(latest, {**state, **change})
            player.wait_for(f"^warning: Checkpoint not loaded: .*{words}.*Iteration 3 plays on", after=lines)
        latest.unlink()
        save_checkpoint(latest, {**state, "epoch": 77})
        player.wait_for(r"^Reloaded .*latest\.pth: iteration 77, saved .* s ago, loaded in \d+ ms")
        player.wait_for(r"^episodes .* iteration 77 .* return \d")
        put(latest, bytes(flipped))
        player.wait_for("^warning: Checkpoint not loaded: .*damaged.*Iteration 77 plays on")
        player.signal()

    said = play(workspace, meanwhile, "train.reloadOn=event")
    assert [entry["iteration"] for entry in results_of(workspace)["checkpoints"]] == [3, 77]
    assert said.count("Checkpoint not loaded") == 8, said


def test_it_waits_for_the_first_checkpoint_of_a_run_that_exists(workspace: Path) -> None:
    """And says where; a damaged one is not taken."""
    nn = nn_of(workspace)
    nn.rename(nn.parent / "away")

    def meanwhile(player: Running) -> None:
        player.wait_for(f"^Waiting for checkpoint in {re.escape(str(nn.parent))}")
        nn.mkdir()
        put(nn / "latest.pth", b"PK\x03\x04 half")
        player.wait_for("^warning: Checkpoint not loaded: ")
        put(nn / "latest.pth", (nn.parent / "away" / "latest.pth").read_bytes())
        player.wait_for("^Playing .*iteration 3")
        player.signal()

    play(workspace, meanwhile, "reloadInterval=1")


def test_a_wait_can_be_ended(workspace: Path) -> None:
    """With exit code 0, before any run has begun."""
    nn_of(workspace).rename(workspace / "away")

    def meanwhile(player: Running) -> None:
        player.wait_for("^Waiting for checkpoint")
        player.signal()

    play(workspace, meanwhile)
    assert not (workspace / "runs" / "latest_test").exists()


def test_latest_follows_a_newer_training_run(workspace: Path) -> None:
    """A run that begins later takes over with its first checkpoint."""
    old = (workspace / "runs" / "latest_train").resolve()
    new = old.with_name("BaseTask_train_29990101_000000")

    def meanwhile(player: Running) -> None:
        player.wait_for("^Playing .*iteration 3")
        shutil.copytree(old, new)
        for path in (new / "nn").glob("checkpoint_[0-9]*.pth"):
            path.unlink()
        save_checkpoint(new / "nn" / "latest.pth", {**load_checkpoint(old / "nn" / "latest.pth"), "epoch": 1})
        link = workspace / "runs" / "next"
        link.symlink_to(os.path.join("..", "runs_all", new.name))
        link.rename(workspace / "runs" / "latest_train")
        player.wait_for(f"^Reloaded {re.escape(str(nn_of(workspace)))}/latest.pth: iteration 1,")
        player.signal()

    play(workspace, meanwhile, "reloadInterval=0.5")


def test_a_run_that_does_not_exist_is_an_error_at_once(workspace: Path) -> None:
    """With what was looked for."""
    done = run(["test=true", "testGamesNum=0", "checkpoint=nowhere"], workspace)
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_a_checkpoint_of_the_library_itself_plays_and_is_fine_tuned(workspace: Path) -> None:
    """Without trust, and not as an exact continuation."""
    config = compose([*TASK])
    algorithm = build.build_algorithm(config, build.build_env(config))
    with contextlib.redirect_stdout(io.StringIO()):
        algorithm._agent.save(str(workspace / "theirs"))  # type: ignore[attr-defined]
    algorithm.close()
    common = [*TASK, "checkpoint=theirs.pth"]
    played = run([*common, "test=true", "testGamesNum=2"], workspace)
    assert played.returncode == 0, played.stderr
    tuned = run([*common, "maxIter=1", "train.resume=weights"], workspace)
    assert tuned.returncode == 0, tuned.stderr
    refused = run([*common, "maxIter=1"], workspace)
    assert refused.returncode == 2
    assert "train.resume=weights" in refused.stderr


def test_training_and_testing_side_by_side(tmp_path: Path) -> None:
    """Two processes on one workspace: four reloads, ever higher iterations, nothing wrong is said."""
    training = Forked([*TASK, "maxIter=1000000", "train.saveFrequency=10", "train.keepCheckpoints=2"], tmp_path)
    testing = None
    try:
        training.wait_for_file(tmp_path / "runs" / "latest_train")
        testing = Forked([*TEST, "checkpoint=latest", "reloadInterval=0.2"], tmp_path)
        testing.wait(lambda: sum(line.startswith("Reloaded ") for line in testing.said) >= 4 or None, "four reloads")
        testing.signal()
        tested = testing.end()
        newest = max(int(path.stem.split("_")[1]) for path in nn_of(tmp_path).glob("checkpoint_[0-9]*.pth"))
        training.wait_for_file(nn_of(tmp_path) / f"checkpoint_{newest + 20}.pth")  # what was played has been deleted
        training.signal(signal.SIGTERM)
        trained = training.end()
    finally:
        training.kill()
        if testing is not None:
            testing.kill()
    assert (trained.returncode, tested.returncode) == (0, 0), trained.stderr
    said = tested.stdout
    assert "warning: Checkpoint" not in said
    results = results_of(tmp_path)
    iterations = [entry["iteration"] for entry in results["checkpoints"]]
    assert iterations == sorted(set(iterations))
    assert sum(entry["games"] for entry in results["checkpoints"]) == results["summary"]["games"] > 0
    assert {game["length"] for game in results["games"]} == {19}
    assert len(list(nn_of(tmp_path).glob("checkpoint_[0-9]*.pth"))) == 2
