"""The training loop: iterate, report metrics and save checkpoints until there is a reason to stop."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from dexhand.core.finite import Diverged, non_finite_place
from dexhand.core.interfaces import Algorithm, Clock, Iteration, MetricSink
from dexhand.core.stop import StopRequest

log = logging.getLogger(__name__)

RETRY_INTERVAL = 10.0
"""Seconds before a failed save is retried."""


ALWAYS_FINITE = ("losses/", "info/param_norm")
"""Metrics whose names start so are finite unless training has diverged."""


class CheckpointWriter(Protocol):
    """Destination of checkpoints; ``CheckpointStore`` saves them to disk."""

    folder: Path

    def save(self, state: Mapping[str, Any], *, iteration: int, numbered: bool, best: bool) -> Path:
        """Write ``state`` as the latest checkpoint; ``numbered`` and ``best`` also keep it under a separate name.

        Raises ``OSError`` if it cannot be written, and ``TypeError`` if it holds what cannot be saved, leaving existing
        files untouched.
        """


@dataclass(frozen=True)
class TrainResult:
    """Outcome of a training run."""

    reason: str
    """``max iterations``, ``target score``, ``stop requested`` or ``diverged``."""
    iterations_done: int
    best_return: float | None
    """Best mean return among saved iterations; ``None`` if there is none."""
    checkpoint: Path | None
    """Last checkpoint saved; ``None`` if there is none."""
    unsaved: str | None
    """Why the last iteration could not be saved; ``None`` if it was."""


def _check_metrics(iteration: Iteration) -> None:
    """Raise ``Diverged`` if a metric of ``ALWAYS_FINITE`` is not finite; where a reward is not, it is the cause."""
    bad = [name for name, value in iteration.metrics.items() if not math.isfinite(value)]
    diverged = [name for name in bad if name.startswith(ALWAYS_FINITE)]
    if diverged:
        raise Diverged(next((name for name in bad if name.startswith("rewards/")), diverged[0]))


class TrainLoop:
    """Drives an ``Algorithm``.

    A checkpoint is written every ``save_frequency`` iterations (numbered), at a new best mean return, when
    ``save_interval`` seconds have passed since the last one, and at the end. If saving fails (disk full, folder missing
    or not writable, state too large), training continues and saving is retried. A checkpoint is the learner's state
    plus the key ``train_loop``, which holds the ``mean_return`` of the last iteration, ``best_return``, and
    ``contract``, the meaning of observations and actions.

    Training ends as ``diverged``, and nothing more is saved, when a metric named in ``ALWAYS_FINITE`` or a tensor of
    the learner's state is not finite, or if the learner says so.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        store: CheckpointWriter,
        sinks: Sequence[MetricSink],
        *,
        clock: Clock,
        max_iterations: int,
        save_frequency: int,
        save_interval: float,
        target_score: float | None = None,
        best_return: float | None = None,
        contract: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """``best_return``: the best mean return so far of a resumed run; see ``saved_state.best_return_of``."""
        self.algorithm = algorithm
        self.store = store
        self.sinks = sinks
        self.clock = clock
        self.max_iterations = max_iterations
        self.save_frequency = save_frequency
        self.save_interval = save_interval
        self.target_score = target_score
        self.best_return = best_return
        self.contract = dict(contract)
        self._last_try = clock.monotonic()
        self._mean_return: float | None = None
        self._unsaved: str | None = None

    def run(self, stop: StopRequest) -> TrainResult:
        """Train until done or asked to stop. The last iteration is always saved unless writing fails."""
        reason = self._reason_to_stop(None, stop)
        checkpoint = None
        try:
            while not reason:
                iteration = self.algorithm.iterate()
                self._mean_return = iteration.mean_return
                self._report(iteration)
                _check_metrics(iteration)
                reason = self._reason_to_stop(iteration.mean_return, stop)
                checkpoint = self._save_if_due(iteration, last=bool(reason)) or checkpoint
            if checkpoint is None and self._unsaved is None:
                checkpoint = self._save(
                    self._finite_state(), self.algorithm.iterations_done, numbered=False, best=False
                )
        except Diverged as error:
            reason, self._unsaved = "diverged", f"{error} is not finite"
        return TrainResult(reason, self.algorithm.iterations_done, self.best_return, checkpoint, self._unsaved)

    def _finite_state(self) -> dict[str, Any]:
        """The learner's state. Raises ``Diverged`` if it is not finite."""
        state = self.algorithm.state_dict()
        place = non_finite_place(state)
        if place is not None:
            raise Diverged(place)
        return state

    def _reason_to_stop(self, mean_return: float | None, stop: StopRequest) -> str:
        if self.target_score is not None and mean_return is not None and mean_return >= self.target_score:
            return "target score"
        if self.algorithm.iterations_done >= self.max_iterations:
            return "max iterations"
        return "stop requested" if stop.requested else ""

    def _report(self, iteration: Iteration) -> None:
        values = {"info/iteration": float(iteration.iterations_done), **iteration.metrics}
        for sink in self.sinks:
            sink.scalars(iteration.frames_done, values)

    def _save_if_due(self, iteration: Iteration, last: bool) -> Path | None:
        best = iteration.mean_return is not None and (
            self.best_return is None or iteration.mean_return > self.best_return
        )
        numbered = iteration.iterations_done % self.save_frequency == 0
        waited = self.clock.monotonic() - self._last_try
        if self._unsaved is None:
            is_due = best or numbered or last or waited >= self.save_interval
        else:
            is_due = last or waited >= RETRY_INTERVAL
        if not is_due:
            return None
        state = self._finite_state()
        previous_best = self.best_return
        if best:
            self.best_return = iteration.mean_return
        path = self._save(state, iteration.iterations_done, numbered=numbered, best=best)
        if path is None:
            self.best_return = previous_best  # that of the checkpoints on disk
        return path

    def _save(self, state: dict[str, Any], iterations_done: int, *, numbered: bool, best: bool) -> Path | None:
        """Save a checkpoint; returns the file, or ``None`` if it could not be written."""
        self._last_try = self.clock.monotonic()
        loop = {"mean_return": self._mean_return, "best_return": self.best_return, "contract": self.contract}
        state = {**state, "train_loop": loop}
        try:
            path = self.store.save(state, iteration=iterations_done, numbered=numbered, best=best)
        except (OSError, TypeError) as error:
            self._unsaved = f"{getattr(error, 'strerror', None) or error} ({self.store.folder})"
            log.error(
                "Iteration %d could not be saved: %s. Training continues; saving will be retried",
                iterations_done,
                self._unsaved,
            )
            return None
        if self._unsaved is not None:
            log.info("Saving works again: iteration %d is in %s", iterations_done, path)
            self._unsaved = None
        log.debug("Saved iteration %d to %s", iterations_done, path)
        return path
