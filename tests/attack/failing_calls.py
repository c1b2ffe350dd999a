"""Calls into the file system that fail: the n-th one of a process, alone or from then on."""

import builtins
import errno
import fcntl
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

READING = ("stat", "listdir", "scandir", "readlink", "getcwd")
CHANGING = ("replace", "rename", "link", "symlink", "mkdir", "rmdir", "unlink", "remove", "fsync", "truncate", "utime")
INSTALLED = (sys.prefix, sys.base_prefix)
"""An installation is taken to be intact."""
ERRORS = {
    "read": (errno.EIO, errno.EACCES, errno.ESTALE),
    "open": (errno.EACCES, errno.EMFILE, errno.EIO, errno.ENOSPC),
    "change": (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES, errno.EDQUOT),
}


class FailingCalls:
    """Lets calls of ``os`` and ``open``, and reads and writes of files, fail in this process; not ``lstat``.

    ``lstat`` is called by ``os.path.realpath`` and ``lexists`` only, which answer whatever it says.
    """

    def __init__(self, number: int, mode: str, report: int) -> None:
        """Let call ``number`` fail. Its name is written to the descriptor ``report``.

        ``mode``: ``"once"``; ``"always"`` counts calls that change something and lets all later ones fail, too;
        ``"kill"`` counts the same and kills this process before call ``number``.
        """
        self._number = number
        self._mode = mode
        self._report = report
        self._count = -1
        self._lock = threading.Lock()

    def install(self) -> None:
        """From now on, for the rest of this process."""
        for kind, names in (("read", READING), ("change", CHANGING)):
            for name in names:
                setattr(os, name, self._wrapped(getattr(os, name), kind))
        os.open = self._wrapped(os.open, "open")
        fcntl.flock = self._wrapped(fcntl.flock, "read")
        builtins.open = io.open = self._open

    def check(self, kind: str, what: str, path: Any = None) -> None:
        """Raise ``OSError`` or die if it is this call's turn."""
        if str(path).startswith(INSTALLED) or (self._mode != "once" and kind != "change"):
            return
        with self._lock:
            self._count += 1
            is_meant = self._count == self._number
            if self._count < self._number or not (is_meant or self._mode == "always"):
                return
        codes = ERRORS[kind]
        code = codes[self._number % len(codes)]
        if is_meant:
            os.write(self._report, f"{what} {path}: {errno.errorcode[code]}".encode())
        if self._mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        # as from the kernel, an error of an open file does not name it
        raise OSError(code, os.strerror(code), path) if "file" not in what else OSError(code, os.strerror(code))

    def _wrapped(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            first = arguments[0] if arguments else None
            path = os.fspath(first) if isinstance(first, str | os.PathLike) else None
            self.check(kind, function.__name__, path)
            return function(*arguments, **named)

        return call

    def _open(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        """``open`` whose files fail, too."""
        path = os.fspath(file) if isinstance(file, str | os.PathLike) else None
        self.check("change" if set(mode) & set("wxa+") else "open", "open", path)
        raw = _FailingFile(self, file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        if raw.readable() and raw.writable():
            buffer: Any = io.BufferedRandom(raw)
        else:
            buffer = io.BufferedWriter(raw) if raw.writable() else io.BufferedReader(raw)
        if "b" in mode:
            return buffer
        return io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=buffering == 1)


class _FailingFile(io.FileIO):
    def __init__(self, calls: FailingCalls, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._calls = calls

    def write(self, data: Any, /) -> int:
        self._calls.check("change", "write to file", self.name)
        return super().write(data)

    def readinto(self, buffer: Any, /) -> int:
        self._calls.check("read", "read file", self.name)
        return super().readinto(buffer)

    def readall(self) -> bytes:
        self._calls.check("read", "read file", self.name)
        return super().readall()
