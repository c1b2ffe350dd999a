"""Replays: pages that show the beginning of a test in any browser, without this project, a network or OpenGL."""

import contextlib
import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dexhand.core.interfaces import Drawable, Frame, StepInfo, VecEnv
from dexhand.files.atomic import write_atomically
from dexhand.view.address import random_loopback
from dexhand.view.episode_counts import EpisodeCounts
from dexhand.view.watched_env import ReplaySink, Viewer

log = logging.getLogger(__name__)

MAX_ENVS = 4
"""Environments that are shown."""
MEGABYTE = 1_000_000
PRECISION = 1 / 4096
"""Poses in a page are rounded to this, in metres and parts of a quaternion, and take half the space."""


class Replay(Viewer):
    """Keeps the first seconds of a test and writes them as a page at the end.

    Steps only copy poses. A page that cannot be written, for example on a full disk, is lost with one warning.
    """

    def __init__(
        self,
        env: VecEnv,
        drawable: Drawable,
        path: Path,
        *,
        title: str,
        duration: float,
        max_megabytes: float,
        sinks: Sequence[ReplaySink] = (),
    ) -> None:
        """The page shows ``duration`` simulated seconds, or less if it would be larger than ``max_megabytes``.

        It holds at least the viewer and one moment, however large these are. ``sinks`` get the finished page.
        """
        self._drawable = drawable
        self._path = path
        self._title = title
        self._env_ids = tuple(range(min(env.num_envs, MAX_ENVS)))
        self._num_frames = max(1, round(duration / drawable.control_dt))
        self._max_bytes = round(max_megabytes * MEGABYTE)
        self._counts = EpisodeCounts(len(self._env_ids), env.device)
        self._frames: list[Frame] = []
        self._sinks = sinks
        self._is_closed = False
        self.is_written = False
        """Whether the page is there."""

    @property
    def is_complete(self) -> bool:
        """Whether later steps do not matter."""
        return len(self._frames) >= self._num_frames

    def on_env_step(self, info: StepInfo | None) -> None:
        """See ``StepListener``."""
        if self.is_complete:
            return
        self._counts.on_env_step(info)
        counts, frame = self._counts.now(), self._drawable.frame(self._env_ids)
        captions = tuple(f"{counts.caption(row)}   {caption}" for row, caption in enumerate(frame.caption))
        self._frames.append(replace(frame, caption=captions))

    def close(self) -> None:
        """Write the page. Calling it again does nothing."""
        if self._is_closed or not self._frames:
            return
        self._is_closed = True
        try:
            write_atomically(self._path, lambda file: file.write(self._page()))
        except OSError as error:
            log.warning("The replay is not written: %s: %s", self._path, error.strerror or error)
        except Exception:  # whatever it is, the test is done and its results are written
            log.exception("The replay is not written: %s", self._path)
        else:
            self.is_written = True
            log.info("Wrote %s, which shows the beginning in any browser", self._path)
            for sink in self._sinks:
                sink.replay(self._path)

    def _page(self) -> bytes:
        """Make the page with as many frames as its size allows."""
        frames = self._frames
        page = _page_of(self._drawable, frames, self._env_ids, self._title)
        while len(page) > self._max_bytes and len(frames) > 1:
            frames = frames[: max(1, int(0.9 * len(frames) * self._max_bytes / len(page)))]
            page = _page_of(self._drawable, frames, self._env_ids, self._title)
        if len(page) > self._max_bytes:
            log.warning(
                "%s takes %.2f MB, more than env.replayMegabytes=%g: it cannot be smaller, the viewer is in it",
                *(self._path, len(page) / MEGABYTE, self._max_bytes / MEGABYTE),
            )
        return page


def _page_of(drawable: Drawable, frames: Sequence[Frame], env_ids: tuple[int, ...], title: str) -> bytes:
    """Make a page that plays ``frames``, one per control step: viser's, with the scene in it."""
    import viser  # takes half a second, which only the end of a test has to wait

    from dexhand.view.client import customised
    from dexhand.view.stage import Stage

    with _silence():
        server = viser.ViserServer(host=random_loopback(), port=0, label=title, verbose=False)
    try:
        stage = Stage(server, drawable.shapes, precision=PRECISION)
        serializer = server.get_scene_serializer()
        for frame in frames:
            stage.show(env_ids, frame)
            serializer.insert_sleep(drawable.control_dt)
        page = serializer.as_html()
    finally:
        with _silence():
            server.stop()
    return customised(page, title)


def _silence() -> contextlib.AbstractContextManager[object]:
    """Drop what viser prints when it starts and stops."""
    return contextlib.redirect_stdout(io.StringIO())
