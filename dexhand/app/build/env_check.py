"""A check of user-defined environments before anything is trained or played in them."""

from collections.abc import Iterator
from typing import Any

import torch

from dexhand.config.errors import ConfigError
from dexhand.core.interfaces import VecEnv


def check_env(env: VecEnv, where: str, seed: int) -> None:
    """Reset ``env``, take one step, and raise ``ConfigError`` for a value that is not as ``VecEnv`` specifies it.

    ``where`` begins the message. Values of finished episodes are not checked; ``dexhand.testing`` does that.
    """
    for what, value, shape, dtype in _first_values(env, seed):
        if not isinstance(value, torch.Tensor):
            raise ConfigError(f"{where}: {what} must be a torch.Tensor, but is {type(value).__name__}")
        if (value.shape, value.dtype) != (shape, dtype):
            raise ConfigError(
                f"{where}: {what} must have shape {shape} and type {dtype}, but has {tuple(value.shape)} and "
                f"{value.dtype}. VecEnv in dexhand/core/interfaces.py describes it"
            )


def _first_values(env: VecEnv, seed: int) -> Iterator[tuple[str, Any, tuple[int, ...], torch.dtype]]:
    """Yield name, value, expected shape and expected type of what ``reset`` and ``step`` return."""
    n, critic = (env.num_envs,), env.single_critic_observation_space
    seen, real = n + env.single_observation_space.shape, torch.float32
    observations, info = env.reset(seed=seed)
    yield "the first value of reset", observations, seen, real
    if critic is not None:
        yield "info['critic_observations'] of reset", info.get("critic_observations"), n + critic.shape, real
    actions = torch.zeros(n + env.single_action_space.shape, device=env.device)
    observations, rewards, terminated, truncated, step_info = env.step(actions)
    yield "observations", observations, seen, real
    yield "rewards", rewards, n, real
    yield "terminated", terminated, n, torch.bool
    yield "truncated", truncated, n, torch.bool
    yield "info['final_observation']", step_info.get("final_observation"), seen, real
    yield "info['outcome']", step_info.get("outcome"), n, torch.int64
    yield "info['reward_terms']", step_info.get("reward_terms"), (*n, len(env.reward_names)), real
    if critic is not None:
        yield "info['critic_observations']", step_info.get("critic_observations"), n + critic.shape, real
