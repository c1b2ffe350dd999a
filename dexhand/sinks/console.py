"""Progress on the console: two live lines in a terminal, plain lines elsewhere."""

import datetime
import logging
from collections.abc import Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dexhand.core.interfaces import Clock

log = logging.getLogger(__name__)

_LOG_INTERVAL = 60.0
"""Seconds between lines of progress in ``train.log``."""
_PLAIN_INTERVAL = 5.0
"""Seconds between plain lines, to keep log files of long runs readable."""


class _LatestLines:
    """Shows the latest lines: live in a terminal, elsewhere as plain lines at an interval or when due."""

    def __init__(self, console: Console, clock: Clock, *, plain: bool = False) -> None:
        """``plain``: print lines even in a terminal."""
        self._console = console
        self._clock = clock
        self._pending = self._unlogged = ""
        self._last_line = self._last_logged = float("-inf")
        self._is_live = console.is_terminal and not plain
        self._live = Live(console=console, refresh_per_second=4)
        if self._is_live:
            self._live.start()

    def show(self, *lines: str, due: bool | None = None) -> None:
        """``due``: whether to print a plain line now; ``None`` = if the last one is old enough."""
        now = self._clock.monotonic()
        self._unlogged = " | ".join(lines)
        if now - self._last_logged >= _LOG_INTERVAL:
            self._last_logged = now
            self._log()
        if self._is_live:
            self._live.update(Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in lines)))
            return
        self._pending = " | ".join(lines)
        if due is None:
            due = now - self._last_line >= _PLAIN_INTERVAL
        if due:
            self._print_pending()

    def _print_pending(self) -> None:
        if self._pending:
            self._console.print(self._pending, highlight=False, markup=False, soft_wrap=True)
            self._pending = ""
            self._last_line = self._clock.monotonic()

    def _log(self) -> None:
        """Write the latest lines to the run's log, but not to the console, which shows them anyway."""
        if self._unlogged:
            log.info("%s", self._unlogged, extra={"file_only": True})
            self._unlogged = ""

    def close(self) -> None:
        self._live.stop()
        self._print_pending()
        self._log()


class ConsoleSink:
    """``MetricSink`` that shows a training's progress and its estimated end."""

    def __init__(
        self,
        console: Console,
        clock: Clock,
        *,
        iterations_done: int,
        max_iterations: int,
        episodes_between: int | None = None,
    ) -> None:
        """``episodes_between``: print a plain line, even in a terminal, after every so many finished episodes."""
        self._lines = _LatestLines(console, clock, plain=episodes_between is not None)
        self._episodes_between = episodes_between
        self._episodes = 0.0
        self._clock = clock
        self._start = clock.monotonic()
        self._first_iteration = iterations_done
        self._max_iterations = max_iterations

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        self._lines.show(self._progress(step, values), _columns(values, _TRAINING), due=self._is_due(values))

    def _is_due(self, values: Mapping[str, float]) -> bool | None:
        if self._episodes_between is None:
            return None
        self._episodes += values.get("episodes/finished", 0.0)
        due = self._episodes >= self._episodes_between
        if due:
            self._episodes = 0.0
        return due

    def _progress(self, step: int, values: Mapping[str, float]) -> str:
        iteration = int(values["info/iteration"])
        done = iteration - self._first_iteration
        left = (self._clock.monotonic() - self._start) / max(done, 1) * (self._max_iterations - iteration)
        return " | ".join(
            [
                f"iteration {iteration}/{self._max_iterations}",
                f"ETA {datetime.timedelta(seconds=round(left))}",
                f"{step:,} frames",
                f"{_number(values, 'performance/frames_per_second', ',.0f')} frames/s",
            ]
        )

    def close(self) -> None:
        """See ``MetricSink.close``."""
        self._lines.close()


class EvaluationConsoleSink:
    """``MetricSink`` that shows the results of the current policy; see ``dexhand.app.evaluation_report``."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._lines = _LatestLines(console, clock)
        self._iteration = -1.0

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``; the summary of a whole checkpoint is printed elsewhere."""
        if "test/games" in values:
            is_new = values["test/iteration"] != self._iteration
            self._iteration = values["test/iteration"]
            results = [column for column in _RESULTS if column[1] in values or column[0] != "success"]
            self._lines.show(_columns(values, _TESTING), _columns(values, results), due=is_new or None)

    def close(self) -> None:
        """See ``MetricSink.close``."""
        self._lines.close()


Columns = Sequence[tuple[str, str, str]]
"""Label, name of the metric and format."""

_TRAINING: Columns = (
    ("return", "episodes/return", ".2f"),
    ("reward/step", "rewards/total", ".3f"),
    ("length", "episodes/length", ".0f"),
    ("actor", "losses/actor", ".4f"),
    ("critic", "losses/critic", ".4f"),
    ("entropy", "losses/entropy", ".3f"),
    ("lr", "info/learning_rate", ".1e"),
)
_TESTING: Columns = (
    ("episodes", "test/games", ",.0f"),
    ("iteration", "test/iteration", ".0f"),
    ("steps/s", "test/frames_per_second", ",.0f"),
)
_RESULTS: Columns = (
    ("return", "test/return", ".2f"),
    ("length", "test/length", ".0f"),
    ("success", "test/success_rate", ".1%"),
)


def _columns(values: Mapping[str, float], columns: Columns) -> str:
    return " | ".join(f"{label} {_number(values, name, form)}" for label, name, form in columns)


def _number(values: Mapping[str, float], name: str, form: str) -> str:
    """Format a value, or a dash if it is not known yet."""
    return format(values[name], form) if name in values else "-"
