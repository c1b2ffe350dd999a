"""The window: one environment at a time, on this machine's display, and keys that control a test.

A process of its own draws, so that no failure of OpenGL or of the display reaches the run. It asks for a frame whenever
it can show one; the thread that steps the environments answers with a copy of poses, and never waits.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

from dexhand.core.interfaces import Drawable, StepInfo, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.view.process import end_process, start_process
from dexhand.view.watched_env import Viewer

log = logging.getLogger(__name__)

LARGEST_REQUEST = 4096
"""Bytes."""
LONGEST_START = 60.0
"""Seconds until the process must be ready to open a window."""


class WindowUnavailable(Exception):
    """No window can be opened here; the message says why."""


class Window(Viewer):
    """Shows what it is told in a window."""

    def __init__(
        self, env: VecEnv, drawable: Drawable, program: str, *, title: str, control: PlayControl | None = None
    ) -> None:
        """``program`` is the module that draws; ``control`` is ``None`` for a training.

        Raises ``WindowUnavailable``.
        """
        self._control = control
        self._drawable = drawable
        self._num_envs = env.num_envs
        self._requested: int | None = None
        self._shown = 0
        self._is_open = True
        self._process, self._pipe = start_process(program)
        try:
            self._check_display()
            self._pipe.send((tuple(drawable.shapes), title, env.num_envs, control is not None))
        except BaseException:
            self._process.kill()
            self._process.wait()
            self._pipe.close()
            raise
        self._thread = threading.Thread(target=self._read, name="window", daemon=True)
        self._thread.start()
        if control is not None:
            control.while_waiting.append(self._on_waiting)

    @property
    def process_id(self) -> int:
        """The process that draws."""
        return self._process.pid

    def _check_display(self) -> None:
        """Wait until the process knows whether it can open a window."""
        try:
            if not self._pipe.poll(LONGEST_START):
                raise WindowUnavailable(f"no window could be opened within {LONGEST_START:.0f} s")
            answer = json.loads(self._pipe.recv_bytes(LARGEST_REQUEST))
        except (EOFError, OSError):
            raise WindowUnavailable("the process that draws has ended") from None
        if answer["problem"] is not None:
            raise WindowUnavailable(answer["problem"])

    # --- in the thread that steps the environments

    def on_env_step(self, info: StepInfo | None) -> None:
        """See ``StepListener``."""
        if self._requested is not None:
            self._answer()

    def _on_waiting(self) -> None:
        """Show another environment while no step is made."""
        if self._requested not in (None, self._shown):
            self._answer()

    def _answer(self) -> None:
        env_id, self._requested = self._requested, None
        if env_id is None:  # the window has just been closed
            return
        self._shown = env_id
        try:
            frame = self._drawable.frame([env_id])
        except Exception:
            log.exception("The window has failed; the run goes on without it")
            self.close()
            return
        with contextlib.suppress(OSError):  # _read says that the window has ended
            self._pipe.send((env_id, frame))  # which waits for nothing: the pipe has room for one

    def close(self) -> None:
        """Close the window. Calling it again does nothing."""
        self._end()
        end_process(self._process, [self._thread])

    def _end(self) -> None:
        self._is_open = False
        self._requested = None
        if self._control is not None:
            self._control.resume()

    # --- in a thread of the window's own

    def _read(self) -> None:
        is_closed = False
        with contextlib.suppress(EOFError, OSError):
            while not is_closed:
                is_closed = self._obey(json.loads(self._pipe.recv_bytes(LARGEST_REQUEST)))
        if self._is_open:
            self._end()
            if not is_closed:
                log.error("The window has failed; the run goes on without it")
            elif self._control is None:
                log.info("The window was closed; the training goes on")
        self._pipe.close()

    def _obey(self, message: Mapping[str, Any]) -> bool:
        """Do what the window asks for; returns whether a person has closed it, which ends a test."""
        control = self._control
        match message:
            case {"next": int(env_id)} if 0 <= env_id < self._num_envs:
                self._requested = env_id
            case {"closed": True}:
                if control is not None:
                    control.stop()
                return True
            case {"do": "pause"} if control is not None:
                (control.resume if control.is_paused else control.pause)()
            case {"do": "step_once"} if control is not None:
                control.step_once()
            case {"do": "restart"} if control is not None:
                control.restart()
            case _:
                log.warning("The window asked for %s, which is ignored", message)
        return False
