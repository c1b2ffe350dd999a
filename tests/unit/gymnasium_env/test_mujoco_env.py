"""Gymnasium's MuJoCo environments in a batch, against Gymnasium itself."""

import gymnasium
import numpy as np
import pytest
import torch

from dexhand.core.interfaces import Drawable, VecEnv
from dexhand.gymnasium_env.formulas import FORMULAS, formulas_of
from dexhand.gymnasium_env.mujoco_env import MujocoGymEnv
from dexhand.testing.drawable import DrawableConformance
from dexhand.testing.tree import places_that_differ
from dexhand.testing.vec_env import VecEnvConformance
from dexhand.testing.vec_env_harness import actions_for

NAMES = sorted(f"{formulas.__name__}-v5" for formulas in FORMULAS.values())
TOLERANCE = 1e-9


def make_env(name: str, num_envs: int, *, threads: int = 1, **kwargs: object) -> MujocoGymEnv:
    """Make an environment as the program does."""
    env = gymnasium.make(name, disable_env_checker=True, **kwargs)  # type: ignore[arg-type]
    formulas = formulas_of(env)
    assert formulas is not None
    assert env.spec is not None
    assert env.spec.max_episode_steps is not None
    return MujocoGymEnv(
        formulas, env.unwrapped, num_envs, max_episode_steps=env.spec.max_episode_steps, threads=threads
    )


class Pair:
    """Gymnasium's environment, and ours, whose environment 1 starts where Gymnasium's does."""

    def __init__(self, name: str, **kwargs: object) -> None:
        self.theirs = gymnasium.make(name, **kwargs)  # type: ignore[arg-type]
        self.ours = make_env(name, 2, **kwargs)
        self.ours.reset(seed=0)
        self.largest = 0.0
        """The largest difference so far of observations and rewards, relative to values above 1."""
        self.endings = 0
        self.new_episode(seed=3)

    def new_episode(self, seed: int | None = None) -> None:
        """Start both at the same place."""
        shown, _ = self.theirs.reset(seed=seed)
        data = self.theirs.unwrapped.data  # type: ignore[attr-defined]
        self.ours.start_at(np.array([1]), data.qpos[None], data.qvel[None])
        self._compare(shown, self.ours.observe()[1])

    def play(self, steps: int) -> None:
        """Take random actions, which reach beyond half of the range."""
        rng = np.random.default_rng(1)
        space = self.theirs.action_space
        low, high = (bound.astype(float) for bound in (space.low, space.high))  # type: ignore[attr-defined]
        for _ in range(steps):
            actions = rng.uniform(-1, 1, space.shape).astype(np.float32)
            scaled = (low + high) / 2 + (high - low) / 2 * actions.astype(float)
            shown, reward, terminated, truncated, _ = self.theirs.step(scaled)
            result = self.ours.advance(torch.from_numpy(np.stack([actions, actions])))
            self._compare(shown, result.observations[1])
            self._compare(np.array(reward), result.reward_terms[1].sum())
            assert bool(result.terminated[1]) == terminated
            assert bool(result.truncated[1]) == (truncated and not terminated)
            if terminated or truncated:
                self.endings += 1
                self.new_episode()

    def _compare(self, theirs: np.ndarray, ours: torch.Tensor) -> None:
        difference = np.abs(theirs - ours.numpy()) / np.maximum(1.0, np.abs(theirs))
        self.largest = max(self.largest, float(difference.max()))


@pytest.mark.parametrize("name", NAMES)
def test_an_environment_goes_as_gymnasiums(name: str) -> None:
    """Observations, rewards and endings are Gymnasium's, over episodes of 60 steps."""
    pair = Pair(name, max_episode_steps=60)
    pair.play(130)
    assert pair.largest <= TOLERANCE
    assert pair.endings >= 2


def test_a_whole_episode_of_an_ant() -> None:
    """1,000 steps, without a difference that grows."""
    pair = Pair("Ant-v5", terminate_when_unhealthy=False)
    pair.play(1000)
    assert pair.largest <= TOLERANCE
    assert pair.endings == 1


def test_a_number_may_say_that_episodes_end_when_unhealthy() -> None:
    """As in Gymnasium, where 1 is as good as true."""
    envs = [make_env("Hopper-v5", 3, terminate_when_unhealthy=yes) for yes in (1, True)]
    first, second = ([env.reset(seed=0), *(env.step(row) for row in actions_for(env, 40))] for env in envs)
    assert not places_that_differ(first, second)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    """Bit for bit, with new episodes in between."""
    envs = [make_env("Hopper-v5", 5, threads=threads, max_episode_steps=20) for threads in (1, 2)]
    first, second = ([env.reset(seed=0), *(env.step(row) for row in actions_for(env, 60))] for env in envs)
    assert not places_that_differ(first, second)


class TestContract(VecEnvConformance):
    """Humanoids, some of which fall before their time is over, and which feel contacts."""

    max_steps = 80

    def make_env(self, num_envs: int) -> VecEnv:
        return make_env("Humanoid-v5", num_envs, max_episode_steps=24)


class TestDrawing(DrawableConformance):
    def make_drawable(self, num_envs: int) -> tuple[VecEnv, Drawable]:
        env = make_env("Ant-v5", num_envs)
        return env, env
