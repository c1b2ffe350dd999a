"""Processes that a test launches need not import torch again."""

import functools

import pytest
from torch.multiprocessing.spawn import start_processes

from dexhand.distributed import launch


@pytest.fixture
def launched_processes_are_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """``dexhand.distributed.launch`` forks this process instead of starting a fresh Python."""
    monkeypatch.setattr(launch, "start_processes", functools.partial(start_processes, start_method="fork"))
