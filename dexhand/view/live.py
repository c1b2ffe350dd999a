"""The live view: a page in the browser that shows a test or a training while it runs.

The thread that steps the environments only leaves the newest frame in a slot, and only while somebody is watching. A
thread of the view's own draws it and updates the page; viser's thread and the gate's thread send it. None of them is
ever waited for.
"""

import contextlib
import io
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import viser

from dexhand.core.episodes import Episode
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Drawable, Frame, StepInfo, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.view.gate import Gate
from dexhand.view.panel import Numbers, Panel
from dexhand.view.stage import Stage

log = logging.getLogger(__name__)

FRAME_INTERVAL = 1 / 30
"""Shortest time between two frames, seconds."""
PANEL_INTERVAL = 0.25
"""Seconds between updates of the panel."""


@dataclass(frozen=True)
class _Snapshot:
    env_ids: tuple[int, ...]
    frame: Frame
    reward_terms: list[float]


class LiveView:
    """A ``StepListener``, ``EvalListener`` and ``MetricSink`` that shows what it is told on a page."""

    def __init__(
        self,
        env: VecEnv,
        drawable: Drawable,
        *,
        title: str,
        port: int,
        bind_all: bool = False,
        control: PlayControl | None = None,
    ) -> None:
        """``control`` is ``None`` for a training. Raises ``OSError`` if no port is free."""
        self._drawable = drawable
        self._num_envs = env.num_envs
        self.control = control
        with _silence():
            self._server = viser.ViserServer(host=_random_loopback(), port=0, label=f"dexhand: {title}", verbose=False)
        page = (Path(viser.__file__).parent / "client" / "build" / "index.html").read_bytes()
        inner = f"ws://{self._server.get_host()}:{self._server.get_port()}"
        try:
            self._gate = Gate(page, inner, f"viser-v{viser.__version__}", port=port, bind_all=bind_all)
        except OSError:
            self._stop_viser()
            raise
        self._stage = Stage(self._server, drawable.shapes)
        self._panel = Panel(
            self._server,
            self._stage,
            title=title,
            num_envs=env.num_envs,
            reward_names=env.reward_names,
            control=control,
        )
        self._steps = 0
        self.is_watched = True  # until the first frame, which the first visitor will see at once
        self._last_frame = 0.0
        self._last_shown: tuple[int, ...] = ()
        self._newest: _Snapshot | None = None
        self._events: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._has_failed = False
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()
        if control is not None:
            control.while_waiting = self._on_waiting
        self._log_address(port)

    def _log_address(self, port: int) -> None:
        taken = "" if self._gate.port == port else f" (port {port} is taken)"
        log.info("Watch it in a browser: %s%s", self._gate.url, taken)
        if self._gate.token is not None:
            log.warning("Everyone who has this address can watch and control it from other machines, unencrypted")

    def show_run(self, name: str) -> None:
        """Show the name of the run."""
        self._tell_panel(partial(self._panel.set_run, name))

    def show_envs(self, text: str) -> None:
        """Choose environments, such as ``0-3,7``, as viewers do."""
        self._panel.show_envs(text)

    @property
    def url(self) -> str:
        """The address of the page."""
        return self._gate.url

    # --- in the thread that steps the environments

    def on_env_step(self, info: StepInfo | None) -> None:
        """See ``StepListener``."""
        if info is not None:
            self._steps += self._num_envs
        if not self.is_watched:
            return
        now = time.monotonic()
        is_paused = self.control is not None and self.control.is_paused
        if is_paused or now - self._last_frame >= FRAME_INTERVAL:
            self._last_frame = now
            self._take_snapshot(info)

    def _on_waiting(self) -> None:
        if self.is_watched and self._panel.shown != self._last_shown:
            self._take_snapshot(None)

    def _take_snapshot(self, info: StepInfo | None) -> None:
        with self._not_fatal():
            self._last_shown = env_ids = self._panel.shown
            terms = [] if info is None else info["reward_terms"][self._panel.chosen].tolist()
            self._newest = _Snapshot(env_ids, self._drawable.frame(env_ids), terms)
            self._wake.set()

    def on_step(self, frames_done: int) -> None:
        """See ``EvalListener``; ``on_env_step`` counts steps."""

    def on_episode(self, episode: Episode) -> None:
        """See ``EvalListener.on_episode``."""
        self._tell_panel(partial(self._panel.add_episode, episode))

    def on_reload(self, loaded: LoadedPolicy) -> None:
        """See ``EvalListener.on_reload``; also called for the first policy."""
        self._tell_panel(partial(self._panel.add_policy, loaded))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``; for a training, which tells of no episodes."""
        self._tell_panel(partial(self._panel.add_scalars, dict(values)))

    def _tell_panel(self, event: Callable[[], None]) -> None:
        if not self._has_failed:
            self._events.append(event)

    def close(self) -> None:
        """Close the page. Calling it again does nothing."""
        if self._is_closing:
            return
        self._is_closing = True
        self._wake.set()
        self._thread.join()
        self._gate.close()
        self._stop_viser()

    # --- in the view's own thread

    def _run(self) -> None:
        last, last_steps = time.monotonic(), 0
        terms: list[float] = []
        with self._not_fatal():
            while not (self._is_closing or self._has_failed):
                self._wake.wait(PANEL_INTERVAL)
                self._wake.clear()
                snapshot, self._newest = self._newest, None
                if snapshot is not None:
                    self._stage.show(snapshot.env_ids, snapshot.frame)
                    terms = snapshot.reward_terms
                now = time.monotonic()
                if now - last >= PANEL_INTERVAL:
                    speed, last, last_steps = (self._steps - last_steps) / (now - last), now, self._steps
                    self._update_panel(speed, terms)

    @contextlib.contextmanager
    def _not_fatal(self) -> Iterator[None]:
        """Log an error and close the eyes: a view must not end what it shows."""
        try:
            yield
        except Exception:
            self._has_failed, self.is_watched = True, False
            log.exception("The live view has failed; the run goes on without it")
            if self.control is not None:
                self.control.resume()

    def _update_panel(self, steps_per_second: float, reward_terms: list[float]) -> None:
        while self._events:
            self._events.popleft()()
        self.is_watched = bool(self._server.get_clients()) or not self._last_frame
        if self.is_watched:
            factor = steps_per_second / self._num_envs * self._drawable.control_dt
            self._panel.show(Numbers(self._steps, steps_per_second, factor, reward_terms))

    def _stop_viser(self) -> None:
        with _silence():
            self._server.stop()


def _silence() -> contextlib.AbstractContextManager[object]:
    """Drop what viser prints when it starts and stops."""
    return contextlib.redirect_stdout(io.StringIO())


def _random_loopback() -> str:
    """An address that other pages cannot guess."""
    return "127." + ".".join(str(1 + secrets.randbelow(254)) for _ in range(3))
