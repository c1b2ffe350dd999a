"""The suites of stores and watchers reject everything that breaks a clause."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faulty_stores
import faulty_watchers
import pytest
from planted import checks_of

from dexhand.checkpoints.reload import Load, ReloadWatcher, Source
from dexhand.checkpoints.store import CheckpointStore
from dexhand.core.interfaces import Clock
from dexhand.mock.clock import FakeClock
from dexhand.mock.executor import InlineExecutor
from dexhand.testing.checkpoint_store import CheckpointStoreLocksConformance
from dexhand.testing.reload_watcher import ReloadWatcherConformance


def run_check(suite: Any, check: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Call one check with the fixtures it asks for."""
    folder.mkdir(exist_ok=True)
    method, clock = getattr(suite, check), FakeClock()
    fixtures: dict[str, Callable[[], Any]] = {
        "folder": lambda: folder if isinstance(suite, ReloadWatcherConformance) else folder / "nn",
        "clock": lambda: clock,
        "watcher": lambda: suite.playing(folder, clock),
        "caplog": lambda: caplog,
    }
    method(**{name: fixtures[name]() for name in inspect.signature(method).parameters})


@pytest.mark.parametrize(("fault", "check"), faulty_watchers.FAULTS.cases())
def test_a_faulty_watcher_is_rejected(
    fault: type[ReloadWatcher], check: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the check that is there for it."""

    class Suite(ReloadWatcherConformance):
        def make_watcher(self, source: Source, load: Load, clock: Clock, interval: float) -> ReloadWatcher:
            return fault(source, load, clock=clock, interval=interval, executor=InlineExecutor())

    with pytest.raises((AssertionError, ValueError)):
        run_check(Suite(), check, tmp_path / "nn", caplog)


@pytest.mark.parametrize(("fault", "check"), faulty_stores.FAULTS.cases())
def test_a_faulty_store_is_rejected(
    fault: type[CheckpointStore], check: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the check that is there for it."""

    class Suite(CheckpointStoreLocksConformance):
        def make_store(self, folder: Path, keep: int | None = None) -> CheckpointStore:
            return fault(folder, keep)

    with pytest.raises((AssertionError, FileNotFoundError, pytest.fail.Exception)):
        run_check(Suite(), check, tmp_path / "run", caplog)


def test_every_check_is_proven_by_a_fault() -> None:
    """No check of the suites can pass because it looks at nothing: each has a fault that it finds."""
    assert faulty_watchers.FAULTS.checks() == set(checks_of(ReloadWatcherConformance))
    assert faulty_stores.FAULTS.checks() == set(checks_of(CheckpointStoreLocksConformance))
