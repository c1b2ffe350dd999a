"""Environments with one fault each, and the checks of the conformance suite that must find it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from planted import Faults
from torch import Tensor

from dexhand.core.interfaces import StepInfo
from dexhand.mock.env import SPEED, MockEnv

FAULTS = Faults()
found_by = FAULTS.found_by

Step = tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]


class DrawsWhenNeeded(MockEnv):
    """Sound: draws starts only where an episode ended."""

    def _start_episodes(self, mask: Tensor) -> None:
        if bool(mask.any()):
            super()._start_episodes(mask)


class InPlace(MockEnv):
    """Sound: works in place."""

    def step(self, actions: Tensor) -> Step:
        place = self._position
        step = super().step(actions)
        self._position = place.copy_(self._position)
        return step


class WithCritic(MockEnv):
    """Sound: has critic observations."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs, critic=True)


SOUND = (MockEnv, DrawsWhenNeeded, InPlace, WithCritic)


# --- what is there, and what is returned ------------------------------------------------------------------------------


@found_by("it_can_be_made_reset_and_stepped")
class FourValues(MockEnv):
    """As Gym did before 0.26."""

    def step(self, actions: Tensor) -> Any:
        observations, rewards, terminated, truncated, info = super().step(actions)
        return observations, rewards, terminated | truncated, info


@found_by("it_can_be_made_reset_and_stepped")
class BareReset(MockEnv):
    def reset(self, seed: int | None = None) -> Any:
        return super().reset(seed)[0]


@found_by("it_can_be_made_reset_and_stepped")
class TalkativeReset(MockEnv):
    def reset(self, seed: int | None = None) -> Any:
        return super().reset(seed)[0], {"level": 3}


@found_by("it_can_be_made_reset_and_stepped")
class NoSeed(MockEnv):
    def reset(self) -> Any:  # type: ignore[override]
        return super().reset(0)


@found_by("it_can_be_made_reset_and_stepped")
class BreaksLater(MockEnv):
    """An attribute that is not there is asked for when the first episode ends."""

    def _start_episodes(self, mask: Tensor) -> None:
        if bool(mask.any()):
            self.num_episodes += 1  # type: ignore[attr-defined]
        super()._start_episodes(mask)


@found_by("it_can_be_made_reset_and_stepped")
class NoSpaces(MockEnv):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        del self.single_observation_space


@found_by("it_can_be_made_reset_and_stepped")
class NoClose(MockEnv):
    close = None  # type: ignore[assignment]


@found_by("spaces_describe_one_environment")
class WideActions(MockEnv):
    """Says that it takes actions up to 2."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.single_action_space = Box(-2.0, 2.0, (2,), np.float32)


@found_by("spaces_describe_one_environment")
class PositiveActions(MockEnv):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.single_action_space = Box(0.0, 1.0, (2,), np.float32)


@found_by("attributes_have_their_types")
class DeviceAsText(MockEnv):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.device = "cpu"  # type: ignore[assignment]

    def _checked(self, actions: Tensor) -> Tensor:
        return actions


@found_by("names_are_unique_and_well_formed")
class NoNames(MockEnv):
    outcome_names = None  # type: ignore[assignment]


@found_by("names_are_unique_and_well_formed")
class DoubleName(MockEnv):
    reward_names = ("progress", "time", "success", "success")


@found_by("names_are_unique_and_well_formed")
class OddOutcome(MockEnv):
    outcome_names = ("reached", "failure:lost", "timeout")


@found_by("reset_returns_observations_of_all_environments")
class DoubleReset(MockEnv):
    """float64 from reset only."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        return super().reset(seed)[0].double(), {}


class Spoiled(MockEnv):
    """Something in what ``step`` returns is spoiled."""

    def step(self, actions: Tensor) -> Any:
        observations, rewards, terminated, truncated, info = super().step(actions)
        names = ("observations", "rewards", "terminated", "truncated")
        values = {**dict(zip(names, (observations, rewards, terminated, truncated))), **info}
        spoiled = self.spoil(values)
        return (*(spoiled.pop(name) for name in names), spoiled)

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        """What is returned instead."""
        raise NotImplementedError


@found_by("step_returns_tensors_of_the_declared_shapes")
class NumpyArrays(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value.numpy() for name, value in values.items()}


@found_by("step_returns_tensors_of_the_declared_shapes")
class DoublePrecision(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "rewards": values["rewards"].double()}


@found_by("step_returns_tensors_of_the_declared_shapes")
class RewardColumn(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "rewards": values["rewards"][:, None]}


@found_by("step_returns_tensors_of_the_declared_shapes")
class MasksAsNumbers(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "terminated": values["terminated"].float()}


@found_by("step_returns_tensors_of_the_declared_shapes")
class OtherTypeAtTheEnd(Spoiled):
    """Only in a step in which an episode ends."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        ended = bool((values["terminated"] | values["truncated"]).any())
        return {**values, "outcome": values["outcome"].int() if ended else values["outcome"]}


@found_by("step_returns_tensors_of_the_declared_shapes")
class OtherDevice(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "observations": values["observations"].to("meta")}


@found_by("step_returns_tensors_of_the_declared_shapes")
class CarriesGradients(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "rewards": values["rewards"].clone().requires_grad_()}


@found_by("step_returns_tensors_of_the_declared_shapes")
class NoOutcome(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        del values["outcome"]
        return values


@found_by("step_returns_tensors_of_the_declared_shapes")
class TermTooMany(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "reward_terms": torch.cat((values["reward_terms"], torch.zeros(self.num_envs, 1)), dim=1)}


@found_by("every_number_is_finite")
class NotANumberLater(Spoiled):
    """One observation, in the ninth step."""

    steps = 0

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        self.steps += 1
        if self.steps == 9:
            values["observations"][1, 0] = float("nan")
        return values


@found_by("every_number_is_finite")
class InfiniteReward(Spoiled):
    """Where an episode fails."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "rewards": values["rewards"].masked_fill(values["truncated"], float("-inf"))}


@found_by("it_has_as_many_environments_as_asked_for")
class AlwaysThree(MockEnv):
    def __init__(self, num_envs: int) -> None:
        super().__init__(3)


@found_by("a_single_environment_is_no_special_case")
class Squeezes(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "observations": values["observations"].squeeze()}


# --- episodes ---------------------------------------------------------------------------------------------------------


@found_by("the_reward_is_the_sum_of_its_terms")
class HiddenReward(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "rewards": values["rewards"] + values["terminated"] * 0.1}


@found_by("the_last_reward_belongs_to_the_episode_that_ended")
class RewardAfterReset(Spoiled):
    """Judges where the new episode begins instead of where the old one ended."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        moved = values["observations"][:, 0] - values["final_observation"][:, 0]
        terms = values["reward_terms"].clone()
        terms[:, 0] += moved
        return {**values, "reward_terms": terms, "rewards": terms.sum(dim=1)}


@found_by("the_last_reward_belongs_to_the_episode_that_ended")
class RewardAfterResetUnsaved(RewardAfterReset, DrawsWhenNeeded):
    """The same, with no state that could be looked into."""

    state_dict = load_state_dict = None  # type: ignore[assignment]


@found_by("episodes_end_under_random_actions")
class Endless(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        never = torch.zeros_like(values["terminated"])
        return {**values, "terminated": never, "truncated": never, "outcome": never.long() - 1}


@found_by("an_episode_never_both_terminates_and_is_truncated")
class BothEndings(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "terminated": values["terminated"] | values["truncated"]}


@found_by("the_outcome_is_told_exactly_where_an_episode_ends")
class OutcomeWithoutEnding(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "outcome": values["outcome"].clamp(min=0)}


@found_by("the_outcome_is_told_exactly_where_an_episode_ends")
class UntoldOutcome(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "outcome": values["outcome"].masked_fill(values["truncated"], -1)}


@found_by("the_outcome_is_told_exactly_where_an_episode_ends")
class SwappedOutcomes(Spoiled):
    """A timeout is told as a failure."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "outcome": values["outcome"].masked_fill(values["truncated"], 1)}


@found_by("time_ends_every_episode_after_the_same_number_of_steps")
class OneStepTooMany(MockEnv):
    """More steps than ``max_episode_steps`` says."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.max_episode_steps -= 1

    def step(self, actions: Tensor) -> Step:
        self.max_episode_steps += 1
        try:
            return super().step(actions)
        finally:
            self.max_episode_steps -= 1


@found_by("time_ends_every_episode_after_the_same_number_of_steps")
class LaterEpisodesAreShorter(MockEnv):
    """The counter begins at 1 after an episode ended."""

    def _start_episodes(self, mask: Tensor) -> None:
        super()._start_episodes(mask)
        self._steps = self._steps + mask.long()


@found_by("time_ends_every_episode_after_the_same_number_of_steps")
class OneClockForAll(MockEnv):
    """An episode that ends puts everybody's counter to 0."""

    def _start_episodes(self, mask: Tensor) -> None:
        super()._start_episodes(mask)
        self._steps = torch.where(mask.any(), torch.zeros_like(self._steps), self._steps)


@found_by("an_ended_episode_is_followed_by_the_first_observation_of_a_new_one")
class LateReset(Spoiled):
    """Shows the last observation of the old episode instead of the first of the new."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "observations": values["final_observation"]}


@found_by("an_ended_episode_is_followed_by_the_first_observation_of_a_new_one")
class ResetsInAStepOfItsOwn(MockEnv):
    """As Gymnasium's vector environments do by default: the step after an ending resets and ignores the action."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        self.over = torch.zeros(self.num_envs, dtype=torch.bool)
        return super().reset(seed)

    def step(self, actions: Tensor) -> Step:
        over, before = self.over, self._position
        observations, rewards, terminated, truncated, info = super().step(actions)
        self.over = (terminated | truncated) & ~over
        fresh = torch.where(over[:, None], before, self._position)
        self._position = fresh
        left = torch.where(over, torch.ones(self.num_envs), observations[:, 2])
        shown = torch.where(self.over[:, None], info["final_observation"], torch.cat((fresh, left[:, None]), dim=1))
        return shown, rewards, terminated & ~over, truncated & ~over, info


@found_by("an_ended_episode_is_followed_by_the_first_observation_of_a_new_one")
class NeverResets(MockEnv):
    """The counter is put back, the point stays where it is."""

    def _start_episodes(self, mask: Tensor) -> None:
        self._steps = self._steps.masked_fill(mask, 0)


@found_by("the_last_observation_of_an_ended_episode_is_kept")
class LostFinalObservation(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "final_observation": values["observations"]}


@found_by("the_last_observation_of_an_ended_episode_is_kept")
class LostWhenTimeEnds(Spoiled):
    """Only of episodes that time ended."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        lost = values["truncated"][:, None]
        return {**values, "final_observation": values["final_observation"].where(~lost, values["observations"])}


@found_by("the_last_observation_of_an_ended_episode_is_kept")
class StaleFinalObservation(MockEnv):
    """What was shown before the last step."""

    def step(self, actions: Tensor) -> Step:
        before = self._observe()
        observations, rewards, terminated, truncated, info = super().step(actions)
        done = (terminated | truncated)[:, None]
        stale = torch.where(done, before, info["final_observation"])
        return observations, rewards, terminated, truncated, {**info, "final_observation": stale}


@found_by("the_last_observation_of_an_ended_episode_is_kept")
class EmptyFinalObservation(Spoiled):
    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        ended = (values["terminated"] | values["truncated"])[:, None]
        return {**values, "final_observation": values["final_observation"].masked_fill(ended, 0.0)}


@found_by("final_observation_equals_the_observation_where_nothing_ended")
class OnlyFinalObservations(Spoiled):
    """Zero where the episode goes on."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        goes_on = ~(values["terminated"] | values["truncated"])[:, None]
        return {**values, "final_observation": values["final_observation"].masked_fill(goes_on, 0.0)}


@found_by("an_ending_concerns_its_own_environment_alone")
class ResetsEverybody(MockEnv):
    """Where one episode ends, all begin anew; it shows in no flag."""

    def _start_episodes(self, mask: Tensor) -> None:
        steps = self._steps
        super()._start_episodes(mask | mask.any())
        self._steps = steps.masked_fill(mask, 0)

    def step(self, actions: Tensor) -> Step:
        observations, rewards, terminated, truncated, info = super().step(actions)
        done = (terminated | truncated)[:, None]
        final = torch.where(done, info["final_observation"], observations)
        return observations, rewards, terminated, truncated, {**info, "final_observation": final}


@found_by("an_ending_concerns_its_own_environment_alone")
class ResetsTheNeighbour(ResetsEverybody):
    """And the one that ended."""

    def _start_episodes(self, mask: Tensor) -> None:
        steps = self._steps
        MockEnv._start_episodes(self, mask | mask.roll(1))
        self._steps = steps.masked_fill(mask, 0)


@found_by("the_first_action_of_a_new_episode_is_not_lost")
class SwallowsTheFirstAction(MockEnv):
    """In every episode but those that begin with ``reset``."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        self.fresh = torch.zeros(self.num_envs, 1, dtype=torch.bool)
        return super().reset(seed)

    def step(self, actions: Tensor) -> Step:
        step = super().step(self._checked(actions).masked_fill(self.fresh, 0.0))
        self.fresh = (step[2] | step[3])[:, None]
        return step


# --- actions ----------------------------------------------------------------------------------------------------------


class Unchecked(MockEnv):
    """Takes whatever it is given."""

    def _checked(self, actions: Tensor) -> Tensor:
        return actions


@found_by("actions_beyond_the_space_are_clamped")
class NoLimits(MockEnv):
    def step(self, actions: Tensor) -> Step:
        self._position = self._position + SPEED * (actions - actions.clamp(-1.0, 1.0))
        return super().step(actions)


@found_by("actions_beyond_the_space_are_clamped")
class ScalesDown(MockEnv):
    """All actions, where one is too large."""

    def step(self, actions: Tensor) -> Step:
        return super().step(actions / max(1.0, float(actions.abs().max()) ** 2))


@found_by("actions_are_not_written_to")
class ClampsInPlace(MockEnv):
    def step(self, actions: Tensor) -> Step:
        return super().step(actions.clamp_(-1.0, 1.0))


@found_by("actions_have_an_effect")
class Idle(MockEnv):
    def step(self, actions: Tensor) -> Step:
        return super().step(self._checked(actions) * 0.0)


@found_by("step_before_reset_is_refused")
class StartsByItself(MockEnv):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.reset()


@found_by("actions_of_another_shape_are_refused")
class DropsRows(Unchecked):
    def step(self, actions: Tensor) -> Step:
        return super().step(torch.atleast_2d(actions)[: self.num_envs, :2])


@found_by("actions_that_are_not_finite_are_refused")
class TrustsActions(MockEnv):
    def step(self, actions: Tensor) -> Step:
        return super().step(torch.nan_to_num(actions))


@found_by("actions_that_are_not_finite_are_refused")
class RefusesTooLate(MockEnv):
    """Counts the step that it refuses."""

    def _checked(self, actions: Tensor) -> Tensor:
        self._steps = self._steps + (~torch.isfinite(actions)).any(dim=1).long()
        return super()._checked(actions)


# --- repetition -------------------------------------------------------------------------------------------------------


@found_by("a_seed_determines_everything")
class SeedZeroIsNoSeed(MockEnv):
    """The classic ``if seed:``."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        return super().reset(seed or None)


@found_by("a_seed_determines_everything")
class SeedsTheFirstEpisodeOnly(MockEnv):
    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        first = super().reset(seed)
        self._generator.seed()
        return first


@found_by("a_seed_determines_everything")
class RemembersTheLastRun(MockEnv):
    """The counter survives reset."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        steps = self._steps
        _, info = super().reset(seed)
        self._steps = steps
        return self._observe(), info


@found_by("a_seed_determines_everything")
class OneGeneratorForAllObjects(MockEnv):
    shared = torch.Generator()

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self._generator = self.shared


@found_by("another_seed_begins_other_episodes")
class IgnoresTheSeed(MockEnv):
    """Always the same one."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        return super().reset(None if seed is None else 42)


@found_by("another_seed_begins_other_episodes")
class OneStartForAll(MockEnv):
    def _starts(self) -> Tensor:
        return super()._starts()[:1].repeat(self.num_envs, 1)


@found_by("another_seed_begins_other_episodes")
class SeedsEveryReset(MockEnv):
    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        return super().reset(0 if seed is None else seed)


@found_by("another_seed_begins_other_episodes")
class RepeatsItsEpisodes(MockEnv):
    """Every new episode is the first one again."""

    first: Tensor | None = None

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        self.first = None
        return super().reset(seed)

    def _start_episodes(self, mask: Tensor) -> None:
        super()._start_episodes(mask)
        self.first = self._position if self.first is None else self.first
        self._position = torch.where(mask[:, None], self.first, self._position)


@found_by("global_random_states_are_left_alone")
class GlobalNoise(MockEnv):
    """Deterministic as long as nobody else draws."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        if seed is not None:
            torch.manual_seed(seed)
        return super().reset(seed)

    def _observe(self) -> Tensor:
        return super()._observe() + 1e-3 * torch.randn(self.num_envs, 3)


@found_by("global_random_states_are_left_alone")
class SeedsNumpy(MockEnv):
    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        np.random.seed(seed)
        return super().reset(seed)


@found_by("environments_do_not_influence_each_other")
class Coupled(MockEnv):
    """Each is drawn along a little by the others."""

    def _checked(self, actions: Tensor) -> Tensor:
        return super()._checked(actions).clamp(-1.0, 1.0) + 1e-3 * actions.mean(dim=0)


@found_by("environments_do_not_influence_each_other")
class NeighboursAction(MockEnv):
    def _checked(self, actions: Tensor) -> Tensor:
        return super()._checked(actions).roll(1, dims=0)


@found_by("returned_tensors_are_the_callers")
class AliasedObservation(Spoiled):
    """Hands out its own buffer."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        if not hasattr(self, "buffer"):
            self.buffer = torch.empty_like(values["observations"])
        return {**values, "observations": self.buffer.copy_(values["observations"])}


@found_by("returned_tensors_are_the_callers")
class AliasedReset(MockEnv):
    """What reset showed is the memory that steps work on."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        self.shown = super().reset(seed)[0]
        return self.shown, {}

    def step(self, actions: Tensor) -> Step:
        step = super().step(actions)
        self.shown.copy_(step[0])
        return step


@found_by("returned_tensors_are_the_callers")
class OneInfoForAllSteps(MockEnv):
    def step(self, actions: Tensor) -> Step:
        *step, info = super().step(actions)
        if not hasattr(self, "terms"):
            self.terms = torch.empty_like(info["reward_terms"])
        info["reward_terms"] = self.terms.copy_(info["reward_terms"])
        return (*step, info)  # type: ignore[return-value]


@found_by("the_caller_may_write_to_what_it_was_given_and_gave")
class HandsOutItsState(MockEnv):
    """A new tensor in every step, which the next step begins from."""

    def _observe(self) -> Tensor:
        shown = super()._observe()
        self._position = shown[:, :2]
        return shown


@found_by("the_caller_may_write_to_what_it_was_given_and_gave")
class KeepsTheCallersActions(MockEnv):
    """Moves half by the action before, of which it keeps no copy."""

    last: Tensor | None = None

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        self.last = None
        return super().reset(seed)

    def step(self, actions: Tensor) -> Step:
        before = actions if self.last is None else self.last
        mixed = 0.5 * (self._checked(actions) + before)
        self.last = actions
        return super().step(mixed)


@found_by("the_caller_may_write_to_what_it_was_given_and_gave")
class OneNumberForAll(Spoiled):
    """A view that shows one number in every row."""

    def spoil(self, values: dict[str, Any]) -> dict[str, Any]:
        terms = torch.zeros(1, 4).expand(self.num_envs, 4)
        return {**values, "reward_terms": terms, "rewards": torch.zeros(self.num_envs)}


@found_by("the_state_continues_bit_for_bit")
class ForgetsItsLuck(MockEnv):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "generator": self._generator.get_state()})


@found_by("the_state_continues_bit_for_bit")
class ForgetsTime(MockEnv):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "steps": torch.zeros_like(state["steps"])})


@found_by("a_saved_state_shares_no_memory")
class SavesItsMemory(InPlace):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "position": self._position}


@found_by("a_saved_state_shares_no_memory")
class LoadsByReference(InPlace):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._position = state["position"]


@found_by("a_saved_state_can_be_written_to_a_checkpoint")
class SavesObjects(MockEnv):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "space": self.single_action_space}


# --- pictures and the end ---------------------------------------------------------------------------------------------


@found_by("render_draws_and_changes_nothing")
class FixedSize(MockEnv):
    def render(self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480) -> Any:
        return super().render(env_id, camera, 64, 64)


@found_by("render_draws_and_changes_nothing")
class AnyCamera(MockEnv):
    def render(self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480) -> Any:
        return super().render(env_id, "default", width, height)


@found_by("render_draws_and_changes_nothing")
class RenderDraws(MockEnv):
    """From the generator of starts."""

    def render(self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480) -> Any:
        self._starts()
        return super().render(env_id, camera, width, height)


@found_by("closing_twice_is_fine")
class ClosesOnce(MockEnv):
    def close(self) -> None:
        del self._generator


# --- critic observations ----------------------------------------------------------------------------------------------


@found_by("attributes_have_their_types")
class NoCriticSpace(MockEnv):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        del self.single_critic_observation_space

    def _observe_for_critic(self) -> None:
        return None


@found_by("it_can_be_made_reset_and_stepped")
class SecretCritic(WithCritic):
    """Critic observations in steps, and no space that says so."""

    def step(self, actions: Tensor) -> Step:
        space, self.single_critic_observation_space = self.single_critic_observation_space, None
        observations, rewards, terminated, truncated, info = super().step(actions)
        info["critic_observations"] = torch.zeros(self.num_envs, *space.shape)
        return observations, rewards, terminated, truncated, info

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        observations, _ = super().reset(seed)
        self.single_critic_observation_space = None
        return observations, {}


@found_by("it_can_be_made_reset_and_stepped")
class CriticIsBlindAfterReset(WithCritic):
    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        return super().reset(seed)[0], {}


class SpoiledCritic(WithCritic):
    """Something in the critic observations is spoiled, in steps alone."""

    def step(self, actions: Tensor) -> Step:
        *values, info = super().step(actions)
        info["critic_observations"] = self.spoil(info["critic_observations"])
        return (*values, info)

    def spoil(self, critic: Tensor) -> Tensor:
        """What is returned instead."""
        raise NotImplementedError


@found_by("reset_returns_observations_of_all_environments")
class CriticOfOneEnvironment(WithCritic):
    """After a reset a row for all."""

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        observations, info = super().reset(seed)
        return observations, {"critic_observations": info["critic_observations"][:1]}


@found_by("step_returns_tensors_of_the_declared_shapes")
class CriticOfAnotherSize(SpoiledCritic):
    def spoil(self, critic: Tensor) -> Tensor:
        return torch.cat((critic, critic), dim=1)


@found_by("every_number_is_finite")
class InfiniteCritic(SpoiledCritic):
    def spoil(self, critic: Tensor) -> Tensor:
        return critic / 0.0


@found_by("a_seed_determines_everything")
class NoisyCritic(SpoiledCritic):
    def spoil(self, critic: Tensor) -> Tensor:
        return critic + torch.rand(critic.shape, generator=torch.Generator().manual_seed(id(critic)))


@found_by("environments_do_not_influence_each_other")
class CriticSeesTheOthers(SpoiledCritic):
    def spoil(self, critic: Tensor) -> Tensor:
        return critic + self._position.sum()


@found_by("returned_tensors_are_the_callers", "the_caller_may_write_to_what_it_was_given_and_gave")
class CriticShowsItsMemory(SpoiledCritic):
    """One buffer, filled anew in each step; the number of steps in it is what it counts on from."""

    memory: Tensor | None = None

    def spoil(self, critic: Tensor) -> Tensor:
        last = torch.zeros_like(critic) if self.memory is None or bool((self._steps == 0).all()) else self.memory
        self.memory = last
        return last.copy_(critic + 0.0 * last)


@found_by("the_state_continues_bit_for_bit")
class CriticIsNotSaved(WithCritic):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "first_distance": torch.zeros(self.num_envs)}


@found_by("the_critic_sees_the_new_episode_after_an_ending")
class CriticSeesTheOldEpisode(WithCritic):
    """Observes for the critic before the reset."""

    def step(self, actions: Tensor) -> Step:
        steps, first = self._steps + 1, self._first_distance
        *values, info = super().step(actions)
        info["critic_observations"] = torch.stack((steps.float(), first), dim=1)
        return (*values, info)
