"""Faulty environments, each of which the suite must reject by the check that is named."""

from typing import Any, Dict, Mapping, Optional, Tuple, Type

import pytest
import torch
from torch import Tensor

from dexhand.build import build_env
from dexhand.config.compose import compose
from dexhand.core.interfaces import StepInfo, VecEnv
from dexhand.core.task_env import TaskEnv
from dexhand.testing.vec_env import VecEnvConformance

Step = Tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]


def mock_env(num_envs: int) -> TaskEnv:
    """A sound environment."""
    return build_env(compose(["sim.backend=mock", f"numEnvs={num_envs}", "task.episodeLength=20"]))


class Faulty:
    """A sound environment to spoil: everything is passed on."""

    def __init__(self, num_envs: int) -> None:
        self.env = mock_env(num_envs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def reset(self, seed: Optional[int] = None) -> Tuple[Tensor, Dict[str, Any]]:
        """Passed on."""
        return self.env.reset(seed)

    def step(self, actions: Tensor) -> Step:
        """Passed on."""
        return self.env.step(actions)


class AliasedObservation(Faulty):
    """Hands out its own buffer."""

    def step(self, actions: Tensor) -> Step:
        """The same tensor every time."""
        observations, *rest = self.env.step(actions)
        if not hasattr(self, "buffer"):
            self.buffer = torch.empty_like(observations)
        self.buffer.copy_(observations)
        return (self.buffer, *rest)  # type: ignore[return-value]


class LateReset(Faulty):
    """Shows the last observation of the old episode instead of the first of the new."""

    def step(self, actions: Tensor) -> Step:
        """Off by one."""
        _, *rest = self.env.step(actions)
        return (rest[-1]["final_observation"], *rest)  # type: ignore[return-value, index]


class LostFinalObservation(Faulty):
    """Forgets the last observation of the old episode."""

    def step(self, actions: Tensor) -> Step:
        """The new one in its place."""
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        return observations, rewards, terminated, truncated, {**info, "final_observation": observations}


class ForeignFinalObservation(Faulty):
    """Changes final_observation where nothing ended."""

    def step(self, actions: Tensor) -> Step:
        """By a little."""
        *step, info = self.env.step(actions)
        return (*step, {**info, "final_observation": info["final_observation"] + 1e-3})  # type: ignore[return-value]


class HiddenReward(Faulty):
    """Adds a reward that no term accounts for."""

    def step(self, actions: Tensor) -> Step:
        """One more."""
        observations, rewards, *rest = self.env.step(actions)
        return (observations, rewards + 1.0, *rest)  # type: ignore[return-value]


class BothEndings(Faulty):
    """Calls a timeout a termination as well."""

    def step(self, actions: Tensor) -> Step:
        """Both masks."""
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        return observations, rewards, terminated | truncated, truncated, info


class OutcomeWithoutEnding(Faulty):
    """Tells an outcome while the episode goes on."""

    def step(self, actions: Tensor) -> Step:
        """Always the first."""
        *step, info = self.env.step(actions)
        return (*step, {**info, "outcome": torch.zeros_like(info["outcome"])})  # type: ignore[return-value]


class UnseededNoise(Faulty):
    """Adds noise that no seed determines."""

    def step(self, actions: Tensor) -> Step:
        """A little of torch's global random state."""
        observations, *rest = self.env.step(actions)
        return (observations + torch.randn_like(observations) * 1e-3, *rest)  # type: ignore[return-value]


class ForgetfulState(Faulty):
    """Leaves the task's memory out of its state."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """All but the task."""
        self.env.load_state_dict({**state, "task": self.env.task.state_dict()})


class WrongDtype(Faulty):
    """Returns double precision."""

    def step(self, actions: Tensor) -> Step:
        """float64."""
        observations, *rest = self.env.step(actions)
        return (observations.double(), *rest)  # type: ignore[return-value]


class NotANumber(Faulty):
    """Returns NaN."""

    def reset(self, seed: Optional[int] = None) -> Tuple[Tensor, Dict[str, Any]]:
        """One NaN."""
        observations, info = self.env.reset(seed)
        observations[0, 0] = float("nan")
        return observations, info


class UnclampedActions(Faulty):
    """Lets large actions through to the task."""

    def step(self, actions: Tensor) -> Step:
        """Around the check."""
        self.env._checked = lambda given: given  # type: ignore[method-assign]
        return self.env.step(actions)


class TrustsActions(Faulty):
    """Takes whatever it is given."""

    def step(self, actions: Tensor) -> Step:
        """NaN becomes 0."""
        return self.env.step(torch.nan_to_num(actions))


class AnyShape(Faulty):
    """Takes as many rows as it needs."""

    def step(self, actions: Tensor) -> Step:
        """The rest is dropped."""
        return self.env.step(actions[: self.env.num_envs])


class StartsByItself(Faulty):
    """Needs no reset."""

    def step(self, actions: Tensor) -> Step:
        """Resets when it is not."""
        if not self.env._started:
            self.env.reset()
        return self.env.step(actions)


class WritesActions(Faulty):
    """Clamps the caller's own tensor."""

    def step(self, actions: Tensor) -> Step:
        """In place."""
        return self.env.step(actions.clamp_(-1.0, 1.0))


class DoubleName(Faulty):
    """Has a reward name twice."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.reward_names = ("alive",) * len(self.env.reward_names)


class ClosesOnce(Faulty):
    """Fails when closed again."""

    def close(self) -> None:
        """Once only."""
        self.env.close()
        del self.env


FAULTS = [
    (AliasedObservation, "test_returned_tensors_are_the_callers"),
    (LateReset, "test_an_ended_episode_is_followed_by_the_first_observation_of_a_new_one"),
    (LostFinalObservation, "test_an_ended_episode_is_followed_by_the_first_observation_of_a_new_one"),
    (ForeignFinalObservation, "test_final_observation_equals_the_observation_where_nothing_ended"),
    (HiddenReward, "test_the_reward_is_the_sum_of_its_terms"),
    (BothEndings, "test_an_episode_never_both_terminates_and_is_truncated"),
    (OutcomeWithoutEnding, "test_the_outcome_is_told_exactly_where_an_episode_ends"),
    (UnseededNoise, "test_a_seed_determines_everything"),
    (ForgetfulState, "test_the_state_continues_bit_for_bit"),
    (WrongDtype, "test_step_returns_tensors_of_the_declared_shapes"),
    (NotANumber, "test_reset_returns_observations_of_all_environments"),
    (UnclampedActions, "test_actions_beyond_the_space_are_clamped"),
    (TrustsActions, "test_actions_that_are_not_finite_are_refused"),
    (AnyShape, "test_actions_of_another_shape_are_refused"),
    (StartsByItself, "test_step_before_reset_is_refused"),
    (WritesActions, "test_actions_are_not_written_to"),
    (DoubleName, "test_names_are_unique_and_well_formed"),
    (ClosesOnce, "test_closing_twice_is_fine"),
]


@pytest.mark.parametrize(("fault", "check"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_the_suite_rejects_the_fault(fault: Type[Faulty], check: str) -> None:
    """By the check that is there for it."""

    class Suite(VecEnvConformance):
        def make_env(self, num_envs: int) -> VecEnv:
            return fault(num_envs)  # type: ignore[return-value]

    with pytest.raises((AssertionError, AttributeError, RuntimeError, pytest.fail.Exception)):
        getattr(Suite(), check)()


@pytest.mark.parametrize("check", sorted({check for _, check in FAULTS}))
def test_the_check_passes_a_sound_environment(check: str) -> None:
    """So that it was the fault that made it fail."""

    class Suite(VecEnvConformance):
        def make_env(self, num_envs: int) -> VecEnv:
            return mock_env(num_envs)

    getattr(Suite(), check)()
