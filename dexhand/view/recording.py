"""Videos of environments while they run: one tile per environment, and the best and the worst episode."""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from queue import Empty, Full, Queue

from dexhand.core.eval_loop import LoadedPolicy
from dexhand.core.interfaces import Drawable, Frame, StepInfo, VecEnv
from dexhand.view.episode_counts import Counts, EpisodeCounts
from dexhand.view.film import Film, Shot
from dexhand.view.watched_env import VideoSink, Viewer

log = logging.getLogger(__name__)

MAX_TILES = 16
"""Environments that are recorded."""
PICTURES_PER_SECOND = 30
"""Pictures per simulated second, about: of every control step, or every second one, and so on."""
MAX_WAITING = 256
"""Pictures that wait to be drawn. When there are more, the older half is dropped, or the run waits."""
CLIP_DURATION = 60.0
"""Seconds at the end of the best and the worst episode that are kept."""
POLL = 1.0
"""Seconds after which a failure is noticed while there is no room."""
PROGRESS_INTERVAL = 10.0
"""Seconds between two lines about what is left to draw at the end."""


@dataclass(frozen=True)
class _Moment:
    """What one picture of a video shows."""

    frame: Frame
    time: float
    """Simulated seconds since the recording began."""
    iteration: int | None
    """Training iterations of the policy."""
    counts: Counts


@dataclass(frozen=True)
class _Clip:
    """One episode of the environment in a row of the frames."""

    row: int
    episode_return: float
    moments: Sequence[_Moment]


class Recording(Viewer):
    """Makes videos of what it is told.

    Steps only copy poses; a thread has them drawn and encoded. Where that is too slow, steps wait for it, or pictures
    are dropped, and the video has a cut. A failure, such as a full disk, ends the recording and nothing else.
    """

    def __init__(
        self,
        env: VecEnv,
        drawable: Drawable,
        open_film: Callable[[], Film],
        folder: Path,
        *,
        title: str,
        max_duration: float,
        waits: bool = False,
        sinks: Sequence[VideoSink] = (),
    ) -> None:
        """A file is at most ``max_duration`` seconds long; then the next one begins. ``sinks`` get the finished ones.

        ``waits``: steps wait where drawing is slower. ``open_film`` is called in the recording's thread. Raises what it
        raises, and ``OSError`` for the folder.
        """
        self._drawable = drawable
        self._env_ids = range(min(env.num_envs, MAX_TILES))
        self._stride = max(1, round(1 / (PICTURES_PER_SECOND * drawable.control_dt)))
        self._rate = 1 / (self._stride * Fraction(drawable.control_dt).limit_denominator(10_000))
        self._pictures_per_file = max(1, round(max_duration * self._rate))
        self._folder = folder
        self._title = title
        self._waits = waits
        self._sinks = sinks
        self._iteration: int | None = None
        self._steps = 0
        self._counts = EpisodeCounts(len(self._env_ids), env.device)
        self._moments: list[deque[_Moment]] = []
        self._clips: dict[str, _Clip] = {}
        self._queue: Queue[_Moment | None] = Queue(MAX_WAITING)
        self._taken = self._dropped = self._drawn = 0
        self._is_over = False
        folder.mkdir(exist_ok=True)
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(open_film, opened), name="recording", daemon=True)
        self._thread.start()
        opened.result()

    # --- in the thread that steps the environments

    def on_env_step(self, info: StepInfo | None) -> None:
        """See ``StepListener``."""
        if self._is_over:
            return
        self._counts.on_env_step(info)
        if info is None:
            length = round(CLIP_DURATION * self._rate)
            self._moments = [deque(maxlen=length) for _ in self._env_ids]
        else:
            self._steps += 1
        if self._steps % self._stride == 0:
            self._take()

    def _take(self) -> None:
        time = self._steps * self._drawable.control_dt
        moment = _Moment(self._drawable.frame(self._env_ids), time, self._iteration, self._counts.now())
        self._keep_finished(moment.counts)
        for moments in self._moments:
            moments.append(moment)
        self._taken += 1
        if self._queue.full() and not self._waits:
            self._drop_older_half()
        self._put(moment)

    def _drop_older_half(self) -> None:
        """Leave a gap in the video, so that it shows whole stretches, up to the end of the run."""
        with contextlib.suppress(Empty):
            for _ in range(MAX_WAITING // 2):
                self._queue.get_nowait()
                self._dropped += 1

    def _put(self, moment: _Moment | None) -> None:
        """Have ``moment`` drawn, once there is room, or end with ``None``; nothing if the recording has failed."""
        while self._thread.is_alive():
            with contextlib.suppress(Full):
                self._queue.put(moment, timeout=POLL)
                return

    def _keep_finished(self, counts: Counts) -> None:
        """Keep the clips of episodes that have ended since the last moment if they are the best or the worst so far."""
        for row, moments in enumerate(self._moments):
            if not moments or moments[-1].counts.episodes[row] == counts.episodes[row]:
                continue
            clip = _Clip(row, counts.last_returns[row], tuple(moments))
            moments.clear()
            for name, choose in (("best", max), ("worst", min)):
                kept = self._clips.get(name, clip)
                self._clips[name] = choose(kept, clip, key=lambda clip: clip.episode_return)

    def on_reload(self, loaded: LoadedPolicy) -> None:
        """See ``Viewer.on_reload``."""
        self._iteration = loaded.iteration

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``Viewer.scalars``."""
        if "info/iteration" in values:
            self._iteration = int(values["info/iteration"])

    def close(self) -> None:
        """Finish all videos. Calling it again does nothing."""
        if not self._thread.is_alive():
            return
        if not self._is_over:
            self._keep_finished(self._counts.now())
            log.info("Finishing the videos in %s: %d pictures are left to draw", self._folder, self._left())
        self._is_over = True
        self._put(None)
        self._thread.join(PROGRESS_INTERVAL)
        while self._thread.is_alive():
            log.info("Still finishing the videos: %d pictures are left to draw", self._left())
            self._thread.join(PROGRESS_INTERVAL)
        if self._dropped:
            log.warning(
                "The videos lack %d of %d pictures: drawing was slower than the simulation", self._dropped, self._taken
            )

    def _left(self) -> int:
        clips = sum(len(clip.moments) for clip in self._clips.values())
        return self._taken - self._dropped + clips - self._drawn

    # --- in the recording's own thread

    def _run(self, open_film: Callable[[], Film], opened: "Future[None]") -> None:
        try:
            film = open_film()
        except Exception as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        try:
            with contextlib.closing(film):
                self._write(film)
        except OSError as error:
            log.error("The recording ends: %s: %s. The run continues", self._folder, error.strerror or error)
        except Exception:
            log.exception("The recording has failed; the run continues")
        finally:
            self._is_over = True

    def _write(self, film: Film) -> None:
        moments = iter(self._queue.get, None)
        last = max((int(path.stem) for path in self._folder.glob("[0-9]*.mp4")), default=0)  # of an earlier process
        for number, first in enumerate(moments, start=last + 1):
            rest = islice(moments, self._pictures_per_file - 1)
            self._shoot(f"{number:04}.mp4", chain([first], rest), self._env_ids, film)
        for name, clip in self._clips.items():
            self._shoot(f"{name}.mp4", clip.moments, [clip.row], film)

    def _shoot(self, name: str, moments: Iterable[_Moment], rows: Sequence[int], film: Film) -> None:
        path = self._folder / name
        film.begin(path, self._rate)
        for moment in moments:
            if self._is_over or self._waits:
                film.hurry()
            film.add(self._shot(moment, rows))
            self._drawn += 1
        film.finish()
        for sink in self._sinks:
            sink.video(path)

    def _shot(self, moment: _Moment, rows: Sequence[int]) -> Shot:
        counts, stages = moment.counts, moment.frame.caption
        captions = tuple(f"{row}: {counts.caption(row)}\n{stages[row]}" for row in rows)
        return Shot(moment.frame, tuple(rows), _header(self._title, moment), captions)


def _header(title: str, moment: _Moment) -> str:
    iteration = "" if moment.iteration is None else f"    iteration {moment.iteration}"
    return f"{title}{iteration}    {moment.time:.2f} s"
