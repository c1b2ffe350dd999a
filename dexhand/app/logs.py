"""Where log messages go: the console, and the run folder's ``train.log``."""

import logging
from pathlib import Path

from rich.console import Console

_FILE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_NOISY = ("OpenGL", "filelock", "matplotlib", "PIL", "torch")
"""Libraries whose own remarks say nothing about a run."""


class _ConsoleHandler(logging.Handler):
    """Prints through rich, which keeps a live display on the same console whole. Lines are not broken."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        self._console.print(level + self.format(record), markup=False, highlight=False, soft_wrap=True)


def log_to_console(console: Console, level: str) -> None:
    """Show messages of ``level`` and above; Python's own warnings are messages, too."""
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [_ConsoleHandler(console)]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_to_file(path: Path) -> None:
    """Write every message into ``path`` as well."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(_FILE_FORMAT))
    logging.getLogger().addHandler(handler)
