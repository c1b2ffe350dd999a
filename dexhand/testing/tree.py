"""Copy and compare states: nested dictionaries, lists, tensors, arrays and plain values."""

import copy
from typing import Any

import numpy as np
import torch

from dexhand.mock_training.differences import differences


def leaves(state: Any, place: str = "state") -> dict[str, Any]:
    """The leaf values of a nested state by their place, such as ``state['model']['weight']``."""
    if isinstance(state, dict):
        return {at: leaf for key, item in state.items() for at, leaf in leaves(item, f"{place}[{key!r}]").items()}
    if isinstance(state, (list, tuple)):
        return {at: leaf for key, item in enumerate(state) for at, leaf in leaves(item, f"{place}[{key}]").items()}
    return {place: state}


def copied(state: Any) -> Any:
    """Return a copy that shares no memory with ``state``."""
    return copy.deepcopy(state)


def places_that_differ(first: Any, second: Any) -> list[str]:
    """List the places at which two states differ in any bit, type or shape; NaN equals NaN."""
    one, other = leaves(first), leaves(second)
    return [place for place in {**one, **other} if not same(one.get(place, _MISSING), other.get(place, _MISSING))]


_MISSING = object()


def same(one: Any, other: Any) -> bool:
    """Whether two values have the same bits, type and shape; NaN equals NaN."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        one, other = torch.from_numpy(one), torch.from_numpy(other)
    return next(differences(one, other), None) is None
