"""Processes that a test launches need not import torch again, and no test waits for a disk."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m "not gpu"`` no test of ``tests/gpu`` would run, and importing MuJoCo Warp takes seconds."""
    return True if collection_path.name == "gpu" and config.option.markexpr == "not gpu" else None


@pytest.fixture(scope="session", autouse=True)
def files_need_not_outlive_a_power_cut() -> Iterator[None]:
    """``os.fsync`` returns at once, which nothing but a power cut could tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def launched_processes_are_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """``dexhand.distributed.launch`` forks this process instead of starting a fresh Python."""
    # not above: the process that shares out the tests reads this file, and needs no torch
    from torch.multiprocessing.spawn import start_processes

    from dexhand.distributed import launch

    monkeypatch.setattr(launch, "start_processes", functools.partial(start_processes, start_method="fork"))
