"""Control of a running evaluation by a person who watches it."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from dexhand.core.interfaces import Clock
from dexhand.core.stop import StopRequest

POLL = 0.05
"""Longest time, in seconds, after which a change is noticed while the evaluation waits."""
LARGEST_DELAY = 0.1
"""Delays up to this one are made up for by faster steps, seconds."""


@dataclass(frozen=True)
class Restart:
    """A request for new episodes everywhere."""

    seed: int | None
    """Determines all random numbers from here on; ``None`` = the random sequence continues."""


class PlayControl:
    """Pauses, paces, restarts and stops an ``EvalLoop``. All methods but ``wait`` may be called from any thread."""

    def __init__(self, stop: StopRequest, control_dt: float, clock: Clock, speed: float = 0.0) -> None:
        """``control_dt`` is the simulated time of a step, seconds; see ``speed``."""
        self.speed = speed
        """Simulated seconds per second; 0 = as fast as it goes."""
        self.while_waiting: list[Callable[[], None]] = []
        """Called repeatedly by the evaluation's own thread while it waits for its next step."""
        self._stop = stop
        self._control_dt = control_dt
        self._clock = clock
        self._lock = Lock()
        self._is_paused = False
        self._single_steps = 0
        self._restart: Restart | None = None
        self._due = clock.monotonic()

    @property
    def is_paused(self) -> bool:
        """Whether only single steps are made."""
        return self._is_paused

    def pause(self) -> None:
        """Stay at the current step."""
        with self._lock:
            self._is_paused, self._single_steps = True, 0

    def resume(self) -> None:
        """Go on after a pause."""
        self._is_paused = False

    def step_once(self) -> None:
        """Make one control step, then pause."""
        with self._lock:
            self._is_paused, self._single_steps = True, self._single_steps + 1

    def restart(self, seed: int | None = None) -> None:
        """Start new episodes everywhere before the next step; those under way do not count."""
        with self._lock:
            self._restart = Restart(seed)
            self._single_steps += 1  # so that a pause shows the new episodes

    def stop(self) -> None:
        """End the evaluation after the current step, as Ctrl-C does."""
        self._stop.requested = True

    def wait(self) -> Restart | None:
        """Wait until the next step is due, or a stop is requested; returns a restart that has to come first."""
        while not self._stop.requested:
            now = self._clock.monotonic()
            with self._lock:
                if not self._is_paused or self._single_steps:
                    due = self._due if self.speed else now
                    if now >= due:
                        break
                    left = min(due - now, POLL)
                else:
                    left = POLL
            for listener in self.while_waiting:
                listener()
            self._clock.sleep(left)
        with self._lock:
            self._single_steps = max(self._single_steps - 1, 0)
            restart, self._restart = self._restart, None
        period = self._control_dt / self.speed if self.speed else 0.0
        self._due = max(self._due + period, self._clock.monotonic() - LARGEST_DELAY)
        return restart
