"""Conformance suite for what follows the checkpoints of a run while a policy plays."""

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from dexhand.checkpoints.folder import checkpoints_in
from dexhand.checkpoints.reload import Load, ReloadWatcher, Source
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Clock, Policy
from dexhand.core.stop import StopRequest
from dexhand.mock.clock import FakeClock

INTERVAL = 30.0


class FolderSource:
    """A ``Source`` of one folder's checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def checkpoints(self) -> list[Path]:
        """See ``Source.checkpoints``."""
        return checkpoints_in(self.folder)

    def folders(self) -> list[Path]:
        """See ``Source.folders``."""
        return [self.folder]


class Numbered:
    """A policy that is nothing but the text of its file."""

    def __init__(self, text: str) -> None:
        self.text = text

    def act(self, observations: Tensor) -> Tensor:
        """Is never asked."""
        raise NotImplementedError

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Is never asked."""
        raise NotImplementedError


def load_text(path: Path, content: bytes) -> tuple[Policy, int]:
    """Load ``good <iteration> <anything>``; all else is a damaged file."""
    word, number, *_ = [*content.decode().split(), "", ""]
    if word != "good":
        raise ValueError(f"{path} is damaged")
    return Numbered(content.decode()), int(number)


def write(path: Path, text: str, mtime_ns: int | None = None) -> None:
    """Write beside and rename, as a checkpoint store does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    if mtime_ns is not None:
        os.utime(temporary, ns=(mtime_ns, mtime_ns))
    os.replace(temporary, path)


class ReloadWatcherConformance:
    """Inherit, say how to make a watcher, and let pytest run it.

    ``folder`` is a fixture, so that a subclass can put it on a fake file system.
    """

    def make_watcher(self, source: Source, load: Load, clock: Clock, interval: float) -> ReloadWatcher:
        """A watcher that loads in the calling thread."""
        raise NotImplementedError

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where checkpoints are."""
        folder = tmp_path / "nn"
        folder.mkdir()
        return folder

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Time."""
        return FakeClock()

    @pytest.fixture
    def watcher(self, folder: Path, clock: FakeClock) -> ReloadWatcher:
        """It plays iteration 5 of ``latest.pth``."""
        return self.playing(folder, clock)

    def playing(self, folder: Path, clock: FakeClock) -> ReloadWatcher:
        """A watcher that plays iteration 5 of ``latest.pth`` in ``folder``."""
        write(folder / "latest.pth", "good 5")
        watcher = self.make_watcher(FolderSource(folder), load_text, clock, INTERVAL)
        assert watcher.wait(StopRequest()) is not None
        return watcher

    def after_interval(self, watcher: ReloadWatcher, clock: FakeClock) -> str | None:
        """What is loaded when the interval is over."""
        clock.time += INTERVAL
        assert watcher.poll() is None  # looking begins
        loaded = watcher.poll()
        return _text(loaded)

    # --- what is noticed ---

    def test_a_new_latest_is_loaded(self, watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
        """With its path and iteration, once."""
        write(folder / "latest.pth", "good 6")
        clock.time += INTERVAL
        watcher.poll()
        loaded = watcher.poll()
        assert loaded is not None
        assert (loaded.path, loaded.iteration) == (folder / "latest.pth", 6)
        assert self.after_interval(watcher, clock) is None

    def test_nothing_is_looked_at_before_the_interval_is_over(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """However often it is asked."""
        write(folder / "latest.pth", "good 6")
        clock.time += INTERVAL - 0.01
        assert [watcher.poll() for _ in range(5)] == [None] * 5

    def test_interval_0_never_looks(self, folder: Path, clock: FakeClock) -> None:
        """The first checkpoint plays for ever."""
        write(folder / "latest.pth", "good 5")
        watcher = self.make_watcher(FolderSource(folder), load_text, clock, 0.0)
        assert _text(watcher.wait(StopRequest())) == "good 5"
        write(folder / "latest.pth", "good 6")
        assert self.after_interval(watcher, clock) is None

    def test_the_same_size_and_time_do_not_hide_a_new_file(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """A file is another one if its inode is."""
        status = (folder / "latest.pth").stat()
        write(folder / "latest.pth", "good 6", mtime_ns=status.st_mtime_ns)
        assert (folder / "latest.pth").stat().st_size == status.st_size
        assert self.after_interval(watcher, clock) == "good 6"

    def test_an_older_time_does_not_hide_a_new_file(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """Rsync keeps the times of the other machine."""
        write(folder / "latest.pth", "good 6", mtime_ns=10**18)
        assert self.after_interval(watcher, clock) == "good 6"

    def test_a_time_put_back_does_not_hide_a_new_content(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """Same file, same size, same time of writing."""
        status = (folder / "latest.pth").stat()
        (folder / "latest.pth").write_text("good 6")
        os.utime(folder / "latest.pth", ns=(status.st_atime_ns, status.st_mtime_ns))
        assert self.after_interval(watcher, clock) == "good 6"

    def test_a_file_written_in_place_is_loaded(self, watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
        """As a copy by hand does it."""
        (folder / "latest.pth").write_text("good 66")
        assert self.after_interval(watcher, clock) == "good 66"

    def test_the_same_content_is_nothing_new(self, watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
        """Touched, copied over itself, or known by a second name."""
        os.utime(folder / "latest.pth", (2e9, 2e9))
        assert self.after_interval(watcher, clock) is None
        write(folder / "latest.pth", "good 5")
        assert self.after_interval(watcher, clock) is None
        write(folder / "checkpoint_7.pth", "good 5")
        assert self.after_interval(watcher, clock) is None

    def test_a_replaced_link_is_followed(self, folder: Path, clock: FakeClock) -> None:
        """The folder is looked up anew each time."""
        for name, text in (("one", "good 5"), ("two", "good 3")):
            write(folder / name / "latest.pth", text)
        link = folder / "link"
        link.symlink_to(folder / "one")
        watcher = self.make_watcher(FolderSource(link), load_text, clock, INTERVAL)
        assert _text(watcher.wait(StopRequest())) == "good 5"
        link.unlink()
        link.symlink_to(folder / "two")
        assert self.after_interval(watcher, clock) == "good 3"

    def test_a_folder_made_again_is_followed(self, watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
        """Its iterations begin anew."""
        shutil.rmtree(folder)
        assert self.after_interval(watcher, clock) is None
        write(folder / "checkpoint_1.pth", "good 1")
        assert self.after_interval(watcher, clock) == "good 1"

    def test_a_folder_that_was_away_for_a_moment_is_the_same(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """What was older before is older still."""
        write(folder / "checkpoint_4.pth", "good 4")
        assert self.after_interval(watcher, clock) is None
        folder.rename(folder.parent / "away")
        assert self.after_interval(watcher, clock) is None
        (folder.parent / "away" / "latest.pth").unlink()
        (folder.parent / "away").rename(folder)
        assert self.after_interval(watcher, clock) is None

    # --- which of several ---

    def test_numbers_are_compared_as_numbers(self, folder: Path, clock: FakeClock) -> None:
        """10 is more than 9."""
        write(folder / "checkpoint_9.pth", "good 9")
        watcher = self.make_watcher(FolderSource(folder), load_text, clock, INTERVAL)
        assert _text(watcher.wait(StopRequest())) == "good 9"
        write(folder / "checkpoint_10.pth", "good 10")
        assert self.after_interval(watcher, clock) == "good 10"

    def test_files_that_arrive_out_of_order(self, folder: Path, clock: FakeClock) -> None:
        """An older one that comes later is not loaded."""
        write(folder / "checkpoint_300.pth", "good 300")
        watcher = self.make_watcher(FolderSource(folder), load_text, clock, INTERVAL)
        assert _text(watcher.wait(StopRequest())) == "good 300"
        for name, text in (("checkpoint_200.pth", "good 200"), ("checkpoint_best.pth", "good 250")):
            write(folder / name, text)
            assert self.after_interval(watcher, clock) is None
        write(folder / "checkpoint_200.pth", "bad")
        assert self.after_interval(watcher, clock) is None
        write(folder / "latest.pth", "good 350")
        assert self.after_interval(watcher, clock) == "good 350"
        write(folder / "checkpoint_340.pth", "good 340")
        assert self.after_interval(watcher, clock) is None

    def test_a_training_that_began_anew_is_followed(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """Its latest has a lower iteration than numbered files that were left there, and than what plays."""
        (folder / "latest.pth").unlink()
        write(folder / "checkpoint_9.pth", "good 9")
        assert self.after_interval(watcher, clock) == "good 9"
        write(folder / "latest.pth", "good 1")
        assert self.after_interval(watcher, clock) == "good 1"

    def test_the_best_of_a_run_is_not_what_is_meant_by_the_run(self, folder: Path, clock: FakeClock) -> None:
        """A best checkpoint takes over only from the best one before it."""
        write(folder / "other.pth", "good 8")
        write(folder / "checkpoint_best.pth", "good 7")
        watcher = self.make_watcher(FolderSource(folder), load_text, clock, INTERVAL)
        assert _text(watcher.wait(StopRequest())) == "good 8"
        (folder / "other.pth").unlink()
        assert self.after_interval(watcher, clock) is None

    def test_what_plays_is_deleted(self, watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
        """It plays on; an older one or the best one does not take over."""
        write(folder / "checkpoint_4.pth", "good 4")
        write(folder / "checkpoint_best.pth", "good 3")
        assert self.after_interval(watcher, clock) is None
        (folder / "latest.pth").unlink()
        assert self.after_interval(watcher, clock) is None

    def test_temporary_files_are_not_looked_at(self, watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
        """Of a store, of rsync, of an editor."""
        for name in (".latest.pth.3f2a.tmp", ".latest.pth.Xy3fAb", "latest.pth~", ".checkpoint_9.pth"):
            (folder / name).write_text("good 9")
        assert self.after_interval(watcher, clock) is None

    # --- what is wrong ---

    def test_a_bad_file_is_reported_once_and_what_plays_goes_on(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One warning that names the file; the next good one is loaded."""
        write(folder / "latest.pth", "bad")
        for _ in range(3):
            assert self.after_interval(watcher, clock) is None
        (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert str(folder / "latest.pth") in warning
        assert "Iteration 5 plays on" in warning
        write(folder / "latest.pth", "good 7")
        assert self.after_interval(watcher, clock) == "good 7"

    def test_a_second_bad_file_is_reported_too(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each one once."""
        for _ in range(2):
            write(folder / "latest.pth", "bad")
            self.after_interval(watcher, clock)
        assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 2

    def test_behind_a_bad_latest_a_newer_number_is_loaded_and_an_older_is_not(
        self, watcher: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """The next good file, never a step back."""
        write(folder / "latest.pth", "bad")
        write(folder / "checkpoint_4.pth", "good 4")
        assert self.after_interval(watcher, clock) is None
        write(folder / "checkpoint_6.pth", "good 6")
        assert self.after_interval(watcher, clock) == "good 6"

    def test_a_file_that_vanishes_before_it_is_read_is_a_bad_file(
        self, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Like any other."""

        class Vanishing(FolderSource):
            def checkpoints(self) -> list[Path]:
                return [self.folder / "latest.pth"] if (self.folder / "latest.pth").exists() else []

        def load_and_vanish(path: Path, content: bytes) -> tuple[Policy, int]:
            path.unlink()
            raise FileNotFoundError(2, "No such file or directory", str(path))

        write(folder / "latest.pth", "good 5")
        watcher = self.make_watcher(Vanishing(folder), load_and_vanish, clock, INTERVAL)
        assert watcher.look() is None
        assert "latest.pth" in caplog.text

    # --- the beginning ---

    def test_it_waits_for_the_first_checkpoint(
        self, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """And says so once, with the place."""

        class ThirdTime(FolderSource):
            looks = 0

            def checkpoints(self) -> list[Path]:
                self.looks += 1
                if self.looks == 3:
                    write(self.folder / "latest.pth", "good 1")
                return super().checkpoints()

            def __str__(self) -> str:
                return str(self.folder)

        with caplog.at_level(logging.INFO):
            watcher = self.make_watcher(ThirdTime(folder), load_text, clock, INTERVAL)
            assert _text(watcher.wait(StopRequest())) == "good 1"
        assert caplog.text.count(f"Waiting for checkpoint in {folder}") == 1

    def test_a_stop_request_ends_the_waiting(self, folder: Path, clock: FakeClock) -> None:
        """With nothing to play."""
        stop = StopRequest()
        stop.requested = True
        assert self.make_watcher(FolderSource(folder), load_text, clock, INTERVAL).wait(stop) is None

    def test_at_the_beginning_any_good_file_will_do(self, folder: Path, clock: FakeClock) -> None:
        """Behind a damaged latest the highest number plays."""
        for name, text in (("latest.pth", "bad"), ("checkpoint_3.pth", "good 3"), ("checkpoint_2.pth", "good 2")):
            write(folder / name, text)
        watcher = self.make_watcher(FolderSource(folder), load_text, clock, INTERVAL)
        assert _text(watcher.wait(StopRequest())) == "good 3"


def _text(loaded: LoadedPolicy | None) -> str | None:
    if loaded is None:
        return None
    assert isinstance(loaded.policy, Numbered)
    return loaded.policy.text
