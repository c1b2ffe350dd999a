"""Policies with one fault each, and the checks of the conformance suite that must find it."""

from collections.abc import Mapping
from typing import Any

import torch
from planted import Faults
from torch import Tensor

from dexhand.mock.policy import MockPolicy

FAULTS = Faults()
found_by = FAULTS.found_by


@found_by("there_is_an_action_for_every_observation")
class Squeezes(MockPolicy):
    def act(self, observations: Tensor) -> Tensor:
        return super().act(observations).squeeze()


@found_by("there_is_an_action_for_every_observation")
class KeepsGradients(MockPolicy):
    def act(self, observations: Tensor) -> Tensor:
        return super().act(observations).requires_grad_()


@found_by("there_is_an_action_for_every_observation")
class DoublePrecision(MockPolicy):
    def act(self, observations: Tensor) -> Tensor:
        return super().act(observations).double()


@found_by("actions_lie_between_minus_1_and_1")
class Unclamped(MockPolicy):
    def act(self, observations: Tensor) -> Tensor:
        return observations @ self.weight.T + self.bias


@found_by("actions_lie_between_minus_1_and_1")
class Overflows(MockPolicy):
    """exp / (1 + exp) of a large number."""

    def act(self, observations: Tensor) -> Tensor:
        power = torch.exp(observations @ self.weight.T + self.bias)
        return power / (1.0 + power)


@found_by("acting_is_deterministic_and_draws_nothing")
class Samples(MockPolicy):
    def act(self, observations: Tensor) -> Tensor:
        mean = super().act(observations)
        return (mean + 0.1 * torch.randn_like(mean)).clamp(-1.0, 1.0)


@found_by("acting_is_deterministic_and_draws_nothing")
class KeepsNormalising(MockPolicy):
    """Its normaliser still learns when it plays."""

    mean: Tensor | None = None

    def act(self, observations: Tensor) -> Tensor:
        self.mean = observations.mean() if self.mean is None else 0.9 * self.mean + 0.1 * observations.mean()
        return super().act(observations - self.mean)


@found_by("every_observation_is_judged_by_itself")
class NormalisesBatches(MockPolicy):
    def act(self, observations: Tensor) -> Tensor:
        return super().act(observations - observations.mean(dim=0))


@found_by("observations_are_not_written_to")
class NormalisesInPlace(MockPolicy):
    def act(self, observations: Tensor) -> Tensor:
        return super().act(observations.mul_(0.5))


@found_by("observations_are_not_written_to")
class ReusesItsActions(MockPolicy):
    actions: Tensor | None = None

    def act(self, observations: Tensor) -> Tensor:
        actions = super().act(observations)
        if self.actions is None or self.actions.shape != actions.shape:
            self.actions = actions
        return self.actions.copy_(actions)


@found_by("it_takes_the_weights_of_a_state")
class ForgetsTheBias(MockPolicy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({"model": {**state["model"], "bias": self.bias}})


@found_by("weights_that_do_not_fit_change_nothing")
class LoadsWhatItKnows(MockPolicy):
    """Without a word about the rest."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        known = {name: state["model"].get(name, getattr(self, name)) for name in ("weight", "bias")}
        super().load_state_dict({"model": known})


@found_by("weights_that_do_not_fit_change_nothing")
class LoadsHalf(MockPolicy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weight = state["model"]["weight"].clone()
        super().load_state_dict(state)


@found_by("weights_that_do_not_fit_change_nothing")
class KeyErrors(MockPolicy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        weight, bias = state["model"]["weight"], state["model"]["bias"]
        super().load_state_dict({"model": {"weight": weight, "bias": bias}})


@found_by("weights_that_do_not_fit_change_nothing")
class LoadsWholeNumbers(MockPolicy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({"model": {name: tensor.float() for name, tensor in state["model"].items()}})


@found_by("weights_are_copied")
class LoadsByReference(MockPolicy):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.weight = state["model"]["weight"]


@found_by("weights_are_copied")
class MadeByReference(MockPolicy):
    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__(weight, bias)
        self.weight = weight
