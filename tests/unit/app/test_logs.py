"""Log messages of a run."""

import logging
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dexhand.app.logs import log_to_file, logging_to_console

log = logging.getLogger(__name__)


def test_a_full_disk_behind_the_log_file(
    tmp_path: Path, disk_with_room_for: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """No traceback and no "Logging error"; messages are in the file when there is room again."""
    earlier = 10_000 * "-"  # so that the limit is one of this file, not of what pytest captures
    (tmp_path / "train.log").write_text(earlier + "\n")
    with logging_to_console(Console(), "info"):
        log_to_file(tmp_path / "train.log")
        with disk_with_room_for(len(earlier) + 1):
            log.info("first")
        log.info("second")
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == [earlier, "first", "second"]
    assert capfd.readouterr() == ("first\nsecond\n", "")


def test_a_message_that_cannot_be_formatted_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging is no reason to end a training."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with logging_to_console(Console(), "info"):
        log.info("%d", "no number")
