"""Results of an evaluation: episodes and statistics of each checkpoint, on the console and in files."""

import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from dexhand.core.episodes import Episode, Statistics, Summary
from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.files import write_atomically
from dexhand.core.interfaces import Clock, Metrics, MetricSink
from dexhand.workspace.records import record_played
from dexhand.workspace.workspace import Run

log = logging.getLogger(__name__)

WINDOW = 100
"""Running statistics cover this many of the current checkpoint's newest episodes."""
KEPT_EPISODES = 1000
"""The results of an endless test list this many of its newest episodes."""
KEPT_CHECKPOINTS = 1000
"""The results list this many of the newest checkpoints."""
SCALARS_INTERVAL = 5.0
"""Seconds between running statistics; those of a new checkpoint also appear with its first episode."""
WRITE_INTERVAL = 30.0
"""Seconds between updates of the results file."""


class Report:
    """``EvalListener`` of one test; its memory use does not grow with the length of the test."""

    def __init__(
        self,
        playing: LoadedPolicy,
        *,
        episodes: int,
        run: Run,
        sinks: Sequence[MetricSink],
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        """``episodes`` is how many are played; 0 = no limit, and then single episodes are not printed."""
        self._playing = playing
        self._total = episodes
        self._run = run
        self._sinks = sinks
        self._clock = clock
        self._say = say
        self._all = Statistics()
        self._current = Statistics()
        self._past: deque[dict[str, Any]] = deque(maxlen=KEPT_CHECKPOINTS)
        self._episodes: deque[Episode] = deque(maxlen=episodes or KEPT_EPISODES)
        self._window: deque[Episode] = deque(maxlen=WINDOW)
        self._frames = self._last_frames = 0
        self._last_scalars = self._last_write = clock.monotonic()
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
        if now - self._last_write >= WRITE_INTERVAL:
            self._write()

    def on_episode(self, episode: Episode) -> None:
        """See ``EvalListener.on_episode``."""
        for counted in (self._all, self._current):
            counted.add(episode)
        self._episodes.append(episode)
        self._window.append(episode)
        if self._current.games == 1:
            self._running_scalars(self._clock.monotonic())
        if self._total:
            self._say(_episode_line(episode, self._total))

    def on_reload(self, loaded: LoadedPolicy) -> None:
        """See ``EvalListener.on_reload``."""
        self._finish_checkpoint()
        self._playing = loaded
        log.info(
            "Reloaded %s: iteration %d, saved %.1f s ago, loaded in %.0f ms",
            *(loaded.path, loaded.iteration, max(loaded.age, 0.0), 1e3 * loaded.load_seconds),
        )
        self._write()

    def close(self) -> None:
        """Print and write the final results and close the sinks."""
        self._running_scalars(self._clock.monotonic())
        self._finish_checkpoint()
        for sink in self._sinks:
            sink.close()
        self._write()
        for line in _summary_lines(self.summary):
            self._say(line)
        if not self._cannot_write:
            log.info("Wrote %s", self._run.results_file)

    def _finish_checkpoint(self) -> None:
        """Report the current checkpoint, whose statistics are complete."""
        summary = self._current.summary()
        self._current = Statistics()
        self._window.clear()
        if summary.games == 0:
            return
        self._past.append(self._of_checkpoint(summary))
        if len(self._past) > 1 or self._total == 0:
            self._say(f"iteration {self._playing.iteration}: {_in_words(summary)}")
        self._send(self._playing.iteration, "checkpoint", summary)

    def _of_checkpoint(self, summary: Summary) -> dict[str, Any]:
        playing = self._playing
        return {"iteration": playing.iteration, "path": str(playing.path), **summary.to_dict()}

    def _running_scalars(self, now: float) -> None:
        newest = Summary.of(self._window)
        speed = (self._frames - self._last_frames) / max(now - self._last_scalars, 1e-9)
        self._last_scalars, self._last_frames = now, self._frames
        extra = {
            "test/games": float(self._all.games),
            "test/iteration": float(self._playing.iteration),
            "test/frames_per_second": speed,
        }
        self._send(self._frames, "test", newest, extra)

    def _send(self, step: int, prefix: str, summary: Summary, extra: "Metrics | None" = None) -> None:
        values: Metrics = {}
        if summary.games:
            assert summary.mean_return is not None
            assert summary.mean_length is not None
            assert summary.success_rate is not None
            values = {
                f"{prefix}/games": float(summary.games),
                f"{prefix}/return": summary.mean_return,
                f"{prefix}/length": summary.mean_length,
                f"{prefix}/success_rate": summary.success_rate,
            }
        for sink in self._sinks:
            sink.scalars(step, {**values, **(extra or {})})

    def _write(self) -> None:
        self._last_write = self._clock.monotonic()
        current = [self._of_checkpoint(self._current.summary())] if self._current.games else []
        results = {
            "checkpoint": str(self._playing.path.resolve()),
            "summary": self.summary.to_dict(),
            "checkpoints": [*self._past, *current],
            "games": [episode.to_dict() for episode in self._episodes],
        }
        content = (json.dumps(results, indent=2) + "\n").encode()
        try:
            record_played(self._run, self._playing.path)
            write_atomically(self._run.results_file, lambda file: file.write(content))
        except OSError as error:
            if not self._cannot_write:
                log.error("Results cannot be written: %s. The test goes on, trying again", error)
            self._cannot_write = True
        else:
            self._cannot_write = False


def _episode_line(episode: Episode, total: int) -> str:
    width = len(str(total))
    return (
        f"episode {episode.number:{width}}/{total}  environment {episode.env_id}  "
        f"return {episode.episode_return:9.2f}  length {episode.length:4d}  {episode.outcome}"
        + ("  mixed: it began under another checkpoint" if episode.mixed else "")
    )


def _in_words(summary: Summary) -> str:
    episodes = "1 episode" if summary.games == 1 else f"{summary.games} episodes"
    mixed = f" ({summary.mixed} of them mixed: they began under another checkpoint)" if summary.mixed else ""
    return (
        f"{episodes}{mixed}: return {summary.mean_return:.2f} +- {summary.std_return:.2f}, "
        f"length {summary.mean_length:.1f}, success rate {summary.success_rate:.0%}"
    )


def _summary_lines(summary: Summary) -> list[str]:
    if summary.games == 0:
        return ["No episode was finished."]
    endings = ", ".join(f"{name} {count}" for name, count in sorted(summary.outcomes.items()))
    return [_in_words(summary), f"ended by {endings}"]
