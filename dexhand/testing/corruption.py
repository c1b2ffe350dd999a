"""Ways to damage a file, as disks, copies and crashes do."""

from pathlib import Path
from typing import Callable, Dict


def truncate(path: Path, share: float = 0.5) -> None:
    """Keep the first ``share`` of the file: a copy that was interrupted."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def flip_bit(path: Path, position: float = 0.5) -> None:
    """Flip one bit, at ``position`` of the file's length: a disk or a memory that erred."""
    content = bytearray(path.read_bytes())
    content[min(int(len(content) * position), len(content) - 1)] ^= 1
    path.write_bytes(bytes(content))


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


WAYS: Dict[str, Callable[[Path], None]] = {
    "truncate": truncate,
    "flip_bit": flip_bit,
    "empty": empty,
    "zero_tail": zero_tail,
    "replace_by_text": replace_by_text,
}
"""All of them by name."""
