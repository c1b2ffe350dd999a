"""pytest plugin: GPU tests are skipped with a reason on machines without a GPU, or fail there with --require-gpu."""

from typing import Optional

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--require-gpu``."""
    parser.addoption(
        "--require-gpu",
        action="store_true",
        help="fail tests marked gpu, rather than skip them, where there is no usable GPU (for GPU runners)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "gpu: needs an NVIDIA GPU that torch can use")


def missing_gpu() -> Optional[str]:
    """Why no GPU test can run here, or ``None``."""
    import torch

    if torch.cuda.is_available():
        return None
    return "needs an NVIDIA GPU: torch.cuda.is_available() is false"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail what cannot run."""
    if item.get_closest_marker("gpu") is None:
        return
    reason = missing_gpu()
    if reason is None:
        return
    if item.config.getoption("--require-gpu"):
        pytest.fail(f"--require-gpu: {reason}", pytrace=False)
    pytest.skip(reason)
