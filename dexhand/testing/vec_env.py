"""Conformance suite for ``VecEnv``: subclass it and say how to make the environment.

    class TestMyEnv(VecEnvConformance):
        def make_env(self, num_envs):
            return MyEnv(num_envs)

Episodes must end now and then under random actions within ``max_steps``; a clause about endings that were never reached
fails rather than passes.
"""

from contextlib import contextmanager
from typing import Dict, Iterator, List, Tuple

import numpy as np
import pytest
import torch
from torch import Tensor

from dexhand.core.interfaces import StepInfo, VecEnv

Step = Tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]


def actions_for(env: VecEnv, steps: int, seed: int = 0) -> Tensor:
    """Random actions (steps, N, A) in [-1, 1], the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    shape = (steps, env.num_envs, env.single_action_space.shape[0])
    return (torch.rand(shape, generator=generator) * 2.0 - 1.0).to(env.device)


def tensors_of(step: Step) -> Dict[str, Tensor]:
    """Everything a step returned, by name."""
    observations, rewards, terminated, truncated, info = step
    returned = {"observations": observations, "rewards": rewards, "terminated": terminated, "truncated": truncated}
    return {**returned, **{f"info[{name!r}]": value for name, value in info.items()}}  # type: ignore[misc]


def play(env: VecEnv, actions: Tensor) -> List[Dict[str, Tensor]]:
    """Copies of everything that the steps return."""
    return [{name: value.clone() for name, value in tensors_of(env.step(row)).items()} for row in actions]


def differences(first: List[Dict[str, Tensor]], second: List[Dict[str, Tensor]]) -> List[str]:
    """Names and steps at which two records differ in any bit."""
    return [
        f"{name} in step {number}"
        for number, (a, b) in enumerate(zip(first, second))
        for name in a
        if not torch.equal(a[name], b[name])
    ]


class VecEnvConformance:
    """Every clause of ``VecEnv``, one test each."""

    num_envs = 3
    max_steps = 60
    """Steps within which some episode ends in every environment."""

    def make_env(self, num_envs: int) -> VecEnv:
        """Build the environment under test. The suite closes it."""
        raise NotImplementedError("A conformance suite needs make_env(num_envs)")

    @contextmanager
    def env(self) -> Iterator[VecEnv]:
        """An environment that has been reset with seed 0."""
        env = self.make_env(self.num_envs)
        try:
            env.reset(seed=0)
            yield env
        finally:
            env.close()

    def endings(self, env: VecEnv) -> Iterator[Tuple[Dict[str, Tensor], Tensor]]:
        """Steps in which some episode ended, with the mask of where."""
        reached = False
        for row in actions_for(env, self.max_steps):
            step = tensors_of(env.step(row))
            done = step["terminated"] | step["truncated"]
            if bool(done.any()):
                reached = True
                yield step, done
        assert reached, f"No episode ended within {self.max_steps} steps: this clause was not reached. Raise max_steps."

    # --- what is there

    def test_spaces_describe_one_environment(self) -> None:
        """Observation and action space are boxes with one axis; actions lie between -1 and 1."""
        with self.env() as env:
            assert len(env.single_observation_space.shape) == 1, "The observation space must have one axis."
            action = np.asarray(env.single_action_space.sample())
            assert action.shape == env.single_action_space.shape, "The action space does not have its own shape."
            assert np.all(np.abs(action) <= 1.0), "The action space reaches beyond -1 and 1."

    def test_reset_returns_observations_of_all_environments(self) -> None:
        """Float32 of shape (N, F) on the environment's device, and a dictionary."""
        with self.env() as env:
            observations, info = env.reset()
            self._check("reset's observations", observations, (env.num_envs, *env.single_observation_space.shape), env)
            assert info == {}, "reset must return an empty dictionary beside the observations."

    def test_step_returns_tensors_of_the_declared_shapes(self) -> None:
        """Observations (N, F), rewards (N,), two masks (N,), and the info's three tensors, on the device."""
        with self.env() as env:
            step = tensors_of(env.step(actions_for(env, 1)[0]))
            n, features = env.num_envs, env.single_observation_space.shape[0]
            self._check("observations", step["observations"], (n, features), env)
            self._check("rewards", step["rewards"], (n,), env)
            self._check("terminated", step["terminated"], (n,), env, torch.bool)
            self._check("truncated", step["truncated"], (n,), env, torch.bool)
            self._check("info['final_observation']", step["info['final_observation']"], (n, features), env)
            self._check("info['outcome']", step["info['outcome']"], (n,), env, torch.int64)
            self._check("info['reward_terms']", step["info['reward_terms']"], (n, len(env.reward_names)), env)

    def _check(
        self, what: str, value: Tensor, shape: Tuple[int, ...], env: VecEnv, dtype: torch.dtype = torch.float32
    ) -> None:
        assert tuple(value.shape) == shape, f"{what} must have shape {shape}, not {tuple(value.shape)}."
        assert value.dtype == dtype, f"{what} must be {dtype}, not {value.dtype}."
        assert value.device.type == env.device.type, f"{what} must be on {env.device}, not on {value.device}."
        if dtype == torch.float32:
            assert bool(torch.isfinite(value).all()), f"{what} must be finite."

    def test_names_are_unique_and_well_formed(self) -> None:
        """Outcomes are timeout, success:<name> or failure:<name>; no name occurs twice."""
        with self.env() as env:
            for names in (env.reward_names, env.outcome_names):
                assert len(set(names)) == len(names), f"{names} holds a name twice."
            for name in env.outcome_names:
                kind, _, criterion = name.partition(":")
                assert name == "timeout" or (kind in ("success", "failure") and criterion), f"{name} is no outcome."

    # --- what a step means

    def test_the_reward_is_the_sum_of_its_terms(self) -> None:
        """In every step and environment."""
        with self.env() as env:
            for row in actions_for(env, self.max_steps):
                step = tensors_of(env.step(row))
                error = float((step["info['reward_terms']"].sum(1) - step["rewards"]).abs().max())
                assert error <= 1e-4, f"The reward is off the sum of its terms by {error:.2g}."

    def test_an_episode_never_both_terminates_and_is_truncated(self) -> None:
        """The task ended it or time did."""
        with self.env() as env:
            for step, _ in self.endings(env):
                assert not bool((step["terminated"] & step["truncated"]).any()), "An episode ended in both ways."

    def test_the_outcome_is_told_exactly_where_an_episode_ends(self) -> None:
        """-1 elsewhere; timeout exactly where truncated."""
        with self.env() as env:
            timeout = env.outcome_names.index("timeout") if "timeout" in env.outcome_names else -2
            for row in actions_for(env, self.max_steps):
                step = tensors_of(env.step(row))
                outcome, done = step["info['outcome']"], step["terminated"] | step["truncated"]
                assert torch.equal(outcome >= 0, done), "The outcome must be -1 exactly where the episode goes on."
                assert int(outcome.max()) < len(env.outcome_names), "The outcome is no index into outcome_names."
                assert torch.equal(outcome == timeout, step["truncated"]), "Timeout and truncated must go together."

    def test_an_ended_episode_is_followed_by_the_first_observation_of_a_new_one(self) -> None:
        """The step that ends an episode returns what a reset environment shows; the old is in final_observation."""
        with self.env() as env:
            first, _ = env.reset(seed=0)
            spread = _spread_of_first_observations(env)
            env.reset(seed=0)
            for step, done in self.endings(env):
                begun, ended = step["observations"][done], step["info['final_observation']"][done]
                assert bool(((begun - first[done]).abs() <= spread + 1e-4).all()), (
                    "After an episode ended, the observation is not one that a new episode begins with."
                )
                assert not torch.equal(begun, ended), "final_observation shows the new episode instead of the old."

    def test_final_observation_equals_the_observation_where_nothing_ended(self) -> None:
        """It differs in no bit."""
        with self.env() as env:
            for row in actions_for(env, self.max_steps):
                step = tensors_of(env.step(row))
                goes_on = ~(step["terminated"] | step["truncated"])
                same = torch.equal(step["observations"][goes_on], step["info['final_observation']"][goes_on])
                assert same, "final_observation differs from the observation of an episode that goes on."

    def test_actions_beyond_the_space_are_clamped(self) -> None:
        """5 acts like 1."""
        with self.env() as env:
            rows = actions_for(env, 5).sign()
            within = play(env, rows)
            env.reset(seed=0)
            different = differences(within, play(env, rows * 5.0))
            assert not different, f"Actions beyond -1 and 1 are not clamped: {different[:3]} differ."

    # --- what is refused

    def test_step_before_reset_is_refused(self) -> None:
        """With a RuntimeError that says to reset."""
        env = self.make_env(self.num_envs)
        try:
            with pytest.raises(RuntimeError, match="reset"):
                env.step(torch.zeros(env.num_envs, env.single_action_space.shape[0], device=env.device))
        finally:
            env.close()

    def test_actions_of_another_shape_are_refused(self) -> None:
        """With a ValueError."""
        with self.env() as env, pytest.raises(ValueError, match="shape"):
            env.step(torch.zeros(env.num_envs + 1, env.single_action_space.shape[0], device=env.device))

    def test_actions_that_are_not_finite_are_refused(self) -> None:
        """With a ValueError; on a GPU this clause does not apply, where asking would stall the device."""
        with self.env() as env:
            if env.device.type != "cpu":
                pytest.skip("checked on the CPU only")
            actions = actions_for(env, 1)[0]
            actions[0, 0] = float("nan")
            with pytest.raises(ValueError, match="finite"):
                env.step(actions)

    # --- repetition

    def test_a_seed_determines_everything(self) -> None:
        """The same seed and actions give the same bits, in the same environment and in another."""
        with self.env() as env, self.env() as other:
            actions = actions_for(env, self.max_steps)
            first = play(env, actions)
            env.reset(seed=0)
            different = differences(first, play(env, actions)) or differences(first, play(other, actions))
            assert not different, f"The same seed and actions give different values: {different[:3]}."

    def test_the_state_continues_bit_for_bit(self) -> None:
        """After load_state_dict the same actions give the same bits, episodes begun later included."""
        with self.env() as env, self.env() as other:
            actions = actions_for(env, 2 * self.max_steps)
            play(env, actions[:7])
            state = env.state_dict()
            expected = play(env, actions[7:])
            other.reset(seed=1)
            for again in (env, other):
                again.load_state_dict(state)
                different = differences(expected, play(again, actions[7:]))
                assert not different, f"After load_state_dict the values differ: {different[:3]}."

    def test_returned_tensors_are_the_callers(self) -> None:
        """A later step changes none of them."""
        with self.env() as env:
            actions = actions_for(env, self.max_steps)
            returned = [tensors_of(env.step(row)) for row in actions[:5]]
            copies = [{name: value.clone() for name, value in step.items()} for step in returned]
            play(env, actions[5:])
            different = differences(copies, returned)
            assert not different, f"Tensors returned earlier were changed by later steps: {different[:3]}."

    def test_actions_are_not_written_to(self) -> None:
        """The caller's tensor stays as it is."""
        with self.env() as env:
            actions = actions_for(env, 1)[0] * 3.0
            before = actions.clone()
            env.step(actions)
            assert torch.equal(actions, before), "step changed the actions it was given."

    def test_closing_twice_is_fine(self) -> None:
        """The second call does nothing."""
        env = self.make_env(self.num_envs)
        env.close()
        env.close()


def _spread_of_first_observations(env: VecEnv) -> Tensor:
    """How far first observations of an environment lie apart over some seeds. Shape (F,)."""
    firsts = torch.cat([env.reset(seed=seed)[0] for seed in range(12)])
    return (firsts.amax(0) - firsts.amin(0)) * 1.5
