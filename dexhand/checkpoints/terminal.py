"""The checkpoint panel in a terminal."""

import contextlib
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dexhand.checkpoints.panel import HEADERS, REFRESH_INTERVAL, CheckpointPanel, Snapshot
from dexhand.core.stop import handle_signals
from dexhand.files.output import printable

KEYS = "q: quit   up/down: select   Enter: load   a: auto   r: refresh"
KEY_INTERVAL = 0.2
"""Seconds between two looks for changes while no key is pressed."""
_KEY = re.compile(rb"\x1b[\[O][A-Z]|.", re.DOTALL)
_UP, _DOWN, _ENTER, _QUIT = (b"\x1b[A", b"\x1bOA", b"k"), (b"\x1b[B", b"\x1bOB", b"j"), (b"\n", b"\r"), (b"q", b"\x04")


def show_in_terminal(panel: CheckpointPanel, console: Console) -> None:
    """Show the panel until a person ends it; without a terminal, print what it shows once."""
    if not (sys.stdin.isatty() and console.is_terminal) or console.is_dumb_terminal:
        snapshot = panel.look()
        console.print(_picture(snapshot, None, len(snapshot.checkpoints)), soft_wrap=True)
        return
    _TerminalPanel(panel, console).run()


class _TerminalPanel:
    def __init__(self, panel: CheckpointPanel, console: Console) -> None:
        self._panel = panel
        self._console = console
        self._snapshot = panel.look()
        self._selected = 0
        self._problem = ""
        self._has_ended = False

    def run(self) -> None:
        with (
            _single_keys(sys.stdin.fileno()),
            handle_signals(lambda number: setattr(self, "_has_ended", True)),
            Live(console=self._console, screen=True, auto_refresh=False) as live,
        ):
            looked_at = time.monotonic()
            shown: object = None
            while not self._has_ended:
                picture = self._picture()
                now = self._console.size, self._console.render_lines(picture)
                if now != shown:  # each drawing is kilobytes, perhaps over ssh
                    live.update(picture, refresh=True)
                    shown = now
                for key in _keys(sys.stdin.fileno()):
                    self._press(key)
                if self._panel.wait(0.0) or time.monotonic() - looked_at > REFRESH_INTERVAL:
                    self._look()
                    looked_at = time.monotonic()

    def _look(self) -> None:
        """Read everything again; the same checkpoint stays selected."""
        name = self._name()
        self._snapshot = self._panel.look()
        names = [checkpoint.name for checkpoint in self._snapshot.checkpoints]
        self._selected = names.index(name) if name in names else self._selected
        self._select(0)

    def _name(self) -> str | None:
        checkpoints = self._snapshot.checkpoints
        return checkpoints[self._selected].name if checkpoints else None

    def _select(self, step: int) -> None:
        self._selected = max(min(self._selected + step, len(self._snapshot.checkpoints) - 1), 0)

    def _press(self, key: bytes) -> None:
        name, self._problem = self._name(), ""
        try:
            if key in _UP:
                self._select(-1)
            elif key in _DOWN:
                self._select(1)
            elif key in _ENTER and name is not None:
                self._panel.load(name)
            elif key == b"a":
                self._panel.follow_newest()
            elif key in _QUIT:
                self._has_ended = True
        except (OSError, ValueError) as error:
            self._problem = f"Not chosen: {error}"
        if key in (b"a", b"r", *_ENTER):
            self._panel.refresh()

    def _picture(self) -> RenderableType:
        lines = len(self._snapshot.status()) + 4
        picture = _picture(self._snapshot, self._selected, max(self._console.height - lines, 1))
        keys = Text(KEYS, "dim", no_wrap=True, overflow="ellipsis")
        return Group(picture, Text(printable(self._problem), "red"), keys)


def _picture(snapshot: Snapshot, selected: int | None, height: int) -> RenderableType:
    """The status, and as many lines of the list as there is room for, with the selected one among them."""
    first = max(min((selected or 0) - height // 2, len(snapshot.checkpoints) - height), 0)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("", *HEADERS):
        is_name = header == HEADERS[0]  # cut where there is no room for all columns
        table.add_column(header, justify="left" if is_name else "right", no_wrap=not is_name)
    for number, checkpoint in enumerate(snapshot.checkpoints[first : first + height], first):
        mark = "▶" if snapshot.is_playing(checkpoint.name) else ""
        cells = [Text(cell, no_wrap=True, overflow="ellipsis") for cell in (mark, *snapshot.cells(checkpoint))]
        table.add_row(*cells, style="reverse" if number == selected else "")
    status = [Text(line, "yellow" if line.startswith("Problem") else "") for line in snapshot.status()]
    return Group(*status, table)


def _keys(descriptor: int) -> list[bytes]:
    """The keys pressed since the last call; waits for the first one, at most ``KEY_INTERVAL``."""
    if not select.select([descriptor], [], [], KEY_INTERVAL)[0]:
        return []
    with contextlib.suppress(OSError):  # the terminal has gone
        return _KEY.findall(os.read(descriptor, 1024)) or [_QUIT[0]]
    return [_QUIT[0]]


@contextlib.contextmanager
def _single_keys(descriptor: int) -> Iterator[None]:
    """Deliver each key at once, and do not print it."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
