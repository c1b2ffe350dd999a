"""These tests run on Isaac Gym's Python 3.8 too, where dexhand is not: the worker is a package of its own there.

Where the real Isaac Gym is installed, only ``test_engine.py`` runs.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "dexhand"))

from isaacgym_worker import standin  # noqa: E402  (it has just come into sight)

standin.install()

import isaacgym  # noqa: E402  (before torch)
import pytest  # noqa: E402

IS_REAL = "standin" not in str(isaacgym.__file__)

collect_ignore = ["test_adapter.py", "test_standin.py"] if IS_REAL else []

if sys.version_info < (3, 9):  # elsewhere the plugin of dexhand does this

    def pytest_addoption(parser: pytest.Parser) -> None:
        parser.addoption("--require-gpu", help="for GPU runners: isaacgym = fail where Isaac Gym or a GPU is missing")

    def pytest_configure(config: pytest.Config) -> None:
        config.addinivalue_line("markers", "gpu(*needs): needs an NVIDIA GPU that torch can use, and Isaac Gym")

    def pytest_runtest_setup(item: pytest.Item) -> None:
        import torch

        if item.get_closest_marker("gpu") and not (IS_REAL and torch.cuda.is_available()):
            lacking = "needs an NVIDIA GPU and Isaac Gym Preview 4: docs/gpu.md"
            if item.config.getoption("--require-gpu"):
                pytest.fail(lacking, pytrace=False)
            pytest.skip(lacking)
