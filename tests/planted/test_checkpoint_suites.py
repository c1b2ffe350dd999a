"""Faulty stores and watchers, each of which its suite must reject by the check that is named."""

import inspect
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, Type

import pytest

from dexhand.core.checkpoints import CheckpointStore
from dexhand.core.interfaces import Clock
from dexhand.core.reload import FileId, Load, LoadedPolicy, ReloadWatcher, Source
from dexhand.mock.clock import FakeClock
from dexhand.mock.executor import InlineExecutor
from dexhand.testing.checkpoint_store import CheckpointStoreLocksConformance
from dexhand.testing.reload_watcher import ReloadWatcherConformance


class LooksAlways(ReloadWatcher):
    """Does not wait for its interval."""

    def _is_due(self) -> bool:
        return True


class TakesAnything(ReloadWatcher):
    """Takes older ones too."""

    def _may_replace_what_plays(self, path: Path, is_meant: bool) -> bool:
        return True


class TakesNothingElse(ReloadWatcher):
    """Follows one file name."""

    def _may_replace_what_plays(self, path: Path, is_meant: bool) -> bool:
        return self._playing is None or path == self._playing.path


class LoadsTheSameAgain(ReloadWatcher):
    """Does not look at the content."""

    def _load_if_new(self, path: Path, identity: FileId) -> Optional[LoadedPolicy]:
        self._playing_digest = b""
        return super()._load_if_new(path, identity)


class ComparesTimes(ReloadWatcher):
    """Takes a newer time for a newer file."""

    newest = 0

    def _found(self) -> Dict[Path, FileId]:
        found = {path: identity for path, identity in super()._found().items() if identity.mtime_ns > self.newest}
        self.newest = max([self.newest, *(identity.mtime_ns for identity in found.values())])
        return found


class Nags(ReloadWatcher):
    """Reports a bad file at every look."""

    def _complain(self, path: Path, identity: FileId, error: Exception) -> None:
        self._complaints.clear()
        super()._complain(path, identity, error)


class SaysNothing(ReloadWatcher):
    """Keeps what is wrong to itself."""

    def _complain(self, path: Path, identity: FileId, error: Exception) -> None:
        pass


class SortsAsText(CheckpointStore):
    """9 comes after 10."""

    def numbered(self) -> List[Path]:
        return sorted(super().numbered(), key=str)


class KeepsOneLess(CheckpointStore):
    """Off by one."""

    def _remove_old(self) -> None:
        for path in self.numbered()[: -(self.keep or 99) + 1 or None] if self.keep else ():
            path.unlink()


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


class EveryoneIsBest(CheckpointStore):
    """Moves the best checkpoint with every save."""

    def save(self, state: Any, *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
        return super().save(state, iteration=iteration, numbered=numbered, best=True)


class NeedsItsFolder(CheckpointStore):
    """Makes the folder once."""

    def __init__(self, folder: Path, keep: Optional[int] = None) -> None:
        super().__init__(folder, keep)
        folder.mkdir(parents=True)

    def save(self, state: Any, **names: Any) -> Path:
        os.listdir(self.folder)
        return super().save(state, **names)


WATCHERS: Dict[Type[ReloadWatcher], Tuple[str, ...]] = {
    LooksAlways: ("test_nothing_is_looked_at_before_the_interval_is_over", "test_interval_0_never_looks"),
    TakesAnything: (
        "test_what_plays_is_deleted",
        "test_behind_a_bad_latest_a_newer_number_is_loaded_and_an_older_is_not",
    ),
    TakesNothingElse: ("test_numbers_are_compared_as_numbers", "test_a_training_that_began_anew_is_followed"),
    LoadsTheSameAgain: ("test_the_same_content_is_nothing_new",),
    ComparesTimes: (
        "test_an_older_time_does_not_hide_a_new_file",
        "test_the_same_size_and_time_do_not_hide_a_new_file",
    ),
    Nags: ("test_a_bad_file_is_reported_once_and_what_plays_goes_on",),
    SaysNothing: (
        "test_a_second_bad_file_is_reported_too",
        "test_a_file_that_vanishes_before_it_is_read_is_a_bad_file",
    ),
}
STORES: Dict[Type[CheckpointStore], Tuple[str, ...]] = {
    SortsAsText: ("test_numbered_checkpoints_stay_and_are_ordered_by_number",),
    KeepsOneLess: ("test_only_so_many_numbered_checkpoints_are_kept",),
    TidiesTooMuch: (
        "test_files_of_others_are_never_deleted",
        "test_what_a_test_plays_is_kept",
        "test_leftovers_of_a_killed_process_are_removed_on_request",
    ),
    EveryoneIsBest: ("test_best_is_the_newest_save_marked_best", "test_every_save_is_latest"),
    NeedsItsFolder: ("test_an_empty_store_has_nothing", "test_a_folder_that_vanished_is_made_again"),
}


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


@pytest.mark.parametrize(
    ("fault", "check"),
    [(fault, check) for fault, checks in WATCHERS.items() for check in checks],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_faulty_watcher_is_rejected(
    fault: Type[ReloadWatcher], check: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the check that is there for it."""

    class Suite(ReloadWatcherConformance):
        def make_watcher(self, source: Source, load: Load, clock: Clock, interval: float) -> ReloadWatcher:
            return fault(source, load, clock=clock, interval=interval, executor=InlineExecutor())

    with pytest.raises((AssertionError, ValueError)):
        run_check(Suite(), check, tmp_path / "nn", caplog)


@pytest.mark.parametrize(
    ("fault", "check"),
    [(fault, check) for fault, checks in STORES.items() for check in checks],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_faulty_store_is_rejected(
    fault: Type[CheckpointStore], check: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the check that is there for it."""

    class Suite(CheckpointStoreLocksConformance):
        def make_store(self, folder: Path, keep: Optional[int] = None) -> CheckpointStore:
            return fault(folder, keep)

    with pytest.raises((AssertionError, FileNotFoundError)):
        run_check(Suite(), check, tmp_path / "run", caplog)
