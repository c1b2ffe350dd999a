"""Conformance suite for ``Task``: subclass it and define how to make a task on a simulator.

    class TestMyTask(TaskConformance):
        def make_task(self, num_envs):
            simulator = MockSimulator(MY_SCENE, num_envs, control_dt=0.01)
            return MyTask(simulator), simulator

The suite plays the part of ``TaskEnv``: it asks for targets, steps the simulator, and lets the task evaluate.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import torch
from torch import Generator, Tensor

from dexhand.hand_env.interfaces import Observations, Simulator, StepResult, Task
from dexhand.testing.random_states import random_states, random_states_put_back, reseed
from dexhand.testing.tree import copied, places_that_differ, same


class Played(NamedTuple):
    """What a task returned in one control step, copied."""

    targets: Tensor
    result: StepResult


class TaskHarness:
    """The factory that a subclass defines, and helpers that run its task."""

    num_envs = 3
    steps = 12
    """Number of control steps in most checks."""
    max_steps = 200
    """Steps within which an episode times out under zero actions."""

    def make_task(self, num_envs: int) -> tuple[Task, Simulator]:
        """Make a task and a simulator with its scene. The suite closes the simulator."""
        raise NotImplementedError("A conformance suite needs make_task(num_envs)")

    @contextmanager
    def parts(self, seed: int = 0, new_run: bool = True) -> Iterator[tuple[Task, Simulator]]:
        """A task and its simulator, with new episodes everywhere."""
        task, simulator = self.make_task(self.num_envs)
        try:
            if new_run:
                begin(task, simulator, seed)
            yield task, simulator
        finally:
            simulator.close()

    def actions(self, task: Task, steps: int | None = None, seed: int = 0) -> Tensor:
        """Random actions within [-1, 1]. Shape (steps, N, A)."""
        shape = (steps or self.steps, self.num_envs, task.num_actions)
        return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


def begin(task: Task, simulator: Simulator, seed: int, mask: Tensor | None = None) -> None:
    """Start new episodes as ``TaskEnv`` does, in all environments or where ``mask`` is true."""
    if mask is None:
        mask = torch.ones(simulator.num_envs, dtype=torch.bool, device=simulator.device)
    generator = _generator(simulator, seed)
    pose = task.reset_pose(generator)
    simulator.reset(mask, pose.dof_pos, pose.object_pose)
    task.reset(mask, simulator.state, generator)


def play(task: Task, simulator: Simulator, actions: Tensor, generator: Generator | None = None) -> list[Played]:
    """Run control steps without resets; draws from ``generator``, or from a new one with a fixed seed."""
    generator = _generator(simulator, 0) if generator is None else generator
    played = []
    for row in actions.to(simulator.device):
        targets = task.dof_targets(row)
        simulator.step(targets)
        played.append(Played(targets.clone(), copied(task.evaluate(simulator.state, generator))))
    return played


def _generator(simulator: Simulator, seed: int) -> Generator:
    return Generator(device=simulator.device).manual_seed(seed)


def _parts_of(played: Played) -> dict[str, Tensor]:
    return {"dof_targets": played.targets, **_tensors_of(played.result)}


def _tensors_of(result: StepResult) -> dict[str, Tensor]:
    tensors = dict(vars(result))
    return {**_seen(tensors.pop("observations")), **tensors}


def _seen(observations: Observations) -> dict[str, Tensor]:
    return {f"{who} observations": value for who, value in vars(observations).items() if value is not None}


def _differing(first: list[Played], second: list[Played], rows: list[int] | None = None) -> list[str]:
    """Names and steps of values that differ in any bit, in ``rows`` or in all environments."""
    chosen = slice(None) if rows is None else rows
    return [
        f"{name} in step {number}"
        for number, (one, other) in enumerate(zip(first, second), start=1)
        for name, value in _parts_of(one).items()
        if places_that_differ(value[chosen], _parts_of(other)[name][chosen])
    ]


class ShapeClauses(TaskHarness):
    """Attributes, and shapes of returned values."""

    def test_names_are_unique(self) -> None:
        """Names of reward terms, success and failure criteria are tuples of different str."""
        with self.parts() as (task, _):
            for attribute in ("reward_names", "success_names", "failure_names"):
                names = getattr(task, attribute)
                assert isinstance(names, tuple), f"{attribute} must be a tuple of str, not {names!r}."
                assert len(set(names)) == len(names), f"{attribute}={names} contains a name twice."

    def test_targets_have_the_shape_of_the_joints(self) -> None:
        """Joint targets are float32 (N, D), finite, and on the simulator's device."""
        with self.parts() as (task, simulator):
            targets = task.dof_targets(self.actions(task)[0].to(simulator.device))
            self._check("dof_targets", targets, (self.num_envs, len(simulator.dof_names)), simulator)

    def test_results_have_the_declared_shapes(self) -> None:
        """Observations (N, F), reward terms (N, T), and a column for each criterion, in every step."""
        with self.parts() as (task, simulator):
            n = self.num_envs
            for played in play(task, simulator, self.actions(task)):
                result = played.result
                self._check("policy observations", result.observations.policy, (n, task.num_observations), simulator)
                self._check("reward_terms", result.reward_terms, (n, len(task.reward_names)), simulator)
                self._check("success", result.success, (n, len(task.success_names)), simulator, torch.bool)
                self._check("failure", result.failure, (n, len(task.failure_names)), simulator, torch.bool)
                self._check("timeout", result.timeout, (n,), simulator, torch.bool)

    def test_critic_observations_are_as_declared(self) -> None:
        """Float32 (N, Fc), finite, from observe and in every step; ``None`` if ``num_critic_observations`` is 0."""
        with self.parts() as (task, simulator):
            shown = [task.observe(simulator.state)]
            shown += [played.result.observations for played in play(task, simulator, self.actions(task))]
            size = task.num_critic_observations
            for observations in shown:
                if size == 0:
                    assert observations.critic is None, (
                        "num_critic_observations=0, but there are critic observations: return None, or declare their "
                        "number."
                    )
                else:
                    assert observations.critic is not None, (
                        f"num_critic_observations={size}, but the critic observations are None."
                    )
                    self._check("critic observations", observations.critic, (self.num_envs, size), simulator)

    def test_starting_poses_fit_the_scene(self) -> None:
        """A row for every environment: joints (N, D) within their limits, objects (N, O, 7) with unit quaternions."""
        with self.parts() as (task, simulator):
            pose = task.reset_pose(_generator(simulator, 0))
            n, limits = self.num_envs, simulator.dof_limits
            self._check("dof_pos", pose.dof_pos, (n, len(simulator.dof_names)), simulator)
            self._check("object_pose", pose.object_pose, (n, len(simulator.scene.objects), 7), simulator)
            beyond = ((pose.dof_pos < limits[:, 0] - 1e-5) | (pose.dof_pos > limits[:, 1] + 1e-5)).nonzero()
            names = [simulator.dof_names[int(index)] for index in beyond[:, 1]]
            assert not names, f"Starting poses are outside the limits of joints {sorted(set(names))[:5]}."
            lengths = torch.linalg.vector_norm(pose.object_pose[..., 3:], dim=-1)
            assert bool((lengths - 1.0).abs().le(1e-4).all()), (
                "A starting quaternion does not have length 1; the order is x, y, z, w."
            )

    def _check(
        self, what: str, value: Tensor, shape: tuple[int, ...], simulator: Simulator, dtype: torch.dtype = torch.float32
    ) -> None:
        assert tuple(value.shape) == shape, f"{what} must have shape {shape}, not {tuple(value.shape)}."
        assert value.dtype == dtype, f"{what} must be {dtype}, not {value.dtype}."
        assert value.device == simulator.device, f"{what} must be on {simulator.device}, not on {value.device}."
        assert bool(torch.isfinite(value).all()), f"{what} must be finite."


class PurityClauses(TaskHarness):
    """A task changes only its own state, and draws only from the given generator."""

    def test_actions_and_states_are_not_written_to(self) -> None:
        """The task changes neither the caller's actions nor the simulator's state."""
        with self.parts() as (task, simulator):
            actions = self.actions(task)[0].to(simulator.device)
            kept = actions.clone()
            simulator.step(task.dof_targets(actions))
            assert torch.equal(actions, kept), "dof_targets changed the actions that it was given: work on a copy."
            before = copied(vars(simulator.state))
            task.evaluate(simulator.state, _generator(simulator, 0))
            task.observe(simulator.state)
            changed = places_that_differ(before, vars(simulator.state))
            assert not changed, f"evaluate or observe changed the simulator's {changed[0]}."

    def test_observing_advances_nothing(self) -> None:
        """Observe returns the observations of the last evaluate, however often it is called."""
        with self.parts() as (task, simulator):
            for played in play(task, simulator, self.actions(task)[:4]):
                shown = _seen(played.result.observations)
            before = copied(task.state_dict())
            for _ in range(2):
                different = places_that_differ(shown, _seen(task.observe(simulator.state)))
                assert not different, f"observe must return what the last evaluate returned, but {different[0]} differ."
            changed = places_that_differ(before, task.state_dict())
            assert not changed, f"observe changed the task's state, at {changed[0]}."

    def test_what_it_returned_does_not_change(self) -> None:
        """Later steps leave earlier results as they were."""
        with self.parts() as (task, simulator):
            row, *later = self.actions(task).to(simulator.device)
            targets = task.dof_targets(row)
            simulator.step(targets)
            evaluated = task.evaluate(simulator.state, _generator(simulator, 0))
            returned = {"dof_targets": targets, **_tensors_of(evaluated)}
            kept = copied(returned)
            play(task, simulator, torch.stack(later))
            begin(task, simulator, seed=1)
            changed = [name for name in kept if not same(kept[name], returned[name])]
            assert not changed, f"Later steps changed {changed[0]} of an earlier step: return copies."

    def test_only_the_given_generator_is_drawn_from(self) -> None:
        """Global random states are neither changed nor used; the same generator state gives the same bits."""
        with random_states_put_back(), self.parts(new_run=False) as (task, simulator):
            runs = []
            for seed in range(2):
                reseed(seed)
                before = random_states()
                generator = _generator(simulator, 5)
                poses = copied(vars(task.reset_pose(generator)))
                begin(task, simulator, seed=5)
                first = _seen(task.observe(simulator.state))
                steps = [_parts_of(played) for played in play(task, simulator, self.actions(task))]
                runs.append({**poses, **first, "steps": steps})
                changed = [name for name, state in random_states().items() if places_that_differ(before[name], state)]
                assert not changed, (
                    f"The task changed the global random state of {' and '.join(changed)}: draw from the given "
                    "generator."
                )
            different = places_that_differ(*runs)
            assert not different, (
                f"The same generator state gave different values at {different[0]}: draw only from the given generator."
            )

    def test_every_call_draws_the_same_amount(self) -> None:
        """The generator's final state depends neither on the actions nor on which environments are reset."""
        states = []
        for sign, masked in ((1.0, 0), (-1.0, 1)):
            with self.parts() as (task, simulator):
                generator = _generator(simulator, 0)
                play(task, simulator, sign * self.actions(task).abs(), generator)
                mask = torch.arange(self.num_envs, device=simulator.device) <= masked
                task.reset_pose(generator)
                task.reset(mask, simulator.state, generator)
                states.append(generator.get_state())
        assert torch.equal(*states), (
            "The number of random draws depends on actions or resets: draw for all environments in every call, then "
            "select."
        )

    def test_environments_do_not_influence_each_other(self) -> None:
        """Different actions in one environment change nothing in the others."""
        with self.parts() as (task, simulator), self.parts() as (other_task, other_simulator):
            actions = self.actions(task)
            varied = actions.clone()
            varied[:, 0] = -varied[:, 0].sign()
            others = list(range(1, self.num_envs))
            first, second = play(task, simulator, actions), play(other_task, other_simulator, varied)
            different = _differing(first, second, others)
            assert not different, f"Different actions in environment 0 changed {different[0]} of environments {others}."


class EpisodeClauses(TaskHarness):
    """Time, resets and state."""

    def test_time_is_up_after_the_same_number_of_steps(self) -> None:
        """The time limit is the same in every environment, counted from the start of its own episode."""
        with self.parts() as (task, simulator):
            still = torch.zeros(1, self.num_envs, task.num_actions)
            late = 3
            play(task, simulator, still.expand(late, -1, -1))
            second = torch.zeros(self.num_envs, dtype=torch.bool, device=simulator.device)
            second[1] = True
            begin(task, simulator, seed=1, mask=second)
            up: dict[int, int] = {}
            for step in range(late + 1, self.max_steps + 1):
                timeout = play(task, simulator, still)[0].result.timeout
                for index in timeout.nonzero().flatten().tolist():
                    up.setdefault(index, step)
                if len(up) == self.num_envs:
                    break
        if 0 not in up:
            pytest.skip(f"not reached: no timeout within {self.max_steps} steps; raise max_steps of the suite")
        expected = {index: up[0] + (late if index == 1 else 0) for index in range(self.num_envs)}
        assert up == expected, (
            f"Timeouts came in these steps, by environment: {up}. Environment 1 started {late} steps later than the "
            f"others, so {expected} is expected: count steps separately for each episode."
        )

    def test_reset_touches_only_the_masked_environments(self) -> None:
        """The other environments continue unchanged."""
        with self.parts() as (task, simulator), self.parts() as (other_task, other_simulator):
            actions = self.actions(task)
            play(task, simulator, actions[:5])
            play(other_task, other_simulator, actions[:5])
            mask = torch.zeros(self.num_envs, dtype=torch.bool, device=simulator.device)
            mask[1] = True
            begin(task, simulator, seed=2, mask=mask)
            others = [index for index in range(self.num_envs) if index != 1]
            first = play(task, simulator, actions[5:])
            different = _differing(first, play(other_task, other_simulator, actions[5:]), others)
            assert not different, f"A new episode in environment 1 changed {different[0]} of environments {others}."

    def test_a_new_episode_does_not_depend_on_the_one_before(self) -> None:
        """A new episode is the same as in a new task, whatever came before it."""
        with self.parts(seed=3) as (fresh, simulator):
            actions = self.actions(fresh)
            first = copied(_seen(fresh.observe(simulator.state)))
            expected = play(fresh, simulator, actions)
        with self.parts(seed=0) as (task, simulator):
            play(task, simulator, self.actions(task, seed=9))
            begin(task, simulator, seed=3)
            different = places_that_differ(first, _seen(task.observe(simulator.state)))
            assert not different, (
                f"A new episode must begin as in a new task, but {different[0]} differ: reset all of the task's state."
            )
            different = _differing(expected, play(task, simulator, actions))
        assert not different, (
            f"{different[0]} of a new episode depend on the previous episode: clear its state in reset."
        )

    def test_a_new_episode_does_not_depend_on_a_diverged_one(self) -> None:
        """After NaN in the state of an environment the next episode is that of a task that saw none."""
        with self.parts() as (task, simulator), self.parts() as (sound, other_simulator):
            actions = self.actions(task)
            mask = torch.zeros(self.num_envs, dtype=torch.bool, device=simulator.device)
            mask[1] = True
            for each, its, bad in ((task, simulator, math.nan), (sound, other_simulator, 0.0)):
                its.step(each.dof_targets(actions[0].to(its.device)))
                state = copied(its.state)
                for tensor in vars(state).values():
                    tensor[1] += bad
                each.evaluate(state, _generator(its, 0))
                begin(each, its, seed=2, mask=mask)
            different = places_that_differ(
                _seen(sound.observe(other_simulator.state)), _seen(task.observe(simulator.state))
            )
            different = different or _differing(
                play(sound, other_simulator, actions[1:]), play(task, simulator, actions[1:])
            )
            assert not different, (
                f"After NaN in the state of environment 1 and a reset, {different[0]} differ: set what reset clears to "
                "0 instead of multiplying by it."
            )

    def test_the_state_continues_bit_for_bit(self) -> None:
        """After load_state_dict the same steps give the same bits, also in a task that had another state."""
        with self.parts() as (task, simulator), self.parts(seed=4) as (other_task, other_simulator):
            actions = self.actions(task)
            play(task, simulator, actions[:5])
            state, physics = task.state_dict(), simulator.state_dict()
            kept = copied(state)
            expected = play(task, simulator, actions[5:])
            changed = places_that_differ(kept, state)
            assert not changed, f"Steps after state_dict changed {changed[0]} of what it returned: return copies."
            play(other_task, other_simulator, self.actions(task, seed=7)[:3])
            for again, its in ((other_task, other_simulator), (task, simulator)):
                its.load_state_dict(physics)
                again.load_state_dict(state)
                different = _differing(expected, play(again, its, actions[5:]))
                assert not different, (
                    f"After load_state_dict {different[0]} differ: does state_dict hold all of the task's state?"
                )
                changed = places_that_differ(kept, state)
                assert not changed, f"Steps after load_state_dict changed {changed[0]} of what it was given: copy it."


class TaskConformance(EpisodeClauses, PurityClauses, ShapeClauses):
    """Every clause of ``Task``. pytest runs those of the last class first."""
