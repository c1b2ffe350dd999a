"""Environments on the mock simulator, which needs no MuJoCo."""

from typing import Callable

import pytest
from composed import composed

from dexhand.core.task_env import TaskEnv
from dexhand.parts import build_env

MakeEnv = Callable[..., TaskEnv]


@pytest.fixture
def make_env() -> MakeEnv:
    """``make_env(num_envs, *overrides)``: BaseTask on the mock, with episodes of 19 steps."""

    def make(num_envs: int = 3, *overrides: str) -> TaskEnv:
        settings = ["sim.backend=mock", f"numEnvs={num_envs}", "task.episodeLength=20", *overrides]
        return build_env(composed(*settings))

    return make
