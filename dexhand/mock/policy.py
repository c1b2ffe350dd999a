"""A linear ``Policy``."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dexhand.core.weights import check_weights
from dexhand.mock.env import SPEED


class MockPolicy:
    """Actions are ``observations @ weight.T + bias``, clamped to [-1, 1]."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """``weight`` (A, F) and ``bias`` (A,) are copied."""
        self.weight = weight.detach().clone()
        self.bias = bias.detach().clone()

    @classmethod
    def optimal(cls) -> "MockPolicy":
        """Create an optimal policy for ``MockEnv``, which moves both coordinates to 0 at full speed."""
        return cls(torch.tensor([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]) / SPEED, torch.zeros(2))

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "MockPolicy":
        """Create a policy from a state with the tensors ``weight`` and ``bias`` under ``model``."""
        return cls(state["model"]["weight"], state["model"]["bias"])

    def state_dict(self) -> dict[str, Any]:
        """Return a state for ``load_state_dict``."""
        return {"model": {"weight": self.weight.clone(), "bias": self.bias.clone()}}

    def act(self, observations: Tensor) -> Tensor:
        """See ``Policy.act``."""
        return (observations @ self.weight.T + self.bias).clamp(-1.0, 1.0)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Policy.load_state_dict``."""
        check_weights({"weight": self.weight, "bias": self.bias}, state["model"])
        self.weight = state["model"]["weight"].clone()
        self.bias = state["model"]["bias"].clone()
