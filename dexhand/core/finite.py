"""Numbers that are not finite, with which training ends."""

from collections.abc import Iterator
from typing import Any, cast

import torch

from dexhand.core.interfaces import StepInfo, VecEnv

ENVIRONMENT_KEY = "env"
"""The state of environments is kept under this key; a task may keep infinities there on purpose."""


class Diverged(ArithmeticError):
    """Training has diverged; the message names what is not finite."""


def non_finite_place(state: Any) -> str | None:
    """Where a floating-point tensor of an ``Algorithm.state_dict()`` holds NaN or infinity; ``None`` if none does.

    What lies under ``env`` does not count, at any depth.
    """
    return next((place for place, tensor in _tensors(state, "") if not bool(torch.isfinite(tensor).all())), None)


def _tensors(value: Any, place: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != ENVIRONMENT_KEY:
                yield from _tensors(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _tensors(item, f"{place}[{number}]")


def refuse_non_finite(env: VecEnv) -> VecEnv:
    """Return ``env`` such that it raises ``Diverged`` instead of an observation or reward that is not finite."""
    return cast(VecEnv, _FiniteEnv(env))


class _FiniteEnv:
    """``VecEnv`` that passes everything on to another one and checks what that returns."""

    def __init__(self, env: VecEnv) -> None:
        self._env = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, seed: int | None = None) -> tuple[torch.Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``."""
        observations, info = self._env.reset(seed)
        _check("an observation", observations, info.get("critic_observations"))
        return observations, info

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        result = self._env.step(actions)
        _check("an observation", result[0], result[4].get("critic_observations"))
        _check("a reward", result[1])
        return result


def _check(what: str, *tensors: torch.Tensor | None) -> None:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor is not None):
        raise Diverged(what)
