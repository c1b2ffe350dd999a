"""Environments on the mock simulator, which needs no MuJoCo."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dexhand.core.task_env import TaskEnv


@pytest.fixture
def make_env() -> "Callable[..., TaskEnv]":
    """``make_env(num_envs, *overrides)``: BaseTask on the mock, with episodes of 19 steps."""
    # not above: pytest may read this before Isaac Gym is imported, which comes before torch
    from composed import composed

    from dexhand.app.build import build_env

    def make(num_envs: int = 3, *overrides: str) -> "TaskEnv":
        settings = ["sim.backend=mock", f"numEnvs={num_envs}", "task.episodeLength=20", *overrides]
        return build_env(composed(*settings))

    return make
