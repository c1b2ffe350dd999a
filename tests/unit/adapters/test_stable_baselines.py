"""Environments as Stable-Baselines3 knows them."""

import numpy as np
import pytest

import dexhand
from dexhand.adapters.stable_baselines import StableBaselinesEnv

SHORT = ("sim.backend=mock", "task.episodeLength=6")


@pytest.fixture
def env() -> StableBaselinesEnv:
    """Three environments whose episodes have five steps."""
    return StableBaselinesEnv(dexhand.make("BlindGrasping", *SHORT, num_envs=3))


def test_the_last_observation_and_a_timeout_are_told(env: StableBaselinesEnv) -> None:
    """As bootstrapping in Stable-Baselines3 needs it."""
    env.reset()
    for _ in range(4):
        observations, _, done, infos = env.step(np.zeros((3, 18)))
        assert not done.any()
        assert infos == [{}, {}, {}]
    observations, _, done, infos = env.step(np.zeros((3, 18)))
    assert done.all()
    for info, observation in zip(infos, observations):
        assert info["TimeLimit.truncated"]
        assert info["outcome"] == "timeout"
        assert not np.array_equal(info["terminal_observation"], observation)


def test_a_seed_determines_the_next_reset(env: StableBaselinesEnv) -> None:
    starts = []
    for seed in (3, 3, None):
        env.seed(seed)
        starts.append(env.reset())
    assert np.array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[1], starts[2])


def test_attributes_are_those_of_the_environments(env: StableBaselinesEnv) -> None:
    assert env.get_attr("num_envs", indices=[0, 2]) == [3, 3]
    assert env.env_is_wrapped(object) == [False] * 3
    with pytest.raises(NotImplementedError):
        env.set_attr("num_envs", 4)
