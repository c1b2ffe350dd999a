"""Checkpoint files as zip files, whose table of records is checked before anything is read. Needs no torch."""

import struct
import sys
import zipfile
import zlib
from collections.abc import Sequence
from typing import BinaryIO

LARGEST_TABLE = 2 << 20
"""Bytes that the table of records and a pickle may each take: enough for 10,000 tensors."""

_FIRST_BYTES = b"PK\x03\x04"
_HEADER_SIZE = 30
_LARGEST_GAP = 4200  # between records: torch aligns them to 64 bytes, or to a page if asked to, and adds checksums
_ENCRYPTED = 0x1
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, OSError, OverflowError, RuntimeError, ValueError),
)
"""Errors that zipfile raises for damaged files."""


class ArchiveError(Exception):
    """The file is damaged or not written by torch; the message says why."""


class Archive:
    """The records of a torch file, each with its checksum.

    Records are uncompressed, have different names, do not overlap and leave no holes, so together they are as large as
    the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read and check the table of records only. Raises ``ArchiveError``."""
        first = file.read(len(_FIRST_BYTES))
        if not first:
            raise ArchiveError("is empty")
        if first != _FIRST_BYTES:
            raise ArchiveError("not a checkpoint: not a zip file, which is what torch writes")
        limited = _LimitedReads(file)
        try:
            self._zip = zipfile.ZipFile(limited)
        except _ZIP_ERRORS as error:
            raise ArchiveError(f"truncated or damaged: the table of records cannot be read ({error})") from error
        limited.limit = sys.maxsize
        records = self._zip.infolist()
        _check_stored(records)
        _check_places(records, self._zip.start_dir)
        self.sizes = {record.filename: record.file_size for record in records}
        """Bytes of each record, by name."""

    def read(self, name: str) -> bytes:
        """Read one record and verify its checksum. Raises ``ArchiveError``."""
        try:
            return self._zip.read(name)
        except _ZIP_ERRORS as error:
            raise _unreadable(name, error) from error

    def read_table(self, name: str, largest: int = LARGEST_TABLE) -> bytes:
        """Read a record of at most ``largest`` bytes, as parsing it takes far more memory.

        Raises ``ArchiveError``, and ``KeyError`` if there is no such record.
        """
        if name not in self.sizes:
            raise KeyError(f"there is no record {name}")
        if self.sizes[name] > largest:
            raise _unreadable(name, f"it has {self.sizes[name]} bytes, of at most {largest}")
        return self.read(name)


class _LimitedReads:
    """The methods of a file that ``zipfile`` needs; reading more than ``limit`` bytes at once is an error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.limit = LARGEST_TABLE
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self.limit:
            raise zipfile.BadZipFile(f"it has {size} bytes, of at most {self.limit}")
        return self._file.read(size)


def _check_stored(records: Sequence[zipfile.ZipInfo]) -> None:
    """Raise ``ArchiveError`` for compressed, encrypted and duplicate records."""
    names = set()
    for record in records:
        if record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size:
            raise _unreadable(record.filename, "it is compressed")
        if record.flag_bits & _ENCRYPTED:
            raise _unreadable(record.filename, "it is encrypted")
        if record.filename in names:
            raise _unreadable(record.filename, "it is there twice")
        names.add(record.filename)


def _check_places(records: Sequence[zipfile.ZipInfo], end: int) -> None:
    """Raise ``ArchiveError`` for a record that overlaps the next one, or ``end``, or is far from it."""
    for record in sorted(records, key=lambda record: record.header_offset, reverse=True):
        gap = end - (record.header_offset + _HEADER_SIZE + record.file_size)
        if gap < 0:
            raise _unreadable(record.filename, "it overlaps what follows it")
        if gap > _LARGEST_GAP:
            raise _unreadable(record.filename, f"{gap} bytes between it and what follows it belong to no record")
        end = record.header_offset
    if end > 0:
        raise ArchiveError(f"truncated or damaged: its first {end} bytes belong to no record")


def _unreadable(name: str, problem: object) -> ArchiveError:
    return ArchiveError(f"truncated or damaged: record {name} cannot be read ({problem})")
