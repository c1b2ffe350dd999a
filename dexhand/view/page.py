"""The process that makes the page of the live view: viser, the gate in front of it, and what they show.

``LiveView`` starts it as ``python -m dexhand.view.page PIPE SOCKET`` with two inherited file descriptors. It ends with
the run: a closed pipe is the end.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections import deque
from html import escape
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import viser

from dexhand.core.episodes import Episode
from dexhand.view.address import random_loopback
from dexhand.view.gate import Gate
from dexhand.view.messages import Moment, Policy, Scalars, Settings
from dexhand.view.panel import Numbers, Panel
from dexhand.view.stage import Stage

FRAME_INTERVAL = 1 / 30
"""Shortest time between two frames, seconds."""
PANEL_INTERVAL = 0.25
"""Seconds between updates of the panel."""
SPEED_UPDATES = 16
"""Updates over which speeds are averaged: a training steps in bursts, between which it learns."""
NICENESS = 15
"""The page leaves the processors to the run where these are busy."""


class Page:
    """Shows what the run tells, and asks it for the next frame while somebody watches."""

    def __init__(self, pipe: Connection, listening: socket.socket) -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._settings: Settings = pipe.recv()
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._server = viser.ViserServer(host=random_loopback(), port=0, label="dexhand", verbose=False)
        client = Path(viser.__file__).parent / "client" / "build" / "index.html"
        self._gate = Gate(
            client.read_bytes().replace(
                b"<title>Viser</title>", f"<title>{escape(self._settings.title)}</title>".encode()
            ),
            f"ws://{self._server.get_host()}:{self._server.get_port()}",
            f"viser-v{viser.__version__}",
            listening,
            self._settings.token,
        )
        self._stage = Stage(self._server, self._settings.shapes)
        self._server.on_client_connect(self._stage.frame_for)
        self._panel = Panel(self._server, self._stage, self._settings, self._send)
        self._moment: Moment | None = None
        """The newest one."""
        self._asked: tuple[tuple[int, ...], int] | None = None
        """What the run was asked for and has not answered yet."""
        self._asked_at = 0.0
        self._updated_at = 0.0
        self._progress: deque[tuple[float, int]] = deque(maxlen=SPEED_UPDATES)
        """Times and steps of the last updates."""

    def run(self) -> None:
        """Show what comes until the run ends."""
        while True:
            is_watched = bool(self._server.get_clients())
            self._ask(is_watched)
            if is_watched and time.monotonic() - self._updated_at >= PANEL_INTERVAL:
                self._update_panel()
            with contextlib.suppress(Empty):
                self._show(self._inbox.get(timeout=FRAME_INTERVAL if is_watched else PANEL_INTERVAL))

    def _ask(self, is_watched: bool) -> None:
        """Ask for a frame if it is time for one; for the first one before somebody watches."""
        wanted = self._panel.shown, self._panel.chosen
        is_due = is_watched and time.monotonic() - self._asked_at >= FRAME_INTERVAL
        if wanted != self._asked and (is_due or not self._asked_at):
            self._asked, self._asked_at = wanted, time.monotonic()
            self._send({"next": wanted[0], "chosen": wanted[1]})

    def _show(self, message: Any) -> None:
        match message:
            case Moment():
                self._asked, self._moment = None, message
                self._stage.show(message.env_ids, message.frame)
            case Episode():
                self._panel.add_episode(message)
            case Policy():
                self._panel.add_policy(message)
            case Scalars():
                self._panel.add_scalars(message.values)
            case str():
                self._panel.set_run(message)

    def _update_panel(self) -> None:
        if self._moment is None:
            return
        steps, self._updated_at = self._moment.steps, time.monotonic()
        self._progress.append((self._updated_at, steps))
        first, first_steps = self._progress[0]
        speed = (steps - first_steps) / max(self._updated_at - first, 1e-9)
        factor = speed / self._settings.num_envs * self._settings.control_dt
        self._panel.show(Numbers(steps, speed, factor, self._moment.reward_terms))

    def _send(self, message: dict[str, Any]) -> None:
        """Tell the run something; controls do so from threads of viser's."""
        with self._sending:
            self._pipe.send_bytes(json.dumps(message).encode())

    def _read(self) -> None:
        try:
            while True:
                self._inbox.put(self._pipe.recv())
        except (EOFError, OSError):
            os._exit(0)


def _yield_processors() -> None:
    for thread in os.listdir("/proc/self/task"):  # on Linux each thread has a niceness of its own
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, int(thread), NICENESS)
    with contextlib.suppress(OSError):  # where Linux shares processors among sessions, whose niceness is a separate one
        Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Run the page."""
    pipe, listening = (int(argument) for argument in arguments)
    page = Page(Connection(pipe), socket.socket(fileno=listening))
    _yield_processors()  # not before: a page that opens slowly is no use
    page.run()


if __name__ == "__main__":
    main(sys.argv[1:])
