"""Drawing and encoding videos, which can be done in a process of its own that takes no time from the run."""

import contextlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, sqrt
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dexhand.core.interfaces import Frame, Shape
from dexhand.view.process import claim_processors, end_process, start_process, yield_processors
from dexhand.view.video import VideoFile

TILE_SIZES = {1: (960, 720), 2: (480, 360), 3: (320, 240), 4: (240, 180)}
"""Width and height of a tile, pixels, by the number of tiles side by side."""

_HEADER = 36
_INK, _PAPER = (25, 30, 40), (248, 249, 251)


class Pictures(Protocol):
    """Draws environments, as ``dexhand.sim.drawable_pictures`` does. All calls come from one thread."""

    def draw(self, frame: Frame, row: int, width: int, height: int) -> np.ndarray:
        """Draw the environment in a row of ``frame``: uint8 (height, width, 3), RGB."""

    def close(self) -> None:
        """Release all resources."""


@dataclass(frozen=True)
class Shot:
    """What one picture of a video shows."""

    frame: Frame
    rows: tuple[int, ...]
    """Those of the environments that are shown."""
    header: str
    captions: tuple[str, ...]
    """One for each row."""


class Film(Protocol):
    """Makes one video after the other. All calls come from one thread."""

    def begin(self, path: Path, rate: Fraction) -> None:
        """Begin a video of ``rate`` pictures per second. Raises ``OSError``, as the others do."""

    def add(self, shot: Shot) -> None:
        """Draw a picture and add it to the video."""

    def finish(self) -> None:
        """Finish the video, if one has been begun."""

    def hurry(self) -> None:
        """Called while the run waits."""

    def close(self) -> None:
        """Finish the video, if one has been begun, and release all resources."""


class LocalFilm:
    """``Film`` in the thread that calls it."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._video: VideoFile | None = None

    def begin(self, path: Path, rate: Fraction) -> None:
        """See ``Film.begin``."""
        self._video = VideoFile(path, rate)

    def add(self, shot: Shot) -> None:
        """See ``Film.add``."""
        assert self._video is not None
        self._video.add(self._sheet(shot))

    def finish(self) -> None:
        """See ``Film.finish``."""
        video, self._video = self._video, None
        if video is not None:
            video.close()

    def hurry(self) -> None:
        """See ``Film.hurry``."""

    def close(self) -> None:
        """See ``Film.close``."""
        try:
            self.finish()
        finally:
            self._pictures.close()

    def _sheet(self, shot: Shot) -> np.ndarray:
        """Draw environments side by side, with captions, below a header."""
        count = len(shot.rows)
        columns = ceil(sqrt(count))
        width, height = TILE_SIZES[columns]
        sheet = Image.new("RGB", (columns * width, _HEADER + ceil(count / columns) * height), _PAPER)
        pen = ImageDraw.Draw(sheet)
        pen.text((12, 8), shot.header, fill=_INK, font=_font(18))
        for place, (row, caption) in enumerate(zip(shot.rows, shot.captions)):
            x, y = place % columns * width, _HEADER + place // columns * height
            sheet.paste(Image.fromarray(self._pictures.draw(shot.frame, row, width, height)), (x, y))
            pen.text((x + 10, y + 8), caption, fill=_INK, font=_font(14), spacing=5)
        return np.asarray(sheet)


class ProcessFilm:
    """``Film`` in a process of its own, which works while a processor is free."""

    def __init__(self, program: str, shapes: Sequence[Shape]) -> None:
        """``program`` is a module that calls ``serve``. Raises what making pictures of ``shapes`` raises there."""
        self._process, self._pipe = start_process(program)
        try:
            self._call("open", tuple(shapes))
        except BaseException:
            self._end()
            raise

    @property
    def process_id(self) -> int:
        """The process that draws."""
        return self._process.pid

    def begin(self, path: Path, rate: Fraction) -> None:
        """See ``Film.begin``."""
        self._call("begin", path, rate)

    def add(self, shot: Shot) -> None:
        """See ``Film.add``."""
        self._call("add", shot)

    def finish(self) -> None:
        """See ``Film.finish``."""
        self._call("finish")

    def hurry(self) -> None:
        """See ``Film.hurry``."""
        self._call("hurry")

    def close(self) -> None:
        """See ``Film.close``."""
        try:
            self._call("close")
        finally:
            self._end()

    def _call(self, method: str, *arguments: Any) -> None:
        try:
            self._pipe.send((method, arguments))
            error = self._pipe.recv()
        except (EOFError, OSError):
            raise OSError("the process that draws has ended") from None
        if error is not None:
            raise error

    def _end(self) -> None:
        self._pipe.close()
        end_process(self._process, [])


def serve(pipe: Connection, make_pictures: Callable[[Sequence[Shape]], Pictures]) -> None:
    """Do what a ``ProcessFilm`` at the other end of ``pipe`` says. When that has ended, the video is finished."""
    film: Film | None = None
    try:
        while True:
            method, arguments = pipe.recv()
            try:
                if method == "open":
                    film = LocalFilm(make_pictures(*arguments))
                    yield_processors()  # not before: the run waits for it
                elif method == "hurry":
                    claim_processors()
                else:
                    getattr(film, method)(*arguments)
            except Exception as error:
                error.add_note(traceback.format_exc())
                pipe.send(error)
            else:
                pipe.send(None)
    except (EOFError, OSError):
        if film is not None:
            with contextlib.suppress(OSError):  # nobody is left to tell that the disk is full
                film.close()


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
