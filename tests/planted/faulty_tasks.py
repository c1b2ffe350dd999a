"""Tasks with one fault each, and the checks of the conformance suite that must find it."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from planted import Faults
from torch import Generator, Tensor

from dexhand.core.interfaces import ResetPose, SimState, Simulator, StepResult
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


@found_by("verdicts_have_the_declared_shapes")
class OneObservationTooMany(MockTask):
    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator)
        self.num_observations += 1


@found_by("verdicts_have_the_declared_shapes")
class FlatCriteria(MockTask):
    """Without the axis of criteria."""

    def evaluate(self, state: SimState) -> StepResult:
        verdict = super().evaluate(state)
        return replace(verdict, success=verdict.success[:, 0])


@found_by("verdicts_have_the_declared_shapes")
class DividesByZero(MockTask):
    """Time since the step before, in the first step."""

    def evaluate(self, state: SimState) -> StepResult:
        verdict = super().evaluate(state)
        return replace(verdict, reward_terms=verdict.reward_terms / (self._steps[:, None] - 1.0))


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
    def evaluate(self, state: SimState) -> StepResult:
        state.dof_pos.sub_(1e-3)
        return super().evaluate(state)


@found_by("observing_advances_nothing")
class CountsLooks(MockTask):
    """A look is a step."""

    def observe(self, state: SimState) -> Tensor:
        self._steps = self._steps + 1
        return super().observe(state)


@found_by("observing_advances_nothing")
class JudgesAnotherMoment(MockTask):
    """evaluate shows the targets as they will be."""

    def evaluate(self, state: SimState) -> StepResult:
        verdict = super().evaluate(state)
        return replace(verdict, observations=verdict.observations + 1e-3)


@found_by("what_it_returned_does_not_change")
class HandsOutItsTargets(MockTask):
    def dof_targets(self, actions: Tensor) -> Tensor:
        self._targets.copy_(super().dof_targets(actions))
        return self._targets

    def begin(self, mask: Tensor, state: SimState) -> None:
        targets = self._targets
        super().begin(mask, state)
        self._targets = targets.copy_(self._targets)


@found_by("global_random_states_are_left_alone")
class DrawsAnyhow(MockTask):
    """Not from the generator that is given."""

    def reset_pose(self, generator: Generator) -> ResetPose:
        pose = super().reset_pose(generator)
        return ResetPose(pose.dof_pos * torch.rand(1), pose.object_pose)


@found_by("environments_do_not_influence_each_other")
class SharesTheMean(MockTask):
    def dof_targets(self, actions: Tensor) -> Tensor:
        return super().dof_targets(0.5 * (actions + actions.mean(dim=0)))


# --- episodes ---------------------------------------------------------------------------------------------------------


@found_by("time_is_up_after_the_same_number_of_steps")
class OneClockForAll(MockTask):
    """Any beginning puts it to 0."""

    def begin(self, mask: Tensor, state: SimState) -> None:
        super().begin(torch.ones_like(mask), state)


@found_by("time_is_up_after_the_same_number_of_steps")
class LaterEpisodesAreShorter(MockTask):
    """The counter goes on at 1 where an episode ended before."""

    new_run = False

    def begin(self, mask: Tensor, state: SimState) -> None:
        super().begin(mask, state)
        self._steps = self._steps + (mask.long() if self.new_run else 0)
        self.new_run = True


@found_by("begin_touches_only_the_masked_environments")
class BeginsEverywhere(MockTask):
    def begin(self, mask: Tensor, state: SimState) -> None:
        super().begin(mask, state)
        self._targets = state.dof_pos.clone()


@found_by("a_new_episode_remembers_nothing")
class KeepsItsTargets(MockTask):
    """Where the episode before left them."""

    def begin(self, mask: Tensor, state: SimState) -> None:
        self._steps = self._steps.masked_fill(mask, 0)


@found_by("the_state_continues_bit_for_bit")
class ForgetsTime(MockTask):
    def state_dict(self) -> dict[str, Tensor]:
        return {"targets": self._targets.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._targets = state["targets"].clone()

    def evaluate(self, state: SimState) -> StepResult:
        verdict = super().evaluate(state)
        return replace(verdict, reward_terms=verdict.reward_terms + self._steps[:, None])


class InPlace(MockTask):
    """Sound: works in place."""

    def dof_targets(self, actions: Tensor) -> Tensor:
        targets = self._targets
        returned = super().dof_targets(actions)
        self._targets = targets.copy_(self._targets)
        return returned


@found_by("the_state_continues_bit_for_bit")
class SavesItsMemory(InPlace):
    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), "targets": self._targets}


@found_by("the_state_continues_bit_for_bit")
class LoadsByReference(InPlace):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        super().load_state_dict(state)
        self._targets = state["targets"]


SOUND = (MockTask, InPlace)
