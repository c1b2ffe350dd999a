"""Weights that do not fit, and what is demanded of who is given them."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def mismatched_weights(weights: Mapping[str, Tensor]) -> list[tuple[str, dict[str, Tensor], str]]:
    """Weights that fit but for one tensor, the last: what is wrong, the weights, and the name to be told."""
    *_, last = weights
    others = {name: tensor for name, tensor in weights.items() if name != last}
    longer = torch.zeros((*weights[last].shape, 2), dtype=weights[last].dtype)
    return [
        ("a tensor missing", others, last),
        ("a tensor too many", {**weights, "one.too.many": torch.zeros(2)}, "one.too.many"),
        ("a tensor of another shape", {**others, last: longer}, last),
    ]


def demand_refusal(call: Callable[[], object], what: str, name: str) -> None:
    """The call raises ``ValueError``, which tells ``name``."""
    try:
        call()
    except Exception as error:
        refusal = error
    else:
        raise AssertionError(f"{what} must raise ValueError; it was taken.")
    kind = type(refusal).__name__
    assert isinstance(refusal, ValueError), f"{what} must raise ValueError; it raised {kind}: {refusal}."
    assert name in str(refusal), f"{what} is refused without the name of the tensor, {name}: {refusal}"
