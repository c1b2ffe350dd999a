"""Environments of Gymnasium that step one after the other, against Gymnasium itself."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from dexhand.core.interfaces import EnvironmentFault, VecEnv
from dexhand.gymnasium_env import CannotMake, make_gymnasium_env
from dexhand.gymnasium_env.vector_env import VectorGymEnv
from dexhand.tasks.gymnasium_tasks import AnyGymnasiumConfig
from dexhand.testing.vec_env import VecEnvConformance


def make_env(name: str, num_envs: int, max_episode_steps: int | None = None, **kwargs: object) -> VecEnv:
    """Make environments as the program does."""
    task = AnyGymnasiumConfig(id=name, max_episode_steps=max_episode_steps, kwargs=kwargs)
    return make_gymnasium_env(task, num_envs)


class Goal(gymnasium.Env[np.ndarray, np.ndarray]):
    """Reached, or lost, by one action."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2, 2), np.float64)
    action_space = gymnasium.spaces.Box(0.0, 10.0, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[np.ndarray, dict[str, object]]:
        super().reset(seed=seed)
        return np.zeros((2, 2)), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, object]]:
        place = float(action[0])
        return np.full((2, 2), place), place, place != 5.0, False, {"is_success": place == 10.0}


class TestPendulumsContract(VecEnvConformance):
    max_steps = 80
    optional = ("state_dict", "load_state_dict", "render")

    def make_env(self, num_envs: int) -> VecEnv:
        return make_env("Pendulum-v1", num_envs, max_episode_steps=30)


def test_it_goes_as_gymnasiums_environment() -> None:
    """The same observations, rewards and endings, with the arguments of ``task.kwargs``."""
    theirs, ours = gymnasium.make("Pendulum-v1", max_episode_steps=20, g=9.0), make_env("Pendulum-v1", 2, 20, g=9.0)
    shown, _ = theirs.reset(seed=int(np.random.SeedSequence(5).generate_state(2)[1]))
    first, _ = ours.reset(seed=5)
    assert np.array_equal(first[1].numpy(), shown)
    for actions in torch.rand(50, 2, 1) * 2 - 1:
        shown, reward, _, truncated, _ = theirs.step(2.0 * actions[1].numpy())
        _, rewards, _, ended, info = ours.step(actions)
        assert np.array_equal(info["final_observation"][1].numpy(), shown)
        assert float(rewards[1]) == np.float32(reward)
        assert bool(ended[1]) == truncated
        if truncated:
            theirs.reset()


def test_no_two_environments_of_neighbouring_seeds_start_alike() -> None:
    """As those of the processes of a training must not; the same seed starts the same again."""
    env = make_env("Pendulum-v1", 8)
    starts = [env.reset(seed=seed)[0] for seed in (5, 6, 5)]
    assert len(torch.unique(torch.cat(starts[:2]), dim=0)) == 16
    assert torch.equal(starts[0], starts[2])


def test_actions_are_scaled_and_observations_flat() -> None:
    """-1 and 1 are the limits of the action; what ends well says so in ``is_success``."""
    env = VectorGymEnv(Goal, 3, name="task=Goal")
    env.reset()
    _, rewards, terminated, _, info = env.step(torch.tensor([[-1.0], [0.0], [1.0]]))
    assert rewards.tolist() == [0.0, 5.0, 10.0]
    assert info["final_observation"].tolist() == [[0.0] * 4, [5.0] * 4, [10.0] * 4]
    assert [env.outcome_names[index] if index >= 0 else "" for index in info["outcome"].tolist()] == [
        "failure:terminated",
        "",
        "success:is_success",
    ]
    assert terminated.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("name", "kwargs", "parts"),
    [
        ("CartPole-v1", {}, ["CartPole-v1", "Discrete(2)", "boxes"]),
        ("Pendulun-v1", {}, ["Pendulun"]),
        ("Pendulum-v1", {"gravity": 1}, ["Pendulum-v1", "gravity"]),
        ("Ant-v5", {"xml_file": "/nowhere.xml"}, ["Ant-v5", "/nowhere.xml"]),
        ("Hopper-v5", {"max_episode_steps": -1}, ["Hopper-v5", "no step limit", "task.max_episode_steps=1000"]),
        ("Hopper-v5", {"healthy_z_range": ["0.5", "9"]}, ["Hopper-v5", "Error: ufunc"]),
        ("Pendulum-v1", {"g": "fast"}, ["Pendulum-v1", "TypeError"]),
    ],
)
def test_what_cannot_be_made_is_an_error(name: str, kwargs: dict[str, object], parts: list[str]) -> None:
    """One line that names the environment and the reason."""
    with pytest.raises(ValueError, match=r"task=\S+: Gymnasium's \S+ cannot be used: ") as error:
        make_env(name, 2, **kwargs)
    assert all(part in str(error.value) for part in parts)
    assert "\n" not in str(error.value)


class Faulty(Goal):
    """Returns or raises what the test says, in place of what ``Goal`` returns."""

    def __init__(self, where: str, what: object) -> None:
        self._where, self._what = where, what

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[Any, dict[str, object]]:
        if isinstance(self._what, Exception):
            raise self._what
        return self._what if self._where == "reset" else super().reset(seed=seed)[0], {}

    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict[str, object]]:
        observation, reward, _, _, _ = super().step(action)
        success = self._what if self._where == "success" else False
        return observation, self._what if self._where == "reward" else reward, False, False, {"is_success": success}


@pytest.mark.parametrize(
    ("where", "what", "parts"),
    [
        ("reset", np.zeros(3), ["reset returns an observation of shape (3,)", "(2, 2)"]),
        ("reset", OSError(28, "no map\x1b[2J"), ["OSError", r"no map\x1b[2J"]),
        ("reward", np.zeros(2), ["array([0., 0.]) as reward"]),
        ("reward", None, ["None as reward"]),
        ("success", np.ones(2), ["as info['is_success']"]),
    ],
)
def test_a_faulty_environment_is_an_error_before_it_is_trained(where: str, what: object, parts: list[str]) -> None:
    """One line that names the environment and what is wrong with what it returns."""
    gymnasium.register("Faulty-v0", entry_point=Faulty)
    try:
        with pytest.raises(CannotMake, match=r"^task=Faulty-v0: .* cannot be used: ") as error:
            make_env("Faulty-v0", 2, where=where, what=what)
    finally:
        del gymnasium.registry["Faulty-v0"]
    assert all(part in str(error.value) for part in parts)
    assert str(error.value).isprintable()


class FailsLater(Goal):
    """Goes on for two steps and then does what the test says."""

    def __init__(self, step: Callable[[], tuple[Any, ...]]) -> None:
        self._step, self._steps = step, 0

    def step(self, action: np.ndarray) -> tuple[Any, ...]:  # type: ignore[override]
        self._steps += 1
        return self._step() if self._steps > 2 else (np.zeros((2, 2)), 0.0, False, False, {})

    def close(self) -> None:
        raise OSError("it is gone")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda: 1 / 0, "step raises ZeroDivisionError: division by zero"),
        (lambda: {}["the\nrope"], r"step raises KeyError: 'the\nrope'"),
        (lambda: (np.zeros(2), 0.0, False, False, {}), "step returns an observation of shape (2,), but"),
        (lambda: (np.full((2, 2), "x"), 0.0, False, False, {}), "step returns an observation of type <U1, which must"),
        (lambda: (np.zeros((2, 2)), None, False, False, {}), "step returns None as reward, which must be one number"),
        (lambda: (np.zeros((2, 2)), 0.0, False, False, None), "step raises AttributeError: 'NoneType'"),
        (lambda: (np.zeros((2, 2)), 0.0), "step raises ValueError: not enough values to unpack"),
    ],
)
def test_an_environment_that_fails_later_is_named(step: Callable[[], tuple[Any, ...]], said: str) -> None:
    """In one line, whatever it raises or returns."""
    env = VectorGymEnv(lambda: FailsLater(step), 2, name="task=Mine-v0")
    env.reset()
    for _ in range(2):
        env.step(torch.zeros(2, 1))
    with pytest.raises(EnvironmentFault) as fault:
        env.step(torch.zeros(2, 1))
    assert str(fault.value).startswith(f"task=Mine-v0: {said}")
    assert str(fault.value).isprintable()
    with pytest.raises(EnvironmentFault, match=r"^task=Mine-v0: close raises OSError: it is gone$"):
        env.close()


def test_infos_of_any_kind_are_left_alone() -> None:
    """Gymnasium would put them into one array for all environments, which not all fit into."""
    infos = iter([{"path": np.zeros(2)}, {"path": np.zeros(3)}])
    env = VectorGymEnv(lambda: FailsLater(lambda: (np.zeros((2, 2)), 1.0, False, False, next(infos))), 2, name="Mine")
    env.reset()
    for _ in range(3):
        _, rewards, *_ = env.step(torch.zeros(2, 1))
    assert rewards.tolist() == [1.0, 1.0]
