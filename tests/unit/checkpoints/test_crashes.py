"""A process that dies while it saves leaves every checkpoint whole: the previous one or the new one."""

import os
from pathlib import Path

import torch
from attack.failing_calls import FailingCalls

from dexhand.checkpoints.store import CheckpointStore, load_checkpoint

OLD, NEW = 1, 2


def _save(store: CheckpointStore, iteration: int) -> None:
    """With every name that a save can have, and an old one to delete."""
    state = {"epoch": iteration, "weights": torch.full((2_000,), float(iteration))}
    store.save(state, iteration=iteration, numbered=True, best=True)


def _killed_before(call: int, store: CheckpointStore) -> bool:
    """Save in a fork that is killed before its call number ``call`` that changes a file; whether there was one."""
    child = os.fork()
    if child == 0:
        FailingCalls(call, "kill", os.open(os.devnull, os.O_WRONLY)).install()
        _save(store, NEW)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_every_name_is_whole_whichever_call_a_process_dies_at(tmp_path: Path) -> None:
    """Latest, best and a numbered one are there; each holds the old state or the new one. See also tests/attack."""
    call = 0
    store = CheckpointStore(tmp_path, keep=1)
    _save(store, OLD)
    while _killed_before(call, store):
        assert {"latest.pth", "checkpoint_best.pth"} <= {path.name for path in tmp_path.glob("[!.]*.pth")}
        assert store.numbered()
        for path in tmp_path.glob("[!.]*.pth"):
            state = load_checkpoint(path)
            assert bool((state["weights"] == float(state["epoch"])).all()), path
        store.remove_leftovers()
        _save(store, OLD)
        call += 1
    assert call > 10
    assert load_checkpoint(tmp_path / "latest.pth")["epoch"] == NEW
