"""The live view: a page in the browser that shows a test or a training while it runs.

``dexhand.view.page`` makes the page in a process of its own, which asks for a frame whenever it can show one. The
thread that steps the environments answers with copies of poses and never waits. While nobody watches, nothing is asked.
"""

import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dexhand.core.episodes import Episode
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Drawable, StepInfo, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.files.output import printable
from dexhand.view.address import Address
from dexhand.view.messages import MAX_SHOWN, Comparison, Ended, Moment, Policy, Scalars, Settings
from dexhand.view.process import end_process, start_process
from dexhand.view.watched_env import Viewer

log = logging.getLogger(__name__)

KEPT_EVENTS = 10_000
"""Events that wait for a page that is too slow to show them; the oldest are dropped."""
LARGEST_REQUEST = 4096
"""Bytes."""
SHARE = 0.005
"""Largest part of the time that is spent on copying poses while steps do not wait for anything else."""


@dataclass(frozen=True)
class _Request:
    """What the page wants to show next."""

    env_ids: tuple[int, ...]
    chosen: int


class LiveView(Viewer):
    """Shows what it is told on a page."""

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
        self.control = control
        self.offers_checkpoints = False
        """Whether viewers may choose which checkpoint plays, in the page's checkpoint panel."""
        self._drawable = drawable
        self._num_envs = env.num_envs
        self._device = env.device
        self._steps = 0
        self._info: StepInfo | None = None
        self._request: _Request | None = None
        self._answered: _Request | None = None
        """What the newest step was shown to; ``None`` = it was not."""
        self._rests_until = 0.0
        self._outbox: deque[Any] = deque(maxlen=KEPT_EVENTS)
        self._wake = threading.Event()
        self._is_open = True
        self._is_ready = False
        """Whether the page has asked for anything yet."""
        address = Address(port, bind_all=bind_all)
        self.url = address.url
        """The address of the page."""
        self._outbox.append(
            Settings(
                title=printable(title),
                token=address.token,
                num_envs=env.num_envs,
                reward_names=tuple(env.reward_names),
                has_success=any(name.startswith("success:") for name in env.outcome_names),
                shapes=tuple(drawable.shapes),
                control_dt=drawable.control_dt,
                speed=None if control is None else control.speed,
            )
        )
        with address.socket:
            self._process, self._pipe = start_process("dexhand.view.page", address.socket.fileno())
        self._wake.set()
        self._threads = [
            threading.Thread(target=work, name="live view", daemon=True) for work in (self._write, self._read)
        ]
        for thread in self._threads:
            thread.start()
        if control is not None:
            control.while_waiting.append(self._on_waiting)
        _log_address(address, port)

    @property
    def process_id(self) -> int:
        """The page's process."""
        return self._process.pid

    # --- in the thread that steps the environments

    def on_env_step(self, info: StepInfo | None) -> None:
        """See ``StepListener``."""
        self._info, self._answered = info, None
        if info is not None:
            self._steps += self._num_envs
        if self._request is not None and time.monotonic() >= self._rests_until:
            self._answer()

    def _on_waiting(self) -> None:
        """Show the newest step, or another choice of environments, while no step is made."""
        if self._request not in (None, self._answered):
            self._answer()

    def _answer(self) -> None:
        request, self._request = self._request, None
        if request is None:  # the page has just ended
            return
        try:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)  # the rest of the step, which takes no longer for being shown
            begin = time.thread_time()
            terms = [] if self._info is None else self._info["reward_terms"][request.chosen].tolist()
            frame = self._drawable.frame(request.env_ids)
            self._rests_until = time.monotonic() + (time.thread_time() - begin) / SHARE
        except Exception:
            log.exception("The live view has failed; the run goes on without it")
            self._end("live view")
            return
        self._answered = request
        self._tell(Moment(request.env_ids, frame, terms, self._steps))

    def on_episode(self, episode: Episode) -> None:
        """See ``EvalListener.on_episode``."""
        self._tell(episode)

    def on_reload(self, loaded: LoadedPolicy) -> None:
        """See ``Viewer.on_reload``."""
        folder = str(loaded.path.parent) if self.offers_checkpoints else None
        name = printable(loaded.path.name)
        self._tell(Policy(name, loaded.iteration, loaded.age, loaded.load_seconds, folder))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``Viewer.scalars``."""
        self._tell(Scalars(dict(values)))

    def show_comparison(self, comparison: Comparison) -> None:
        """Show how two policies compare."""
        self._tell(comparison)

    def show_run(self, name: str) -> None:
        """Show the name of the run."""
        self._tell(printable(name))

    def close(self) -> None:
        """Close the page, which says that the run has ended. Calling it again does nothing."""
        self._end("training" if self.control is None else "test")

    def _end(self, what: str) -> None:
        self._tell(Ended(what))
        self._is_open = False
        self._request = None
        self._wake.set()
        end_process(self._process, self._threads, is_told=self._is_ready)
        if self.control is not None:
            self.control.resume()

    def _tell(self, message: Any) -> None:
        if self._is_open:
            self._outbox.append(message)
            self._wake.set()

    # --- in threads of the view's own

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # _read says that the page has ended
            is_open = True
            while is_open:
                self._wake.wait()
                self._wake.clear()
                is_open = self._is_open
                while self._outbox:
                    self._pipe.send(self._outbox.popleft())

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._obey(json.loads(self._pipe.recv_bytes(LARGEST_REQUEST)))
        if self._is_open:
            self._end("live view")
            log.error("The page in the browser has ended; the run goes on without it")
        self._pipe.close()

    def _obey(self, message: Mapping[str, Any]) -> None:
        """Do what the page asks for."""
        self._is_ready = True
        match message:
            case {"next": list(env_ids), "chosen": int(chosen)} if self._can_show([*env_ids, chosen]):
                self._request = _Request(tuple(env_ids), chosen)
            case {"speed": float(speed)} if self.control is not None and speed >= 0.0:
                self.control.speed = speed
            case {"restart": int() | None as seed} if self.control is not None:
                self.control.restart(seed)
            case {"do": "pause" | "resume" | "step_once" | "stop" as action} if self.control is not None:
                getattr(self.control, action)()
            case _:
                log.warning("The page in the browser asked for %s, which is ignored", message)

    def _can_show(self, env_ids: Sequence[Any]) -> bool:
        known = all(isinstance(env_id, int) and 0 <= env_id < self._num_envs for env_id in env_ids)
        return known and len(env_ids) <= MAX_SHOWN + 1


def _log_address(address: Address, port: int) -> None:
    taken = "" if address.port == port else f" (port {port} is taken)"
    log.info("Watch it in a browser: %s%s", address.url, taken)
    if address.token is not None:
        log.warning("Everyone who has this address can watch and control it from other machines, unencrypted")
