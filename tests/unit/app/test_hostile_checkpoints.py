"""Checkpoints made to exhaust memory, or whose state no training has saved: each is refused in one line."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attack.hostile_files import CHECKPOINTS, MEGABYTE, ODD_STATES, good_state, odd_state, save_odd_state

from dexhand.app import build
from dexhand.app.build import policies
from dexhand.app.train import _load, _read, _Start
from dexhand.checkpoints.format import read_plain_state
from dexhand.checkpoints.reload import ReloadWatcher
from dexhand.checkpoints.store import CheckpointError, read_checkpoint, save_checkpoint
from dexhand.config.compose import compose
from dexhand.config.errors import ConfigError
from dexhand.core.clock import SystemClock
from dexhand.core.stop import StopRequest

Play = Callable[[Path], Any]

NOT_FOR_PLAYING = ("frame",)
"""Places whose values do not matter to a policy."""


def space(size: int) -> Any:
    return SimpleNamespace(shape=(size,))


@pytest.fixture(scope="module")
def play() -> Play:
    """Load a checkpoint as a test does, for environments with 4 observations and 2 actions."""
    env: Any = SimpleNamespace(
        single_observation_space=space(4), single_action_space=space(2), device=torch.device("cpu")
    )
    load = build.policy_loader(compose(["task=BaseTask"]), env)
    return lambda path: load(path, read_checkpoint(path))


def test_the_good_state_plays(tmp_path: Path, play: Play) -> None:
    """The others differ from it in one place."""
    save_checkpoint(tmp_path / "good.pth", good_state())
    _, iteration = play(tmp_path / "good.pth")
    assert iteration == 3


def memory(name: str) -> int:
    """``VmRSS`` or, for the peak, ``VmHWM`` of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def cost_of(read: Callable[[Path], Any], path: Path) -> tuple[str, int]:
    """The error that reading raises, and the memory that it takes meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = memory("VmRSS")
    try:
        said = f"accepted: {read(path)!r:.100}"
    except (CheckpointError, ConfigError, ValueError) as error:
        said = str(error)
    return said, memory("VmHWM") - before


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are measured as on Linux")
def test_no_hostile_file_takes_more_memory_than_three_times_its_size(tmp_path: Path, play: Play) -> None:
    """And 100 MB; none is played, and the list of runs reads none at length. All in one process of their own."""
    paths = [tmp_path / f"{name}.pth" for name in CHECKPOINTS]
    for path in paths:
        CHECKPOINTS[path.stem](path)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        costs = {path.name: (cost_of(play, path), cost_of(read_plain_state, path)) for path in paths}
        with open(writing, "w") as pipe:
            json.dump(costs, pipe)
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        costs = json.load(pipe)
    assert os.waitpid(child, 0)[1] == 0
    for path in paths:
        (said, peak), (_, listing_peak) = costs[path.name]
        allowed = 3 * path.stat().st_blocks * 512 + 100 * MEGABYTE
        assert max(peak, listing_peak) <= allowed, f"{path.stem}: {peak:,} and {listing_peak:,} bytes"
        assert str(path) in said, f"{path.stem}: {said}"
        assert "\n" not in said, said


@pytest.mark.parametrize(("place", "value"), [case for case in ODD_STATES if case[0] not in NOT_FOR_PLAYING])
def test_an_odd_state_is_refused_in_one_line(tmp_path: Path, play: Play, place: str, value: Any) -> None:
    """Its file is intact, and it names the file."""
    path = tmp_path / "odd.pth"
    save_odd_state(path, place, value)
    with pytest.raises((CheckpointError, ConfigError)) as raised:
        play(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.fixture(scope="module")
def learner() -> Any:
    """A learner that has trained for an iteration."""
    config = compose(["task=BaseTask", "sim.backend=mock", "env.numEnvs=2", "train.ppo.horizon_length=4"])
    algorithm = build.build_algorithm(config, build.build_env(config))
    algorithm.iterate()
    return config, algorithm


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *(("frame", value) for value in (None, "text", 10**30, -1)),
        *(("optimizer", value) for value in (None, {}, {"state": {}, "param_groups": []})),
        *(("dexhand/learning_rate", value) for value in (None, "text", float("nan"), -1.0)),
        *(("dexhand/meters", value) for value in (None, {}, {"game_rewards": 1})),
        *(("dexhand/running", value) for value in (None, {}, {"dones": torch.zeros(7)})),
        *(("dexhand/random", value) for value in (None, {}, {"torch": torch.zeros(1)})),
        *(("dexhand/env", value) for value in (None, {}, {"simulator": {}})),
        *(("model", value) for value in (None, {})),
    ],
)
def test_an_odd_state_is_not_continued_from(tmp_path: Path, learner: Any, place: str, value: Any) -> None:
    """The error is one line that names the file, whatever the learner makes of it."""
    config, algorithm = learner
    state = {**algorithm.state_dict(), "train_loop": {"best_return": None, "contract": {}}}
    path = tmp_path / "odd.pth"
    save_checkpoint(path, odd_state(place, value, state))
    with pytest.raises(ConfigError) as raised:
        _load(_Start(path, _read(path, config, exact=True)), algorithm, exact=True)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def failing_load(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a checkpoint of a learner whose ``policy_from_state`` fails; returns what loads it."""

    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(policies, "policy_builder", lambda config: fail)
    save_checkpoint(path, good_state())
    env: Any = SimpleNamespace(
        single_observation_space=space(4), single_action_space=space(2), device=torch.device("cpu")
    )
    return build.policy_loader(compose(["task=BaseTask"]), env)


class OneFile:
    """A place where one checkpoint appears."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def checkpoints(self) -> list[Path]:
        return [self.path]

    def folders(self) -> list[Path]:
        return []


def test_a_learner_that_makes_no_policy_ends_a_test_that_has_played_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later checkpoints of the run would not be better; once something plays, one warning is enough."""
    path = tmp_path / "latest.pth"
    load = failing_load(path, monkeypatch)
    watcher = ReloadWatcher(OneFile(path), load, clock=SystemClock(), interval=1.0)
    with pytest.raises(ConfigError, match="makes no policy of it: ZeroDivisionError: division by zero"):
        watcher.wait(StopRequest(), fatal=(ConfigError,))
    assert watcher.look() is None
    watcher.close()
