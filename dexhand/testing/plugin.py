"""pytest plugin: fixtures, ``--dexhand-env``, and ``--require-gpu``, which fails GPU tests instead of skipping them.

pytest loads it wherever dexhand is installed, so it imports nothing slow before a test asks for it.

``@pytest.mark.gpu`` needs an NVIDIA GPU that torch can use, ``@pytest.mark.gpu("mujoco_warp")`` that simulator too.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from dexhand.mock.clock import FakeClock
    from dexhand.mock.env import MockEnv
    from dexhand.sinks.memory import MemorySink
    from dexhand.workspace.workspace import Workspace

ALWAYS = "cuda"
"""The requirement of every GPU test."""


def _missing_cuda() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "needs an NVIDIA GPU: torch.cuda.is_available() is false"


def _missing_mujoco_warp() -> str | None:
    if importlib.util.find_spec("mujoco_warp") is not None:
        return None
    return "needs MuJoCo Warp: pip install 'dexhand[warp]'"


def _missing_isaacgym() -> str:
    return "needs Isaac Gym Preview 4, on Python 3.8: docs/gpu.md shows how to run tests/isaacgym_worker there"


REQUIREMENTS: dict[str, Callable[[], str | None]] = {
    ALWAYS: _missing_cuda,
    "mujoco_warp": _missing_mujoco_warp,
    "isaacgym": _missing_isaacgym,
}
"""For each requirement of GPU tests, a function that returns why it is not met here, or ``None``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("dexhand")
    group.addoption(
        "--dexhand-env",
        metavar="MODULE:FACTORY",
        help="check the environment that FACTORY(num_envs) makes against dexhand's contract for environments; needs no "
        "test file, and runs no other test unless paths are given (docs/testing.md)",
    )
    group.addoption(
        "--dexhand-env-steps",
        type=int,
        default=1000,
        metavar="STEPS",
        help="with --dexhand-env: steps within which an episode ends under random actions (default: 1000)",
    )
    group.addoption(
        "--require-gpu",
        nargs="?",
        const=ALWAYS,
        default=None,
        metavar="NAMES",
        help=f"for GPU runners: fail GPU tests, rather than skip them, where a GPU or one of these is missing: "
        f"{','.join(REQUIREMENTS)} (comma-separated; without a value: {ALWAYS})",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, refuse unknown names in ``--require-gpu``, and set up ``--dexhand-env``."""
    config.addinivalue_line(
        "markers", "gpu(*needs): needs an NVIDIA GPU that torch can use, and the simulators named, such as mujoco_warp"
    )
    unknown = [name for name in _required(config) if name not in REQUIREMENTS]
    if unknown:
        raise pytest.UsageError(f"--require-gpu={','.join(unknown)} is unknown. Known: {', '.join(REQUIREMENTS)}")
    if config.getoption("--dexhand-env") is not None:
        _check_env_only(config)


def _check_env_only(config: pytest.Config) -> None:
    """Collect the suite for ``--dexhand-env``, and other tests only if their paths were given."""
    from dexhand.testing.env_option import EnvOption

    if config.args_source is not config.ArgsSource.ARGS:
        config.args = []
    option = EnvOption(
        config.getoption("--dexhand-env"), config.getoption("--dexhand-env-steps"), config.invocation_params.dir
    )
    config.pluginmanager.register(option, "dexhand-env")


def _required(config: pytest.Config) -> list[str]:
    """The requirements named by ``--require-gpu``; every one of them implies a GPU."""
    value = config.getoption("--require-gpu")
    return [] if value is None else [ALWAYS, *(name for name in value.split(",") if name)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a GPU test that cannot run here, or fail it if ``--require-gpu`` says so."""
    marker = item.get_closest_marker("gpu")
    if marker is None:
        return
    required = _required(item.config)
    reasons = {need: REQUIREMENTS[need]() for need in (ALWAYS, *marker.args)}
    for need, reason in reasons.items():
        if reason is not None and need in required:
            pytest.fail(f"--require-gpu={need}: {reason}", pytrace=False)
    missing = [reason for reason in reasons.values() if reason is not None]
    if missing:
        pytest.skip("; ".join(missing))


# --- fixtures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that advances only when code sleeps on it or sets ``fake_clock.time``."""
    from dexhand.mock.clock import FakeClock

    return FakeClock()


@pytest.fixture
def memory_sink() -> MemorySink:
    """A metric sink that keeps everything in memory; ``memory_sink.series(name)`` is one scalar's values."""
    from dexhand.sinks.memory import MemorySink

    return MemorySink()


@pytest.fixture
def tmp_workspace(tmp_path: Path) -> Workspace:
    """An empty workspace: ``runs`` and ``runs_all`` in the test's own folder, made when they are needed."""
    from dexhand.workspace.workspace import Workspace

    return Workspace(tmp_path / "runs")


@pytest.fixture
def mock_env() -> MockEnv:
    """Eight environments, not reset yet, whose best possible return is known: ``mock_env.optimal_return()``."""
    from dexhand.mock.env import MockEnv

    return MockEnv(8)


@pytest.fixture
def trained_checkpoint(_trained_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint of two PPO iterations of BaseTask on the mock simulator: a copy that the test may damage.

    ``scripts/train.py test=true sim.backend=mock checkpoint=<path>`` plays it.
    """
    return Path(shutil.copy(_trained_checkpoint, tmp_path / _trained_checkpoint.name))


@pytest.fixture(scope="session")
def _trained_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that ``trained_checkpoint`` copies, trained once per session."""
    from dexhand.testing.tiny_training import train_a_checkpoint

    return train_a_checkpoint(tmp_path_factory.mktemp("trained") / "nn")


@pytest.fixture
def corrupt() -> ModuleType:
    """Functions that damage a file, such as ``corrupt.truncate(path)``; ``corrupt.WAYS`` holds all of them."""
    from dexhand.testing import corruption

    return corruption
