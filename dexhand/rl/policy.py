"""``Policy`` of an rl_games actor-critic network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dexhand.core.weights import check_weights
from dexhand.rl.network import NetworkSpec, network_of


class RlGamesPolicy:
    """Acts with the mean of the action distribution, clamped to [-1, 1]."""

    def __init__(self, spec: NetworkSpec, weights: Mapping[str, Tensor], device: torch.device) -> None:
        """``weights`` are copied. Raises ``ValueError`` if they do not fit ``spec``."""
        self.spec = spec
        self.device = device
        self._network: Any = network_of(spec, weights, device).eval()

    @classmethod
    def from_state(cls, state: Mapping[str, Any], device: torch.device) -> "RlGamesPolicy":
        """Create the policy of an ``Algorithm.state_dict()``, which includes the network sizes."""
        return cls(NetworkSpec.from_dict(state["dexhand"]["network"]), state["model"], device)

    @torch.no_grad()
    def act(self, observations: Tensor) -> Tensor:
        """See ``Policy.act``."""
        # not network.forward, which samples and so would change random state
        inputs: dict[str, Any] = {"obs": self._network.norm_obs(observations)}
        mean: Tensor = self._network.a2c_network(inputs)[0]
        return mean.clamp(-1.0, 1.0)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``Policy.load_state_dict``."""
        check_weights(self._network.state_dict(), state["model"])
        self._network.load_state_dict(state["model"])
