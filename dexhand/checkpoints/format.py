"""The JSON index of a checkpoint file: what it holds, readable without torch.

A checkpoint is what ``torch.save`` writes, with one more record, ``archive/dexhand.json``:

    {"format": "dexhand checkpoint", "version": 1, "byteorder": "little",
     "tensors": [{"record": "data/0", "dtype": "float32", "shape": [400, 69]}, ...],
     "state": ...}

Every tensor is contiguous and alone in its record. In ``state``, null, booleans, integers, finite floats, strings and
lists stand for themselves; the rest is an object with one member: ``{"dict": [[key, value], ...]}``,
``{"tuple": [...]}``, ``{"float": "nan"}`` or ``{"tensor": index into tensors}``. A training adds ``config``, the digest
of its configuration.
"""

import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FORMAT = "dexhand checkpoint"
FORMAT_VERSION = 1
INDEX_RECORD = "archive/dexhand.json"

ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, OSError, OverflowError, RuntimeError, ValueError),
)
"""Errors of zipfile for files that are damaged or no zip files."""
STATE_ERRORS = (AttributeError, LookupError, OverflowError, RuntimeError, TypeError, ValueError)
"""Errors that an index in another format leads to."""


def parse_index(content: bytes) -> dict[str, Any]:
    """Parse an index and check its format and version. Raises ``ValueError`` naming the problem."""
    try:
        index = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"malformed index: {error}") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT or type(index.get("version")) is not int:
        raise ValueError(f"malformed index: it does not say that it is a {FORMAT!r} and of which version")
    if index["version"] > FORMAT_VERSION:
        raise ValueError(
            f"format version {index['version']} is newer than this program, which reads up to {FORMAT_VERSION}; "
            "update dexhand"
        )
    if index.get("byteorder") != sys.byteorder:
        raise ValueError(f"byte order {index.get('byteorder')!r} is not this machine's, {sys.byteorder!r}")
    return index


def state_from(node: Any, tensors: Sequence[Any]) -> Any:
    """The value that a node of ``index["state"]`` stands for. Raises one of ``STATE_ERRORS``."""
    if isinstance(node, list):
        return [state_from(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "dict":
        return {key: state_from(item, tensors) for key, item in value}
    if kind == "tuple":
        return tuple(state_from(item, tensors) for item in value)
    if kind == "float":
        return float(value)
    if kind == "tensor":
        return tensors[value]
    raise KeyError(kind)


def read_plain_state(path: Path) -> dict[str, Any]:
    """The state in a checkpoint with ``None`` in the place of every tensor; only the index is read and verified.

    Raises ``ValueError`` for a file that is damaged or was not written by dexhand, ``OSError`` where there is none.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                index = parse_index(archive.read(INDEX_RECORD))
            state = state_from(index["state"], [None] * len(index["tensors"]))
        except (*ZIP_ERRORS, *STATE_ERRORS, RecursionError) as error:
            raise ValueError(f"{path}: no readable index: {error}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: malformed index: its state is not a dictionary")
    return state


def config_digest_of(path: Path) -> str | None:
    """The digest of the configuration that an intact checkpoint was saved under, if it has one."""
    with zipfile.ZipFile(path) as archive:
        if INDEX_RECORD not in archive.namelist():
            return None
        digest: str | None = parse_index(archive.read(INDEX_RECORD)).get("config")
    return digest
