"""Environments that step on the CPU for a learner on a GPU."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from dexhand.core.interfaces import StepInfo, VecEnv


def on_device(env: VecEnv, device: torch.device) -> VecEnv:
    """Return ``env``, which steps on the CPU, such that what it returns is on ``device``."""
    return env if device.type == "cpu" else cast(VecEnv, OnDevice(env, device))


class OnDevice:
    """``VecEnv`` that passes everything on to another one and moves what that returns."""

    def __init__(self, env: VecEnv, device: torch.device) -> None:
        self._env = env
        self.device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``."""
        observations, info = self._env.reset(seed)
        return observations.to(self.device), self._moved(info)

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        *values, info = self._env.step(actions.cpu())
        observations, rewards, terminated, truncated = (value.to(self.device) for value in values)
        return observations, rewards, terminated, truncated, cast(StepInfo, self._moved(info))

    def _moved(self, info: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value.to(self.device) for name, value in info.items()}
