"""Unpickling tensors and numbers without running code, and without more memory or time than the file's size allows.

``torch.load(weights_only=True)`` runs no code either since torch 2.10 (CVE-2025-32434, CVE-2026-24747), but a pickle of
50 bytes can make it allocate any amount of memory.
"""

import io
import math
import pickle
import pickletools
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from dexhand.checkpoints.archive import Archive

MOST_OPERATIONS = 50_000
"""Of a pickle; enough for 2,000 tensors. A tensor takes about 25."""

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_NUMPY_DTYPES = ("f2", "f4", "f8", "i4", "i8", "b1")


class StoredTensor(NamedTuple):
    """A tensor that a pickle describes; its content is a record of the file."""

    storage: Any
    """The class of the storage, such as ``FloatStorage``, and the number of its record."""
    offset: Any
    """In elements, like ``stride``."""
    shape: Any
    stride: Any


def unpickle(content: bytes) -> Any:
    """Read a pickle of dictionaries, lists, tuples, strings, numbers and tensors, which become ``StoredTensor``.

    Raises ``pickle.UnpicklingError`` for one that holds more, and any other exception for a damaged one.
    """
    for number, (operation, argument, _) in enumerate(pickletools.genops(content)):
        if number > MOST_OPERATIONS:
            raise pickle.UnpicklingError(f"it has more than {MOST_OPERATIONS} operations")
        # the memo is an array of this length
        if operation.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > MOST_OPERATIONS:
            raise pickle.UnpicklingError(f"it remembers an object under the number {argument}")
    return _Unpickler(io.BytesIO(content)).load()


class TensorReader:
    """Reads the tensors of a torch file, which may share records but are together no larger than the file."""

    def __init__(self, archive: Archive, prefix: str) -> None:
        """``prefix`` begins the names of all records. Raises ``ValueError`` for a file of another byte order."""
        self._archive, self._prefix = archive, prefix
        self._left = sum(archive.sizes.values())
        self._storages: dict[str, torch.Tensor] = {}
        order = archive.read_table(f"{prefix}byteorder").decode() if f"{prefix}byteorder" in archive.sizes else "little"
        if order != sys.byteorder:
            raise ValueError(f"byte order {order!r} is not this machine's, {sys.byteorder!r}")

    def read(self, tensor: StoredTensor) -> torch.Tensor:
        """Read a tensor, into memory of its own. Raises ``ArchiveError``, and any other exception for odd numbers."""
        kind, key = tensor.storage
        dtype, name = _DTYPES[kind], f"{self._prefix}data/{key}"
        numbers = (tensor.offset, *tensor.shape, *tensor.stride)
        if any(type(number) is not int or number < 0 for number in numbers) or len(tensor.shape) != len(tensor.stride):
            raise ValueError(f"{name} cannot have shape {tensor.shape}, stride {tensor.stride}, offset {tensor.offset}")
        size = math.prod(tensor.shape) * dtype.itemsize
        self._left -= size
        if self._left < 0:
            raise ValueError(f"{name}: its tensors have more elements than the file")
        if size == 0:
            return torch.empty(tensor.shape, dtype=dtype)
        if name not in self._storages:
            self._storages[name] = torch.frombuffer(bytearray(self._archive.read(name)), dtype=torch.uint8)
        flat = self._storages[name].view(dtype)
        return flat.as_strided(tensor.shape, tensor.stride, tensor.offset).clone(memory_format=torch.contiguous_format)


class _Maker:
    """Makes harmless things in place of what a pickle names. The pickle can call it but not change it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes what it names")


class _Dict(dict[Any, Any]):
    """An ``OrderedDict``; the attributes that torch gives to those of weights are left out."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _NumpyDtype:
    """The type of a number."""

    __slots__ = ("name",)

    def __init__(self, name: str, *_: Any) -> None:
        if name not in _NUMPY_DTYPES:
            raise pickle.UnpicklingError(f"it holds a number of type {name}")
        self.name = name

    def __setstate__(self, state: Any) -> None:
        pass


def _stored_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> StoredTensor:
    return StoredTensor(storage, offset, shape, stride)


def _number(dtype: _NumpyDtype, content: bytes) -> Any:
    return np.frombuffer(content, dtype.name)[0].item()


def _latin_1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding}")
    return text.encode("latin1")


_MAKERS = {
    "collections.OrderedDict": _Maker(_Dict),
    "torch._utils._rebuild_tensor_v2": _Maker(_stored_tensor),
    "torch._utils._rebuild_parameter": _Maker(lambda tensor, *_: tensor),
    "numpy.dtype": _Maker(_NumpyDtype),
    "numpy.core.multiarray.scalar": _Maker(_number),
    "numpy._core.multiarray.scalar": _Maker(_number),
    "_codecs.encode": _Maker(_latin_1),
}


class _Unpickler(pickle.Unpickler):
    """Knows nothing but ``_MAKERS`` and the names of storages, and so imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return name
        if f"{module}.{name}" not in _MAKERS:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}")
        return _MAKERS[f"{module}.{name}"]

    def persistent_load(self, pid: Sequence[Any]) -> tuple[Any, Any]:
        _, kind, key, *_ = pid
        return kind, key
