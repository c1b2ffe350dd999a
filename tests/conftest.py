"""Processes that a test launches need not import torch again."""

import functools

import pytest


@pytest.fixture
def launched_processes_are_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """``dexhand.distributed.launch`` forks this process instead of starting a fresh Python."""
    # not above: the process that shares out the tests reads this file, and needs no torch
    from torch.multiprocessing.spawn import start_processes

    from dexhand.distributed import launch

    monkeypatch.setattr(launch, "start_processes", functools.partial(start_processes, start_method="fork"))
