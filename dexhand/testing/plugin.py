"""pytest plugin: tests that need a GPU say what they need, and are skipped or fail where it is missing.

``@pytest.mark.gpu`` needs an NVIDIA GPU that torch can use, ``@pytest.mark.gpu("mujoco_warp")`` that simulator too.
"""

import importlib.util
import sys
from typing import Callable, Dict, List, Optional

import pytest

ALWAYS = "cuda"
"""What every GPU test needs."""


def _missing_cuda() -> Optional[str]:
    import torch

    return None if torch.cuda.is_available() else "needs an NVIDIA GPU: torch.cuda.is_available() is false"


def _missing_mujoco_warp() -> Optional[str]:
    if importlib.util.find_spec("mujoco_warp") is not None:
        return None
    return "needs MuJoCo Warp: pip install 'dexhand[warp]' (Python 3.11 or newer)"


def _missing_isaacgym() -> Optional[str]:
    package = sys.modules.get("isaacgym")
    is_stand_in = package is not None and package.__name__ != "isaacgym"
    if importlib.util.find_spec("isaacgym") is None or is_stand_in:
        return "needs Isaac Gym Preview 4, which docs/gpu.md tells how to install (Python 3.8)"
    return None


REQUIREMENTS: Dict[str, Callable[[], Optional[str]]] = {
    ALWAYS: _missing_cuda,
    "mujoco_warp": _missing_mujoco_warp,
    "isaacgym": _missing_isaacgym,
}
"""For each thing a GPU test can need: why it is missing here, or ``None``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--require-gpu``."""
    parser.addoption(
        "--require-gpu",
        nargs="?",
        const=ALWAYS,
        default=None,
        metavar="NAMES",
        help=f"for GPU runners: fail GPU tests, rather than skip them, where a GPU or one of these is missing: "
        f"{','.join(REQUIREMENTS)} (comma-separated; without a value: {ALWAYS})",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and refuse names that nothing answers to."""
    config.addinivalue_line(
        "markers", "gpu(*needs): needs an NVIDIA GPU that torch can use, and the simulators named, such as mujoco_warp"
    )
    unknown = [name for name in _required(config) if name not in REQUIREMENTS]
    if unknown:
        raise pytest.UsageError(f"--require-gpu={','.join(unknown)} is unknown. Known: {', '.join(REQUIREMENTS)}")


def _required(config: pytest.Config) -> List[str]:
    """What must not be missing; whatever is named, a GPU is meant with it."""
    value = config.getoption("--require-gpu")
    return [] if value is None else [ALWAYS, *(name for name in value.split(",") if name)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail what cannot run."""
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
