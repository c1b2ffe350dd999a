"""Environments on the mock simulator, which needs no MuJoCo, and disks that are full."""

import contextlib
import resource
from collections.abc import Callable, Iterator

import pytest
from composed import composed

from dexhand.app.build import build_env
from dexhand.hand_env.task_env import TaskEnv


@pytest.fixture
def make_env() -> Callable[..., TaskEnv]:
    """``make_env(num_envs, *overrides)``: BaseTask on the mock, with episodes of 19 steps."""

    def make(num_envs: int = 3, *overrides: str) -> TaskEnv:
        settings = ["sim.backend=mock", f"numEnvs={num_envs}", "task.episodeLength=20", *overrides]
        return build_env(composed(*settings))

    return make


@pytest.fixture
def disk_with_room_for() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """Within the context that it makes, the kernel writes only so many bytes into any file of this process."""

    @contextlib.contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
