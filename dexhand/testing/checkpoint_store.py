"""Conformance suite for stores of checkpoints: names, order, retention, and what a reader sees."""

from pathlib import Path

import pytest
import torch

from dexhand.checkpoints.store import CheckpointStore, load_checkpoint
from dexhand.core.file_locks import InUse


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


class CheckpointStoreConformance:
    """Inherit and let pytest run it. ``folder`` is a fixture, so that a subclass can put it on a fake file system."""

    def make_store(self, folder: Path, keep: int | None = None) -> CheckpointStore:
        """A store in ``folder``, which need not be there."""
        return CheckpointStore(folder, keep)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where checkpoints will be."""
        return tmp_path / "nn"

    def test_an_empty_store_has_nothing(self, folder: Path) -> None:
        """Nothing is made before something is saved."""
        store = self.make_store(folder)
        assert (store.latest(), store.best(), store.numbered()) == (None, None, [])
        assert not folder.exists()

    def test_every_save_is_latest(self, folder: Path) -> None:
        """latest.pth is written by every save and is the newest one."""
        store = self.make_store(folder)
        for iteration in (1, 2):
            assert store.save({"n": iteration}, iteration=iteration) == folder / "latest.pth"
        assert names(folder) == ["latest.pth"]
        assert load_checkpoint(store.latest() or "") == {"n": 2}

    def test_numbered_checkpoints_stay_and_are_ordered_by_number(self, folder: Path) -> None:
        """9 comes before 10, and a later save leaves them alone."""
        store = self.make_store(folder)
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

    def test_best_is_the_newest_save_marked_best(self, folder: Path) -> None:
        """checkpoint_best.pth follows saves with best=True only."""
        store = self.make_store(folder)
        store.save({"n": 1}, iteration=1, best=True)
        store.save({"n": 2}, iteration=2, best=True)
        store.save({"n": 3}, iteration=3)
        assert load_checkpoint(store.best() or "") == {"n": 2}
        assert load_checkpoint(store.latest() or "") == {"n": 3}

    def test_saving_the_same_iteration_again_replaces_it(self, folder: Path) -> None:
        """And leaves nothing else behind."""
        store = self.make_store(folder)
        for value in (1, 2):
            store.save({"t": torch.full((3,), value)}, iteration=1, numbered=True, best=True)
            assert names(folder) == ["checkpoint_1.pth", "checkpoint_best.pth", "latest.pth"]
        assert {int(load_checkpoint(path)["t"][0]) for path in folder.iterdir()} == {2}

    def test_a_negative_iteration_is_refused(self, folder: Path) -> None:
        """Iterations count from zero."""
        with pytest.raises(ValueError, match="iteration=-1"):
            self.make_store(folder).save({}, iteration=-1)

    def test_a_folder_that_vanished_is_made_again(self, folder: Path) -> None:
        """Somebody tidied up while training went on."""
        store = self.make_store(folder)
        store.save({"n": 1}, iteration=1)
        (folder / "latest.pth").unlink()
        folder.rmdir()
        store.save({"n": 2}, iteration=2)
        assert load_checkpoint(store.latest() or "") == {"n": 2}

    # --- retention ---

    def test_only_so_many_numbered_checkpoints_are_kept(self, folder: Path) -> None:
        """The highest; latest and best are not counted and not touched."""
        store = self.make_store(folder, keep=2)
        store.save({"n": 1}, iteration=1, numbered=True, best=True)
        for iteration in (9, 10, 11):
            store.save({"n": iteration}, iteration=iteration, numbered=True)
        store.save({"n": 12}, iteration=12)
        assert names(folder) == ["checkpoint_10.pth", "checkpoint_11.pth", "checkpoint_best.pth", "latest.pth"]
        assert load_checkpoint(store.best() or "") == {"n": 1}
        assert load_checkpoint(store.latest() or "") == {"n": 12}

    def test_files_of_others_are_never_deleted(self, folder: Path) -> None:
        """Nor those of rl_games, which have numbers too."""
        folder.mkdir(parents=True)
        others = ["checkpoint_1_copy.pth", "last_Ant_ep_5_rew_1.0.pth", "mine.pth"]
        for name in others:
            (folder / name).touch()
        store = self.make_store(folder, keep=1)
        for iteration in (1, 2):
            store.save({}, iteration=iteration, numbered=True)
        assert names(folder) == sorted([*others, "checkpoint_2.pth", "latest.pth"])

    def test_leftovers_of_a_killed_process_are_removed_on_request(self, folder: Path) -> None:
        """And nothing else."""
        store = self.make_store(folder)
        store.save({}, iteration=1)
        for name in (".latest.pth.0a1b2c3d.tmp", ".notes", "other.tmp"):
            (folder / name).touch()
        store.remove_leftovers()
        assert names(folder) == [".notes", "latest.pth", "other.tmp"]


class CheckpointStoreLocksConformance(CheckpointStoreConformance):
    """What needs a real file system's locks."""

    def test_what_a_test_plays_is_kept(self, folder: Path) -> None:
        """Until it plays something else."""
        store = self.make_store(folder, keep=1)
        played = InUse(store.save({"n": 1}, iteration=1, numbered=True))
        store.save({"n": 2}, iteration=2, numbered=True)
        assert names(folder) == ["checkpoint_1.pth", "checkpoint_2.pth", "latest.pth"]
        played.release()
        store.save({"n": 3}, iteration=3, numbered=True)
        assert names(folder) == ["checkpoint_3.pth", "latest.pth"]
