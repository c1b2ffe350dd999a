"""Notifications of the operating system about changes in folders."""

import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from dexhand.checkpoints.choice import is_shared

log = logging.getLogger(__name__)

_IGNORED = ("opened", "closed_no_write", "modified")
"""Events of reading, and of writing before the file is closed."""


class FolderChanges(FileSystemEventHandler):
    """Notices when files in folders are created, written, renamed or deleted.

    Hidden files are ignored, except those of ``dexhand.checkpoints.choice``.
    Some file systems, such as network shares, send no notifications; check at an interval as well.
    """

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._observer: Any = Observer()
        self._observer.daemon = True
        self._observer.start()
        self._watches: dict[Path, tuple[tuple[int, int], Any]] = {}
        self._has_warned = False

    def watch(self, folders: Iterable[Path]) -> None:
        """Watch these folders and no others; a folder that was deleted and created again is watched again."""
        wanted = {path: found for path in folders for found in [_identity(path)] if found}
        for path, (identity, watch) in list(self._watches.items()):
            if wanted.get(path) != identity:
                del self._watches[path]
                self._unschedule(watch)
        for path, identity in wanted.items():
            if path not in self._watches:
                self._schedule(path, identity)

    def _schedule(self, path: Path, identity: tuple[int, int]) -> None:
        try:
            self._watches[path] = identity, self._observer.schedule(self, str(path))
        except FileNotFoundError:  # just deleted
            return
        except OSError as error:
            if not self._has_warned:
                log.warning("%s cannot be watched (%s); it is checked at an interval instead", path, error)
            self._has_warned = True

    def _unschedule(self, watch: Any) -> None:
        try:
            self._observer.unschedule(watch)
        except (KeyError, OSError):  # the watch has ended with its folder
            log.debug("%s was not watched any more", watch)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog, in its own thread."""
        if event.event_type in _IGNORED:
            return
        names = [os.path.basename(os.fsdecode(path)) for path in (event.src_path, getattr(event, "dest_path", ""))]
        if any(name and (not name.startswith(".") or is_shared(name)) for name in names):
            self._changed.set()

    def notify(self) -> None:
        """Act as if something had changed."""
        self._changed.set()

    def wait(self, seconds: float) -> bool:
        """Wait until something has changed since ``clear``, at most so long; returns whether it has."""
        return self._changed.wait(seconds)

    def happened(self) -> bool:
        """Whether something has changed since ``clear``; cheap enough for every step."""
        return self._changed.is_set()

    def clear(self) -> None:
        """Reset ``happened``. Call it before looking at the folders, so that no change is missed."""
        self._changed.clear()

    def close(self) -> None:
        """Stop watching."""
        # its thread logs an error if it is stopped while reading
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)
        self._observer.stop()
        self._observer.join(timeout=5.0)


def _identity(path: Path) -> "tuple[int, int] | None":
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
