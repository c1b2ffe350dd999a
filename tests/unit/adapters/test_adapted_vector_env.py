"""Environments as Gymnasium knows them."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import vector

import dexhand
from dexhand.adapters.vector_env import DexhandVectorEnv
from dexhand.config.errors import ConfigError
from dexhand.mock.env import MockEnv

SHORT = ("sim.backend=mock", "task.episodeLength=6")


@pytest.fixture
def env() -> DexhandVectorEnv:
    """Three environments whose episodes have five steps."""
    return dexhand.make("BaseTask", *SHORT, num_envs=3)


def test_it_is_a_vector_env_of_gymnasium(env: DexhandVectorEnv) -> None:
    assert isinstance(env, VectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, _ = env.reset(seed=1)
    assert observations in env.observation_space
    assert env.action_space.sample() in env.action_space
    assert env.single_action_space.shape == env.action_space.shape[1:]


def test_reset_and_step_return_arrays(env: DexhandVectorEnv) -> None:
    assert type(env.reset()[0]) is np.ndarray
    *results, info = env.step(env.action_space.sample())
    assert [result.shape[0] for result in results] == [3, 3, 3, 3]
    assert all(type(value) is np.ndarray for value in (*results, *info.values()))


def test_or_tensors() -> None:
    env = dexhand.make("BaseTask", *SHORT, num_envs=2, output="torch")
    assert type(env.reset()[0]) is torch.Tensor
    *results, info = env.step(torch.zeros(2, 18))
    assert all(type(value) is torch.Tensor for value in (*results, *info.values()))


def test_the_last_observation_of_an_episode_is_told(env: DexhandVectorEnv) -> None:
    """Where ``_final_obs`` is true, and so is how the episode ended."""
    env.reset(seed=1)
    for _ in range(4):
        info = env.step(env.action_space.sample())[-1]
        assert not info["_final_obs"].any()
    observations, *_, truncated, info = env.step(env.action_space.sample())
    assert truncated.all()
    assert info["_final_obs"].all()
    assert not np.array_equal(info["final_obs"], observations)
    assert [env.outcome_names[outcome] for outcome in info["outcome"]] == ["timeout"] * 3


def test_a_seed_determines_all_environments(env: DexhandVectorEnv) -> None:
    env = dexhand.make("BlindGrasping", "sim.backend=mock", num_envs=3)
    first, second, third = (env.reset(seed=seed)[0] for seed in (4, 4, 5))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"seed": [1, 2, 3]}, "one whole number"), ({"options": {"reset_mask": np.ones(3, bool)}}, "no options")],
)
def test_what_reset_cannot_do_is_refused(env: DexhandVectorEnv, arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        env.reset(**arguments)


@pytest.mark.parametrize(
    "wrap",
    [
        vector.RecordEpisodeStatistics,
        vector.NormalizeReward,
        vector.ClipAction,
        vector.DictInfoToList,
        lambda env: vector.ClipReward(env, -1.0, 1.0),
        lambda env: vector.RescaleAction(env, np.float32(-0.5), np.float32(0.5)),
    ],
    ids=["RecordEpisodeStatistics", "NormalizeReward", "ClipAction", "DictInfoToList", "ClipReward", "RescaleAction"],
)
def test_wrappers_of_gymnasium_work(env: DexhandVectorEnv, wrap: type[gymnasium.vector.VectorWrapper]) -> None:
    wrapped = wrap(env)
    wrapped.reset(seed=1)
    for _ in range(12):
        wrapped.step(wrapped.action_space.sample())
    if isinstance(wrapped, vector.RecordEpisodeStatistics):
        assert [*wrapped.length_queue] == [5] * 6


def test_pictures_of_all_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    env = DexhandVectorEnv(MockEnv(2))
    picture = np.zeros((480, 640, 3), np.uint8)
    monkeypatch.setattr(env.vec_env, "render", lambda env_id: picture + env_id, raising=False)
    env.render_mode = "rgb_array"
    pictures = env.render()
    assert pictures is not None
    assert [int(drawn[0, 0, 0]) for drawn in pictures] == [0, 1]


def test_closing_closes_the_environments(env: DexhandVectorEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(env.vec_env, "close", lambda: closed.append(True))
    env.close()
    assert closed == [True]


@pytest.mark.parametrize(
    ("arguments", "keywords", "words"),
    [
        (("BaseTask", 16), {}, "num_envs=16"),
        ((16,), {}, "text"),
        ((), {"num_envs": "16"}, "num_envs='16'"),
        ((), {"num_envs": True}, "num_envs=True"),
    ],
)
def test_arguments_of_wrong_types_are_refused(arguments: tuple, keywords: dict, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        dexhand.make(*arguments, **keywords)


def test_an_unknown_output_is_refused() -> None:
    with pytest.raises(ValueError, match="output='jax': expected 'numpy' or 'torch'"):
        dexhand.make("BaseTask", *SHORT, num_envs=1, output="jax")  # type: ignore[arg-type]


def test_configurations_of_ones_own_are_found(tmp_path: Path) -> None:
    """In ``config_dir``, which must be there."""
    (tmp_path / "physics").mkdir()
    (tmp_path / "physics" / "slow.yaml").write_text("# @package _global_\nsim: {dt: 0.001}\n")
    env = dexhand.make("BaseTask", *SHORT, "physics=slow", num_envs=1, config_dir=tmp_path)
    assert env.vec_env.state_dict()
    with pytest.raises(ConfigError, match="there is no such folder"):
        dexhand.make(config_dir=tmp_path / "none")
