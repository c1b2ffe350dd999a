"""Where log messages go: the console, and the run folder's ``train.log``."""

import logging
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

_FILE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_console(console: Console, level: str) -> None:
    """Show messages of ``level`` and above, without disturbing a live display on the same console."""
    handler = RichHandler(console=console, show_path=False, show_time=False, markup=False, highlighter=None)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def log_to_file(path: Path) -> None:
    """Write every message into ``path`` as well."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(_FILE_FORMAT))
    logging.getLogger().addHandler(handler)
