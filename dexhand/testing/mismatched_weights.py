"""Weights that do not fit a network, and a check that they are refused."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def mismatched_weights(weights: Mapping[str, Tensor]) -> list[tuple[str, dict[str, Tensor], str]]:
    """Weights with one wrong tensor, as (what is wrong, weights, name that the error must contain)."""
    *_, last = weights
    others = {name: tensor for name, tensor in weights.items() if name != last}
    longer = torch.zeros((*weights[last].shape, 2), dtype=weights[last].dtype)
    whole = weights[last].to(torch.int32 if weights[last].is_floating_point() else torch.float32)
    return [
        ("a tensor missing", others, last),
        ("a tensor too many", {**weights, "one.too.many": torch.zeros(2)}, "one.too.many"),
        ("a tensor of another shape", {**others, last: longer}, last),
        ("a tensor of another kind of numbers", {**others, last: whole}, last),
    ]


def demand_refusal(call: Callable[[], object], what: str, name: str) -> None:
    """Require that ``call`` raises a ``ValueError`` that contains ``name``; ``what`` describes the call."""
    try:
        call()
    except Exception as error:
        refusal = error
    else:
        raise AssertionError(f"{what} must raise ValueError, but was accepted.")
    kind = type(refusal).__name__
    assert isinstance(refusal, ValueError), f"{what} must raise ValueError, but raised {kind}: {refusal}."
    assert name in str(refusal), f"The error for {what} must name the tensor {name}, but says: {refusal}"
