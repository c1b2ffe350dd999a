"""The project's own tests use the plugin that dexhand ships, and the stand-in of Isaac Gym."""

import atexit
import gc
import os

import freezegun
import pytest
from hypothesis import settings

from dexhand.mock import isaacgym

# the tests' tensors are tiny, and several processes run them: threads would only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

# rl_games compiles two functions for each learner, which takes longer than a test trains; uncompiled, they compute the
# same bits, as test_commands.py shows, whose processes of their own compile
os.environ.setdefault("PYTORCH_JIT", "0")

# machines that judge a change try the same examples each time; elsewhere others are tried in every run
settings.register_profile("dexhand", derandomize="CI" in os.environ, deadline=None)
settings.load_profile("dexhand")

# a frozen clock looks for the real one in every attribute of every module; torch's thousands ask for no time of day
freezegun.configure(extend_ignore_list=["torch", "sympy", "warp", "mujoco_warp"])

# where dexhand is installed, its entry point has the same name and is not loaded twice
pytest_plugins = ["dexhand.testing.plugin", "pytester"]

isaacgym.install()

# a fork finalizes nothing of this process: what waits for a thread there waits without end
os.register_at_fork(before=gc.freeze)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All tests are shared out among the CPU cores; those of given paths run in one process, and those on a GPU too."""
    are_all = config.args_source is config.ArgsSource.TESTPATHS
    return len(os.sched_getaffinity(0)) if are_all and config.option.markexpr != "gpu" else 0


def pytest_collection_finish() -> None:
    """No search for cycles goes through what is imported by now: torch alone is a million objects."""
    gc.freeze()
    atexit.register(gc.freeze)
