"""The checkpoints of one run: names, order, retention, failures, and what a reader sees meanwhile."""

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dexhand.checkpoints.store import CheckpointStore, load_checkpoint
from dexhand.files.locks import InUse, is_in_use


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["hard links", "no hard links"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where checkpoints will be, on a file system with and without hard links."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", refuse)
    return tmp_path / "nn"


def test_an_empty_store_has_nothing(folder: Path) -> None:
    """Nothing is made before something is saved."""
    store = CheckpointStore(folder)
    assert (store.latest(), store.best(), store.numbered()) == (None, None, [])
    assert not folder.exists()


def test_a_run_that_is_moved_while_it_trains(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing more is lost, and it is said once that the folder is a new one."""
    run = folder.parent / "run"
    store = CheckpointStore(run / "nn")
    store.save({"epoch": 1}, iteration=1)
    run.rename(folder.parent / "moved")
    for iteration in (2, 3):
        store.save({"epoch": iteration}, iteration=iteration)
    assert load_checkpoint(run / "nn" / "latest.pth") == {"epoch": 3}
    assert caplog.text.count(f"{run} has been moved or deleted") == 1


def test_every_save_is_latest(folder: Path) -> None:
    """latest.pth is written by every save and is the newest one."""
    store = CheckpointStore(folder)
    for iteration in (1, 2):
        assert store.save({"n": iteration}, iteration=iteration) == folder / "latest.pth"
    assert names(folder) == ["latest.pth"]
    assert load_checkpoint(store.latest() or "") == {"n": 2}


def test_numbered_checkpoints_stay_and_are_ordered_by_number(folder: Path) -> None:
    """9 comes before 10, and a later save leaves them alone."""
    store = CheckpointStore(folder)
    for iteration in (10, 9, 100):
        path = store.save({"n": iteration}, iteration=iteration, numbered=True)
        assert path == folder / f"checkpoint_{iteration}.pth"
    (folder / "checkpoint_x.pth").touch()
    (folder / "checkpoint_7.pth").mkdir()
    assert [path.name for path in store.numbered()] == [
        "checkpoint_9.pth",
        "checkpoint_10.pth",
        "checkpoint_100.pth",
    ]
    assert [load_checkpoint(path)["n"] for path in store.numbered()] == [9, 10, 100]


def test_best_is_the_newest_save_marked_best(folder: Path) -> None:
    """checkpoint_best.pth follows saves with best=True only."""
    store = CheckpointStore(folder)
    store.save({"n": 1}, iteration=1, best=True)
    store.save({"n": 2}, iteration=2, best=True)
    store.save({"n": 3}, iteration=3)
    assert load_checkpoint(store.best() or "") == {"n": 2}
    assert load_checkpoint(store.latest() or "") == {"n": 3}


def test_saving_the_same_iteration_again_replaces_it(folder: Path) -> None:
    """And leaves nothing else behind."""
    store = CheckpointStore(folder)
    for value in (1, 2):
        store.save({"t": torch.full((3,), value)}, iteration=1, numbered=True, best=True)
        assert names(folder) == ["checkpoint_1.pth", "checkpoint_best.pth", "latest.pth"]
    assert {int(load_checkpoint(path)["t"][0]) for path in folder.iterdir()} == {2}


def test_a_negative_iteration_is_refused(folder: Path) -> None:
    """Iterations count from zero."""
    with pytest.raises(ValueError, match="iteration=-1"):
        CheckpointStore(folder).save({}, iteration=-1)


def test_a_folder_that_vanished_is_made_again(folder: Path) -> None:
    """Somebody tidied up while training went on."""
    store = CheckpointStore(folder)
    store.save({"n": 1}, iteration=1)
    (folder / "latest.pth").unlink()
    folder.rmdir()
    store.save({"n": 2}, iteration=2)
    assert load_checkpoint(store.latest() or "") == {"n": 2}


# --- retention ---


def test_only_so_many_numbered_checkpoints_are_kept(folder: Path) -> None:
    """The highest; latest and best are not counted and not touched."""
    store = CheckpointStore(folder, keep=2)
    store.save({"n": 1}, iteration=1, numbered=True, best=True)
    for iteration in (9, 10, 11):
        store.save({"n": iteration}, iteration=iteration, numbered=True)
    store.save({"n": 12}, iteration=12)
    assert names(folder) == ["checkpoint_10.pth", "checkpoint_11.pth", "checkpoint_best.pth", "latest.pth"]
    assert load_checkpoint(store.best() or "") == {"n": 1}
    assert load_checkpoint(store.latest() or "") == {"n": 12}


def test_files_of_others_are_never_deleted(folder: Path) -> None:
    """Nor those of rl_games, which have numbers too."""
    folder.mkdir(parents=True)
    others = ["checkpoint_1_copy.pth", "last_Ant_ep_5_rew_1.0.pth", "mine.pth"]
    for name in others:
        (folder / name).touch()
    store = CheckpointStore(folder, keep=1)
    for iteration in (1, 2):
        store.save({}, iteration=iteration, numbered=True)
    assert names(folder) == sorted([*others, "checkpoint_2.pth", "latest.pth"])


def test_leftovers_of_a_killed_process_are_removed_on_request(folder: Path) -> None:
    """And nothing else."""
    store = CheckpointStore(folder)
    store.save({}, iteration=1)
    for name in (".latest.pth.0a1b2c3d.tmp", ".notes", "other.tmp"):
        (folder / name).touch()
    store.remove_leftovers()
    assert names(folder) == [".notes", "latest.pth", "other.tmp"]


def test_what_a_test_plays_is_kept(folder: Path) -> None:
    """Until it plays something else."""
    store = CheckpointStore(folder, keep=1)
    played = InUse(store.save({"n": 1}, iteration=1, numbered=True))
    store.save({"n": 2}, iteration=2, numbered=True)
    assert names(folder) == ["checkpoint_1.pth", "checkpoint_2.pth", "latest.pth"]
    played.release()
    store.save({"n": 3}, iteration=3, numbered=True)
    assert names(folder) == ["checkpoint_3.pth", "latest.pth"]


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
    assert "checkpoint_1.pth cannot be deleted" in caplog.text


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
TestStoredRun.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
