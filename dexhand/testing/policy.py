"""Conformance suite for ``Policy``: subclass it and define how to make states and policies.

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
    """The two factories and the sizes that a subclass defines."""

    num_observations: int
    num_actions: int

    def make_state(self, seed: int) -> dict[str, Any]:
        """Make an ``Algorithm.state_dict()``, with different weights for each seed."""
        raise NotImplementedError("A conformance suite needs make_state(seed)")

    def make_policy(self, state: Mapping[str, Any]) -> Policy:
        """Make the policy of such a state."""
        raise NotImplementedError("A conformance suite needs make_policy(state)")

    def state(self, seed: int = 0) -> dict[str, Any]:
        """``make_state(seed)``, with global random states restored afterwards."""
        with random_states_put_back():
            reseed(seed)
            return self.make_state(seed)

    def policy(self, seed: int = 0) -> Policy:
        """The policy of ``state(seed)``."""
        return self.make_policy(self.state(seed))

    def observations(self, count: int = 12, scale: float = 1.0) -> Tensor:
        """Random observations, the same every time. Shape (count, F)."""
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
                f"For {count} observations the actions have shape {tuple(actions.shape)}; (N, A) = {shape} is expected."
            )
            assert actions.dtype == torch.float32, f"Actions must be float32, not {actions.dtype}."
            assert not actions.requires_grad, "Actions carry a gradient: act under torch.no_grad()."

    def test_actions_lie_between_minus_1_and_1(self) -> None:
        """Actions stay within [-1, 1], however large the observations are."""
        for scale in (1.0, 1e3, 1e6):
            actions = self.policy().act(self.observations(scale=scale))
            assert bool(torch.isfinite(actions).all()), (
                f"For observations of magnitude {scale:g}, actions are not finite."
            )
            largest = float(actions.abs().max())
            assert largest <= 1.0, (
                f"For observations of magnitude {scale:g}, an action has magnitude {largest:g}: clamp to [-1, 1]."
            )

    def test_acting_is_deterministic_and_draws_nothing(self) -> None:
        """Earlier calls do not affect the actions, and global random states do not change."""
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
            f"The same observations gave actions that differ by {different:g}. A policy must not sample or update its "
            "normaliser: return the mean action, in evaluation mode."
        )

    def test_every_observation_is_judged_by_itself(self) -> None:
        """Each action depends only on its own row of the observations."""
        policy, observations = self.policy(), self.observations()
        together = policy.act(observations)
        alone = torch.cat([policy.act(row[None]) for row in observations])
        error = float((together - alone).abs().max())
        assert error <= 1e-4, (
            f"An observation alone gives an action that differs by {error:g} from the one it gives in a batch: each "
            "action must depend only on its own row."
        )

    def test_observations_are_not_written_to(self) -> None:
        """The observations stay as they are, and later calls do not change the actions that were returned."""
        policy, observations = self.policy(), self.observations()
        kept = observations.clone()
        actions = policy.act(observations)
        assert torch.equal(observations, kept), "act changed the observations it was given."
        copy = actions.clone()
        observations.fill_(5.0)
        policy.act(self.observations(scale=3.0))
        assert torch.equal(actions, copy), "Returned actions changed later: return a new tensor."


class WeightClauses(PolicyHarness):
    """``load_state_dict``."""

    def test_it_takes_the_weights_of_a_state(self) -> None:
        """It then acts exactly like the policy whose weights it loaded."""
        policy, observations = self.policy(seed=0), self.observations()
        before, expected = policy.act(observations), self.policy(seed=1).act(observations)
        assert not torch.equal(before, expected), "make_state gives the same weights for two seeds."
        policy.load_state_dict(self.state(seed=1))
        error = float((policy.act(observations) - expected).abs().max())
        assert error == 0.0, (
            f"After load_state_dict the actions differ by {error:g} from those of the policy whose weights were loaded."
        )

    def test_weights_that_do_not_fit_change_nothing(self) -> None:
        """A tensor missing, one too many or one of another shape or kind is a ValueError that names it."""
        state = self.state(seed=1)
        for what, model, name in mismatched_weights(state["model"]):
            policy, observations = self.policy(seed=0), self.observations()
            before = policy.act(observations)
            given = {**state, "model": model}
            demand_refusal(partial(policy.load_state_dict, given), f"load_state_dict with {what}", name)
            assert torch.equal(policy.act(observations), before), (
                f"load_state_dict refused {what}, but had already changed the policy. Check everything before loading."
            )

    def test_weights_are_copied(self) -> None:
        """Later changes of the given tensors do not change the policy, and the policy does not change them."""
        observations = self.observations()
        made_of, loaded = self.state(seed=0), self.state(seed=1)
        made = self.make_policy(made_of)
        other = self.make_policy(self.state(seed=2))
        kept = copied(loaded)
        other.load_state_dict(loaded)
        assert not places_that_differ(kept, loaded), "load_state_dict changed the given state."
        before = made.act(observations), other.act(observations)
        for model in (made_of["model"], loaded["model"]):
            for tensor in model.values():
                tensor.detach().zero_()
        after = made.act(observations), other.act(observations)
        assert torch.equal(before[0], after[0]), (
            "The policy shares memory with the state it was made from: copy the tensors."
        )
        assert torch.equal(before[1], after[1]), "The policy shares memory with the state it loaded: copy the tensors."


class PolicyConformance(WeightClauses, ActingClauses):
    """Every clause of ``Policy``. pytest runs those of the last class first."""
