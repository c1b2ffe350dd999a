"""The report of a test: episodes and running statistics per checkpoint, on the console and in files."""

import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from dexhand.core.episodes import Episode, Statistics, Summary
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Clock, Metrics, MetricSink
from dexhand.files.atomic import write_atomically
from dexhand.workspace.records import record_played
from dexhand.workspace.workspace import Run

log = logging.getLogger(__name__)

WINDOW = 100
"""Running statistics cover this many of the current checkpoint's most recent episodes."""
KEPT_EPISODES = 1000
"""An endless test keeps this many of the most recent episodes in its results."""
KEPT_CHECKPOINTS = 1000
"""Results list this many of the most recent checkpoints."""
SCALARS_INTERVAL = 5.0
"""Seconds between running statistics, in addition to those after a checkpoint's first episode."""
WRITE_INTERVAL = 30.0
"""Seconds between updates of the results file, in addition to those after a reload."""
WRITE_SHARE = 0.05
"""Share of the time that updates may take: the file of a long test is written whole, with all its episodes."""


class Report:
    """``EvalListener`` that reports one test.

    Its memory is bounded, except for the episodes of a test of a given number, which are all kept for the results.
    """

    def __init__(
        self,
        current: LoadedPolicy,
        *,
        episodes: int,
        has_success: bool,
        run: Run,
        sinks: Sequence[MetricSink],
        clock: Clock,
        print_line: Callable[[str], None],
    ) -> None:
        """``episodes`` = 0 is an endless test, whose episodes are not printed individually.

        Without ``has_success`` no episode can succeed, and no success rate is shown.
        """
        self._policy = current
        self._total = episodes
        self._has_success = has_success
        self._run = run
        self._sinks = sinks
        self._clock = clock
        self._print_line = print_line
        self._all = Statistics()
        self._current = Statistics()
        self._finished: deque[dict[str, Any]] = deque(maxlen=KEPT_CHECKPOINTS)
        self._episodes: deque[Episode] = deque(maxlen=episodes or KEPT_EPISODES)
        self._window: deque[Episode] = deque(maxlen=WINDOW)
        self._frames = self._last_frames = 0
        self._last_scalars = self._last_write = clock.monotonic()
        self._write_seconds = 0.0
        self._cannot_write = False

    @property
    def summary(self) -> Summary:
        """Statistics of all episodes so far."""
        return self._all.summary()

    def on_step(self, frames_done: int) -> None:
        """See ``EvalListener.on_step``."""
        self._frames = frames_done
        now = self._clock.monotonic()
        if now - self._last_scalars >= SCALARS_INTERVAL:
            self._running_scalars(now)
        self._write_if_due(now, WRITE_INTERVAL)

    def on_episode(self, episode: Episode) -> None:
        """See ``EvalListener.on_episode``."""
        for statistics in (self._all, self._current):
            statistics.add(episode)
        self._episodes.append(episode)
        self._window.append(episode)
        if self._current.episodes == 1:
            self._running_scalars(self._clock.monotonic())
        if self._total:
            self._print_line(_episode_line(episode, self._total))

    def on_reload(self, loaded: LoadedPolicy) -> None:
        """See ``EvalListener.on_reload``."""
        self._finish_checkpoint()
        self._policy = loaded
        log.info(
            "Reloaded %s: iteration %d, saved %.1f s ago, loaded in %.0f ms",
            *(loaded.path, loaded.iteration, max(loaded.age, 0.0), 1e3 * loaded.load_seconds),
        )
        self._write_if_due(self._clock.monotonic(), 0.0)

    def close(self) -> None:
        """Print and write the final results. The sinks stay open."""
        self._running_scalars(self._clock.monotonic())
        self._finish_checkpoint()
        self._write()
        for line in self._summary_lines():
            self._print_line(line)
        if not self._cannot_write:
            log.info("Wrote %s", self._run.results_file)

    def _finish_checkpoint(self) -> None:
        """Report the complete statistics of the current checkpoint."""
        summary = self._current.summary()
        self._current = Statistics()
        self._window.clear()
        if summary.episodes == 0:
            return
        self._finished.append(self._of_checkpoint(summary))
        if len(self._finished) > 1 or self._total == 0:
            self._print_line(f"iteration {self._policy.iteration}: {self._summary_line(summary)}")
        self._send(self._policy.iteration, "checkpoint", summary)

    def _of_checkpoint(self, summary: Summary) -> dict[str, Any]:
        return {"iteration": self._policy.iteration, "path": str(self._policy.path), **summary.to_dict()}

    def _running_scalars(self, now: float) -> None:
        newest = Summary.of(self._window)
        speed = (self._frames - self._last_frames) / max(now - self._last_scalars, 1e-9)
        self._last_scalars, self._last_frames = now, self._frames
        extra = {
            "test/games": float(self._all.episodes),
            "test/iteration": float(self._policy.iteration),
            "test/frames_per_second": speed,
        }
        self._send(self._frames, "test", newest, extra)

    def _send(self, step: int, prefix: str, summary: Summary, extra: "Metrics | None" = None) -> None:
        values: Metrics = {}
        if summary.episodes:
            assert summary.mean_return is not None
            assert summary.mean_length is not None
            assert summary.success_rate is not None
            values = {
                f"{prefix}/games": float(summary.episodes),
                f"{prefix}/return": summary.mean_return,
                f"{prefix}/length": summary.mean_length,
            }
            if self._has_success:
                values[f"{prefix}/success_rate"] = summary.success_rate
        for sink in self._sinks:
            sink.scalars(step, {**values, **(extra or {})})

    def _write_if_due(self, now: float, interval: float) -> None:
        if now - self._last_write >= max(interval, self._write_seconds / WRITE_SHARE):
            self._write()
            self._last_write = self._clock.monotonic()
            self._write_seconds = self._last_write - now

    def _write(self) -> None:
        current = [self._of_checkpoint(self._current.summary())] if self._current.episodes else []
        results = {
            "checkpoint": str(self._policy.path.resolve()),
            "summary": self.summary.to_dict(),
            "checkpoints": [*self._finished, *current],
            "games": list(self._episodes),
        }
        try:
            record_played(self._run, self._policy.path)
            write_atomically(self._run.results_file, lambda file: _write_json(file, results))
        except OSError as error:
            if not self._cannot_write:
                log.error("Results cannot be written: %s. The test continues; writing will be retried", error)
            self._cannot_write = True
        else:
            self._cannot_write = False

    def _summary_lines(self) -> list[str]:
        summary = self.summary
        if summary.episodes == 0:
            return ["No episode was finished."]
        endings = ", ".join(f"{name} {count}" for name, count in sorted(summary.outcomes.items()))
        lines = [self._summary_line(summary), f"ended by {endings}"]
        if summary.episodes > 1 and summary.std_return == 0.0:
            lines.append("All episodes were alike: they start in the same way, and neither task nor policy is random")
        return lines

    def _summary_line(self, summary: Summary) -> str:
        episodes = "1 episode" if summary.episodes == 1 else f"{summary.episodes} episodes"
        mixed = f" ({summary.mixed} of them mixed: started by another checkpoint)" if summary.mixed else ""
        success = f", success rate {summary.success_rate:.0%}" if self._has_success else ""
        return (
            f"{episodes}{mixed}: return {summary.mean_return:.2f} +- {summary.std_return:.2f}, "
            f"length {summary.mean_length:.1f}{success}"
        )


def _write_json(file: BinaryIO, results: dict[str, Any]) -> None:
    """Write results with ``Episode`` objects in pieces: as one text, a long test's take eight times their memory."""
    for piece in json.JSONEncoder(indent=2, default=vars).iterencode(results):
        file.write(piece.encode())
    file.write(b"\n")


def _episode_line(episode: Episode, total: int) -> str:
    width = len(str(total))
    mixed = "  mixed: started by another checkpoint" if episode.mixed else ""
    return (
        f"episode {episode.number:{width}}/{total}  environment {episode.env_id}  "
        f"return {episode.episode_return:9.2f}  length {episode.length:4d}  {episode.outcome}{mixed}"
    )
