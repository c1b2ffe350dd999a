"""Conformance suite for ``Policy``: subclass it and say how to make states and policies.

class TestMyPolicy(PolicyConformance):
    num_observations, num_actions = 3, 2

    def make_state(self, seed):
        return my_learner(seed).state_dict()

    def make_policy(self, state):
        return MyPolicy(state)
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dexhand.core.interfaces import Policy
from dexhand.testing.mismatched_weights import demand_refusal, mismatched_weights
from dexhand.testing.random_states import random_states, random_states_put_back, reseed
from dexhand.testing.tree import copied, places_that_differ


class PolicyHarness:
    """The two factories a subclass gives, and its sizes."""

    num_observations: int
    num_actions: int

    def make_state(self, seed: int) -> dict[str, Any]:
        """An ``Algorithm.state_dict()``, with other weights for another seed."""
        raise NotImplementedError("A conformance suite needs make_state(seed)")

    def make_policy(self, state: Mapping[str, Any]) -> Policy:
        """The policy of such a state."""
        raise NotImplementedError("A conformance suite needs make_policy(state)")

    def state(self, seed: int = 0) -> dict[str, Any]:
        """A state of the subclass's own; global random states are as before afterwards."""
        with random_states_put_back():
            reseed(seed)
            return self.make_state(seed)

    def policy(self, seed: int = 0) -> Policy:
        """A policy."""
        return self.make_policy(self.state(seed))

    def observations(self, count: int = 12, scale: float = 1.0) -> Tensor:
        """Random ones, the same every time. Shape (count, F)."""
        generator = torch.Generator().manual_seed(0)
        return scale * torch.randn(count, self.num_observations, generator=generator)


class ActingClauses(PolicyHarness):
    """``act``."""

    def test_there_is_an_action_for_every_observation(self) -> None:
        """Float32 of shape (N, A), without a gradient, for one environment and for many."""
        policy = self.policy()
        for count in (1, 2, 12):
            actions = policy.act(self.observations(count))
            shape = (count, self.num_actions)
            assert tuple(actions.shape) == shape, (
                f"For {count} observations actions have shape {tuple(actions.shape)}, not {shape}."
            )
            assert actions.dtype == torch.float32, f"Actions must be float32, not {actions.dtype}."
            assert not actions.requires_grad, "Actions carry a gradient: act under torch.no_grad()."

    def test_actions_lie_between_minus_1_and_1(self) -> None:
        """However large the observations are."""
        for scale in (1.0, 1e3, 1e6):
            actions = self.policy().act(self.observations(scale=scale))
            assert bool(torch.isfinite(actions).all()), f"For observations around {scale:g} actions are not finite."
            largest = float(actions.abs().max())
            assert largest <= 1.0, f"For observations around {scale:g} an action is {largest:g}: clamp to [-1, 1]."

    def test_acting_is_deterministic_and_draws_nothing(self) -> None:
        """The same actions whatever happened before, global random states untouched."""
        policy, observations = self.policy(), self.observations()
        with random_states_put_back():
            reseed(0)
            before = random_states()
            first = policy.act(observations)
            changed = [name for name, state in random_states().items() if places_that_differ(before[name], state)]
            assert not changed, f"act changed the global random state of {' and '.join(changed)}."
            policy.act(self.observations(scale=50.0))
            reseed(1)
            different = float((policy.act(observations) - first).abs().max())
        assert different == 0.0, (
            f"The same observations gave actions {different:g} apart. A policy that plays neither samples nor updates "
            "its normaliser: the mean action, in evaluation mode."
        )

    def test_every_observation_is_judged_by_itself(self) -> None:
        """An action depends on its own row alone."""
        policy, observations = self.policy(), self.observations()
        together = policy.act(observations)
        alone = torch.cat([policy.act(row[None]) for row in observations])
        error = float((together - alone).abs().max())
        assert error <= 1e-4, f"An observation alone gives an action {error:g} away from the one among others."

    def test_observations_are_not_written_to(self) -> None:
        """And the actions are no view of them, nor of anything that a later call changes."""
        policy, observations = self.policy(), self.observations()
        kept = observations.clone()
        actions = policy.act(observations)
        assert torch.equal(observations, kept), "act changed the observations it was given."
        copy = actions.clone()
        observations.fill_(5.0)
        policy.act(self.observations(scale=3.0))
        assert torch.equal(actions, copy), "Actions that were returned changed later: return a tensor of their own."


class WeightClauses(PolicyHarness):
    """``load_state_dict``."""

    def test_it_takes_the_weights_of_a_state(self) -> None:
        """And acts as the policy that they were taken from."""
        policy, observations = self.policy(seed=0), self.observations()
        before, expected = policy.act(observations), self.policy(seed=1).act(observations)
        assert not torch.equal(before, expected), "make_state gives the same weights for two seeds."
        policy.load_state_dict(self.state(seed=1))
        error = float((policy.act(observations) - expected).abs().max())
        assert error == 0.0, f"After load_state_dict it acts {error:g} away from the policy of these weights."

    def test_weights_that_do_not_fit_change_nothing(self) -> None:
        """A tensor missing, one too many, one of another shape: a ValueError that names it."""
        state = self.state(seed=1)
        for what, model, name in mismatched_weights(state["model"]):
            policy, observations = self.policy(seed=0), self.observations()
            before = policy.act(observations)
            given = {**state, "model": model}
            demand_refusal(partial(policy.load_state_dict, given), f"load_state_dict with {what}", name)
            assert torch.equal(policy.act(observations), before), (
                f"load_state_dict refused {what}, and had changed the policy before. Check first, then load."
            )

    def test_weights_are_copied(self) -> None:
        """Whoever goes on with the tensors does not change the policy; and the policy does not change them."""
        observations = self.observations()
        made_of, loaded = self.state(seed=0), self.state(seed=1)
        made = self.make_policy(made_of)
        other = self.make_policy(self.state(seed=2))
        kept = copied(loaded)
        other.load_state_dict(loaded)
        assert not places_that_differ(kept, loaded), "load_state_dict changed the state that it was given."
        before = made.act(observations), other.act(observations)
        for model in (made_of["model"], loaded["model"]):
            for tensor in model.values():
                tensor.detach().zero_()
        after = made.act(observations), other.act(observations)
        assert torch.equal(before[0], after[0]), "The policy shares memory with the state it was made of: copy it."
        assert torch.equal(before[1], after[1]), "The policy shares memory with the state it loaded: copy it."


class PolicyConformance(WeightClauses, ActingClauses):
    """Every clause of ``Policy``. pytest runs those of the last class first."""
