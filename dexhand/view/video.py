"""H.264 video files that can be played whatever happens to the process that writes them."""

import contextlib
import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

CODEC = "libx264"
_FRAGMENT = 500_000
"""Length of the pieces in which a file is written, microseconds: what a killed process loses."""

_BUFFER = 1 << 22
"""Bytes of the longest piece: each is a single write, so that none is in the file in part."""


class VideoFile:
    """An MP4 file, written piece by piece; the first picture determines its size.

    Until it is closed it is a fragmented MP4, which players accept without an end; then it becomes an ordinary one.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        """``rate`` is the number of pictures per second. An existing file is replaced. Raises ``OSError``."""
        self.path = path
        self.pictures = 0
        """Number of pictures so far."""
        self._rate = rate
        self._file = _File(path, "wb")
        self._container: Any = av.open(
            self._file,
            "w",
            format="mp4",
            buffer_size=_BUFFER,
            options={"movflags": "hybrid_fragmented", "frag_duration": str(_FRAGMENT), "flush_packets": "1"},
        )
        self._stream: Any = None
        self._has_header = False

    def add(self, picture: np.ndarray) -> None:
        """Add a picture: uint8 (height, width, 3), RGB, height and width even. Raises ``OSError``."""
        if self._stream is None:
            self._stream = self._new_stream(*picture.shape[:2])
        with self._own_errors():
            self._write(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        self.pictures += 1

    def close(self) -> None:
        """Finish the file; one that cannot be played is removed. Raises ``OSError``; calling it again does nothing."""
        if self._file.closed:
            return
        try:
            if self._has_header or self._file.problem is None:  # without a header libavformat would crash
                with self._own_errors():
                    if self._stream is not None:
                        self._write(None)
                    self._container.close()
        finally:
            self._file.close()
            if not self.pictures or (self._file.problem is not None and not _can_be_played(self.path)):
                self.path.unlink(missing_ok=True)

    def _new_stream(self, height: int, width: int) -> Any:
        # one thread, so that the simulation keeps the other cores; a short look ahead, so that little is lost
        options = {"preset": "veryfast", "crf": "23", "rc-lookahead": "10", "threads": "1"}
        stream: Any = self._container.add_stream(CODEC, rate=self._rate, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.gop_size = round(self._rate)  # one can jump to every second
        return stream

    def _write(self, frame: "av.VideoFrame | None") -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
            self._has_header = True

    @contextlib.contextmanager
    def _own_errors(self) -> Iterator[None]:
        """Raise what was wrong with the file instead of PyAV's description of it."""
        try:
            yield
        except av.FFmpegError as error:
            raise self._file.problem or error from None


def _can_be_played(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            return any(True for _ in container.decode())
    except av.FFmpegError:
        return False


class _File(io.FileIO):
    """A file that ignores writes after one has failed, so that what was written before stays playable."""

    problem: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of ``data``."""
        view = memoryview(data).cast("B")
        start, written = self.tell(), 0
        try:
            while written < len(view) and self.problem is None:
                written += super().write(view[written:]) or 0
        except OSError as error:
            self.problem = error
            self.truncate(start)
            raise
        return len(view)
