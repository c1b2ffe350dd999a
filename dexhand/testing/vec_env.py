"""Conformance suite for ``VecEnv``: subclass it and define how to make the environment.

    class TestMyEnv(VecEnvConformance):
        def make_env(self, num_envs):
            return MyEnv(num_envs)

``pytest --dexhand-env=my.module:make_env`` does the same without a test file. If a check fails, those that depend on
it are skipped with a reason: where no episode ends, for instance, one check fails and those about endings are skipped.
"""

import numpy as np
import pytest
import torch

from dexhand.core.interfaces import RenderingUnavailable
from dexhand.testing.vec_env_episodes import EpisodeClauses
from dexhand.testing.vec_env_harness import VecEnvHarness, actions_for
from dexhand.testing.vec_env_repeat import RepeatClauses
from dexhand.testing.vec_env_returned import (
    FIRST,
    FIRST_CRITIC,
    SEED,
    axis_of,
    calling,
    differences,
    has,
    play,
    refusal,
    run,
)


class ReturnClauses(VecEnvHarness):
    """Attributes, and the return values of ``reset`` and ``step``."""

    def test_it_can_be_made_reset_and_stepped(self) -> None:
        """It has the required attributes, and runs until every environment has ended two episodes."""
        rollout = self.recording()
        assert rollout.broken is None, rollout.broken

    def test_spaces_describe_one_environment(self) -> None:
        """Observation and action space are boxes with one axis; actions lie between -1 and 1."""
        with self.env() as env:
            space = env.single_action_space
            samples = np.stack([np.asarray(space.sample()) for _ in range(100)])
            assert samples.shape[1:] == space.shape, (
                f"single_action_space.sample() has shape {samples.shape[1:]}, but the space has shape {space.shape}."
            )
            bounds = (getattr(space, "low", samples.min()), getattr(space, "high", samples.max()))
            assert np.all(np.abs(samples) <= 1.0), (
                f"single_action_space must reach from -1 to 1, not from {np.min(bounds[0]):g} to "
                f"{np.max(bounds[1]):g}. Scale actions to their physical range in step."
            )
            if hasattr(space, "low"):
                assert np.all(bounds[0] == -1.0), f"single_action_space.low must be -1 everywhere, not {bounds[0]}."
                assert np.all(bounds[1] == 1.0), f"single_action_space.high must be 1 everywhere, not {bounds[1]}."

    def test_attributes_have_their_types(self) -> None:
        """The number of environments is an int, the device a torch.device, the critic's space None or a box."""
        with self.env() as env:
            assert hasattr(env, "single_critic_observation_space"), (
                "The environment lacks single_critic_observation_space: the space of one environment's critic "
                "observations, or None if the critic sees what the policy sees."
            )
            assert type(env.num_envs) is int, f"num_envs must be an int, not {env.num_envs!r}."
            assert isinstance(env.device, torch.device), (
                f"device must be a torch.device, not {env.device!r}; for example torch.device('cpu')."
            )

    def test_names_are_unique_and_well_formed(self) -> None:
        """Outcomes are timeout, success:<name> or failure:<name>; no name occurs twice."""
        with self.env() as env:
            lacking = [attribute for attribute in ("reward_names", "outcome_names") if not has(env, attribute)]
            assert not lacking, (
                f"The environment lacks {' and '.join(lacking)}. reward_names holds the names of the reward terms, "
                "outcome_names the ways in which an episode can end; both are tuples of str."
            )
            for attribute in ("reward_names", "outcome_names"):
                names = getattr(env, attribute)
                assert isinstance(names, tuple), f"{attribute} must be a tuple of str, not {names!r}."
                assert all(isinstance(name, str) for name in names), (
                    f"{attribute} must be a tuple of str, not {names!r}."
                )
                assert len(set(names)) == len(names), f"{attribute}={names} contains a name twice."
            for name in env.outcome_names:
                kind, _, criterion = name.partition(":")
                assert name == "timeout" or (kind in ("success", "failure") and criterion), (
                    f"outcome_names holds {name!r}; an outcome is 'timeout', 'success:<name>' or 'failure:<name>'."
                )

    def test_reset_returns_observations_of_all_environments(self) -> None:
        """Float32 of shape (N, F) on the environment's device; also the critic's (N, Fc), if it has its own."""
        complaints = [text for name, text in self.rollout().complaints.items() if name in (FIRST, FIRST_CRITIC)]
        assert not complaints, " ".join(complaints)

    def test_step_returns_tensors_of_the_declared_shapes(self) -> None:
        """Observations (N, F), rewards (N,), two masks (N,), and three or four tensors in the info, on the device."""
        complaints = [text for name, text in self.rollout().complaints.items() if name not in (FIRST, FIRST_CRITIC)]
        assert not complaints, " ".join(complaints)

    def test_every_number_is_finite(self) -> None:
        """No returned value is NaN or infinite in any step."""
        infinite = self.rollout().infinite
        assert infinite is None, f"{infinite} Training on it would make the network's weights NaN."

    def test_it_has_as_many_environments_as_asked_for(self) -> None:
        """With 5 environments, ``num_envs`` is 5 and every tensor has 5 rows."""
        self.rollout()
        with self.new_env(5) as env:
            assert env.num_envs == 5, f"make_env(5) returned an environment with num_envs={env.num_envs}."
            run(env, SEED, actions_for(env, 3))
        rollout = self.record(5)
        assert rollout.broken is None, f"With 5 environments: {rollout.broken}"
        self._complains_no_more(rollout.complaints, "5 environments")

    def test_a_single_environment_is_no_special_case(self) -> None:
        """With 1 environment, all tensors keep their first axis."""
        self.rollout()
        rollout = self.record(1)
        assert rollout.broken is None, f"With 1 environment: {rollout.broken}"
        self._complains_no_more(rollout.complaints, "1 environment")

    def _complains_no_more(self, complaints: "dict[str, str]", number: str) -> None:
        known = self.rollout().complaints
        new = [text for name, text in complaints.items() if name not in known]
        assert not new, f"With {number}: {' '.join(new)}"


class ActionClauses(VecEnvHarness):
    """Which actions ``step`` accepts, and which it refuses."""

    def test_actions_beyond_the_space_are_clamped(self) -> None:
        """An action of 5 has the same effect as 1, and -5 the same as -1."""
        with self.env() as env:
            rows = self.actions(env).sign()
            expected = run(env, SEED, rows)
            for beyond in (1.25, 5.0):
                different = differences(expected, run(env, SEED, rows * beyond))
                assert not different, (
                    f"Actions of +-{beyond:g} must have the same effect as +-1, but {different[0]} differ: clamp "
                    "actions to [-1, 1]. Begin step with actions = actions.clamp(-1, 1)."
                )

    def test_actions_are_not_written_to(self) -> None:
        """The step does not change the caller's tensor."""
        with self.env() as env:
            for row in self.actions(env) * 3.0:
                given = row.clone()
                play(env, [given])
                assert torch.equal(given, row), (
                    "step changed the actions that it was given: it modifies the caller's tensor in place, with clamp_ "
                    "or *= for example. Use clamp, which returns a new tensor."
                )

    def test_actions_have_an_effect(self) -> None:
        """Different actions give different results, in every environment."""
        with self.env() as env:
            rows = self.actions(env)
            first, second = run(env, SEED, rows), run(env, SEED, -rows.sign())
            still = [i for i in range(env.num_envs) if not differences(first, second, [i])]
            assert not still, (
                f"In environment {still[0]} nothing depends on the actions: different actions gave the same results."
            )

    def test_step_before_reset_is_refused(self) -> None:
        """It raises a RuntimeError that says to call reset."""
        self.rollout()
        with self.new_env() as env:
            actions = actions_for(env, 1)[0]
            problem = refusal(RuntimeError, lambda: env.step(actions))
            assert not problem, f"step before the first reset must raise RuntimeError and say to call reset; {problem}."

    def test_actions_of_another_shape_are_refused(self) -> None:
        """A row too many, a column too many or a missing axis is a ValueError."""
        with self.env() as env:
            count, size = env.num_envs, axis_of(env, "single_action_space")
            for shape in ((count + 1, size), (count, size + 1), (size,)):
                actions = torch.zeros(shape, device=torch.device(env.device))
                problem = refusal(ValueError, lambda actions=actions: env.step(actions))  # type: ignore[misc]
                assert not problem, (
                    f"Actions of shape {shape} must raise ValueError, because (N, A) = {(count, size)} is expected; "
                    f"{problem}."
                )

    def test_actions_that_are_not_finite_are_refused(self) -> None:
        """They are a ValueError and change nothing. Not required on a GPU, where the check would make it wait."""
        with self.env() as env:
            if torch.device(env.device).type != "cpu":
                pytest.skip("checked on the CPU only")
            rows = self.actions(env)
            expected = run(env, SEED, rows)
            new_run = run(env, SEED, [])
            for bad, index in ((float("nan"), 0), (float("inf"), -1)):
                actions = rows[0].clone()
                actions[index, index] = bad
                problem = refusal(ValueError, lambda actions=actions: env.step(actions))  # type: ignore[misc]
                assert not problem, f"Actions that contain {bad} must raise ValueError; {problem}."
            different = differences(expected, [*new_run, *play(env, rows)])
            assert not different, (
                f"A refused step changed the environment: {different[0]} differ from a run without it. Check the "
                "actions first."
            )


class OtherClauses(VecEnvHarness):
    """``render`` and ``close``."""

    def test_render_draws_and_changes_nothing(self) -> None:
        """It returns an RGB picture of the given size and changes nothing else; an unknown camera is a ValueError."""
        with self.env() as env:
            self.needs(env, "render")
            rows = self.actions(env)
            expected, new_run = run(env, SEED, rows), run(env, SEED, [])
            try:
                picture = env.render(0, width=32, height=24)
            except RenderingUnavailable as error:
                pytest.skip(f"this machine cannot draw: {error}")
            assert isinstance(picture, np.ndarray), f"render must return a numpy array, not {type(picture).__name__}."
            assert (picture.shape, str(picture.dtype)) == ((24, 32, 3), "uint8"), (
                f"render(0, width=32, height=24) must return uint8 of shape (24, 32, 3), not {picture.dtype} of shape "
                f"{picture.shape}."
            )
            problem = refusal(ValueError, lambda: env.render(0, camera="no such camera"))
            assert not problem, f"An unknown camera must raise ValueError; {problem}."
            different = differences(expected, [*new_run, *play(env, rows)])
            assert not different, f"render changed later results: {different[0]} differ from a run without it."

    def test_closing_twice_is_fine(self) -> None:
        """A second close does nothing."""
        self.rollout()
        with self.new_env() as env, calling("A second env.close()"):
            env.close()
            env.close()


class VecEnvConformance(OtherClauses, RepeatClauses, ActionClauses, EpisodeClauses, ReturnClauses):
    """Every clause of ``VecEnv``. pytest runs those of the last class first."""
