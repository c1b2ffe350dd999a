"""The JSON index of a checkpoint file, readable without torch.

A checkpoint is what ``torch.save`` writes, with one more record, ``archive/dexhand.json``:

    {"format": "dexhand checkpoint", "version": 1, "byteorder": "little",
     "tensors": [{"record": "data/0", "dtype": "float32", "shape": [400, 69]}, ...],
     "state": ...}

Every tensor is contiguous and alone in its record, and occurs once in ``state``, in the order of ``tensors``. In
``state``, null, booleans, integers, finite floats, strings and lists stand for themselves; the rest is an object with
one member: ``{"dict": [[key, value], ...]}``, ``{"tuple": [...]}``, ``{"float": "nan"}`` or
``{"tensor": index into tensors}``. A training adds ``config``, its
configuration as YAML, so that the file alone can be played; older ones added the digest of that.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dexhand.checkpoints.archive import Archive, ArchiveError
from dexhand.files.digest import digest_of

FORMAT = "dexhand checkpoint"
FORMAT_VERSION = 1
INDEX_RECORD = "archive/dexhand.json"
LARGEST_INDEX = 8 << 20
"""Bytes of an index."""
MOST_MARKS = 300_000
"""Brackets, commas and colons of an index: in memory, a value takes up to 100 times its bytes."""
DEEPEST = 100
"""Levels to which a state may nest."""
LONGEST_KEY = 63
"""Bits of an integer key: longer ones can be chosen to have the same hash, and a dictionary of them is slow."""

STATE_ERRORS = (AttributeError, LookupError, OverflowError, RuntimeError, TypeError, ValueError)
"""Errors that an index in another format leads to."""


def check_index_size(content: bytes) -> None:
    """Raise ``ValueError`` for an index that takes too much memory to parse."""
    marks = sum(content.count(mark) for mark in (b"[", b"{", b",", b":"))
    if len(content) > LARGEST_INDEX or marks > MOST_MARKS:
        raise ValueError(
            f"all but the tensors of this state takes {len(content)} bytes as JSON, with {marks} brackets, commas and "
            f"colons; a checkpoint can hold {LARGEST_INDEX} and {MOST_MARKS}"
        )


def parse_index(content: bytes) -> dict[str, Any]:
    """Parse an index and check its format and version. Raises ``ValueError`` naming the problem."""
    check_index_size(content)
    try:
        index = json.loads(content.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"malformed index: {error}") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT or type(index.get("version")) is not int:
        raise ValueError(f"malformed index: it must have format {FORMAT!r} and a version")
    if index["version"] > FORMAT_VERSION:
        raise ValueError(
            f"format version {index['version']} is newer than this program, which reads up to {FORMAT_VERSION}; "
            "update dexhand"
        )
    if index.get("byteorder") != sys.byteorder:
        raise ValueError(f"byte order {index.get('byteorder')!r} is not this machine's, {sys.byteorder!r}")
    return index


def state_from(node: Any, tensors: Iterable[Any]) -> Any:
    """Convert a node of ``index["state"]`` to its value. Raises one of ``STATE_ERRORS``."""
    return _value(node, enumerate(tensors), DEEPEST)


def _value(node: Any, tensors: Iterator[tuple[int, Any]], depth: int) -> Any:
    """``tensors`` yields the remaining tensors; ``depth`` is the number of levels that may follow."""
    if depth == 0:
        raise ValueError(f"its state nests deeper than {DEEPEST} levels")
    if isinstance(node, list):
        return [_value(item, tensors, depth - 1) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "dict":
        return {_key(key): _value(item, tensors, depth - 1) for key, item in value}
    if kind == "tuple":
        return tuple(_value(item, tensors, depth - 1) for item in value)
    if kind == "float":
        return float(value)
    if kind == "tensor":
        number, tensor = next(tensors, (None, None))
        if value != number:
            raise ValueError(f"tensor {value} is not the next one, {number}")
        return tensor
    raise KeyError(kind)


def _key(key: Any) -> str | int:
    if type(key) not in (str, int) or (type(key) is int and key.bit_length() > LONGEST_KEY):
        raise TypeError(f"{key!r:.100} is no key")
    found: str | int = key
    return found


def read_plain_state(path: Path) -> dict[str, Any]:
    """Read the state of a checkpoint with ``None`` in place of tensors; only the index is read and verified.

    Raises ``ValueError`` if the file is damaged or not dexhand's, ``OSError`` if it cannot be read.
    """
    try:
        index = _read_index(path)
        state = state_from(index["state"], [None] * len(index["tensors"]))
    except (ArchiveError, *STATE_ERRORS) as error:
        raise ValueError(f"{path}: no readable index: {error}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: malformed index: its state is not a dictionary")
    return state


def config_digest_of(path: Path) -> str | None:
    """Return the digest of the configuration that a checkpoint was saved with, if recorded.

    Raises ``ValueError`` if the file is damaged, ``OSError`` if it cannot be read.
    """
    recorded = _recorded_config(path)
    return digest_of(recorded) if "\n" in recorded else recorded or None


def config_in(path: Path) -> str | None:
    """Return the configuration, YAML, that a checkpoint was saved with, if recorded. Raises like the above."""
    recorded = _recorded_config(path)
    return recorded if "\n" in recorded else None


def _recorded_config(path: Path) -> str:
    """A configuration, its digest, or nothing."""
    try:
        recorded = _read_index(path).get("config")
    except KeyError:  # written by another program
        return ""
    except (ArchiveError, *STATE_ERRORS) as error:
        raise ValueError(f"{path}: no readable index: {error}") from error
    return recorded if isinstance(recorded, str) else ""


def _read_index(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return parse_index(Archive(file).read_table(INDEX_RECORD, LARGEST_INDEX))
