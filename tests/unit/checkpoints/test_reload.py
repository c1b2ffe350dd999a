"""Hot reload: what is noticed, when, and that nothing wrong ever plays."""

import itertools
import logging
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dexhand.checkpoints.folder_changes import FolderChanges
from dexhand.checkpoints.reload import Load, ReloadWatcher, Source
from dexhand.core.clock import SystemClock
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.file_locks import is_in_use
from dexhand.core.interfaces import Clock, Policy
from dexhand.core.stop import StopRequest
from dexhand.mock.clock import FakeClock
from dexhand.mock.executor import InlineExecutor
from dexhand.testing.reload_watcher import FolderSource, Numbered, ReloadWatcherConformance, load_text, write


class TestOnRealFiles(ReloadWatcherConformance):
    def make_watcher(self, source: Source, load: Load, clock: Clock, interval: float) -> ReloadWatcher:
        return ReloadWatcher(source, load, clock=clock, interval=interval, executor=InlineExecutor())


class TestOnAFakeFileSystem(TestOnRealFiles):
    @pytest.fixture
    def folder(self, fs: Any) -> Path:
        folder = Path("/runs_all/BaseTask_train_20260101_000000/nn")
        folder.mkdir(parents=True)
        return folder


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
        (tmp_path / "nn" / "latest.pth").write_text("good 2")
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
        (tmp_path / ".latest.pth.tmp").write_text("half")
        (tmp_path / "seen").write_text("")
        while not changes.happened():
            time.sleep(0.001)
        time.sleep(0.2)  # closing it is an event of its own
        changes.clear()
        (tmp_path / ".latest.pth.tmp").unlink()
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
        return {path.name: path.read_text() for path in self.folder.glob("[!.]*.pth")} if self.folder.is_dir() else {}

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
        (self.folder / name).write_text(self.content(name, iteration, good))

    @rule(name=st.sampled_from(NAMES))
    def touch(self, name: str) -> None:
        if (self.folder / name).exists():
            self.bad_writes += (self.folder / name).read_text().startswith("bad")
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
            path = self.folder / f"checkpoint_{latest.read_text().split()[1]}.pth"
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
        assert len(self.warnings) <= self.bad_writes


TestWatchedFolder = WatchedFolder.TestCase
TestWatchedFolder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
