"""Atomic replacement of files and links: a reader sees the old or the new one, never a partial one."""

import errno
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY_SUFFIX = ".tmp"
"""Suffix of incomplete files, whose names also start with a dot."""
LARGEST = 100_000_000
"""Bytes of a file that is appended to."""


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let ``write`` fill a temporary file next to ``path``, flush it to disk and rename it.

    If ``write`` or the file system raises, ``path`` is either unchanged or complete, and no temporary file is left. An
    ``OSError`` names a file.
    """
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed write or flush names none
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def append_atomically(path: Path, text: str) -> None:
    """Append ``text`` to ``path`` atomically; the file need not exist.

    Raises ``OSError``, also for a file of over ``LARGEST`` bytes, because it is read whole.
    """
    if path.exists() and path.stat().st_size > LARGEST:
        raise OSError(errno.EFBIG, f"over {LARGEST // 10**6} MB, move it elsewhere", str(path))
    before = path.read_bytes() if path.exists() else b""
    write_atomically(path, lambda file: file.write(before + text.encode(errors="backslashreplace")))


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files in ``folder`` of a process that was killed. Raises ``OSError``."""
    for path in folder.glob(f".*.????????{TEMPORARY_SUFFIX}"):
        path.unlink()


def link_atomically(source: Path, path: Path) -> None:
    """Hard-link ``path`` to the file ``source``, or copy it if the file system has no hard links."""
    temporary = _temporary(path)
    try:
        os.link(source, temporary)
        os.replace(temporary, path)
    except OSError:
        with open(source, "rb") as original:
            write_atomically(path, lambda file: shutil.copyfileobj(original, file))
    finally:
        # renaming one hard link of a file onto another does nothing, so the temporary name may still exist
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def symlink_atomically(target: str, path: Path) -> None:
    """Point the symbolic link ``path`` to ``target``, replacing an existing link."""
    temporary = _temporary(path)
    try:
        os.symlink(target, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
