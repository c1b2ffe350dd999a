"""Bit-exact comparison of two states."""

import struct
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor


def differences(expected: Any, found: Any, place: str = "state") -> Iterator[str]:
    """Yield a message for each difference between two nested states; equal NaNs are equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in [*expected, *(key for key in found if key not in expected)]:
            if key not in found:
                yield f"{place}[{key!r}] is missing"
            elif key not in expected:
                yield f"{place}[{key!r}] should not be there"
            else:
                yield from differences(expected[key], found[key], f"{place}[{key!r}]")
    elif isinstance(expected, (list, tuple)) and type(expected) is type(found):
        if len(expected) != len(found):
            yield f"{place} has {len(found)} members instead of {len(expected)}"
        for number, (one, other) in enumerate(zip(expected, found)):
            yield from differences(one, other, f"{place}[{number}]")
    elif isinstance(expected, Tensor) and isinstance(found, Tensor):
        if _kind(expected) != _kind(found):
            yield f"{place} is {_kind(found)} instead of {_kind(expected)}"
        elif not torch.equal(_bits(expected), _bits(found)):
            yield f"{place} has other values"
    elif type(expected) is not type(found) or not _same(expected, found):
        yield f"{place} is {found!r} instead of {expected!r}"


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, float):
        return struct.pack("d", expected) == struct.pack("d", found)
    return bool(expected == found)


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
