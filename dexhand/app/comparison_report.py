"""The report of a comparison of two policies, on the console and in a file."""

import json
import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from dexhand.config.validate import MOST_COMPARED
from dexhand.core.comparison import (
    Difference,
    Result,
    Round,
    compare_returns,
    compare_success,
    estimate_return,
    estimate_success,
)
from dexhand.core.interfaces import Clock
from dexhand.core.statistics import Estimate
from dexhand.files.atomic import write_atomically
from dexhand.view.messages import Comparison

log = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two lines of progress; the file is written at the same time."""
SHOW_INTERVAL = 1.0
"""Seconds between two states of a comparison that is watched."""
SHARE = 0.05
"""Share of the time that each of these may take: with many pairs, a test of their differences takes a second."""
SIGNIFICANT = 0.05
"""A difference is called one below this p-value."""


@dataclass
class Contender:
    """A checkpoint and its episodes so far; the same index is the same start for all contenders."""

    path: Path
    iteration: int
    results: list[Result] = field(default_factory=list)

    def to_dict(self, *, has_success: bool) -> dict[str, Any]:
        """Convert to JSON values, without the episodes."""
        estimates = {"return": estimate_to_dict(estimate_return(self.results))} if self.results else {}
        if self.results and has_success:
            estimates["success"] = estimate_to_dict(estimate_success(self.results))
        return {
            "checkpoint": str(self.path.resolve()),
            "iteration": self.iteration,
            "episodes": len(self.results),
            **estimates,
            "outcomes": Counter(result.outcome for result in self.results),
        }


class Starts:
    """Looks whether episodes begin differently, without which many are worth no more than one."""

    def __init__(self) -> None:
        self._first: Tensor | None = None
        self._vary = False

    def add(self, starts: Tensor) -> None:
        """Take the starts of a ``Round``."""
        if self._first is None:
            self._first = starts[:1].clone()
        self._vary = self._vary or bool((starts != self._first).any())

    def warn(self) -> None:
        """Log a warning if all episodes began with the same observations."""
        if self._first is not None and not self._vary:
            log.warning(
                "All episodes began with the same observations. If nothing else differed, they are copies of one "
                "episode, and intervals and p-values mean nothing"
            )


class _Pace:
    """Decides when to do something again."""

    def __init__(self, clock: Clock, interval: float) -> None:
        """``interval``: seconds between two times, at least; more if they would take over ``SHARE`` of the time."""
        self._clock = clock
        self._interval = interval
        self._next = clock.monotonic() + interval

    def do_if_due(self, work: Callable[[], None]) -> None:
        begin = self._clock.monotonic()
        if begin >= self._next:
            work()
            end = self._clock.monotonic()
            self._next = end + max(self._interval, (end - begin) / SHARE)


class ComparisonReport:
    """Pairs of episodes of A and B."""

    def __init__(
        self,
        a: Contender,
        b: Contender,
        *,
        pairs: int,
        seed: int,
        has_success: bool,
        file: Path,
        clock: Clock,
        show: Callable[[Comparison], None] | None,
    ) -> None:
        """``pairs`` = 0 compares until stopped, or until there are ``MOST_COMPARED``.

        ``seed``, from which the starts follow, is reported. Without ``has_success`` no episode can succeed. ``show``,
        if any, receives the state of the comparison every now and then.
        """
        self._a, self._b = a, b
        self._total = pairs or MOST_COMPARED
        self._is_endless = pairs == 0
        self._seed = seed
        self._has_success = has_success
        self._file = file
        self._starts = Starts()
        self._show = show
        self._progress = _Pace(clock, INTERVAL)
        self._updates = _Pace(clock, SHOW_INTERVAL)
        for name, side in (("A", a), ("B", b)):
            log.info("%s: %s, iteration %d", name, side.path, side.iteration)

    def add(self, played: Round) -> bool:
        """Add a round of ``SideBySide``; returns whether there are enough pairs."""
        self._starts.add(played.starts)
        needed = self._total - len(self._a.results)
        self._a.results += played.results[::2][:needed]
        self._b.results += played.results[1::2][:needed]
        done = len(self._a.results)
        if done < self._total:
            self._progress.do_if_due(self._report_progress)
        if self._show is not None:
            show = self._show
            self._updates.do_if_due(lambda: show(self._state()))
        if done == self._total and self._is_endless:
            log.info("Ends after %d pairs: all are kept for the tests, and more would need too much memory", done)
        return done == self._total

    def _report_progress(self) -> None:
        total = "" if self._is_endless else f"/{self._total}"
        log.info("%d%s pairs: A %s; B %s", len(self._a.results), total, self._words(self._a), self._words(self._b))
        write_json(self._file, self._to_dict())

    def close(self) -> None:
        """Print and write the results."""
        if not self._a.results:
            log.info("Stopped before the first round was over: nothing to compare")
            return
        self._starts.warn()
        for line in self._lines():
            log.info("%s", line)
        if write_json(self._file, self._to_dict()):
            log.info("Wrote %s", self._file)

    def _lines(self) -> list[str]:
        return [*(f"{name}: {self._words(side)}" for name, side in (("A", self._a), ("B", self._b))), *self._verdicts()]

    def _words(self, side: Contender) -> str:
        return ", ".join(f"{name} {in_words(*measured)}" for name, measured in self._measured(side).items())

    def _measured(self, side: Contender) -> dict[str, tuple[Estimate, Callable[[float], str]]]:
        """What is known of a contender, and how to write it."""
        measured: dict[str, tuple[Estimate, Callable[[float], str]]]
        measured = {"return": (estimate_return(side.results), number)}
        if self._has_success:
            measured["success"] = estimate_success(side.results), percent
        return measured

    def _verdicts(self) -> list[str]:
        a, b = self._a.results, self._b.results
        verdicts = [f"return: {in_full(compare_returns(a, b), number)}"]
        if self._has_success:
            verdicts.append(f"success: {in_full(compare_success(a, b), percent)}")
        return verdicts

    def _state(self) -> Comparison:
        a, b = self._measured(self._a), self._measured(self._b)
        return Comparison(
            pairs=len(self._a.results),
            names=(f"A: iteration {self._a.iteration}", f"B: iteration {self._b.iteration}"),
            rows={name: (in_words(*a[name]), in_words(*b[name])) for name in a},
            verdicts=tuple(self._verdicts()),
            curves={name: (a[name][0], b[name][0]) for name in a},
        )

    def _to_dict(self) -> dict[str, Any]:
        a, b = self._a.results, self._b.results
        difference = {"return": _difference_to_dict(compare_returns(a, b))}
        if self._has_success:
            difference["success"] = _difference_to_dict(compare_success(a, b))
        return {
            "pairs": len(a),
            "seed": self._seed,
            "a": self._a.to_dict(has_success=self._has_success),
            "b": self._b.to_dict(has_success=self._has_success),
            "difference": difference,
            "episodes": [{"a": vars(first), "b": vars(second)} for first, second in zip(a, b)],
        }


def verdict(difference: Difference) -> str:
    """Say which of A and B is better, if the pairs show one."""
    if difference.p >= SIGNIFICANT:
        return "no difference shown"
    return f"{'B' if difference.estimate.value > 0 else 'A'} is better"


def in_full(difference: Difference, form: Callable[[float], str]) -> str:
    """Format a difference, with what it shows."""
    joined = " with" if difference.p < SIGNIFICANT else ","
    p = f"{verdict(difference)}{joined} p = {difference.p:.2g}"
    return f"{p}; B - A = {in_words(difference.estimate, form)}"


def in_words(estimate: Estimate, form: Callable[[float], str]) -> str:
    """Format an estimate and its interval."""
    return f"{form(estimate.value)} [{form(estimate.low)}, {form(estimate.high)}]"


def number(value: float) -> str:
    """Format a return."""
    return f"{value:.2f}"


def percent(value: float) -> str:
    """Format a success rate."""
    return f"{value:.1%}"


def estimate_to_dict(estimate: Estimate) -> dict[str, Any]:
    """Convert to JSON values; a bound that there is not becomes ``None``."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(estimate).items()}


def _difference_to_dict(difference: Difference) -> dict[str, Any]:
    return {**estimate_to_dict(difference.estimate), "p": difference.p, "verdict": verdict(difference)}


def write_json(file: Path, content: dict[str, Any]) -> bool:
    """Write results; returns whether that was possible, after logging why not."""
    text = json.dumps(content, indent=2) + "\n"
    try:
        write_atomically(file, lambda opened: opened.write(text.encode()))
    except OSError as error:
        log.error("Results cannot be written: %s", error)
        return False
    return True
