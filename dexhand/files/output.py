"""Standard output and log files that never raise: what cannot be written is retried later."""

import errno
import io
import os
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

KEPT = 65536
"""Bytes kept until they can be written; beyond that, the oldest are lost."""


class PatientFile(io.FileIO):
    """File whose writes never raise ``OSError``, even if the disk is full or a pipe's reader has exited.

    Every write and flush first retries what could not be written before.
    """

    def __init__(self, file: Path | int) -> None:
        """Append to ``file``; a descriptor is not closed. Raises ``OSError`` if it cannot be opened."""
        is_open = isinstance(file, int)
        super().__init__(file, "wb" if is_open else "ab", closefd=not is_open)
        self.problem: OSError | None = None
        """Why something could not be written yet."""
        self._waiting = bytearray()
        self._lost = 0
        self._is_writing = threading.Lock()

    def write(self, data: Any, /) -> int:
        """Write ``data`` now or later."""
        self._waiting += data
        self.flush()
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Try to write what has not been written yet."""
        # a call during another, from a thread or signal handler, leaves its text to that one
        if self.closed or not self._is_writing.acquire(blocking=False):
            return
        try:
            if self._lost:
                note = f"[{self._lost} bytes could not be written here: {self.problem}]\n".encode()
                self._waiting[:0] = note[self._write_some(note) :]
                self._lost = 0
            while self._waiting:
                del self._waiting[: self._write_some(bytes(self._waiting))]
            self.problem = None
        except OSError as error:
            self.problem = error
            self._lose_oldest()
        finally:
            self._is_writing.release()

    def _write_some(self, data: bytes) -> int:
        written: int | None = super().write(data)
        if written is None:  # a non-blocking descriptor whose reader is slow
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return written

    def _lose_oldest(self) -> None:
        """Drop the oldest lines beyond ``KEPT`` bytes."""
        if len(self._waiting) > KEPT:
            end = self._waiting.find(b"\n", len(self._waiting) - KEPT) + 1 or len(self._waiting)
            self._lost += end
            del self._waiting[:end]


def patient_text(file: Path | int, encoding: str = "utf-8") -> io.TextIOWrapper:
    """Open a ``PatientFile`` for lines of text; characters that ``encoding`` lacks are escaped."""
    return io.TextIOWrapper(PatientFile(file), encoding, errors="backslashreplace", line_buffering=True)


def problem_of(stream: TextIO) -> OSError | None:
    """Why something has not been written to a ``patient_text`` yet; ``None`` for other streams."""
    file = getattr(stream, "buffer", None)
    return file.problem if isinstance(file, PatientFile) else None


def write_patiently() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr`` by ``PatientFile`` for the rest of this process."""
    sys.stdout, sys.stderr = _patient(sys.stdout), _patient(sys.stderr)


def _patient(stream: TextIO) -> TextIO:
    if stream is None:  # its descriptor is closed
        return stream
    stream.flush()
    return patient_text(stream.fileno(), stream.encoding)


def output_code() -> int:
    """Return the exit code of a command that prints its result: 1, with a message, if printing failed.

    A reader that has closed the pipe, such as ``head``, is not an error.
    """
    problem = problem_of(sys.stdout)
    if problem is None or isinstance(problem, BrokenPipeError):
        return 0
    sys.stderr.write(f"error: standard output cannot be written to: {problem.strerror}\n")
    return 1


def printable(text: str) -> str:
    """``text`` in one line, with escapes for line breaks and for what could control a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
