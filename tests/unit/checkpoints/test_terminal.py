"""The checkpoint panel in a terminal, which is a pseudo-terminal here: keys act, and the terminal is left as it was."""

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console

from dexhand.checkpoints.choice import STATE_NAME, PanelLink, read_choice
from dexhand.checkpoints.panel import CheckpointPanel
from dexhand.checkpoints.store import CheckpointStore
from dexhand.checkpoints.terminal import show_in_terminal
from dexhand.core.clock import SystemClock

PATIENCE = 60.0
"""Seconds until something that is waited for has failed."""
DOWN, UP = b"\x1b[B", b"\x1b[A"


@pytest.fixture
def nn(tmp_path: Path) -> Path:
    """The checkpoints of a run that has done 300 iterations."""
    store = CheckpointStore(tmp_path / "runs_all" / "Reach_train_20260101_000000" / "nn")
    for iteration in (100, 200, 300):
        store.save({"epoch": iteration, "model": {"w": torch.zeros(10)}}, iteration=iteration, numbered=True)
    return store.folder


class Terminal:
    """``python -m dexhand.runs panel`` at a terminal."""

    def __init__(self, workspace: Path) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (12, 100))
        self.settings = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dexhand.runs", "panel", "Reach", "--runs-dir", str(workspace / "runs")],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
        )
        self.shown = ""

    def press(self, *keys: bytes) -> None:
        """Press keys; what was shown before is forgotten."""
        self.shown = ""
        os.write(self._ours, b"".join(keys))

    def wait_for(self, pattern: str) -> None:
        """Wait for a text."""
        self.wait(lambda: re.search(pattern, re.sub(r"\x1b\[[\d;?]*\w", "", self.shown)), pattern)

    def wait(self, is_so: Callable[[], object], what: str) -> None:
        """Read what is shown until something is so."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, f"{what} did not come: {self.shown}"
            if select.select([self._ours], [], [], 0.05)[0]:
                self.shown += os.read(self._ours, 65536).decode()

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        self.wait(lambda: self.process.poll() is not None, "the end")
        return self.process.wait()

    def is_as_before(self) -> bool:
        """Whether the terminal has the settings that it began with, and shows its own screen."""
        return termios.tcgetattr(self._theirs) == self.settings and self.shown.count("\x1b[?1049l") == 1

    def close(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def terminal(tmp_path: Path, nn: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    terminal.wait_for("r: refresh")
    yield terminal
    terminal.close()


def test_a_person_chooses(terminal: Terminal, nn: Path) -> None:
    """With the arrow keys and Enter; a is Auto; what plays and what is new is shown by itself; q ends it."""
    terminal.press(DOWN, DOWN, DOWN, UP, b"\r")
    terminal.wait_for("Manual, holds checkpoint_200.pth")
    assert read_choice(nn).checkpoint == "checkpoint_200.pth"

    link = PanelLink(SystemClock())
    link.announce(nn / "checkpoint_200.pth", 200, None)
    terminal.wait_for(r"Plays checkpoint_200.pth, iteration 200[\s\S]*▶ +checkpoint_200.pth")
    link.close()
    terminal.wait_for("Nothing plays now")

    terminal.press(b"a")
    terminal.wait_for("Auto, follows the newest checkpoint")
    assert read_choice(nn).mode == "auto"

    CheckpointStore(nn).save({"epoch": 400, "model": {"w": torch.zeros(1)}}, iteration=400, numbered=True)
    terminal.wait_for("checkpoint_400.pth +400")
    terminal.press(b"\r")  # the same one is selected still, further down
    terminal.wait_for("Manual, holds checkpoint_200.pth")

    terminal.press(b"q")
    assert terminal.end() == 0
    assert terminal.is_as_before()


def test_a_chosen_file_that_is_deleted_and_a_signal(terminal: Terminal, nn: Path) -> None:
    """The file is told to be missing; the terminal is as before, whatever ends the panel."""
    terminal.press(DOWN, b"\r")
    terminal.wait_for("Manual, holds checkpoint_300.pth")
    (nn / "checkpoint_300.pth").unlink()
    terminal.wait_for("Problem: checkpoint_300.pth is not there")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0
    assert terminal.is_as_before()


def test_nothing_is_drawn_while_nothing_changes(terminal: Terminal) -> None:
    """Except when the folder is looked at, since ages may have changed."""
    terminal.press()
    end = time.monotonic() + 2.0
    terminal.wait(lambda: time.monotonic() > end, "the time")
    assert terminal.shown.count("r: refresh") < 3


def test_without_a_terminal_a_long_problem_is_one_line(nn: Path) -> None:
    """So that paths can be copied and searched for."""
    (nn.parent / STATE_NAME).write_text("{")
    panel, out = CheckpointPanel(nn, SystemClock()), io.StringIO()
    show_in_terminal(panel, Console(file=out, width=40))
    panel.close()
    assert f"Problem: {nn.parent / STATE_NAME}: Input data was truncated" in out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 100])
def test_a_long_name_takes_no_room_from_other_columns(nn: Path, width: int) -> None:
    """It is cut only where the terminal is too narrow for it."""
    name = "last_Ant_ep_400_rew_123.5_of_quite_some_time_ago.pth"
    (nn / "checkpoint_100.pth").rename(nn / name)
    panel, out = CheckpointPanel(nn, SystemClock()), io.StringIO()
    show_in_terminal(panel, Console(file=out, width=width))
    panel.close()
    assert out.getvalue().splitlines()[2].split() == ["checkpoint", "iteration", "return", "age", "size"]
    (line,) = [line for line in out.getvalue().splitlines() if "last_Ant" in line]
    assert (name in line) == (width == 100)
    assert "…" not in line.partition(" ")[2].strip().partition(" ")[2]


def test_without_a_terminal_the_list_is_printed(nn: Path) -> None:
    """For pipes and files."""
    panel, out = CheckpointPanel(nn, SystemClock()), io.StringIO()
    show_in_terminal(panel, Console(file=out, width=100))
    panel.close()
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["Auto, follows the newest checkpoint", "Nothing plays now"]
    assert [line.split()[:2] for line in lines[3:]] == [
        ["latest.pth", "300"],
        ["checkpoint_300.pth", "300"],
        ["checkpoint_200.pth", "200"],
        ["checkpoint_100.pth", "100"],
    ]
