"""Logging to the console and to the run folder's ``train.log``."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from dexhand.files.output import patient_text, problem_of

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger(__name__)

_FILE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_NOISY = ("OpenGL", "aiohttp", "asyncio", "filelock", "matplotlib", "PIL", "torch", "trimesh", "websockets")
"""Libraries whose messages below warning level are dropped."""


class _ConsoleHandler(logging.Handler):
    """Prints through rich, which keeps a live display on the same console intact. Lines are not wrapped.

    Leaves out messages with the attribute ``file_only``.
    """

    def __init__(self, console: "Console") -> None:
        super().__init__()
        self._console = console
        self.addFilter(lambda record: not getattr(record, "file_only", False))

    def emit(self, record: logging.LogRecord) -> None:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        try:
            self._console.print(level + self.format(record), markup=False, highlight=False, soft_wrap=True)
        except Exception:
            self.handleError(record)


class _FileHandler(logging.StreamHandler[TextIO]):
    """Writes to a file. What cannot be written yet is reported once, which the console shows."""

    def __init__(self, path: Path) -> None:
        super().__init__(patient_text(path))
        self.setFormatter(logging.Formatter(_FILE_FORMAT))
        self._path = path
        self._has_warned = False

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        problem = problem_of(self.stream)
        if problem is not None and not self._has_warned:
            self._has_warned = True
            log.warning("%s cannot be written: %s. It is continued when it can be", self._path, problem.strerror)

    def close(self) -> None:
        self.stream.close()
        super().close()


@contextlib.contextmanager
def logging_to_console(console: "Console", level: str) -> Iterator[None]:
    """Show messages of ``level`` and above, and Python's warnings, during the block.

    An exception that ends the block is recorded in the files of ``log_to_file`` with its traceback. At the end,
    handlers added meanwhile, for example by ``log_to_file``, are closed and the previous ones restored.
    """
    root = logging.getLogger()
    handlers, level_before = root.handlers, root.level
    logging.captureWarnings(True)
    root.handlers = [_ConsoleHandler(console)]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    except Exception:
        root.handlers = [handler for handler in root.handlers if isinstance(handler, _FileHandler)]
        if root.handlers:  # the console shows the error by itself
            log.critical("Ended by an error", exc_info=True)
        raise
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers = handlers
        root.setLevel(level_before)
        logging.captureWarnings(False)


def log_to_file(path: Path) -> None:
    """Also write every message to ``path``, until ``logging_to_console`` ends. Raises ``OSError``.

    What cannot be written (disk full) is written when it can be.
    """
    logging.getLogger().addHandler(_FileHandler(path))


def log_traceback(error: Exception) -> None:
    """Write the traceback of ``error`` to the files of ``log_to_file``; the console shows what was logged before."""
    log.error("Its traceback", exc_info=error, extra={"file_only": True})
