"""Watchers with one fault each, and the checks of the conformance suite that must find it."""

from pathlib import Path
from typing import Any, ClassVar

from planted import Faults

from dexhand.checkpoints.reload import FileId, Load, ReloadWatcher, Source
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.stop import StopRequest
from dexhand.testing.reload_watcher import FolderSource

FAULTS = Faults()
found_by = FAULTS.found_by


@found_by("nothing_is_looked_at_before_the_interval_is_over", "interval_0_never_looks")
class LooksAlways(ReloadWatcher):
    """Does not wait for its interval."""

    def _is_due(self) -> bool:
        return True


@found_by(
    "what_plays_is_deleted",
    "behind_a_bad_latest_a_newer_number_is_loaded_and_an_older_is_not",
)
class TakesAnything(ReloadWatcher):
    """Takes older ones too."""

    def _may_replace_what_plays(self, path: Path, is_meant: bool) -> bool:
        return True


@found_by("numbers_are_compared_as_numbers", "a_training_that_began_anew_is_followed")
class TakesNothingElse(ReloadWatcher):
    """Follows one file name."""

    def _may_replace_what_plays(self, path: Path, is_meant: bool) -> bool:
        return self._playing is None or path == self._playing.path


@found_by("the_same_content_is_nothing_new")
class LoadsTheSameAgain(ReloadWatcher):
    """Does not look at the content."""

    def _load_if_new(self, path: Path, identity: FileId) -> LoadedPolicy | None:
        self._playing_digest = b""
        return super()._load_if_new(path, identity)


@found_by("an_older_time_does_not_hide_a_new_file", "the_same_size_and_time_do_not_hide_a_new_file")
class ComparesTimes(ReloadWatcher):
    """Takes a newer time for a newer file."""

    newest = 0

    def _found(self) -> dict[Path, FileId]:
        found = {path: identity for path, identity in super()._found().items() if identity.mtime_ns > self.newest}
        self.newest = max([self.newest, *(identity.mtime_ns for identity in found.values())])
        return found


@found_by("a_bad_file_is_reported_once_and_what_plays_goes_on")
class Nags(ReloadWatcher):
    """Reports a bad file at every look."""

    def _complain(self, path: Path, identity: FileId, error: Exception) -> None:
        self._complaints.clear()
        super()._complain(path, identity, error)


@found_by("a_second_bad_file_is_reported_too", "a_file_that_vanishes_before_it_is_read_is_a_bad_file")
class SaysNothing(ReloadWatcher):
    """Keeps what is wrong to itself."""

    def _complain(self, path: Path, identity: FileId, error: Exception) -> None:
        pass


@found_by("files_that_arrive_out_of_order")
class TakesTheYoungestFile(TakesAnything):
    """Whatever its number."""

    def _found(self) -> dict[Path, FileId]:
        return dict(sorted(super()._found().items(), key=lambda item: -item[1].mtime_ns))


class ReadsLess(ReloadWatcher):
    """Compares only a part of what tells a file from another."""

    ignored: ClassVar[dict[str, int]]

    def _found(self) -> dict[Path, FileId]:
        return {path: identity._replace(**self.ignored) for path, identity in super()._found().items()}


@found_by("a_file_written_in_place_is_loaded")
class KnowsFilesByInode(ReadsLess):
    ignored: ClassVar[dict[str, int]] = {"size": 0, "mtime_ns": 0, "ctime_ns": 0}


@found_by("a_time_put_back_does_not_hide_a_new_content")
class TrustsTheTimeOfWriting(ReadsLess):
    ignored: ClassVar[dict[str, int]] = {"ctime_ns": 0}


@found_by("the_same_size_and_time_do_not_hide_a_new_file")
class MissesEqualTimes(ReadsLess):
    """A file of the same size and time is the same."""

    ignored: ClassVar[dict[str, int]] = {"inode": 0, "ctime_ns": 0}


@found_by("a_new_latest_is_loaded")
class TellsTwice(ReloadWatcher):
    """What was loaded is told again at the next question."""

    told: LoadedPolicy | None = None

    def poll(self) -> LoadedPolicy | None:
        told, self.told = self.told, super().poll()
        return told or self.told


@found_by("a_folder_made_again_is_followed")
class NeverGoesBack(ReloadWatcher):
    """A training that began anew is old to it."""

    def look(self, fatal: tuple[type[Exception], ...] = ()) -> LoadedPolicy | None:
        self._seen.update(self._found())
        return super().look(fatal)


@found_by("a_folder_that_was_away_for_a_moment_is_the_same")
class ForgetsWhatItSaw(ReloadWatcher):
    """A look at an empty place makes everything new."""

    def look(self, fatal: tuple[type[Exception], ...] = ()) -> LoadedPolicy | None:
        if not self._found():
            self._seen = {}
        return super().look(fatal)


@found_by("a_replaced_link_is_followed")
class ResolvesOnce(ReloadWatcher):
    """Follows the folder that the link led to."""

    def __init__(self, source: Source, load: Load, **settings: Any) -> None:
        super().__init__(FolderSource(source.folders()[0].resolve()), load, **settings)


@found_by("the_best_of_a_run_is_not_what_is_meant_by_the_run")
class TakesTheBest(ReloadWatcher):
    def _may_replace_what_plays(self, path: Path, is_meant: bool) -> bool:
        return is_meant or super()._may_replace_what_plays(path, is_meant)


class EveryFile(FolderSource):
    """Whatever its name."""

    def checkpoints(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@found_by("temporary_files_are_not_looked_at")
class LooksAtEveryFile(ReloadWatcher):
    def __init__(self, source: Source, load: Load, **settings: Any) -> None:
        super().__init__(EveryFile(source.folders()[0]), load, **settings)


@found_by("it_waits_for_the_first_checkpoint")
class WaitsInSilence(ReloadWatcher):
    def wait(self, stop: StopRequest, fatal: tuple[type[Exception], ...] = ()) -> LoadedPolicy | None:
        loaded = None
        while loaded is None and not stop.requested:
            loaded = self.look(fatal)
        return loaded


@found_by("a_stop_request_ends_the_waiting")
class MustHaveOne(ReloadWatcher):
    """Ends the program where there is nothing to play."""

    def wait(self, stop: StopRequest, fatal: tuple[type[Exception], ...] = ()) -> LoadedPolicy | None:
        loaded = super().wait(stop, fatal)
        assert loaded is not None, "there is no checkpoint"
        return loaded


@found_by("at_the_beginning_any_good_file_will_do")
class LatestOrNothing(ReloadWatcher):
    """Does not play another one where the one that is meant is no good."""

    def wait(self, stop: StopRequest, fatal: tuple[type[Exception], ...] = ()) -> LoadedPolicy | None:
        return super().wait(stop, (*fatal, ValueError))
