"""The training loop: iterate, report, save, until there is a reason to stop."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from dexhand.core.checkpoints import CheckpointStore
from dexhand.core.interfaces import Algorithm, Clock, Iteration, MetricSink
from dexhand.core.stop import StopRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """How a training run ended."""

    reason: str
    """``max iterations``, ``target score`` or ``stop requested``."""
    iterations_done: int
    best_return: Optional[float]
    checkpoint: Path
    """The last one saved."""


def best_return_of(state: Mapping[str, Any]) -> Optional[float]:
    """The best mean return so far, from a checkpoint that a ``TrainLoop`` wrote."""
    best: Optional[float] = state["train_loop"]["best_return"]
    return best


class TrainLoop:
    """Drives an ``Algorithm``.

    A checkpoint is written every ``save_frequency`` iterations (numbered), when the mean return is better than ever,
    when ``save_interval`` seconds have passed since the last one, and at the end.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        store: CheckpointStore,
        sinks: Sequence[MetricSink],
        *,
        clock: Clock,
        max_iterations: int,
        save_frequency: int,
        save_interval: float,
        target_score: Optional[float] = None,
        best_return: Optional[float] = None,
    ) -> None:
        """``best_return`` is the mark to beat of the run that is continued; see ``best_return_of``."""
        self.algorithm = algorithm
        self.store = store
        self.sinks = sinks
        self.clock = clock
        self.max_iterations = max_iterations
        self.save_frequency = save_frequency
        self.save_interval = save_interval
        self.target_score = target_score
        self.best_return = best_return
        self._last_save = clock.monotonic()

    def run(self, stop: StopRequest) -> TrainResult:
        """Train until done or asked to stop; the last iteration is always saved."""
        reason = self._reason_to_stop(None, stop)
        checkpoint = None
        while not reason:
            iteration = self.algorithm.iterate()
            self._report(iteration)
            reason = self._reason_to_stop(iteration.mean_return, stop)
            checkpoint = self._save_if_due(iteration, last=bool(reason)) or checkpoint
        if checkpoint is None:
            checkpoint = self._save(self.algorithm.iterations_done, numbered=False, best=False)
        return TrainResult(reason, self.algorithm.iterations_done, self.best_return, checkpoint)

    def _state_dict(self) -> Dict[str, Any]:
        return {**self.algorithm.state_dict(), "train_loop": {"best_return": self.best_return}}

    def _reason_to_stop(self, mean_return: Optional[float], stop: StopRequest) -> str:
        if self.target_score is not None and mean_return is not None and mean_return >= self.target_score:
            return "target score"
        if self.algorithm.iterations_done >= self.max_iterations:
            return "max iterations"
        return "stop requested" if stop.requested else ""

    def _report(self, iteration: Iteration) -> None:
        values = {"info/iteration": float(iteration.iterations_done), **iteration.metrics}
        for sink in self.sinks:
            sink.scalars(iteration.frames_done, values)

    def _save_if_due(self, iteration: Iteration, last: bool) -> Optional[Path]:
        best = iteration.mean_return is not None and (
            self.best_return is None or iteration.mean_return > self.best_return
        )
        if best:
            self.best_return = iteration.mean_return
        numbered = iteration.iterations_done % self.save_frequency == 0
        overdue = self.clock.monotonic() - self._last_save >= self.save_interval
        if not (best or numbered or overdue or last):
            return None
        return self._save(iteration.iterations_done, numbered=numbered, best=best)

    def _save(self, iterations_done: int, *, numbered: bool, best: bool) -> Path:
        path = self.store.save(self._state_dict(), iteration=iterations_done, numbered=numbered, best=best)
        self._last_save = self.clock.monotonic()
        log.debug("Saved iteration %d to %s", iterations_done, path)
        return path
