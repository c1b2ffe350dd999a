"""Ways to damage a file, as failing disks, interrupted copies and crashes do."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path


def truncate(path: Path, share: float = 0.5) -> None:
    """Keep the first ``share`` of the file, like an interrupted copy."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def flip_bit(path: Path, position: int | None = None) -> None:
    """Flip one bit of the byte at ``position``, like a faulty disk or memory.

    Without a position, choose the middle of a checkpoint's largest record, because the bytes between its records mean
    nothing; in any other file, the middle of the file.
    """
    content = bytearray(path.read_bytes())
    content[_middle(path, len(content)) if position is None else position] ^= 1
    path.write_bytes(bytes(content))


def _middle(path: Path, length: int) -> int:
    """Offset of a byte that matters: the middle of the largest record, or of the file."""
    if not zipfile.is_zipfile(path):
        return length // 2
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda record: record.file_size)
    with path.open("rb") as file:
        file.seek(largest.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return int(largest.header_offset + 30 + name + extra + largest.file_size // 2)


def empty(path: Path) -> None:
    """Remove the content, like a crash before anything was written to disk."""
    path.write_bytes(b"")


def zero_tail(path: Path, share: float = 0.5) -> None:
    """Overwrite the end with zeros, like a crash after the length was written to disk but not the content."""
    content = path.read_bytes()
    kept = int(len(content) * share)
    path.write_bytes(content[:kept] + bytes(len(content) - kept))


def replace_by_text(path: Path) -> None:
    """Replace the file by text, like an error page that was downloaded instead."""
    path.write_text("<html>404 Not Found</html>\n")


WAYS: dict[str, Callable[[Path], None]] = {
    "truncate": truncate,
    "flip_bit": flip_bit,
    "empty": empty,
    "zero_tail": zero_tail,
    "replace_by_text": replace_by_text,
}
"""All of these functions by name."""
