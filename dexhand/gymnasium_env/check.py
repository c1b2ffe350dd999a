"""A check of an environment of Gymnasium before it is trained or played."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box


def check_gymnasium_env(env: "gymnasium.Env[Any, Any]") -> None:
    """Reset ``env``, take one step, and raise ``ValueError`` for spaces or values that ``VecEnv`` cannot pass on.

    Only boxes are spaces that can be trained; actions need limits. What ``env`` raises is not caught.
    """
    for what, space in (("observations", env.observation_space), ("actions", env.action_space)):
        if not isinstance(space, Box):
            raise ValueError(f"its {what} are {space}. Only environments whose spaces are boxes can be trained")
    actions: Any = env.action_space
    if not np.issubdtype(actions.dtype, np.floating) or not actions.is_bounded():
        raise ValueError(f"its actions are {actions}. They must be floating-point numbers with finite limits")
    observation, _ = env.reset(seed=0)
    _check_observation("reset", observation, env)
    middle = (actions.low / 2 + actions.high / 2).astype(actions.dtype)
    observation, reward, terminated, truncated, info = env.step(middle)
    _check_observation("step", observation, env)
    for what, value in (
        ("reward", reward),
        ("terminated", terminated),
        ("truncated", truncated),
        ("info['is_success']", info.get("is_success", False)),
    ):
        array = np.asarray(value)
        if array.shape or array.dtype.kind not in "biuf":
            raise ValueError(f"step returns {value!r:.80} as {what}, which must be one number")


def _check_observation(where: str, observation: Any, env: "gymnasium.Env[Any, Any]") -> None:
    expected, shape = env.observation_space.shape, np.shape(observation)
    if shape != expected:
        raise ValueError(f"{where} returns an observation of shape {shape}, but its observation_space has {expected}")
