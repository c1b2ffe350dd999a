"""Advisory locks that tell other processes on this machine that a file is in use; they end with the process."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and every file looks unused
    fcntl = None  # type: ignore[assignment]


class InUse:
    """Marks a file as in use until ``release``; several processes may mark the same file.

    A file that cannot be opened or locked (just deleted, or on a file system without locks) is not marked.
    """

    def __init__(self, file: Path | BinaryIO) -> None:
        """``file``: its path, or the file opened, which may then be closed and renamed."""
        self._descriptor = -1
        if fcntl is None:
            return
        with contextlib.suppress(OSError):
            if isinstance(file, Path):
                self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            else:
                self._descriptor = os.dup(file.fileno())
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                self.release()

    @property
    def is_held(self) -> bool:
        """Whether the file is marked."""
        return self._descriptor >= 0

    def release(self) -> None:
        """Remove the mark; calling it again does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_in_use(path: Path) -> bool:
    """Whether this or another process has marked the file. Raises ``OSError`` if there is no such file."""
    return fcntl is not None and _conflicts(path, fcntl.LOCK_EX)


def is_locked(path: Path) -> bool:
    """Whether a ``FileLock`` on the file is held. Raises ``OSError`` if there is no such file.

    The check itself holds the lock briefly, so acquire the ``FileLock`` with a timeout above zero.
    """
    return fcntl is not None and _conflicts(path, fcntl.LOCK_SH)


def identity_of(file: os.stat_result) -> str | None:
    """Name a file among those of all machines, until this one restarts; ``None`` where the system has no such name.

    A lock can be seen where the file has the same identity, and nowhere else: not in a copy, nor on another machine
    that shares the folder.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return f"{boot} {file.st_dev} {file.st_ino}"


def _conflicts(path: Path, mode: int) -> bool:
    with _opened(path) as descriptor:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
        return False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
