"""The checkpoints of one run: their names, their order, and what is latest when a process is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List

import pytest
import torch

from dexhand.core.checkpoints import CheckpointStore, load_checkpoint


def names(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_save_is_latest(tmp_path: Path) -> None:
    """latest.pth is written by every save and is the newest one."""
    store = CheckpointStore(tmp_path / "nn")
    assert store.latest() is None
    for iteration in (1, 2):
        assert store.save({"n": iteration}, iteration=iteration) == tmp_path / "nn" / "latest.pth"
    assert names(tmp_path / "nn") == ["latest.pth"]
    assert load_checkpoint(store.latest() or "") == {"n": 2}


def test_numbered_checkpoints_stay_and_are_ordered_by_number(tmp_path: Path) -> None:
    """9 comes before 10, and a later save leaves them alone."""
    store = CheckpointStore(tmp_path)
    for iteration in (10, 9, 100):
        path = store.save({"n": iteration}, iteration=iteration, numbered=True)
        assert path == tmp_path / f"checkpoint_{iteration}.pth"
    (tmp_path / "checkpoint_x.pth").touch()
    (tmp_path / "checkpoint_7.pth").mkdir()
    assert [path.name for path in store.numbered()] == ["checkpoint_9.pth", "checkpoint_10.pth", "checkpoint_100.pth"]
    assert [load_checkpoint(path)["n"] for path in store.numbered()] == [9, 10, 100]


def test_best_is_the_newest_save_marked_best(tmp_path: Path) -> None:
    """checkpoint_best.pth follows saves with best=True only."""
    store = CheckpointStore(tmp_path)
    assert store.best() is None
    store.save({"n": 1}, iteration=1, best=True)
    store.save({"n": 2}, iteration=2, best=True)
    store.save({"n": 3}, iteration=3)
    assert load_checkpoint(store.best() or "") == {"n": 2}
    assert load_checkpoint(store.latest() or "") == {"n": 3}


def test_one_state_is_written_once(tmp_path: Path) -> None:
    """All names of one save are one file on disk; saving the same iteration again leaves nothing behind."""
    store = CheckpointStore(tmp_path)
    for _ in range(2):
        store.save({"n": 1}, iteration=1, numbered=True, best=True)
        assert names(tmp_path) == ["checkpoint_1.pth", "checkpoint_best.pth", "latest.pth"]
        assert len({path.stat().st_ino for path in tmp_path.iterdir()}) == 1


def test_without_hard_links_the_file_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses hard links gets copies."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = CheckpointStore(tmp_path)
    store.save({"n": 1}, iteration=1, numbered=True)
    store.save({"n": 2}, iteration=2)
    assert load_checkpoint(tmp_path / "checkpoint_1.pth") == {"n": 1}
    assert names(tmp_path) == ["checkpoint_1.pth", "latest.pth"]


def test_a_negative_iteration_is_refused(tmp_path: Path) -> None:
    """Iterations count from zero."""
    with pytest.raises(ValueError, match="iteration=-1"):
        CheckpointStore(tmp_path).save({}, iteration=-1)


def test_the_store_works_on_a_fake_file_system(fs: Any) -> None:
    """Links, renames and flushes go through Python's own functions."""
    store = CheckpointStore(Path("/runs/nn"))
    store.save({"t": torch.ones(3)}, iteration=5, numbered=True, best=True)
    assert names(Path("/runs/nn")) == ["checkpoint_5.pth", "checkpoint_best.pth", "latest.pth"]
    assert load_checkpoint(store.numbered()[0])["t"].tolist() == [1, 1, 1]


SAVE_FOREVER = """
import itertools, sys, torch
from pathlib import Path
from dexhand.core.checkpoints import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]))
for n in itertools.count(1):
    store.save({"n": n, "t": torch.full((50_000,), float(n))}, iteration=n, best=n % 3 == 0, numbered=n % 5 == 0)
    print(n, flush=True)
"""


def test_a_killed_process_leaves_every_checkpoint_whole(tmp_path: Path) -> None:
    """After kill -9 at some moment of a save every name holds a complete state, and latest is the newest reported."""
    for delay in (0.0, 0.003, 0.008):
        folder = tmp_path / str(delay)
        process = subprocess.Popen(
            [sys.executable, "-c", SAVE_FOREVER, str(folder)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert process.stdout
        for _ in range(6):
            reported = int(process.stdout.readline())
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        reported = max([reported, *(int(line) for line in process.stdout.read().split())])
        process.wait()
        store = CheckpointStore(folder)
        paths = [store.latest(), store.best(), *store.numbered()]
        states = [load_checkpoint(path) for path in paths if path]
        assert len(states) >= 3
        assert all((state["t"] == state["n"]).all() for state in states)
        assert reported <= states[0]["n"] <= reported + 1
        shutil.rmtree(folder)
