"""Faulty stores and watchers, each of which its suite must reject by the check that is named."""

import inspect
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Type

import pytest
from planted import Faults

from dexhand.core.checkpoints import CheckpointStore
from dexhand.core.interfaces import Clock
from dexhand.core.reload import FileId, Load, LoadedPolicy, ReloadWatcher, Source
from dexhand.mock.clock import FakeClock
from dexhand.mock.executor import InlineExecutor
from dexhand.testing.checkpoint_store import CheckpointStoreLocksConformance
from dexhand.testing.reload_watcher import ReloadWatcherConformance

WATCHERS = Faults()
STORES = Faults()


@WATCHERS.found_by("nothing_is_looked_at_before_the_interval_is_over", "interval_0_never_looks")
class LooksAlways(ReloadWatcher):
    """Does not wait for its interval."""

    def _is_due(self) -> bool:
        return True


@WATCHERS.found_by("what_plays_is_deleted", "behind_a_bad_latest_a_newer_number_is_loaded_and_an_older_is_not")
class TakesAnything(ReloadWatcher):
    """Takes older ones too."""

    def _may_replace_what_plays(self, path: Path, is_meant: bool) -> bool:
        return True


@WATCHERS.found_by("numbers_are_compared_as_numbers", "a_training_that_began_anew_is_followed")
class TakesNothingElse(ReloadWatcher):
    """Follows one file name."""

    def _may_replace_what_plays(self, path: Path, is_meant: bool) -> bool:
        return self._playing is None or path == self._playing.path


@WATCHERS.found_by("the_same_content_is_nothing_new")
class LoadsTheSameAgain(ReloadWatcher):
    """Does not look at the content."""

    def _load_if_new(self, path: Path, identity: FileId) -> Optional[LoadedPolicy]:
        self._playing_digest = b""
        return super()._load_if_new(path, identity)


@WATCHERS.found_by("an_older_time_does_not_hide_a_new_file", "the_same_size_and_time_do_not_hide_a_new_file")
class ComparesTimes(ReloadWatcher):
    """Takes a newer time for a newer file."""

    newest = 0

    def _found(self) -> Dict[Path, FileId]:
        found = {path: identity for path, identity in super()._found().items() if identity.mtime_ns > self.newest}
        self.newest = max([self.newest, *(identity.mtime_ns for identity in found.values())])
        return found


@WATCHERS.found_by("a_bad_file_is_reported_once_and_what_plays_goes_on")
class Nags(ReloadWatcher):
    """Reports a bad file at every look."""

    def _complain(self, path: Path, identity: FileId, error: Exception) -> None:
        self._complaints.clear()
        super()._complain(path, identity, error)


@WATCHERS.found_by("a_second_bad_file_is_reported_too", "a_file_that_vanishes_before_it_is_read_is_a_bad_file")
class SaysNothing(ReloadWatcher):
    """Keeps what is wrong to itself."""

    def _complain(self, path: Path, identity: FileId, error: Exception) -> None:
        pass


@STORES.found_by("numbered_checkpoints_stay_and_are_ordered_by_number")
class SortsAsText(CheckpointStore):
    """9 comes after 10."""

    def numbered(self) -> List[Path]:
        return sorted(super().numbered(), key=str)


@STORES.found_by("only_so_many_numbered_checkpoints_are_kept")
class KeepsOneLess(CheckpointStore):
    """Off by one."""

    def _remove_old(self) -> None:
        for path in self.numbered()[: -(self.keep or 99) + 1 or None] if self.keep else ():
            path.unlink()


@STORES.found_by(
    "files_of_others_are_never_deleted",
    "what_a_test_plays_is_kept",
    "leftovers_of_a_killed_process_are_removed_on_request",
)
class TidiesTooMuch(CheckpointStore):
    """Deletes every old file, whoever plays it or made it."""

    def _remove_old(self) -> None:
        if self.keep is not None:
            kept = [path.name for path in self.numbered()[-self.keep :]]
            for path in self.folder.glob("*[0-9]*.pth"):
                if path.name not in kept:
                    path.unlink()

    def remove_leftovers(self) -> None:
        for path in self.folder.glob("*.tmp"):
            path.unlink()


@STORES.found_by("best_is_the_newest_save_marked_best", "every_save_is_latest")
class EveryoneIsBest(CheckpointStore):
    """Moves the best checkpoint with every save."""

    def save(self, state: Any, *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
        return super().save(state, iteration=iteration, numbered=numbered, best=True)


@STORES.found_by("an_empty_store_has_nothing", "a_folder_that_vanished_is_made_again")
class NeedsItsFolder(CheckpointStore):
    """Makes the folder once."""

    def __init__(self, folder: Path, keep: Optional[int] = None) -> None:
        super().__init__(folder, keep)
        folder.mkdir(parents=True)

    def save(self, state: Any, **names: Any) -> Path:
        os.listdir(self.folder)
        return super().save(state, **names)


def run_check(suite: Any, check: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Call one check with the fixtures it asks for."""
    folder.mkdir(exist_ok=True)
    method, clock = getattr(suite, check), FakeClock()
    fixtures: Dict[str, Callable[[], Any]] = {
        "folder": lambda: folder if isinstance(suite, ReloadWatcherConformance) else folder / "nn",
        "clock": lambda: clock,
        "watcher": lambda: suite.playing(folder, clock),
        "caplog": lambda: caplog,
    }
    method(**{name: fixtures[name]() for name in inspect.signature(method).parameters})


@pytest.mark.parametrize(("fault", "check"), WATCHERS.cases())
def test_a_faulty_watcher_is_rejected(
    fault: Type[ReloadWatcher], check: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the check that is there for it."""

    class Suite(ReloadWatcherConformance):
        def make_watcher(self, source: Source, load: Load, clock: Clock, interval: float) -> ReloadWatcher:
            return fault(source, load, clock=clock, interval=interval, executor=InlineExecutor())

    with pytest.raises((AssertionError, ValueError)):
        run_check(Suite(), check, tmp_path / "nn", caplog)


@pytest.mark.parametrize(("fault", "check"), STORES.cases())
def test_a_faulty_store_is_rejected(
    fault: Type[CheckpointStore], check: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the check that is there for it."""

    class Suite(CheckpointStoreLocksConformance):
        def make_store(self, folder: Path, keep: Optional[int] = None) -> CheckpointStore:
            return fault(folder, keep)

    with pytest.raises((AssertionError, FileNotFoundError)):
        run_check(Suite(), check, tmp_path / "run", caplog)
