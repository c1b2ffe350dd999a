"""A test plays while checkpoints come, good and bad, in real processes."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import BACKEND, SMALL, run, start, wait_for

from dexhand.app import build
from dexhand.checkpoints.store import load_checkpoint, save_checkpoint
from dexhand.config.compose import compose

EPISODE = "task.episodeLength=20"
TASK = [*SMALL, EPISODE]


class Player:
    """A test without end; collects what it says."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.process = start([f"sim.backend={BACKEND}", EPISODE, "test=true", "testGamesNum=0", *arguments], folder)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def said(self) -> str:
        """All of it."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, after: int = 0, seconds: float = 60.0) -> str:
        """Wait until a line matches, of those after so many; returns it."""
        end = time.monotonic() + seconds
        while True:
            for line in self.lines[after:]:
                if re.search(pattern, line):
                    return line
            assert self.process.poll() is None, f"it ended: {self.said}"
            assert time.monotonic() < end, f"{pattern!r} was not said within {seconds} s: {self.said}"
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> dict[str, Any]:
        """Ask it to stop; returns its results."""
        self.process.send_signal(number)
        assert self.process.wait(timeout=60) == 0
        self._reader.join(timeout=10)
        results: dict[str, Any] = json.loads((self.folder / "runs" / "latest_test" / "results.json").read_text())
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


@pytest.fixture
def players() -> "Iterator[list[Player]]":
    """Those that are still playing are killed in the end."""
    started: list[Player] = []
    yield started
    for player in started:
        player.process.kill()
        player.process.wait()


def nn_of(workspace: Path) -> Path:
    """The checkpoints of the newest training run."""
    return (workspace / "runs" / "latest_train").resolve() / "nn"


def put(path: Path, content: bytes) -> None:
    """Put a file in place as a store does."""
    temporary = path.with_name(f".{path.name}.test")
    temporary.write_bytes(content)
    os.replace(temporary, path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_test_without_end_ends_in_good_order(workspace: Path, players: list[Player], number: int) -> None:
    """Summary printed and written, exit code 0, curves under the test run."""
    player = Player(workspace, "checkpoint=latest")
    players.append(player)
    player.wait_for("^games ")
    results = player.stop(number)
    assert results["summary"]["games"] > 0
    assert f"{results['summary']['games']} games: return" in player.said
    assert list((workspace / "runs" / "latest_test" / "summaries").iterdir())
    assert results["checkpoints"][0]["iteration"] == 3


def test_bad_checkpoints_are_reported_and_the_next_good_one_is_loaded(
    workspace: Path, players: list[Player], trained: Path
) -> None:
    """Whatever comes, the policy before plays on; each bad file is one warning with file and reason."""
    latest = nn_of(workspace) / "latest.pth"
    good = latest.read_bytes()
    player = Player(workspace, "checkpoint=latest", "train.reloadOn=event")
    players.append(player)
    player.wait_for("^Playing .*iteration 3")
    state = load_checkpoint(latest)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    bad = {
        "empty": b"",
        "truncated": good[: len(good) // 3],
        "damaged": bytes(flipped),
        "not a checkpoint": b"hello",
    }
    for words, content in bad.items():
        said = len(player.lines)
        put(latest, content)
        player.wait_for(
            f"^warning: Checkpoint not loaded: {re.escape(str(latest))}: .*{words}.*Iteration 3 plays", said
        )
    other = {**state["dexhand"], "contract": {**state["dexhand"]["contract"], "task.name": "BlindGrasping"}}
    shorter = {name: tensor[:1] if tensor.ndim == 2 else tensor for name, tensor in state["model"].items()}
    for change, words in (
        ({"model": shorter}, "network does not fit"),
        ({"dexhand": other}, "trained with task=BlindGrasping"),
        ({"model": None}, "its network cannot be built"),
        ({"model": {name: tensor.double() * float("nan") for name, tensor in state["model"].items()}}, "diverged"),
    ):
        said = len(player.lines)
        save_checkpoint(latest, {**state, **change})
        player.wait_for(f"^warning: Checkpoint not loaded: .*{words}.*Iteration 3 plays on", said)
    latest.unlink()
    save_checkpoint(latest, {**state, "epoch": 77})
    player.wait_for(r"^Reloaded .*latest\.pth: iteration 77, saved .* s ago, loaded in \d+ ms")
    player.wait_for(r"^games .* iteration 77 .* return \d")
    results = player.stop()
    assert [entry["iteration"] for entry in results["checkpoints"]] == [3, 77]
    assert player.said.count("Checkpoint not loaded") == 8, player.said


def test_it_waits_for_the_first_checkpoint_of_a_run_that_exists(workspace: Path, players: list[Player]) -> None:
    """And says where; a damaged one is not taken."""
    nn = nn_of(workspace)
    nn.rename(nn.parent / "away")
    player = Player(workspace, "checkpoint=latest", "reloadInterval=1")
    players.append(player)
    player.wait_for(f"^Waiting for checkpoint in {re.escape(str(nn.parent))}")
    nn.mkdir()
    put(nn / "latest.pth", b"PK\x03\x04 half")
    player.wait_for("^warning: Checkpoint not loaded: ")
    put(nn / "latest.pth", (nn.parent / "away" / "latest.pth").read_bytes())
    player.wait_for("^Playing .*iteration 3")
    player.stop()


def test_a_wait_can_be_ended(workspace: Path, players: list[Player]) -> None:
    """With exit code 0, before any run has begun."""
    nn_of(workspace).rename(workspace / "away")
    player = Player(workspace, "checkpoint=latest")
    players.append(player)
    player.wait_for("^Waiting for checkpoint")
    player.process.send_signal(signal.SIGINT)
    assert player.process.wait(timeout=30) == 0
    assert not (workspace / "runs" / "latest_test").exists()


def test_latest_follows_a_newer_training_run(workspace: Path, players: list[Player]) -> None:
    """A run that begins later takes over with its first checkpoint."""
    player = Player(workspace, "checkpoint=latest", "reloadInterval=0.5")
    players.append(player)
    player.wait_for("^Playing .*iteration 3")
    done = run([*TASK, "maxIter=1", "train.network.units=[8,8]"], workspace)
    assert done.returncode == 0, done.stderr
    player.wait_for(f"^Reloaded {re.escape(str(nn_of(workspace)))}/latest.pth: iteration 1,")
    player.stop()


def test_a_run_that_does_not_exist_is_an_error_at_once(workspace: Path) -> None:
    """With what was looked for."""
    done = run(["test=true", "testGamesNum=0", "checkpoint=nowhere"], workspace)
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_a_checkpoint_of_the_library_itself_plays_and_is_fine_tuned(workspace: Path) -> None:
    """With trust where torch is too old to do without, and not as an exact continuation."""
    config = compose([*TASK])
    algorithm = build.build_algorithm(config, build.build_env(config))
    with contextlib.redirect_stdout(io.StringIO()):
        algorithm._agent.save(str(workspace / "theirs"))  # type: ignore[attr-defined]
    algorithm.close()
    is_old = tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 10)
    common = [*TASK, "checkpoint=theirs.pth"]
    played = run([*common, "test=true", "testGamesNum=2"], workspace)
    if is_old:
        assert played.returncode == 2
        assert "train.trustCheckpoint=true" in played.stderr
        common.append("train.trustCheckpoint=true")
        played = run([*common, "test=true", "testGamesNum=2"], workspace)
    assert played.returncode == 0, played.stderr
    tuned = run([*common, "maxIter=1", "train.resume=weights"], workspace)
    assert tuned.returncode == 0, tuned.stderr
    refused = run([*common, "maxIter=1"], workspace)
    assert refused.returncode == 2
    assert "train.resume=weights" in refused.stderr


def test_training_and_testing_side_by_side(tmp_path: Path, players: list[Player]) -> None:
    """Two processes on one workspace: four reloads, ever higher iterations, nothing wrong is said."""
    training = start([*TASK, "maxIter=1000000", "train.saveFrequency=10", "train.keepCheckpoints=2"], tmp_path)
    try:
        while not (tmp_path / "runs" / "latest_train").exists():
            assert training.poll() is None
            time.sleep(0.05)
        player = Player(tmp_path, "checkpoint=latest", "reloadInterval=0.5")
        players.append(player)
        player.wait_for("^Playing ")
        for _ in range(4):
            player.wait_for("^Reloaded ", after=len(player.lines))
        results = player.stop()
        newest = max(int(path.stem.split("_")[1]) for path in nn_of(tmp_path).glob("checkpoint_[0-9]*.pth"))
        wait_for(nn_of(tmp_path) / f"checkpoint_{newest + 20}.pth", training)  # what was played has been deleted
    finally:
        training.send_signal(signal.SIGTERM)
        _, err = training.communicate(timeout=60)
    assert training.returncode == 0, err
    assert player.said.count("Reloaded ") >= 4
    assert "warning: Checkpoint" not in player.said
    iterations = [entry["iteration"] for entry in results["checkpoints"]]
    assert iterations == sorted(set(iterations))
    assert sum(entry["games"] for entry in results["checkpoints"]) == results["summary"]["games"] > 0
    assert {game["length"] for game in results["games"]} == {19}
    assert len(list(nn_of(tmp_path).glob("checkpoint_[0-9]*.pth"))) == 2
