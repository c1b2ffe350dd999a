"""Environments on the mock simulator, which needs no MuJoCo."""

from collections.abc import Callable

import pytest
from composed import composed

from dexhand.app.build import build_env
from dexhand.core.task_env import TaskEnv


@pytest.fixture
def make_env() -> Callable[..., TaskEnv]:
    """``make_env(num_envs, *overrides)``: BaseTask on the mock, with episodes of 19 steps."""

    def make(num_envs: int = 3, *overrides: str) -> TaskEnv:
        settings = ["sim.backend=mock", f"numEnvs={num_envs}", "task.episodeLength=20", *overrides]
        return build_env(composed(*settings))

    return make
