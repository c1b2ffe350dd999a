"""Processes of views leave the processors to the run, and end with it."""

import errno
import os
import socket
import sys
from contextlib import closing
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import cast

import pytest

from dexhand.sim import window_process
from dexhand.view import film, process
from dexhand.view.messages import Settings
from dexhand.view.process import Patience, claim_processors, start_process

SETTINGS = Settings("a run", None, 1, (), False, (), 0.1, None)
"""What a page is told first."""


def test_pages_of_a_run_that_is_killed_end_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    """Before it has told them anything, and later."""
    pages = []
    for module, first in (("page", None), ("page", SETTINGS), ("checkpoint_page", None)):
        with closing(socket.create_server(("127.0.0.1", 0))) as listening:
            page, pipe = start_process(f"dexhand.view.{module}", listening.fileno())
        if first is not None:
            pipe.send(first)
        pipe.close()
        pages.append(page)
    assert [page.wait(120.0) for page in pages] == [0, 0, 0]
    assert capfd.readouterr().err == ""


def test_a_video_of_a_run_that_is_killed_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the disk is full."""

    class Full:
        def close(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    ours, theirs = Pipe()
    ours.send(("open", ((),)))
    ours.close()
    monkeypatch.setattr(film, "yield_processors", lambda: None)
    film.serve(theirs, lambda shapes: cast(film.Pictures, Full()))


def test_a_window_of_a_run_that_is_killed_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the run has not read what it was told."""
    ours, theirs = Pipe()

    def window(pipe: Connection) -> None:
        ours.close()
        pipe.recv()

    monkeypatch.setattr(window_process, "_problem", lambda: None)
    monkeypatch.setattr(window_process, "Window", window)
    monkeypatch.setattr(sys, "argv", ["window_process", str(os.dup(theirs.fileno()))])
    window_process.main()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such policies")
def test_who_has_waited_too_long_takes_part_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with more work than processors would leave nothing to it."""
    try:
        patience = Patience()
        policies = [os.sched_getscheduler(0)]
        for late, work_time in ((0.1, 60.0), (2.0, 60.0), (0.1, 60.0), (2.0, 0.0), (0.1, 60.0)):
            monkeypatch.setattr(process, "WORK_TIME", work_time)
            patience.waited(late)
            policies.append(os.sched_getscheduler(0))
    finally:
        claim_processors()
    idle, other = os.SCHED_IDLE, os.SCHED_OTHER
    assert policies == [idle, idle, other, other, other, idle]
