"""Checking that weights fit a network before any of them is loaded."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def check_weights(expected: Mapping[str, Tensor], given: object) -> None:
    """Raise ``ValueError`` naming the first tensors of ``given`` that do not fit those of a network, by name.

    They fit if shapes are equal, and floating-point numbers are in the place of such numbers.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"the weights must be tensors by name, not {_description(given)}")
    mismatched = [
        f"{name}: checkpoint {_description(given[name]) if name in given else 'lacks it'}, "
        f"needed {_description(expected[name]) if name in expected else 'nothing of this name'}"
        for name in sorted({*expected, *given}, key=str)
        if not (name in expected and name in given and _fits(expected[name], given[name]))
    ]
    if mismatched:
        more = f" and {len(mismatched) - 3} more" if len(mismatched) > 3 else ""
        raise ValueError(f"its weights do not fit this network: {'; '.join(mismatched[:3])}{more}")


def _fits(expected: Tensor, given: object) -> bool:
    return (
        isinstance(given, Tensor)
        and given.shape == expected.shape
        and given.is_floating_point() == expected.is_floating_point()
        and given.is_complex() == expected.is_complex()
    )


def _description(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"{value!r:.100}"
    kind = "" if value.is_floating_point() else f" of {value.dtype}"
    return f"{tuple(value.shape)}{kind}"
