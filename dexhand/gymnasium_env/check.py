"""Checks of environments of Gymnasium, which may be a user's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from dexhand.core.interfaces import EnvironmentFault
from dexhand.files.output import printable


class CheckedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that raises ``EnvironmentFault``, whatever goes wrong in it or is wrong with what it returns.

    Without these checks Gymnasium's vector environment would broadcast an observation of another shape, and take
    ``None`` for a number. Of the infos only ``is_success`` is passed on.
    """

    def __init__(self, env: "gymnasium.Env[Any, Any]", name: str) -> None:
        super().__init__(env)
        self._name = name

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See ``gymnasium.Env.reset``."""
        with self._faults("reset"):
            observation, _ = self.env.reset(seed=seed, options=options)
            self._check_observation("reset", observation)
        return observation, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See ``gymnasium.Env.step``."""
        with self._faults("step"):
            observation, reward, terminated, truncated, info = self.env.step(action)
            self._check_observation("step", observation)
            is_success = info.get("is_success", False)
            for what, value in (
                ("reward", reward),
                ("terminated", terminated),
                ("truncated", truncated),
                ("info['is_success']", is_success),
            ):
                array = np.asarray(value)
                if array.shape or array.dtype.kind not in _NUMBERS:
                    raise _Wrong(f"step returns {value!r:.80} as {what}, which must be one number")
        return observation, reward, terminated, truncated, {"is_success": bool(is_success)}

    def close(self) -> None:
        """See ``gymnasium.Env.close``."""
        with self._faults("close"):
            self.env.close()

    @contextmanager
    def _faults(self, method: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # an environment may raise anything
            said = str(error) if isinstance(error, _Wrong) else f"{method} raises {type(error).__name__}: {error}"
            raise EnvironmentFault(self._name, printable(" ".join(said.split()))[:1000]) from error

    def _check_observation(self, method: str, observation: Any) -> None:
        array, expected = np.asarray(observation), self.observation_space.shape
        if array.shape != expected:
            raise _Wrong(
                f"{method} returns an observation of shape {array.shape}, but its observation_space has {expected}"
            )
        if array.dtype.kind not in _NUMBERS:
            raise _Wrong(f"{method} returns an observation of type {array.dtype}, which must be numbers")


class _Wrong(ValueError):
    """Something is wrong with what an environment returns; the message says what."""


_NUMBERS = "biuf"
"""Kinds of types whose values are real numbers."""


def check_spaces(env: "gymnasium.Env[Any, Any]") -> None:
    """Raise ``ValueError`` for spaces that ``VecEnv`` cannot pass on: only boxes can, and actions need limits."""
    for what, space in (("observations", env.observation_space), ("actions", env.action_space)):
        if not isinstance(space, Box):
            raise ValueError(f"its {what} are {space}. Only environments whose spaces are boxes can be trained")
    actions: Any = env.action_space
    if not np.issubdtype(actions.dtype, np.floating) or not actions.is_bounded():
        raise ValueError(f"its actions are {actions}. They must be floating-point numbers with finite limits")
