"""Checkpoint files: ordinary torch files with an index, so that they can be read without unpickling.

The file format is described in ``dexhand.checkpoints.format``.
"""

import io
import json
import logging
import math
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from dexhand.checkpoints.archive import Archive, ArchiveError
from dexhand.checkpoints.folder import BEST_NAME, LATEST_NAME, numbered_checkpoints, numbered_name
from dexhand.checkpoints.format import (
    DEEPEST,
    FORMAT,
    FORMAT_VERSION,
    INDEX_RECORD,
    LARGEST_INDEX,
    LONGEST_KEY,
    STATE_ERRORS,
    check_index_size,
    parse_index,
    state_from,
)
from dexhand.files.atomic import link_atomically, remove_leftovers, write_atomically
from dexhand.files.locks import is_in_use
from dexhand.files.output import printable

log = logging.getLogger(__name__)

_DTYPES = {
    name: getattr(torch, name)
    for name in (
        *("bool", "uint8", "int8", "int16", "int32", "int64"),
        *("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"),
        *("complex64", "complex128"),
    )
}
_DTYPE_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MOST_DIMENSIONS = 64  # of a tensor that torch can compute with
_LARGEST_INT_BITS = 255 * 8 - 1  # more than this, torch.load(weights_only=True) cannot read


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message names the file and the problem."""

    def __init__(self, path: Path, problem: str) -> None:
        problem = printable(problem)  # it may quote the file
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class ForeignCheckpointError(CheckpointError):
    """The file is an intact torch file of another program."""


# --- writing ----------------------------------------------------------------------------------------------------------


def save_checkpoint(path: str | Path, state: Mapping[str, Any], config: str | None = None) -> None:
    """Write ``state`` to ``path`` atomically: a reader sees either the old file or the new one.

    ``state`` holds nested dictionaries (``str`` or ``int`` keys), lists, tuples, tensors, ``str``, ``int``, ``float``,
    ``bool`` and ``None``; anything else raises ``TypeError``, naming its place. Tensors that share memory are written
    separately. If ``OSError`` is raised, the file is either the old one or complete.
    """
    content = _serialize(dict(state), {} if config is None else {"config": config})
    write_atomically(Path(path), lambda file: file.write(content))


def _serialize(state: dict[str, Any], more: dict[str, str]) -> bytes:
    """Return the bytes of a checkpoint; ``more`` is added to the index."""
    plain = _plain(state, "state")
    tensors: list[torch.Tensor] = []
    tree = _to_index(plain, tensors)
    records = [
        {"record": f"data/{number}", "dtype": _DTYPE_NAMES[tensor.dtype], "shape": list(tensor.shape)}
        for number, tensor in enumerate(tensors)
    ]
    index = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "byteorder": sys.byteorder,
        **more,
        "tensors": records,
        "state": tree,
    }
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    with zipfile.ZipFile(buffer, "a") as archive:
        _check_records(archive, tensors)
        archive.writestr(INDEX_RECORD, _encoded(index))
    return buffer.getvalue()


def _encoded(index: dict[str, Any]) -> bytes:
    content = json.dumps(index, allow_nan=False, separators=(",", ":")).encode()
    try:
        check_index_size(content)
    except ValueError as error:
        raise TypeError(f"{error}. Turn long lists of numbers into tensors") from None
    return content


def _check_records(archive: zipfile.ZipFile, tensors: list[torch.Tensor]) -> None:
    """Verify that torch wrote tensor n as record data/n, as the index assumes."""
    records = {info.filename: (info.file_size, info.CRC) for info in archive.infolist()}
    written = [name for name in records if name.startswith("archive/data/")]
    for number, tensor in enumerate(tensors):
        content = tensor.reshape(-1).view(torch.uint8).numpy()
        if records.get(f"archive/data/{number}") != (content.nbytes, zlib.crc32(content.data)):
            raise RuntimeError(f"torch {torch.__version__} did not write tensor {number} as record data/{number}")
    if len(written) != len(tensors):
        raise RuntimeError(f"torch {torch.__version__} wrote {len(written)} records for {len(tensors)} tensors")


def _plain(value: Any, place: str, depth: int = DEEPEST) -> Any:
    """Copy ``value`` in exactly the types that a checkpoint can hold; tensors share no memory."""
    if depth == 0:
        raise TypeError(f"{place} is nested too deeply; a checkpoint can hold {DEEPEST} levels")
    if isinstance(value, torch.Tensor):
        return _plain_tensor(value, place)
    if isinstance(value, dict):
        for key in value:
            if type(key) not in (str, int):
                raise TypeError(f"{place} has the key {key!r}; a checkpoint can hold str and int keys")
            _check_scalar(key, f"a key of {place}", LONGEST_KEY)
        return {key: _plain(item, f"{place}[{key!r}]", depth - 1) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item, f"{place}[{number}]", depth - 1) for number, item in enumerate(value))
    if value is None or type(value) in (bool, int, float, str):
        _check_scalar(value, place)
        return value
    raise TypeError(
        f"{place} is a {type(value).__module__}.{type(value).__qualname__}; a checkpoint can hold dict, list, tuple, "
        "Tensor, str, int, float, bool and None"
    )


def _check_scalar(value: Any, place: str, most_bits: int = _LARGEST_INT_BITS) -> None:
    if type(value) is int and value.bit_length() > most_bits:
        raise TypeError(f"{place} is an int of {value.bit_length()} bits; a checkpoint can hold {most_bits}")
    if type(value) is str:
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise TypeError(f"{place} is not valid Unicode text: {error}") from None


def _plain_tensor(tensor: torch.Tensor, place: str) -> torch.Tensor:
    if tensor.dtype not in _DTYPE_NAMES or tensor.layout is not torch.strided or tensor.is_meta:
        raise TypeError(
            f"{place} is a {tensor.layout} tensor of {tensor.dtype} on {tensor.device}; a checkpoint can hold dense "
            f"tensors of {', '.join(_DTYPES)}"
        )
    plain = tensor.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
    return plain.cpu().clone(memory_format=torch.contiguous_format)


def _to_index(value: Any, tensors: list[torch.Tensor]) -> Any:
    """Convert a plain value to JSON values; tensors are appended to ``tensors`` in pickle's order."""
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"tensor": len(tensors) - 1}
    if isinstance(value, dict):
        return {"dict": [[key, _to_index(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_to_index(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_to_index(item, tensors) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


# --- reading ----------------------------------------------------------------------------------------------------------


def load_checkpoint(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Read what ``save_checkpoint`` wrote, without unpickling; tensors own their memory, on ``map_location``.

    The checksum of every record in the file is verified. Raises ``CheckpointError``.
    """
    path = Path(path)
    return parse_checkpoint(path, read_checkpoint(path), map_location)


def read_checkpoint(path: Path) -> bytes:
    """Read the bytes of a torch file, after a check of its table of records. Raises ``CheckpointError``."""
    try:
        with open(path, "rb") as file, _explained(path):
            Archive(file)
            file.seek(0)
            return file.read()
    except FileNotFoundError:
        raise CheckpointError(path, "there is no such file") from None
    except IsADirectoryError:
        raise CheckpointError(path, "is a folder; name a .pth file in it") from None
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror}") from error


def parse_checkpoint(path: Path, content: bytes, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Parse the bytes that ``read_checkpoint`` read from ``path``. Raises ``CheckpointError``."""
    with _explained(path):
        archive = Archive(io.BytesIO(content))
        if INDEX_RECORD not in archive.sizes:
            _refuse_foreign(path, archive)
        index = _parsed(path, archive.read_table(INDEX_RECORD, LARGEST_INDEX))
        tensors = _read_tensors(index["tensors"], archive)
        state = state_from(index["state"], [tensor.to(map_location) for tensor in tensors])
        if not isinstance(state, dict):
            raise ValueError("its state is not a dictionary")
    return state


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn errors about the file into ``CheckpointError``."""
    try:
        yield
    except CheckpointError:
        raise
    except ArchiveError as error:
        raise CheckpointError(path, str(error)) from error
    except STATE_ERRORS as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise CheckpointError(path, f"malformed index: {kind}{error}") from error


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return parse_index(content)
    except ValueError as error:
        raise CheckpointError(path, str(error)) from error


def _refuse_foreign(path: Path, archive: Archive) -> NoReturn:
    for name in archive.sizes:
        archive.read(name)
    if any(name.endswith("data.pkl") for name in archive.sizes):
        raise ForeignCheckpointError(path, "not written by dexhand: this torch file has no dexhand index")
    raise CheckpointError(path, f"not a checkpoint: a zip file without {INDEX_RECORD}")


def _read_tensors(entries: Sequence[Mapping[str, Any]], archive: Archive) -> list[torch.Tensor]:
    """Read the tensors of an index, in its order, and verify the checksums of all records."""
    by_record = {f"archive/{entry['record']}": entry for entry in entries}
    if len(by_record) != len(entries):
        raise ValueError("several tensors are in one record")
    for name, entry in by_record.items():
        _check_size(entry, archive.sizes[name])
    found = {}
    for name in archive.sizes:
        content = archive.read(name)
        if name in by_record:
            found[name] = _tensor(by_record[name], content)
    return [found[name] for name in by_record]


def _check_size(entry: Mapping[str, Any], size: int) -> None:
    name, dtype, shape = entry["record"], _DTYPES[entry["dtype"]], entry["shape"]
    if len(shape) > _MOST_DIMENSIONS or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"{name} cannot have shape {str(shape)[:100]}")
    if math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{name} has {size} bytes, which is no {entry['dtype']} of shape {shape}")


def _tensor(entry: Mapping[str, Any], content: bytes) -> torch.Tensor:
    tensor = torch.empty(entry["shape"], dtype=_DTYPES[entry["dtype"]])
    if content:
        tensor.reshape(-1).view(torch.uint8).numpy()[:] = np.frombuffer(content, np.uint8)
    return tensor


# --- the checkpoints of one run ---------------------------------------------------------------------------------------


class CheckpointStore:
    """The checkpoints of one run, in one folder, written by one process.

    ``latest.pth`` is the newest state that was saved completely: during a save, and after one that failed or died,
    it is the previous one. It is written first, then the other names of the same state.
    """

    def __init__(self, folder: Path, keep: int | None = None, config: str | None = None) -> None:
        """``keep``: number of numbered checkpoints to keep, ``None`` = all; ``config``, YAML, is saved in each."""
        self.folder = folder
        self.keep = keep
        self.config = config
        self._has_saved = False

    def save(self, state: Mapping[str, Any], *, iteration: int, numbered: bool = False, best: bool = False) -> Path:
        """Write ``latest.pth``; with ``numbered`` also ``checkpoint_<iteration>.pth``, with ``best`` the best one.

        All are one file on disk if the file system has hard links. Returns the numbered file if there is one, which
        later saves do not replace, else ``latest.pth``. Creates the folder; raises ``OSError``.
        """
        if iteration < 0:
            raise ValueError(f"iteration={iteration} must not be negative")
        if self._has_saved and not self.folder.is_dir():
            gone = (
                "%s has been moved or deleted. A new folder of that name gets the checkpoints, not the rest of the run"
            )
            log.warning(gone, self.folder.parent)
        self.folder.mkdir(parents=True, exist_ok=True)
        latest = self.folder / LATEST_NAME
        save_checkpoint(latest, state, self.config)
        self._has_saved = True
        if best:
            link_atomically(latest, self.folder / BEST_NAME)
        if not numbered:
            return latest
        link_atomically(latest, self.folder / numbered_name(iteration))
        self._remove_old()
        return self.folder / numbered_name(iteration)

    def remove_leftovers(self) -> None:
        """Delete the temporary files of a process that was killed while it saved. Raises ``OSError``."""
        remove_leftovers(self.folder)

    def _remove_old(self) -> None:
        """Delete numbered checkpoints beyond ``keep``, lowest first, except those that a test on this machine plays."""
        numbered = self.numbered()
        for path in numbered[: len(numbered) - self.keep] if self.keep is not None else ():
            try:
                if not is_in_use(path):
                    path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("%s cannot be deleted (train.keepCheckpoints=%s): %s", path, self.keep, error)
                return

    def latest(self) -> Path | None:
        """The newest complete checkpoint."""
        return self._existing(LATEST_NAME)

    def best(self) -> Path | None:
        """The newest checkpoint saved with ``best``."""
        return self._existing(BEST_NAME)

    def numbered(self) -> list[Path]:
        """The numbered checkpoints, lowest iteration first."""
        return numbered_checkpoints(self.folder)

    def _existing(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.is_file() else None
