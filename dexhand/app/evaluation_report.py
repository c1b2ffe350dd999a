"""What a test tells: games and running statistics, for each checkpoint that played, on the console and in files."""

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
"""Running statistics are over so many newest games of the checkpoint that plays."""
KEPT_GAMES = 1000
"""An endless test keeps so many newest games in its results."""
KEPT_CHECKPOINTS = 1000
"""Results name so many newest checkpoints that played."""
SCALARS_INTERVAL = 5.0
"""Seconds between running statistics; the first of a checkpoint come with its first game."""
WRITE_INTERVAL = 30.0
"""Seconds after which the results file is brought up to date."""


class Report:
    """``EvalListener`` of one test. Its memory does not grow with the test's length."""

    def __init__(
        self,
        playing: LoadedPolicy,
        *,
        games: int,
        run: Run,
        sinks: Sequence[MetricSink],
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        """``games`` = 0 is a test without end, whose games are too many to be told one by one."""
        self._playing = playing
        self._total = games
        self._run = run
        self._sinks = sinks
        self._clock = clock
        self._say = say
        self._all = Statistics()
        self._current = Statistics()
        self._past: deque[dict[str, Any]] = deque(maxlen=KEPT_CHECKPOINTS)
        self._games: deque[Episode] = deque(maxlen=games or KEPT_GAMES)
        self._window: deque[Episode] = deque(maxlen=WINDOW)
        self._frames = self._last_frames = 0
        self._last_scalars = self._last_write = clock.monotonic()
        self._cannot_write = False

    @property
    def summary(self) -> Summary:
        """Of all games so far."""
        return self._all.summary()

    def on_step(self, frames_done: int) -> None:
        """See ``EvalListener.on_step``."""
        self._frames = frames_done
        now = self._clock.monotonic()
        if now - self._last_scalars >= SCALARS_INTERVAL:
            self._running_scalars(now)
        if now - self._last_write >= WRITE_INTERVAL:
            self._write()

    def on_episode(self, game: Episode) -> None:
        """See ``EvalListener.on_episode``."""
        for counted in (self._all, self._current):
            counted.add(game)
        self._games.append(game)
        self._window.append(game)
        if self._current.games == 1:
            self._running_scalars(self._clock.monotonic())
        if self._total:
            self._say(_game_line(game, self._total))

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
        """Say and write what there is at the end."""
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
        """The checkpoint that plays plays no more: its statistics are complete."""
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
            "games": [game.to_dict() for game in self._games],
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


def _game_line(game: Episode, total: int) -> str:
    width = len(str(total))
    return (
        f"game {game.number:{width}}/{total}  environment {game.env_id}  return {game.episode_return:9.2f}  "
        f"length {game.length:4d}  {game.outcome}" + ("  mixed: another checkpoint began it" if game.mixed else "")
    )


def _in_words(summary: Summary) -> str:
    mixed = f" ({summary.mixed} of them mixed: another checkpoint began them)" if summary.mixed else ""
    return (
        f"{summary.games} games{mixed}: return {summary.mean_return:.2f} +- {summary.std_return:.2f}, "
        f"length {summary.mean_length:.1f}, success rate {summary.success_rate:.0%}"
    )


def _summary_lines(summary: Summary) -> list[str]:
    if summary.games == 0:
        return ["No game was finished."]
    endings = ", ".join(f"{name} {count}" for name, count in sorted(summary.outcomes.items()))
    return [_in_words(summary), f"ended by {endings}"]
