"""Ways to damage a file, as disks, copies and crashes do."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path


def truncate(path: Path, share: float = 0.5) -> None:
    """Keep the first ``share`` of the file: a copy that was interrupted."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def flip_bit(path: Path, position: int | None = None) -> None:
    """Flip one bit of the byte at ``position``: a disk or a memory that erred.

    Without a position, in the middle of a checkpoint's largest record, or of the file where it is no checkpoint: a
    checkpoint has bytes between its records that mean nothing.
    """
    content = bytearray(path.read_bytes())
    content[_middle(path, len(content)) if position is None else position] ^= 1
    path.write_bytes(bytes(content))


def _middle(path: Path, length: int) -> int:
    """Where it hurts."""
    if not zipfile.is_zipfile(path):
        return length // 2
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda record: record.file_size)
    with path.open("rb") as file:
        file.seek(largest.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return int(largest.header_offset + 30 + name + extra + largest.file_size // 2)


def empty(path: Path) -> None:
    """Keep the name and lose the content: a crash before anything was written to disk."""
    path.write_bytes(b"")


def zero_tail(path: Path, share: float = 0.5) -> None:
    """Keep the length and lose the end: a crash after the length was written to disk, before the content."""
    content = path.read_bytes()
    kept = int(len(content) * share)
    path.write_bytes(content[:kept] + bytes(len(content) - kept))


def replace_by_text(path: Path) -> None:
    """Another file under this name: an error page that was downloaded instead."""
    path.write_text("<html>404 Not Found</html>\n")


WAYS: dict[str, Callable[[Path], None]] = {
    "truncate": truncate,
    "flip_bit": flip_bit,
    "empty": empty,
    "zero_tail": zero_tail,
    "replace_by_text": replace_by_text,
}
"""All of them by name."""
