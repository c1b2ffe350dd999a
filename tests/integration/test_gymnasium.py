"""Gymnasium's environments from the command line to a policy that plays in Gymnasium itself."""

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from commands import SMALL, Running, run

import dexhand
from dexhand.checkpoints.store import load_checkpoint
from dexhand.gymnasium_env.mujoco_env import MujocoGymEnv
from dexhand.mock_training.differences import differences
from dexhand.rl.policy import RlGamesPolicy

TINY = [*SMALL[1:], "seed=5"]
ANT = ["task=Ant", "task.max_episode_steps=20", *TINY]
PENDULUM = ["task=gymnasium:Pendulum-v1", *TINY]
OWN = """
import gymnasium

gymnasium.register("Mine-v0", entry_point="gymnasium.envs.classic_control:PendulumEnv", max_episode_steps=7)
"""


def newest(folder: Path) -> Path:
    """The newest training's last checkpoint."""
    return folder / "runs" / "latest_train" / "nn" / "latest.pth"


def stop_after(program: Running, line: str) -> None:
    """Send it a signal after it has printed a line."""
    program.wait_for(line)
    program.signal()


def test_two_and_two_iterations_are_four_bit_for_bit(tmp_path: Path) -> None:
    """Of ants, as of hands."""
    assert run([*ANT, "maxIter=4"], tmp_path).returncode == 0
    expected = load_checkpoint(newest(tmp_path))
    assert run([*ANT, "maxIter=2"], tmp_path).returncode == 0
    second = run([*ANT, "maxIter=4", "checkpoint=latest", "seed=99"], tmp_path)
    assert second.returncode == 0, second.stderr
    assert list(differences(expected, load_checkpoint(newest(tmp_path)))) == []


def test_a_policy_has_the_same_return_in_gymnasiums_own_ant(tmp_path: Path) -> None:
    """Over a whole episode from the same start, and a test plays as many steps."""
    assert run([*ANT, "maxIter=1"], tmp_path).returncode == 0
    played = run(["test=true", "checkpoint=latest", "testGamesNum=2"], tmp_path)
    assert played.returncode == 0, played.stderr
    assert "length 20.0" in played.stdout
    policy = RlGamesPolicy.from_state(load_checkpoint(newest(tmp_path)), torch.device("cpu"))
    theirs, ours = gymnasium.make("Ant-v5", max_episode_steps=100), dexhand.make("Ant", num_envs=1).vec_env
    assert isinstance(ours, MujocoGymEnv)
    theirs.reset(seed=1)
    data = theirs.unwrapped.data  # type: ignore[attr-defined]
    ours.reset(seed=0)
    ours.start_at(np.array([0]), data.qpos[None], data.qvel[None])
    returns, seen, over = np.zeros(2), ours.observe().float(), False
    while not over:
        actions = policy.act(seen)
        _, reward, terminated, truncated, _ = theirs.step(actions[0].double().numpy())
        result = ours.advance(actions)
        returns += float(reward), float(result.reward_terms.sum())
        seen, over = result.observations.float(), terminated or truncated
    assert returns[0] == pytest.approx(returns[1], abs=1e-9)


def test_what_cannot_be_saved_is_refused_when_it_is_resumed(tmp_path: Path) -> None:
    """The weights alone can be taken over, and tested."""
    trained = run([*PENDULUM, "maxIter=100000"], tmp_path, lambda trainer: stop_after(trainer, "^iteration 1/"))
    _, _, hint = trained.stdout.partition("Resume it: dexhand train ")
    assert run([*hint.split(), "maxIter=1"], tmp_path).returncode == 0
    assert "Pendulum-v1_train" in str(newest(tmp_path).resolve())
    refused = run(["resume=latest", "maxIter=2"], tmp_path)
    assert refused.returncode == 2
    assert "cannot continue exactly" in refused.stderr
    assert "train.resume=weights" in refused.stderr
    goes_on = run([*PENDULUM, "maxIter=1", "checkpoint=latest_train", "train.resume=weights"], tmp_path)
    assert goes_on.returncode == 0, goes_on.stderr
    played = run(["test=true", "checkpoint=latest_train", "testGamesNum=1"], tmp_path)
    assert "task=gymnasium, which Pendulum-v1_train" in played.stdout
    assert played.returncode == 0, played.stderr
    watched = run(["test=true", "checkpoint=latest_train", "videoStream=true"], tmp_path)
    assert (watched.returncode, watched.stderr.count("\n")) == (2, 1)
    assert "task=Pendulum-v1 cannot be drawn" in watched.stderr


def test_an_environment_of_the_users_own(tmp_path: Path) -> None:
    """Of a file, which a test finds again."""
    (tmp_path / "mine_in_a_file.py").write_text(OWN)
    done = run(["task=gymnasium:mine_in_a_file.py:Mine-v0", *TINY, "maxIter=2"], tmp_path)
    assert done.returncode == 0, done.stderr
    played = run(["test=true", "checkpoint=latest", "testGamesNum=1"], tmp_path)
    assert played.returncode == 0, played.stderr
    assert "length 7.0" in played.stdout


BREAKS = """
import gymnasium
from gymnasium.envs.classic_control import PendulumEnv


class Breaks(PendulumEnv):
    steps = 0

    def step(self, action):
        self.steps += 1
        if self.steps > 40:
            raise RuntimeError("the rope is torn")
        return super().step(action)


gymnasium.register("Breaks-v0", entry_point=Breaks, max_episode_steps=7)
"""


def test_an_environment_that_breaks_ends_a_training_in_one_line(tmp_path: Path) -> None:
    """Which names it; the traceback is in the log, and from the last checkpoint one can go on and compare."""
    (tmp_path / "breaks.py").write_text(BREAKS)
    broken = run(["task=gymnasium:breaks.py:Breaks-v0", *TINY, "maxIter=99"], tmp_path)
    (line,) = [line for line in broken.stdout.splitlines() if line.startswith("error: ")]
    assert (broken.returncode, broken.stderr) == (1, "")
    assert line.startswith("error: Training ends: task=Breaks-v0: step raises RuntimeError: the rope is torn. ")
    assert 'raise RuntimeError("the rope is torn")' in (tmp_path / "runs/latest_train/train.log").read_text()
    _, _, hint = line.partition("dexhand train ")
    goes_on = run([*hint.split(), "maxIter=1"], tmp_path)
    assert goes_on.returncode == 0, goes_on.stderr
    test = ["test=true", "checkpoint=latest", "against=latest", "testGamesNum=0", "numEnvs=2"]
    compared = run(test, tmp_path)
    assert compared.returncode == 1
    assert "error: The test ends: task=Breaks-v0: step raises RuntimeError: the rope is torn" in compared.stdout
    assert json.loads((tmp_path / "runs/latest_test/comparison.json").read_text())["pairs"] == 5


def test_two_checkpoints_are_compared_in_gymnasiums_environments(tmp_path: Path) -> None:
    """Those that step in C++ and those that step in Python repeat their starts."""
    for words in (ANT, [*PENDULUM, "task.max_episode_steps=20"]):
        assert run([*words, "maxIter=2", "train.saveFrequency=1"], tmp_path).returncode == 0
        a = "checkpoint=runs/latest_train/nn/checkpoint_1.pth"
        compared = run(["test=true", a, "against=latest", "testGamesNum=6", "numEnvs=4"], tmp_path)
        assert compared.returncode == 0, compared.stderr
        result = json.loads((tmp_path / "runs" / "latest_test" / "comparison.json").read_text())
        pairs = [(pair["a"], pair["b"]) for pair in result["episodes"]]
        assert len(pairs) == 6
        assert all(a["length"] == b["length"] == 20 and a["episode_return"] != b["episode_return"] for a, b in pairs)
        ranked = run(["test=true", "checkpoint=latest_train", "testEvery=true", "testGamesNum=2"], tmp_path)
        assert ranked.returncode == 0, ranked.stderr


def test_an_ant_is_recorded_and_replayed(tmp_path: Path) -> None:
    """As hands are."""
    assert run([*ANT, "maxIter=1"], tmp_path).returncode == 0
    done = run(["test=true", "checkpoint=latest", "testGamesNum=1", "replayDuration=1"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "latest_test" / "replay.html").stat().st_size > 0
