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
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any

from dexhand.core.episodes import Episode
from dexhand.view.client import client_page
from dexhand.view.messages import Comparison, Ended, Moment, Policy, Scalars, Settings
from dexhand.view.panel import Numbers, Panel
from dexhand.view.process import PATIENCE, Patience, claim_processors
from dexhand.view.server import start_server
from dexhand.view.stage import Stage

FRAME_INTERVAL = 1 / 30
"""Shortest time between two frames, seconds."""
PANEL_INTERVAL = 0.25
"""Seconds between updates of the panel."""
FLUSH_TIME = 0.5
"""Seconds in which viewers get what is shown last."""
NICENESS = 15
"""Of the page when it does not leave the processors to others altogether; see ``Patience``."""
SPEED_UPDATES = 16
"""Updates over which speeds are averaged: a training steps in bursts, between which it learns."""


class Page:
    """Shows what the run tells, and asks it for the next frame while somebody watches."""

    def __init__(self, pipe: Connection, listening: socket.socket) -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._settings: Settings = pipe.recv()
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._server, self._gate = start_server(self._settings.title, listening, self._settings.token)
        self._stage = Stage(self._server, self._settings.shapes)
        self._server.on_client_connect(self._stage.frame_for)
        self._server.on_client_disconnect(self._stage.forget)
        self._panel = Panel(self._server, self._stage, self._settings, self._send)
        self._patience = Patience()
        self._end: Ended | None = None
        self._moment: Moment | None = None
        """The newest one."""
        self._asked: tuple[tuple[int, ...], int] | None = None
        """What the run was asked for and has not answered yet."""
        self._asked_at = 0.0
        self._updated_at = 0.0
        self._progress: deque[tuple[float, int]] = deque(maxlen=SPEED_UPDATES)
        """Times and steps of the last updates."""

    def run(self) -> None:
        """Show what comes until the run ends, and say that it has."""
        while self._end is None:
            is_watched = bool(self._server.get_clients())
            self._ask(is_watched)
            if is_watched and time.monotonic() - self._updated_at >= PANEL_INTERVAL:
                self._update_panel()
            self._wait_for_message(FRAME_INTERVAL if is_watched else PANEL_INTERVAL)
        if self._server.get_clients():
            self._update_panel()
            self._server.flush()
            time.sleep(FLUSH_TIME)
            claim_processors()  # the run waits only briefly for the farewell
            self._gate.close(f"The {self._end.what} has ended")

    def _wait_for_message(self, longest: float) -> None:
        begin, message = time.monotonic(), None
        with contextlib.suppress(Empty):
            message = self._inbox.get(timeout=longest)
        self._patience.waited(time.monotonic() - begin - longest)
        self._show(message)

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
            case Ended():
                self._end = message
            case Comparison():
                self._panel.show_comparison(message)
            case str():
                self._panel.set_run(message)
                self._gate.serve(client_page(f"{self._settings.title} · {message}"))

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
        with self._sending, contextlib.suppress(ConnectionError):  # _read notices that the run has ended
            self._pipe.send_bytes(json.dumps(message).encode())

    def _read(self) -> None:
        try:
            while True:
                self._inbox.put(self._pipe.recv())
        except (EOFError, OSError):
            self._inbox.put(Ended("run"))  # which was killed, if it has not said so
            time.sleep(PATIENCE)
            os._exit(0)


def main(arguments: list[str]) -> None:
    """Run the page."""
    pipe, listening = (int(argument) for argument in arguments)
    if sys.platform == "linux":
        os.nice(NICENESS)  # where it takes part, and its threads
    with contextlib.suppress(EOFError, ConnectionError):  # the run ended before it said anything
        Page(Connection(pipe), socket.socket(fileno=listening)).run()
    os._exit(0)  # viser's threads may be busy


if __name__ == "__main__":
    main(sys.argv[1:])
