"""Training progress on the console: a live line in a terminal, plain lines elsewhere."""

import datetime
from typing import TYPE_CHECKING, List, Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dexhand.core.interfaces import Clock

if TYPE_CHECKING:
    import numpy as np

_PLAIN_INTERVAL = 5.0
"""Seconds between plain lines, so that a log file of a long run stays readable."""


class ConsoleSink:
    """``MetricSink`` that shows where training stands and when it will be done."""

    def __init__(self, console: Console, clock: Clock, *, iterations_done: int, max_iterations: int) -> None:
        self._console = console
        self._clock = clock
        self._start = clock.monotonic()
        self._first_iteration = iterations_done
        self._max_iterations = max_iterations
        self._pending = ""
        self._last_line = float("-inf")
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._progress.add_task("training", total=max_iterations, completed=iterations_done)
        self._progress.start()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        iteration = int(values["info/iteration"])
        line = " | ".join([f"iteration {iteration}/{self._max_iterations}", *self._columns(step, values)])
        if self._console.is_terminal:
            self._progress.update(self._bar, completed=iteration, description=f"{line} | ETA {self._eta(iteration)}")
            return
        self._pending = f"{line} | ETA {self._eta(iteration)}"
        if self._clock.monotonic() - self._last_line >= _PLAIN_INTERVAL:
            self._print_pending()

    def _columns(self, step: int, values: Mapping[str, float]) -> List[str]:
        def number(name: str, form: str) -> str:
            return format(values[name], form) if name in values else "-"

        return [
            f"{step:,} frames",
            f"{number('performance/frames_per_second', ',.0f')} frames/s",
            f"return {number('episodes/return', '.2f')}",
            f"reward/step {number('rewards/total', '.3f')}",
            f"length {number('episodes/length', '.0f')}",
            f"actor {number('losses/actor', '.4f')}",
            f"critic {number('losses/critic', '.4f')}",
            f"lr {number('info/learning_rate', '.1e')}",
        ]

    def _eta(self, iteration: int) -> str:
        done = iteration - self._first_iteration
        left = (self._clock.monotonic() - self._start) / max(done, 1) * (self._max_iterations - iteration)
        return str(datetime.timedelta(seconds=round(left)))

    def _print_pending(self) -> None:
        if self._pending:
            self._console.print(self._pending, highlight=False, soft_wrap=True)
            self._pending = ""
            self._last_line = self._clock.monotonic()

    def images(self, step: int, images: "Mapping[str, np.ndarray]") -> None:
        """Pictures are not shown on the console."""

    def close(self) -> None:
        """See ``MetricSink.close``."""
        self._progress.stop()
        self._print_pending()
