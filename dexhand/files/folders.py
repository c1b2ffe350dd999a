"""Walking through folders of any depth."""

import os
from collections.abc import Iterator
from pathlib import Path


def entries_below(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Everything in ``folder`` and in the folders below it; links are not followed. Raises ``OSError``."""
    waiting = [os.fspath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
