"""The checkpoints of one run: the suite, and what is this store's own."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dexhand.checkpoints.store import CheckpointStore, load_checkpoint
from dexhand.core.file_locks import InUse, is_in_use
from dexhand.testing.checkpoint_store import (
    CheckpointStoreConformance,
    CheckpointStoreLocksConformance,
    names,
)


class TestOnRealFiles(CheckpointStoreLocksConformance):
    pass


class TestOnAFakeFileSystem(CheckpointStoreConformance):
    @pytest.fixture
    def folder(self, fs: Any) -> Path:
        return Path("/runs/nn")


class TestWithoutHardLinks(CheckpointStoreConformance):
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        return tmp_path / "nn"


def test_one_state_is_written_once(tmp_path: Path) -> None:
    """All names of one save are one file on disk."""
    CheckpointStore(tmp_path).save({"n": 1}, iteration=1, numbered=True, best=True)
    assert len({path.stat().st_ino for path in tmp_path.iterdir()}) == 1


def test_a_checkpoint_that_cannot_be_deleted_is_said_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Saving has succeeded all the same."""
    store = CheckpointStore(tmp_path, keep=1)
    store.save({}, iteration=1, numbered=True)
    with mock.patch("pathlib.Path.unlink", side_effect=PermissionError(1, "Operation not permitted")):
        store._remove_old()
        (tmp_path / "checkpoint_2.pth").touch()
        store._remove_old()
    assert "checkpoint_1.pth should be deleted" in caplog.text


def test_a_file_that_cannot_be_marked_is_not_in_use(tmp_path: Path) -> None:
    """It was deleted meanwhile; nothing is raised."""
    InUse(tmp_path / "gone.pth").release()
    (tmp_path / "there.pth").touch()
    assert not is_in_use(tmp_path / "there.pth")


FALLIBLE = ("open", "fsync", "replace", "link", "mkdir")


class StoredRun(RuleBasedStateMachine):
    """Whatever fails and whatever is deleted, every name holds a whole state, and latest is the newest saved."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "nn"
        self.store = CheckpointStore(self.folder, keep=3)
        self.iteration = 0
        self.latest: int | None = None
        self.best: int | None = None
        self.uncertain = False

    def teardown(self) -> None:
        shutil.rmtree(self.folder.parent)

    def save(self, numbered: bool, best: bool) -> None:
        self.iteration += 1
        state = {"n": self.iteration, "t": torch.full((100,), self.iteration)}
        self.store.save(state, iteration=self.iteration, numbered=numbered, best=best)

    @rule(numbered=st.booleans(), best=st.booleans())
    def save_whole(self, numbered: bool, best: bool) -> None:
        self.save(numbered, best)
        self.latest, self.uncertain = self.iteration, False
        self.best = self.iteration if best else self.best

    @rule(numbered=st.booleans(), best=st.booleans(), name=st.sampled_from(FALLIBLE), number=st.integers(0, 5))
    def save_with_a_failure(self, numbered: bool, best: bool, name: str, number: int) -> None:
        """The n-th call of one kind fails as on a full disk."""
        real, calls = getattr(os, name), iter(range(100))

        def fail(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == number:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        with mock.patch.object(os, name, fail):
            try:
                self.save(numbered, best)
            except OSError:
                self.uncertain = True
                return
        self.latest, self.uncertain = self.iteration, False
        self.best = self.iteration if best else self.best

    @rule()
    def begin_again(self) -> None:
        """Another process goes on in the folder."""
        self.store = CheckpointStore(self.folder, keep=3)

    @invariant()
    def every_name_is_whole(self) -> None:
        states: dict[str, int] = {}
        for path in self.folder.glob("*.pth"):
            state = load_checkpoint(path)
            assert bool((state["t"] == state["n"]).all())
            states[path.name] = state["n"]
        if self.latest is not None:
            assert states["latest.pth"] in ({self.latest} if not self.uncertain else range(self.latest, 10**6))
        if self.best is not None:
            assert states["checkpoint_best.pth"] >= self.best
        assert all(name == f"checkpoint_{n}.pth" for name, n in states.items() if name[11:-4].isdigit())

    @invariant()
    def nothing_is_left_lying_about(self) -> None:
        if self.folder.exists():
            assert [name for name in names(self.folder) if name.endswith(".tmp")] == []


TestStoredRun = StoredRun.TestCase
TestStoredRun.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


SAVE_FOREVER = """
import itertools, sys, torch
from pathlib import Path
from dexhand.checkpoints.store import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]))
for n in itertools.count(1):
    store.save({"n": n, "t": torch.full((50_000,), float(n))}, iteration=n, best=n % 3 == 0, numbered=n % 5 == 0)
    print(n, flush=True)
"""


@pytest.mark.usefixtures("forked_python")
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
