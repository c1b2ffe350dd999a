"""Log messages of a run."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dexhand.app.logs import log_to_file, logging_to_console

log = logging.getLogger(__name__)


def test_a_full_disk_behind_the_log_file(
    tmp_path: Path, disk_with_room_for: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is reported once, without a traceback; messages are in the file when there is room again."""
    earlier = 10_000 * "-"  # so that the limit is one of this file, not of what pytest captures
    (tmp_path / "train.log").write_text(earlier + "\n")
    with logging_to_console(Console(), "info"):
        log_to_file(tmp_path / "train.log")
        with disk_with_room_for(len(earlier) + 1):
            log.info("first")
        log.info("second")
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == [earlier, "first", "be", "second"]
    warning = f"warning: {tmp_path / 'train.log'} cannot be written: File too large. It is continued when it can be"
    assert capfd.readouterr() == (f"first\n{warning}\nsecond\n", "")


def test_the_error_that_ends_a_run_is_in_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With its traceback, which the console does not get twice; without a log file, nothing is said."""

    def fail(prepare: Callable[[Path], None]) -> None:
        with logging_to_console(Console(), "info"):
            prepare(tmp_path / "train.log")
            raise ZeroDivisionError

    for prepare in (lambda path: None, log_to_file):
        with pytest.raises(ZeroDivisionError):
            fail(prepare)
    text = (tmp_path / "train.log").read_text()
    assert "CRITICAL dexhand.app.logs: Ended by an error\nTraceback" in text
    assert text.endswith("ZeroDivisionError\n")
    assert capfd.readouterr() == ("", "")


def test_what_the_console_shows_anyway_is_in_the_log_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Such as a training's progress."""
    with logging_to_console(Console(), "info"):
        log_to_file(tmp_path / "train.log")
        log.info("iteration 1/10", extra={"file_only": True})
    assert "iteration 1/10\n" in (tmp_path / "train.log").read_text()
    assert capfd.readouterr() == ("", "")


def test_a_message_that_cannot_be_formatted_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging is no reason to end a training."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with logging_to_console(Console(), "info"):
        log.info("%d", "no number")
