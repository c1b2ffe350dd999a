"""MockPolicy: the contract."""

from collections.abc import Mapping
from typing import Any

import torch

from dexhand.core.interfaces import Policy
from dexhand.mock.policy import MockPolicy
from dexhand.testing.policy import PolicyConformance


class TestContract(PolicyConformance):
    num_observations = 3
    num_actions = 2

    def make_state(self, seed: int) -> dict[str, Any]:
        return {"model": {"weight": torch.randn(2, 3), "bias": torch.randn(2)}}

    def make_policy(self, state: Mapping[str, Any]) -> Policy:
        return MockPolicy.from_state(state)


def test_its_state_makes_the_same_policy() -> None:
    """What state_dict returns is a copy that from_state takes."""
    policy, observations = MockPolicy.optimal(), torch.randn(5, 3)
    state = policy.state_dict()
    assert torch.equal(MockPolicy.from_state(state).act(observations), policy.act(observations))
    state["model"]["weight"].zero_()
    assert policy.weight.any()
