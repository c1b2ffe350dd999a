"""Hot reload: what is noticed, when, and that nothing wrong ever plays."""

import io
import itertools
import logging
import os
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from torch import Tensor

from dexhand.checkpoints.choice import AUTO, Choice, PanelLink, read_players, write_choice
from dexhand.checkpoints.folder import checkpoints_in
from dexhand.checkpoints.folder_changes import FolderChanges
from dexhand.checkpoints.reload import CHOICE_INTERVAL, Load, ReloadWatcher, Source
from dexhand.core.clock import SystemClock
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Clock, Policy
from dexhand.core.stop import StopRequest
from dexhand.files.locks import is_in_use
from dexhand.mock.clock import FakeClock
from dexhand.workspace.checkpoint_names import find_source
from dexhand.workspace.workspace import Run

INTERVAL = 30.0


class InlineExecutor(Executor):
    """Runs what is submitted before ``submit`` returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


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
        """Not used here."""
        raise NotImplementedError

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Not used here."""
        raise NotImplementedError


def load_text(path: Path, content: bytes) -> tuple[Policy, int]:
    """Load ``good <iteration> <anything>``; all else is a damaged file."""
    text = unpacked(content)
    word, number, *_ = [*text.split(), "", ""]
    if word != "good":
        raise ValueError(f"{path} is damaged")
    return Numbered(text), int(number)


def packed(text: str) -> bytes:
    """The text in a file that a watcher reads, as a record."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("text"), text)
    return buffer.getvalue()


def unpacked(content: bytes) -> str:
    """What ``packed`` was given."""
    return zipfile.ZipFile(io.BytesIO(content)).read("text").decode()


def write(path: Path, text: str, mtime_ns: int | None = None) -> None:
    """Write beside and rename, as a checkpoint store does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(packed(text))
    if mtime_ns is not None:
        os.utime(temporary, ns=(mtime_ns, mtime_ns))
    os.replace(temporary, path)


def make_watcher(source: Source, load: Load, clock: Clock, interval: float = INTERVAL) -> ReloadWatcher:
    """A watcher that loads in the calling thread."""
    return ReloadWatcher(source, load, clock=clock, interval=interval, executor=InlineExecutor())


def _text(loaded: LoadedPolicy | None) -> str | None:
    if loaded is None:
        return None
    assert isinstance(loaded.policy, Numbered)
    return loaded.policy.text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where checkpoints are."""
    folder = tmp_path / "nn"
    folder.mkdir()
    return folder


@pytest.fixture
def clock() -> FakeClock:
    """Time."""
    return FakeClock()


@pytest.fixture
def watcher(folder: Path, clock: FakeClock) -> ReloadWatcher:
    """A watcher that plays iteration 5 of ``latest.pth`` in ``folder``."""
    write(folder / "latest.pth", "good 5")
    watcher = make_watcher(FolderSource(folder), load_text, clock)
    assert watcher.wait(StopRequest()) is not None
    return watcher


def after_interval(watcher: ReloadWatcher, clock: FakeClock) -> str | None:
    """What is loaded when the interval is over."""
    clock.time += INTERVAL
    assert watcher.poll() is None  # looking begins
    loaded = watcher.poll()
    return _text(loaded)


# --- what is noticed ---


def test_a_new_latest_is_loaded(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """With its path and iteration, once."""
    write(folder / "latest.pth", "good 6")
    clock.time += INTERVAL
    watcher.poll()
    loaded = watcher.poll()
    assert loaded is not None
    assert (loaded.path, loaded.iteration) == (folder / "latest.pth", 6)
    assert after_interval(watcher, clock) is None


def test_nothing_is_looked_at_before_the_interval_is_over(
    watcher: ReloadWatcher, folder: Path, clock: FakeClock
) -> None:
    """However often it is asked."""
    write(folder / "latest.pth", "good 6")
    clock.time += INTERVAL - 0.01
    assert [watcher.poll() for _ in range(5)] == [None] * 5


def test_interval_0_never_looks(folder: Path, clock: FakeClock) -> None:
    """The first checkpoint plays for ever."""
    write(folder / "latest.pth", "good 5")
    watcher = make_watcher(FolderSource(folder), load_text, clock, interval=0.0)
    assert _text(watcher.wait(StopRequest())) == "good 5"
    write(folder / "latest.pth", "good 6")
    assert after_interval(watcher, clock) is None


def test_the_same_size_and_time_do_not_hide_a_new_file(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """A file is another one if its inode is."""
    status = (folder / "latest.pth").stat()
    write(folder / "latest.pth", "good 6", mtime_ns=status.st_mtime_ns)
    assert (folder / "latest.pth").stat().st_size == status.st_size
    assert after_interval(watcher, clock) == "good 6"


def test_an_older_time_does_not_hide_a_new_file(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """Rsync keeps the times of the other machine."""
    write(folder / "latest.pth", "good 6", mtime_ns=10**18)
    assert after_interval(watcher, clock) == "good 6"


def test_a_time_put_back_does_not_hide_a_new_content(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """Same file, same size, same time of writing."""
    status = (folder / "latest.pth").stat()
    (folder / "latest.pth").write_bytes(packed("good 6"))
    os.utime(folder / "latest.pth", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert after_interval(watcher, clock) == "good 6"


def test_a_file_written_in_place_is_loaded(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """As a copy by hand does it."""
    (folder / "latest.pth").write_bytes(packed("good 66"))
    assert after_interval(watcher, clock) == "good 66"


def test_the_same_content_is_nothing_new(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """Touched, copied over itself, or known by a second name."""
    os.utime(folder / "latest.pth", (2e9, 2e9))
    assert after_interval(watcher, clock) is None
    write(folder / "latest.pth", "good 5")
    assert after_interval(watcher, clock) is None
    write(folder / "checkpoint_7.pth", "good 5")
    assert after_interval(watcher, clock) is None


def test_a_replaced_link_is_followed(folder: Path, clock: FakeClock) -> None:
    """The folder is looked up anew each time."""
    for name, text in (("one", "good 5"), ("two", "good 3")):
        write(folder / name / "latest.pth", text)
    link = folder / "link"
    link.symlink_to(folder / "one")
    watcher = make_watcher(FolderSource(link), load_text, clock)
    assert _text(watcher.wait(StopRequest())) == "good 5"
    link.unlink()
    link.symlink_to(folder / "two")
    assert after_interval(watcher, clock) == "good 3"


def test_a_folder_made_again_is_followed(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """Its iterations begin anew."""
    shutil.rmtree(folder)
    assert after_interval(watcher, clock) is None
    write(folder / "checkpoint_1.pth", "good 1")
    assert after_interval(watcher, clock) == "good 1"


def test_a_folder_that_was_away_for_a_moment_is_the_same(
    watcher: ReloadWatcher, folder: Path, clock: FakeClock
) -> None:
    """What was older before is older still."""
    write(folder / "checkpoint_4.pth", "good 4")
    assert after_interval(watcher, clock) is None
    folder.rename(folder.parent / "away")
    assert after_interval(watcher, clock) is None
    (folder.parent / "away" / "latest.pth").unlink()
    (folder.parent / "away").rename(folder)
    assert after_interval(watcher, clock) is None


# --- which of several ---


def test_numbers_are_compared_as_numbers(folder: Path, clock: FakeClock) -> None:
    """10 is more than 9."""
    write(folder / "checkpoint_9.pth", "good 9")
    watcher = make_watcher(FolderSource(folder), load_text, clock)
    assert _text(watcher.wait(StopRequest())) == "good 9"
    write(folder / "checkpoint_10.pth", "good 10")
    assert after_interval(watcher, clock) == "good 10"


def test_files_that_arrive_out_of_order(folder: Path, clock: FakeClock) -> None:
    """An older one that comes later is not loaded."""
    write(folder / "checkpoint_300.pth", "good 300")
    watcher = make_watcher(FolderSource(folder), load_text, clock)
    assert _text(watcher.wait(StopRequest())) == "good 300"
    for name, text in (("checkpoint_200.pth", "good 200"), ("checkpoint_best.pth", "good 250")):
        write(folder / name, text)
        assert after_interval(watcher, clock) is None
    write(folder / "checkpoint_200.pth", "bad")
    assert after_interval(watcher, clock) is None
    write(folder / "latest.pth", "good 350")
    assert after_interval(watcher, clock) == "good 350"
    write(folder / "checkpoint_340.pth", "good 340")
    assert after_interval(watcher, clock) is None


def test_a_training_that_began_anew_is_followed(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """Its latest has a lower iteration than numbered files that were left there, and than what plays."""
    (folder / "latest.pth").unlink()
    write(folder / "checkpoint_9.pth", "good 9")
    assert after_interval(watcher, clock) == "good 9"
    write(folder / "latest.pth", "good 1")
    assert after_interval(watcher, clock) == "good 1"


def test_the_best_of_a_run_is_not_what_is_meant_by_the_run(folder: Path, clock: FakeClock) -> None:
    """A best checkpoint takes over only from the best one before it."""
    write(folder / "other.pth", "good 8")
    write(folder / "checkpoint_best.pth", "good 7")
    watcher = make_watcher(FolderSource(folder), load_text, clock)
    assert _text(watcher.wait(StopRequest())) == "good 8"
    (folder / "other.pth").unlink()
    assert after_interval(watcher, clock) is None


def test_what_plays_is_deleted(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """It plays on; an older one or the best one does not take over."""
    write(folder / "checkpoint_4.pth", "good 4")
    write(folder / "checkpoint_best.pth", "good 3")
    assert after_interval(watcher, clock) is None
    (folder / "latest.pth").unlink()
    assert after_interval(watcher, clock) is None


def test_temporary_files_are_not_looked_at(watcher: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
    """Of a store, of rsync, of an editor."""
    for name in (".latest.pth.3f2a.tmp", ".latest.pth.Xy3fAb", "latest.pth~", ".checkpoint_9.pth"):
        (folder / name).write_bytes(packed("good 9"))
    assert after_interval(watcher, clock) is None


# --- what is wrong ---


def test_a_bad_file_is_reported_once_and_what_plays_goes_on(
    watcher: ReloadWatcher, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning that names the file; the next good one is loaded."""
    write(folder / "latest.pth", "bad")
    for _ in range(3):
        assert after_interval(watcher, clock) is None
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert str(folder / "latest.pth") in warning
    assert "Iteration 5 plays on" in warning
    write(folder / "latest.pth", "good 7")
    assert after_interval(watcher, clock) == "good 7"


def test_an_older_run_does_not_take_over(tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """When the newest one is deleted; a newer one does, and while it exists an older one that is meant does."""

    class Latest(FolderSource):
        def checkpoints(self) -> list[Path]:
            return checkpoints_in(max(path.parent for path in self.folder.glob("*/latest.pth")))

    write(tmp_path / "1" / "latest.pth", "good 9", mtime_ns=10**18)
    write(tmp_path / "2" / "latest.pth", "good 5", mtime_ns=2 * 10**18)
    watcher = make_watcher(Latest(tmp_path), load_text, clock)
    assert _text(watcher.wait(StopRequest())) == "good 5"
    shutil.rmtree(tmp_path / "2")
    assert after_interval(watcher, clock) is None
    (gone,) = caplog.messages
    assert "2/latest.pth no longer exists. Iteration 5 plays on" in gone
    write(tmp_path / "3" / "latest.pth", "good 1", mtime_ns=3 * 10**18)
    assert after_interval(watcher, clock) == "good 1"
    write(tmp_path / "4" / "latest.pth", "good 2", mtime_ns=10**18)
    assert after_interval(watcher, clock) == "good 2"


@pytest.mark.parametrize("first", ["good 1", "bad"])
def test_a_newer_run_is_awaited(tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture, first: str) -> None:
    """Until its first checkpoint, which may be of another task; no warning says that the current one is gone."""
    caplog.set_level(logging.INFO)
    runs = [Run(tmp_path / "runs_all" / f"BaseTask_train_20260101_00000{number}") for number in (1, 2)]
    write(runs[0].checkpoints / "latest.pth", "good 5")
    watcher = make_watcher(find_source("latest", tmp_path / "runs"), load_text, clock)
    assert _text(watcher.wait(StopRequest())) == "good 5"
    runs[1].checkpoints.mkdir(parents=True)
    for _ in range(3):
        assert after_interval(watcher, clock) is None
    assert caplog.messages == ["A newer run has begun. Iteration 5 plays on until that run's first checkpoint"]
    write(runs[1].checkpoints / "latest.pth", first)
    assert after_interval(watcher, clock) == (first if first == "good 1" else None)
    assert not any("no longer exists" in message for message in caplog.messages)
    assert len(warnings_in(caplog)) == (first == "bad")
    shutil.rmtree(runs[0].path)
    assert after_interval(watcher, clock) is None
    assert any("no longer exists" in message for message in caplog.messages) == (first == "bad")


def test_what_plays_has_vanished(
    watcher: ReloadWatcher, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """With its folder or without: one warning each time that names the file, and the policy plays on."""
    write(folder / "checkpoint_4.pth", "good 4")
    assert after_interval(watcher, clock) is None
    (folder / "latest.pth").unlink()
    for _ in range(3):
        assert after_interval(watcher, clock) is None
    shutil.rmtree(folder)
    assert after_interval(watcher, clock) is None
    (gone,) = caplog.messages
    assert gone == f"{folder / 'latest.pth'} no longer exists. Iteration 5 plays on"
    write(folder / "latest.pth", "good 6")
    assert after_interval(watcher, clock) == "good 6"
    (folder / "latest.pth").unlink()
    assert after_interval(watcher, clock) is None
    assert len(caplog.messages) == 2


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_file_that_grows_in_place_is_reported_once_a_minute(
    watcher: ReloadWatcher, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """As ``scp`` writes it; when it is complete it is loaded."""
    content = packed("good 7")
    for second in range(100):
        (folder / "latest.pth").write_bytes(content[: 5 + second])
        clock.time += 1.0
        assert watcher.look() is None
    first, second_warning = warnings_in(caplog)
    assert "Checkpoint not loaded" in first
    assert "Checkpoint still not loaded" in second_warning
    (folder / "latest.pth").write_bytes(content)
    assert _text(watcher.look()) == "good 7"


def test_another_reason_is_reported_at_once(
    watcher: ReloadWatcher, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """And the same one again after the file was good."""
    for content in (b"no zip", packed("good 9")[:50], packed("bad"), b"no zip", packed("good 9"), b"no zip"):
        (folder / "latest.pth").write_bytes(content)
        watcher.look()
    reasons = [warning.partition(f"{folder / 'latest.pth'}")[2] for warning in warnings_in(caplog)]
    assert [reason.split()[1] for reason in reasons] == ["not", "truncated", "damaged.", "not"]


def test_behind_a_bad_latest_a_newer_number_is_loaded_and_an_older_is_not(
    watcher: ReloadWatcher, folder: Path, clock: FakeClock
) -> None:
    """The next good file, never a step back."""
    write(folder / "latest.pth", "bad")
    write(folder / "checkpoint_4.pth", "good 4")
    assert after_interval(watcher, clock) is None
    write(folder / "checkpoint_6.pth", "good 6")
    assert after_interval(watcher, clock) == "good 6"


def test_a_file_that_vanishes_before_it_is_read_is_a_bad_file(
    folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Like any other."""

    class Vanishing(FolderSource):
        def checkpoints(self) -> list[Path]:
            return [self.folder / "latest.pth"] if (self.folder / "latest.pth").exists() else []

    def load_and_vanish(path: Path, content: bytes) -> tuple[Policy, int]:
        path.unlink()
        raise FileNotFoundError(2, "No such file or directory", str(path))

    write(folder / "latest.pth", "good 5")
    watcher = make_watcher(Vanishing(folder), load_and_vanish, clock)
    assert watcher.look() is None
    assert "latest.pth" in caplog.text


# --- the beginning ---


def test_it_waits_for_the_first_checkpoint(folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
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
        watcher = make_watcher(ThirdTime(folder), load_text, clock)
        assert _text(watcher.wait(StopRequest())) == "good 1"
    assert caplog.text.count(f"Waiting for checkpoint in {folder}") == 1


def test_a_stop_request_ends_the_waiting(folder: Path, clock: FakeClock) -> None:
    """With nothing to play."""
    stop = StopRequest()
    stop.requested = True
    assert make_watcher(FolderSource(folder), load_text, clock).wait(stop) is None


def test_at_the_beginning_any_good_file_will_do(folder: Path, clock: FakeClock) -> None:
    """Behind a damaged latest the highest number plays."""
    for name, text in (("latest.pth", "bad"), ("checkpoint_3.pth", "good 3"), ("checkpoint_2.pth", "good 2")):
        write(folder / name, text)
    watcher = make_watcher(FolderSource(folder), load_text, clock)
    assert _text(watcher.wait(StopRequest())) == "good 3"


# --- beside the loop ---


def eventually(watcher: ReloadWatcher, seconds: float = 20.0) -> LoadedPolicy:
    """What a watcher with a thread of its own loads."""
    end = time.monotonic() + seconds
    while True:
        loaded = watcher.poll()
        if loaded is not None:
            return loaded
        assert time.monotonic() < end, f"nothing was loaded within {seconds} s"
        time.sleep(0.001)


class TestBesideTheLoop:
    def test_polling_never_waits_for_a_load(self, tmp_path: Path) -> None:
        """While a load hangs, every question is answered with nothing; the policy comes when it is ready."""
        release = threading.Event()

        def slow(path: Path, content: bytes) -> tuple[Policy, int]:
            if b"good 2" in content:
                assert release.wait(20.0)
            return load_text(path, content)

        clock = FakeClock()
        write(tmp_path / "latest.pth", "good 1")
        watcher = ReloadWatcher(FolderSource(tmp_path), slow, clock=clock, interval=1.0)
        watcher.wait(StopRequest())
        write(tmp_path / "latest.pth", "good 2")
        clock.time += 1.0
        assert [watcher.poll() for _ in range(1000)] == [None] * 1000
        release.set()
        assert eventually(watcher).iteration == 2
        watcher.close()

    def test_a_file_that_cannot_be_opened_keeps_nobody(self, tmp_path: Path) -> None:
        """As on a file system that does not answer: neither a stop request nor the end."""
        release, is_loading, stop = threading.Event(), threading.Event(), StopRequest()

        def hanging(path: Path, content: bytes) -> tuple[Policy, int]:
            is_loading.set()
            assert release.wait(20.0)
            return load_text(path, content)

        def request_stop() -> None:
            stop.requested = is_loading.wait(20.0)

        write(tmp_path / "latest.pth", "good 1")
        watcher = ReloadWatcher(FolderSource(tmp_path), hanging, clock=FakeClock(), interval=1.0)
        stopping = threading.Thread(target=request_stop)
        stopping.start()
        assert watcher.look_once(stop) is None
        assert watcher.is_busy
        watcher.close()
        release.set()
        stopping.join()

    def test_the_clock_on_the_wall_does_not_matter(self, tmp_path: Path) -> None:
        """It may jump by years; intervals are measured on the other one."""

        class Jumping(FakeClock):
            def now(self) -> float:
                return -1e9

        clock = Jumping()
        write(tmp_path / "latest.pth", "good 1")
        watcher = ReloadWatcher(FolderSource(tmp_path), load_text, clock=clock, interval=1.0, executor=InlineExecutor())
        watcher.wait(StopRequest())
        write(tmp_path / "latest.pth", "good 2")
        clock.time += 1.0
        watcher.poll()
        assert watcher.poll() is not None

    def test_what_plays_is_marked_as_in_use(self, tmp_path: Path) -> None:
        """Until another one plays, or nothing does."""
        one, two = tmp_path / "checkpoint_1.pth", tmp_path / "checkpoint_2.pth"
        write(one, "good 1")
        watcher = ReloadWatcher(FolderSource(tmp_path), load_text, clock=FakeClock(), interval=1.0)
        watcher.look()
        assert is_in_use(one)
        write(two, "good 2")
        watcher.look()
        assert (is_in_use(one), is_in_use(two)) == (False, True)
        watcher.close()
        assert not is_in_use(two)


class TestEvents:
    @pytest.fixture
    def watcher(self, tmp_path: Path) -> Any:
        """It plays iteration 1 and hears of changes; the interval never ends."""
        write(tmp_path / "nn" / "latest.pth", "good 1")

        class Run(FolderSource):
            def folders(self) -> list[Path]:
                return [self.folder, self.folder.parent]

        watcher = ReloadWatcher(
            Run(tmp_path / "nn"), load_text, clock=SystemClock(), interval=1e6, changes=FolderChanges()
        )
        watcher.wait(StopRequest())
        yield watcher
        watcher.close()

    def test_a_rename_is_noticed(self, watcher: ReloadWatcher, tmp_path: Path) -> None:
        """Without waiting for the interval."""
        write(tmp_path / "nn" / "latest.pth", "good 2")
        assert eventually(watcher).iteration == 2

    def test_a_file_written_in_place_is_noticed(self, watcher: ReloadWatcher, tmp_path: Path) -> None:
        """When it is closed."""
        (tmp_path / "nn" / "latest.pth").write_bytes(packed("good 2"))
        assert eventually(watcher).iteration == 2

    def test_a_folder_made_again_is_watched_again(self, watcher: ReloadWatcher, tmp_path: Path) -> None:
        """Twice, so that the second is noticed by the new folder's own watch."""
        shutil.rmtree(tmp_path / "nn")
        write(tmp_path / "nn" / "latest.pth", "good 2")
        assert eventually(watcher).iteration == 2
        write(tmp_path / "nn" / "latest.pth", "good 3")
        assert eventually(watcher).iteration == 3

    def test_temporary_files_are_no_event(self, tmp_path: Path) -> None:
        """A save is noticed when it is complete."""
        changes = FolderChanges()
        changes.watch([tmp_path])
        (tmp_path / ".checkpoint_1.pth.1a2b3c4d.tmp").write_text("half")
        (tmp_path / "seen").write_text("")
        while not changes.happened():
            time.sleep(0.001)
        time.sleep(0.2)  # closing it is an event of its own
        changes.clear()
        (tmp_path / ".checkpoint_1.pth.1a2b3c4d.tmp").unlink()
        time.sleep(0.1)
        assert not changes.happened()
        changes.close()

    def test_where_watching_fails_it_is_said_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The interval is still there."""
        changes = FolderChanges()

        def refuse(*_: Any) -> None:
            raise OSError(28, "inotify watch limit reached")

        monkeypatch.setattr(changes._observer, "schedule", refuse)
        for _ in range(2):
            changes.watch([tmp_path, tmp_path.parent])
        assert caplog.text.count("cannot be watched") == 1
        changes.close()


NAMES = ("latest.pth", "checkpoint_best.pth", *(f"checkpoint_{number}.pth" for number in (1, 2, 9, 10, 100)))


class WatchedFolder(RuleBasedStateMachine):
    """Whatever happens in a folder, what plays was whole and meant, and nothing is loaded twice."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.folder = self.root / "nn"
        self.folder.mkdir()
        self.clock = FakeClock()
        self.watcher = ReloadWatcher(
            FolderSource(self.folder), load_text, clock=self.clock, interval=30.0, executor=InlineExecutor()
        )
        self.playing: str | None = None
        self.salt = itertools.count()
        self.bad_writes = 0
        self.warnings: list[logging.LogRecord] = []
        self.handler = logging.Handler(logging.WARNING)
        self.handler.emit = self.warnings.append  # type: ignore[method-assign]
        logging.getLogger("dexhand.checkpoints.reload").addHandler(self.handler)

    def teardown(self) -> None:
        logging.getLogger("dexhand.checkpoints.reload").removeHandler(self.handler)
        self.watcher.close()
        shutil.rmtree(self.root)

    def content(self, name: str, iteration: int, good: bool) -> str:
        """A numbered file holds the iteration of its name."""
        digits = "".join(filter(str.isdigit, name))
        self.bad_writes += not good
        return f"{'good' if good else 'bad'} {digits or iteration} {next(self.salt)}"

    def files(self) -> dict[str, str]:
        return {path.name: unpacked(path.read_bytes()) for path in self.folder.glob("[!.]*.pth")}

    @rule(
        name=st.sampled_from(NAMES),
        iteration=st.integers(0, 200),
        good=st.booleans(),
        mtime_ns=st.sampled_from([None, 10**18]),
    )
    def save(self, name: str, iteration: int, good: bool, mtime_ns: int | None) -> None:
        write(self.folder / name, self.content(name, iteration, good), mtime_ns)

    @rule(name=st.sampled_from(NAMES), iteration=st.integers(0, 200), good=st.booleans())
    def write_in_place(self, name: str, iteration: int, good: bool) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(packed(self.content(name, iteration, good)))

    @rule(name=st.sampled_from(NAMES))
    def touch(self, name: str) -> None:
        if (self.folder / name).exists():
            self.bad_writes += unpacked((self.folder / name).read_bytes()).startswith("bad")
            os.utime(self.folder / name, (2e9, 2e9))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    @rule()
    def delete_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule()
    def link_latest(self) -> None:
        """As a store makes a numbered checkpoint of the latest."""
        latest = self.folder / "latest.pth"
        if latest.exists():
            path = self.folder / f"checkpoint_{unpacked(latest.read_bytes()).split()[1]}.pth"
            self.bad_writes += 2  # the link changes the times of both names
            temporary = self.folder / ".link.tmp"
            os.link(latest, temporary)
            os.replace(temporary, path)
            temporary.unlink(missing_ok=True)

    @rule(seconds=st.floats(0.0, 100.0))
    def time_passes(self, seconds: float) -> None:
        self.clock.time += seconds
        due = self.watcher._is_due()
        before, files = self.playing, self.files()
        loaded = self.watcher.poll() or self.watcher.poll()
        if loaded is not None:
            assert isinstance(loaded.policy, Numbered)
            self.playing = loaded.policy.text
            assert self.playing.startswith("good")
            assert self.playing != before
            assert files[loaded.path.name] == self.playing
        if due:
            self.check_choice(files)

    def check_choice(self, files: dict[str, str]) -> None:
        if files.get("latest.pth", "").startswith("good"):
            assert self.playing == files["latest.pth"]
            return
        numbers = [int(text.split()[1]) for name, text in files.items() if name[11:-4].isdigit() and text[:4] == "good"]
        if numbers:
            assert self.playing is not None
            assert int(self.playing.split()[1]) >= max(numbers)

    @invariant()
    def no_file_is_reported_twice(self) -> None:
        assert sum("not loaded" in warning.getMessage() for warning in self.warnings) <= self.bad_writes


TestWatchedFolder = WatchedFolder.TestCase
TestWatchedFolder.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)


class TestCheckpointPanel:
    """What is chosen in a panel plays, and stays."""

    @pytest.fixture
    def player(self, folder: Path, clock: FakeClock) -> ReloadWatcher:
        """A player of a run with the iterations 1 to 5, which plays the newest."""
        for iteration in range(1, 6):
            write(folder / f"checkpoint_{iteration}.pth", f"good {iteration}")
        write(folder / "latest.pth", "good 5 latest")
        player = self.player_of(folder, clock)
        assert player.wait(StopRequest()) is not None
        return player

    def player_of(self, folder: Path, clock: FakeClock) -> ReloadWatcher:
        """A player that has not begun."""
        executor = InlineExecutor()
        panels = PanelLink(clock)
        source = FolderSource(folder)
        return ReloadWatcher(source, load_text, clock=clock, interval=INTERVAL, panels=panels, executor=executor)

    def after(self, player: ReloadWatcher, clock: FakeClock, seconds: float = CHOICE_INTERVAL) -> str | None:
        """What is loaded after so long."""
        clock.time += seconds
        assert player.poll() is None
        return _text(player.poll())

    def test_a_choice_plays_soon_and_newer_checkpoints_do_not(
        self, player: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """Long before the interval is over; Auto follows the newest again."""
        write_choice(folder, Choice("manual", "checkpoint_2.pth"))
        assert self.after(player, clock) == "good 2"
        write(folder / "checkpoint_6.pth", "good 6")
        write(folder / "latest.pth", "good 6 latest")
        assert self.after(player, clock, INTERVAL) is None
        write_choice(folder, AUTO)
        assert self.after(player, clock) == "good 6 latest"
        write(folder / "latest.pth", "good 7 latest")
        assert self.after(player, clock, INTERVAL) == "good 7 latest"

    def test_auto_also_returns_to_a_lower_number(self, player: ReloadWatcher, folder: Path, clock: FakeClock) -> None:
        """From the best one, where there is no latest.pth."""
        (folder / "latest.pth").unlink()
        write(folder / "checkpoint_best.pth", "good 9 best")
        write_choice(folder, Choice("manual", "checkpoint_best.pth"))
        assert self.after(player, clock) == "good 9 best"
        write_choice(folder, AUTO)
        assert self.after(player, clock) == "good 5"

    def test_a_chosen_file_that_is_replaced_is_loaded_when_it_is_chosen_again(
        self, player: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """Manual holds the policy, also of latest.pth."""
        write_choice(folder, Choice("manual", "latest.pth"))
        write(folder / "latest.pth", "good 6 latest")
        assert self.after(player, clock) == "good 6 latest"
        write(folder / "latest.pth", "good 7 latest")
        assert self.after(player, clock, INTERVAL) is None
        write_choice(folder, Choice("manual", "latest.pth"))
        assert self.after(player, clock) == "good 7 latest"

    def test_manual_without_a_checkpoint_holds_what_plays(
        self, player: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """A player that begins then plays the newest, and holds it."""
        write_choice(folder, Choice("manual"))
        write(folder / "latest.pth", "good 6 latest")
        assert self.after(player, clock, INTERVAL) is None
        other = self.player_of(folder, clock)
        assert _text(other.wait(StopRequest())) == "good 6 latest"
        write(folder / "latest.pth", "good 7 latest")
        assert self.after(other, clock, INTERVAL) is None

    def test_a_player_begins_with_what_was_chosen(self, folder: Path, clock: FakeClock) -> None:
        """Also when it is started again."""
        write(folder / "latest.pth", "good 5")
        write(folder / "checkpoint_2.pth", "good 2")
        write_choice(folder, Choice("manual", "checkpoint_2.pth"))
        assert _text(self.player_of(folder, clock).wait(StopRequest())) == "good 2"

    def test_a_chosen_file_that_is_not_there_yet(
        self, player: ReloadWatcher, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Is told once, and plays when it has come: the choice may be copied first."""
        write_choice(folder, Choice("manual", "checkpoint_3b.pth"))
        for _ in range(3):
            assert self.after(player, clock, INTERVAL) is None
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
            f"Checkpoint panel: checkpoint_3b.pth is not in {folder}. Iteration 5 plays on"
        ]
        write(folder / "latest.pth", "good 6")
        assert self.after(player, clock, INTERVAL) is None
        write(folder / "checkpoint_3b.pth", "good 3")
        assert self.after(player, clock, INTERVAL) == "good 3"

    @pytest.mark.parametrize("is_damaged", [False, True])
    def test_a_player_whose_chosen_file_is_gone_or_damaged_begins_with_the_newest(
        self, folder: Path, clock: FakeClock, is_damaged: bool
    ) -> None:
        """There is no last good policy yet."""
        write(folder / "latest.pth", "good 5")
        if is_damaged:
            write(folder / "checkpoint_2.pth", "half")
        write_choice(folder, Choice("manual", "checkpoint_2.pth"))
        player = self.player_of(folder, clock)
        assert _text(player.wait(StopRequest())) == "good 5"
        write(folder / "latest.pth", "good 6")
        assert self.after(player, clock, INTERVAL) is None
        write(folder / "checkpoint_2.pth", "good 2")
        assert self.after(player, clock, INTERVAL) == "good 2"

    def test_a_chosen_file_that_is_deleted_plays_on(
        self, player: ReloadWatcher, folder: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """And that is told, on the console and to panels."""
        write_choice(folder, Choice("manual", "checkpoint_2.pth"))
        assert self.after(player, clock) == "good 2"
        (folder / "checkpoint_2.pth").unlink()
        for _ in range(3):
            assert self.after(player, clock, INTERVAL) is None
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert warnings == [f"{folder / 'checkpoint_2.pth'} no longer exists. Iteration 2 plays on"]
        (told,) = read_players(folder).values()
        assert (told.checkpoint, told.iteration, told.problem) == (
            "checkpoint_2.pth",
            2,
            "checkpoint_2.pth is not there",
        )

    def test_a_damaged_choice_plays_once_it_is_good(
        self, player: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """Until then, the policy before plays on, and panels are told why."""
        write(folder / "checkpoint_2.pth", "half")
        write_choice(folder, Choice("manual", "checkpoint_2.pth"))
        assert self.after(player, clock) is None
        assert self.after(player, clock, INTERVAL) is None
        (told,) = read_players(folder).values()
        assert (told.checkpoint, told.iteration) == ("latest.pth", 5)
        assert told.problem == "checkpoint_2.pth is damaged"
        write(folder / "checkpoint_2.pth", "good 2")
        assert self.after(player, clock, INTERVAL) == "good 2"
        (told,) = read_players(folder).values()
        assert (told.checkpoint, told.iteration, told.problem) == ("checkpoint_2.pth", 2, None)

    def test_a_link_out_of_the_folder_is_not_loaded(
        self, player: ReloadWatcher, folder: Path, clock: FakeClock, tmp_path: Path
    ) -> None:
        """A copied folder may come from anybody."""
        write(tmp_path / "elsewhere.pth", "good 9")
        (folder / "theirs.pth").symlink_to(tmp_path / "elsewhere.pth")
        write_choice(folder, Choice("manual", "theirs.pth"))
        assert self.after(player, clock) is None

    def test_a_held_checkpoint_stays_when_a_newer_run_begins(self, clock: FakeClock, tmp_path: Path) -> None:
        """Auto goes on to the newer run."""
        old, new = (tmp_path / run / "nn" for run in ("old", "new"))
        write(old / "latest.pth", "good 5")
        write(old / "checkpoint_2.pth", "good 2")
        player = self.player_of(old, clock)
        assert player.wait(StopRequest()) is not None
        write_choice(old, Choice("manual", "checkpoint_2.pth"))
        assert self.after(player, clock) == "good 2"
        write(new / "latest.pth", "good 1 new")
        player._source.folder = new  # type: ignore[attr-defined]
        assert self.after(player, clock, INTERVAL) is None
        write_choice(old, AUTO)
        assert self.after(player, clock) == "good 1 new"

    def test_a_choice_during_a_pause_is_loaded_and_plays_from_the_next_step(
        self, player: ReloadWatcher, folder: Path, clock: FakeClock
    ) -> None:
        """Panels hear of a player that is paused, too."""
        write_choice(folder, Choice("manual", "checkpoint_2.pth"))
        for _ in range(3):
            clock.time += INTERVAL
            player.keep_looking()
        (told,) = read_players(folder).values()
        assert told.checkpoint == "checkpoint_2.pth"
        assert _text(player.poll()) == "good 2"
        clock.time += INTERVAL
        player.keep_looking()
        (told,) = read_players(folder).values()
        assert told.written == clock.now()

    def test_the_end_is_told(self, player: ReloadWatcher, folder: Path) -> None:
        """Panels show nothing that does not play."""
        assert read_players(folder)
        player.close()
        assert not read_players(folder)
