"""Numbers that are not finite, with which training ends."""

from collections.abc import Iterator
from typing import Any

import torch

ENVIRONMENT_KEY = "env"
"""The state of environments is kept under this key; a task may keep infinities there on purpose."""


class Diverged(ArithmeticError):
    """Training has diverged; the message names what is not finite."""


def non_finite_place(state: Any) -> str | None:
    """Where a floating-point tensor of an ``Algorithm.state_dict()`` holds NaN or infinity; ``None`` if none does.

    What lies under ``env`` does not count, at any depth.
    """
    return next((place for place, tensor in _tensors(state, "") if not bool(torch.isfinite(tensor).all())), None)


def _tensors(value: Any, place: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != ENVIRONMENT_KEY:
                yield from _tensors(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _tensors(item, f"{place}[{number}]")
