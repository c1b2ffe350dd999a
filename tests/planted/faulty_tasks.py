"""Tasks with one fault each, and the checks of the conformance suite that must find it."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from planted import Faults
from torch import Generator, Tensor

from dexhand.hand_env.interfaces import Observations, ResetPose, SimState, Simulator, StepResult
from dexhand.mock.task import MockTask

FAULTS = Faults()
found_by = FAULTS.found_by


# --- what is returned -------------------------------------------------------------------------------------------------


@found_by("names_are_unique")
class DoubleName(MockTask):
    reward_names = ("distance", "distance")


@found_by("targets_have_the_shape_of_the_joints")
class TargetsOfItsOwnJoints(MockTask):
    """Not of all."""

    def dof_targets(self, actions: Tensor) -> Tensor:
        return super().dof_targets(actions)[:, : self.num_actions]


@found_by("results_have_the_declared_shapes")
class OneObservationTooMany(MockTask):
    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator)
        self.num_observations += 1


@found_by("results_have_the_declared_shapes")
class FlatCriteria(MockTask):
    """Without the axis of criteria."""

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        result = super().evaluate(state, generator)
        return replace(result, success=result.success[:, 0])


@found_by("results_have_the_declared_shapes")
class DividesByZero(MockTask):
    """Time since the step before, in the first step."""

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        result = super().evaluate(state, generator)
        return replace(result, reward_terms=result.reward_terms / (self._steps[:, None] - 1.0))


@found_by("critic_observations_are_as_declared")
class UnannouncedCritic(MockTask):
    """Critic observations that no size announces."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator)
        self.num_critic_observations = 0


@found_by("critic_observations_are_as_declared")
class BlindCritic(MockTask):
    """Announces critic observations and offers none."""

    def observe(self, state: SimState) -> Observations:
        return Observations(super().observe(state).policy)


@found_by("critic_observations_are_as_declared")
class ShortCritic(MockTask):
    """One critic observation is missing."""

    def observe(self, state: SimState) -> Observations:
        seen = super().observe(state)
        assert seen.critic is not None
        return replace(seen, critic=seen.critic[:, 1:])


@found_by("starting_poses_fit_the_scene")
class StartsBeyondTheLimits(MockTask):
    def reset_pose(self, generator: Generator) -> ResetPose:
        pose = super().reset_pose(generator)
        return ResetPose(pose.dof_pos + 1.0, pose.object_pose)


@found_by("starting_poses_fit_the_scene")
class ScalarFirst(MockTask):
    """No quaternion at all after the components were shuffled."""

    def reset_pose(self, generator: Generator) -> ResetPose:
        pose = super().reset_pose(generator)
        return ResetPose(pose.dof_pos, pose.object_pose * 2.0)


# --- purity -----------------------------------------------------------------------------------------------------------


@found_by("actions_and_states_are_not_written_to")
class ScalesInPlace(MockTask):
    def dof_targets(self, actions: Tensor) -> Tensor:
        return super().dof_targets(actions.mul_(0.5))


@found_by("actions_and_states_are_not_written_to")
class CentresTheState(MockTask):
    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        state.dof_pos.sub_(1e-3)
        return super().evaluate(state, generator)


@found_by("observing_advances_nothing")
class CountsLooks(MockTask):
    """A look is a step."""

    def observe(self, state: SimState) -> Observations:
        self._steps = self._steps + 1
        return super().observe(state)


@found_by("observing_advances_nothing")
class EvaluatesAnotherMoment(MockTask):
    """evaluate shows the targets as they will be."""

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        result = super().evaluate(state, generator)
        seen = result.observations
        return replace(result, observations=replace(seen, policy=seen.policy + 1e-3))


@found_by("observing_advances_nothing")
class ObservesWithNewNoise(MockTask):
    """The noise of a step is not remembered."""

    def observe(self, state: SimState) -> Observations:
        seen = super().observe(state)
        self._looks = getattr(self, "_looks", 0) + 1
        return replace(seen, policy=seen.policy + 1e-3 * self._looks)


@found_by("observing_advances_nothing")
class CriticOfAnotherMoment(MockTask):
    """evaluate shows the critic something else than observe does."""

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        result = super().evaluate(state, generator)
        seen = result.observations
        assert seen.critic is not None
        return replace(result, observations=replace(seen, critic=seen.critic + 1e-3))


@found_by("what_it_returned_does_not_change")
class HandsOutItsCriticBuffer(MockTask):
    """Each step writes critic observations to the same tensor."""

    def observe(self, state: SimState) -> Observations:
        seen = super().observe(state)
        assert seen.critic is not None
        self._critic = getattr(self, "_critic", seen.critic).copy_(seen.critic)
        return replace(seen, critic=self._critic)


@found_by("what_it_returned_does_not_change")
class HandsOutItsTargets(MockTask):
    def dof_targets(self, actions: Tensor) -> Tensor:
        self._targets.copy_(super().dof_targets(actions))
        return self._targets

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        targets = self._targets
        super().reset(mask, state, generator)
        self._targets = targets.copy_(self._targets)


@found_by("only_the_given_generator_is_drawn_from")
class DrawsAnyhow(MockTask):
    """Not from the generator that is given."""

    def reset_pose(self, generator: Generator) -> ResetPose:
        pose = super().reset_pose(generator)
        return ResetPose(pose.dof_pos * torch.rand(1), pose.object_pose)


@found_by("only_the_given_generator_is_drawn_from")
class NoiseFromAnywhere(MockTask):
    """In an episode, noise from torch's own generator."""

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        result = super().evaluate(state, generator)
        return replace(result, reward_terms=result.reward_terms + torch.rand(1))


@found_by("every_call_draws_the_same_amount")
class DrawsWhereItMoved(MockTask):
    """A number for each joint on the right."""

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        torch.rand(int((state.dof_pos[:, 0] > 0).sum()), generator=generator)
        return super().evaluate(state, generator)


@found_by("every_call_draws_the_same_amount")
class DrawsForTheMasked(MockTask):
    """Only for the environments that are reset."""

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        super().reset(mask, state, generator)
        torch.rand(int(mask.sum()), generator=generator)


@found_by("environments_do_not_influence_each_other")
class SharesTheMean(MockTask):
    def dof_targets(self, actions: Tensor) -> Tensor:
        return super().dof_targets(0.5 * (actions + actions.mean(dim=0)))


# --- episodes ---------------------------------------------------------------------------------------------------------


@found_by("time_is_up_after_the_same_number_of_steps")
class OneClockForAll(MockTask):
    """Any reset puts it to 0."""

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        super().reset(torch.ones_like(mask), state, generator)


@found_by("time_is_up_after_the_same_number_of_steps")
class LaterEpisodesAreShorter(MockTask):
    """The counter goes on at 1 where an episode ended before."""

    new_run = False

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        super().reset(mask, state, generator)
        self._steps = self._steps + (mask.long() if self.new_run else 0)
        self.new_run = True


@found_by("reset_touches_only_the_masked_environments")
class ResetsEverywhere(MockTask):
    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        super().reset(mask, state, generator)
        self._targets = state.dof_pos.clone()


@found_by("a_new_episode_does_not_depend_on_the_one_before")
class KeepsItsTargets(MockTask):
    """Where the episode before left them."""

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        targets = self._targets
        super().reset(mask, state, generator)
        self._targets = targets


@found_by("a_new_episode_does_not_depend_on_a_diverged_one")
class ClearsByMultiplying(MockTask):
    """Adds up something, which is always 0 in a sound state."""

    sums: Tensor | float = 0.0

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        result = super().evaluate(state, generator)
        self.sums = self.sums + 0.0 * state.dof_pos.sum(dim=1)
        return replace(result, reward_terms=result.reward_terms + self.sums[:, None])

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        super().reset(mask, state, generator)
        self.sums = self.sums * ~mask


@found_by("the_state_continues_bit_for_bit")
class ForgetsTime(MockTask):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict({**state, "steps": self._steps})

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        result = super().evaluate(state, generator)
        return replace(result, reward_terms=result.reward_terms + self._steps[:, None])


class InPlace(MockTask):
    """Sound: works in place."""

    def dof_targets(self, actions: Tensor) -> Tensor:
        targets = self._targets
        returned = super().dof_targets(actions)
        self._targets = targets.copy_(self._targets)
        return returned


@found_by("the_state_continues_bit_for_bit")
class SavesItsTargets(InPlace):
    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), "targets": self._targets}


@found_by("the_state_continues_bit_for_bit")
class LoadsByReference(InPlace):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        self._targets = state["targets"]


SOUND = (MockTask, InPlace)
