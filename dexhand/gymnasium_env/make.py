"""From a task to its environments."""

from contextlib import closing
from typing import Any, cast

import gymnasium
import torch

from dexhand.core.interfaces import EnvironmentFault, VecEnv
from dexhand.files.output import printable
from dexhand.gymnasium_env.check import CheckedEnv, check_spaces
from dexhand.gymnasium_env.formulas import formulas_of
from dexhand.gymnasium_env.mujoco_env import MujocoGymEnv
from dexhand.gymnasium_env.on_device import on_device
from dexhand.gymnasium_env.vector_env import VectorGymEnv
from dexhand.tasks.gymnasium_tasks import GymnasiumConfig

CPU = torch.device("cpu")


class CannotMake(ValueError):
    """An environment that Gymnasium does not make, or that fails its check; the message says why."""


def make_gymnasium_env(
    task: GymnasiumConfig,
    num_envs: int,
    *,
    threads: int = 0,
    seed: int = 0,
    device: torch.device = CPU,
) -> VecEnv:
    """Make seeded environments: of MuJoCo in a batch of ``threads`` (0 = one per core), others one after the other.

    They step on the CPU; their tensors are on ``device``. Before that, another one is made, reset and stepped once.
    Raises ``CannotMake``.
    """
    name = f"task={task.subject}"

    def make() -> "gymnasium.Env[Any, Any]":
        return gymnasium.make(task.environment, disable_env_checker=True, **task.arguments())

    try:
        with closing(make()) as env:
            formulas = formulas_of(env)
            check_spaces(env)
            _step_once(CheckedEnv(env, name))
        if formulas is None:
            return on_device(cast(VecEnv, VectorGymEnv(make, num_envs, name=name, seed=seed)), device)
        own: Any = env.unwrapped
        limit = _step_limit(env)
        single = MujocoGymEnv(formulas, own, 1, max_episode_steps=limit, threads=1)
        single.reset()
        single.step(torch.zeros((1, *single.single_action_space.shape)))
    except MemoryError:
        raise
    except Exception as error:  # an environment may raise anything
        problem = f"Gymnasium's {task.environment} cannot be used: {_in_words(error)}"
        raise CannotMake(f"{name}: {problem}") from error
    batch = MujocoGymEnv(formulas, own, num_envs, max_episode_steps=limit, threads=threads, seed=seed)
    return on_device(batch, device)


def _step_once(env: CheckedEnv) -> None:
    """Reset and step ``env``. Raises ``EnvironmentFault``."""
    env.reset(seed=0)
    actions: Any = env.action_space
    env.step((actions.low / 2 + actions.high / 2).astype(actions.dtype))


def _in_words(error: Exception) -> str:
    if isinstance(error, EnvironmentFault):
        return error.problem
    own_words = isinstance(error, (ValueError, gymnasium.error.Error)) and str(error)
    return printable(" ".join((own_words or f"{type(error).__name__}: {error}").split()))


def _step_limit(env: "gymnasium.Env[Any, Any]") -> int:
    limit = None if env.spec is None else env.spec.max_episode_steps
    if limit is None:
        raise ValueError(
            "it has no step limit (max_episode_steps): an episode might never end. Give task.max_episode_steps=1000"
        )
    return limit
