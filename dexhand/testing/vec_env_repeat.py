"""Clauses of the environment suite about repetition: seeds, independence, shared memory, saved states."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dexhand.checkpoints.store import save_checkpoint
from dexhand.testing.random_states import random_states, random_states_put_back, reseed
from dexhand.testing.tree import copied, places_that_differ, same
from dexhand.testing.vec_env_harness import LEAST_STEPS, VecEnvHarness, actions_for
from dexhand.testing.vec_env_returned import (
    CRITIC,
    FIRST,
    SEED,
    Values,
    calling,
    differences,
    first_values,
    play,
    reset,
    returned_by,
    run,
    step,
)

SEEDS = range(6)


class RepeatClauses(VecEnvHarness):
    """What the results of an environment may depend on, and what not."""

    # --- seeds

    def test_a_seed_determines_everything(self) -> None:
        """The same seed and actions give the same bits: repeated, in another object, and in turns with another."""
        endings = self.rollout().endings()
        with self.env() as env, self.env() as other:
            rows = actions_for(env, endings[0].step + 6 if endings else LEAST_STEPS)
            for seed in (0, 7):
                first = run(env, seed, rows)
                play(env, rows[:3])  # so that the next reset comes in the middle of episodes
                again, elsewhere = run(env, seed, rows), run(other, seed, rows)
                self._demand_same(first, again, f"A second reset(seed={seed}) and the same actions")
                self._demand_same(first, elsewhere, f"reset(seed={seed}) and the same actions in a second object")
                reset(env, seed + 1)
                beside: list[Values] = [first_values(other, seed)]
                for row in rows:
                    step(env, row)
                    beside.append(step(other, row))
                self._demand_same(
                    first, beside, f"reset(seed={seed}) and the same actions, in turns with a second object,"
                )

    def _demand_same(self, first: list[Values], second: list[Values], what: str) -> None:
        different = differences(first, second)
        hint = " 0 is a seed too: test whether seed is None." if "seed=0" in what else ""
        assert not different, (
            f"{what} must give the same bits, but {different[0]} differ. All random numbers must come from "
            "generators that reset(seed) seeds, and nothing may remain from before the reset or be shared between "
            f"objects.{hint}"
        )

    def test_another_seed_begins_other_episodes(self) -> None:
        """If starts vary at all, they vary with the seed, the environment and the episode."""
        rollout = self.rollout("observations", FIRST)
        with self.env() as env:
            by_seed = [reset(env, seed) for seed in SEEDS]
            later = [reset(env) for _ in SEEDS]
        seeds_vary = any(not torch.equal(first, by_seed[0]) for first in by_seed)
        rows_vary = any(not torch.equal(row, first[0]) for first in by_seed for row in first)
        later_vary = any(not torch.equal(first, later[0]) for first in later)
        assert seeds_vary or not later_vary, (
            f"Observations vary after reset(), but are the same after reset(seed=0) to reset(seed={SEEDS[-1]}): the "
            "seed is not used."
        )
        assert rows_vary or not seeds_vary, (
            "Starts vary with the seed, but all environments start alike: draw a separate start for each environment."
        )
        assert later_vary or not seeds_vary, (
            "Starts vary with the seed, but every reset() after it gives the same start: a reset without a seed must "
            "continue to draw from the generator, not seed it again."
        )
        ends = rollout.endings() if rollout.has("terminated") and rollout.has("truncated") else []
        restarts = [rollout.steps[end.step - 1]["observations"][end.env] for end in ends]
        alike = all(torch.equal(shown, rollout.first[end.env]) for shown, end in zip(restarts, ends))
        assert not (alike and len(ends) >= 4 and seeds_vary), (
            "Starts vary with the seed, but every new episode of an environment starts like its first: draw a new "
            "start for each episode."
        )

    def test_global_random_states_are_left_alone(self) -> None:
        """Global states of torch, numpy and Python are neither used nor changed, because other code uses them too."""
        with self.env() as env, random_states_put_back():
            rows = self.actions(env)
            reseed(0)  # the state may be just what reset makes of it
            before = random_states()
            first = run(env, SEED, rows)
            after = random_states()
            changed = [name for name in before if places_that_differ(before[name], after[name])]
            assert not changed, (
                f"reset and step changed the global random state of {' and '.join(changed)}. Give the "
                "environment its own generator, such as a torch.Generator, and seed it in reset."
            )
            reseed(1)
            second: list[Values] = [first_values(env, SEED)]
            for number, row in enumerate(rows):
                reseed(number)
                second.append(step(env, row))
            different = differences(first, second)
            assert not different, (
                f"{different[0]} depend on the global random state of torch, numpy or Python: reset(seed) does not "
                "determine them if other code draws too. Give the environment its own generator."
            )

    # --- independence

    def test_environments_do_not_influence_each_other(self) -> None:
        """A different action in one environment changes nothing in the others."""
        with self.env() as env:
            if env.num_envs < 2:
                pytest.skip("there is only one environment")
            rows = self.actions(env)
            base = run(env, SEED, rows)
            for moved in (0, env.num_envs - 1):
                varied_rows = rows.clone()
                varied_rows[:, moved] = actions_for(env, len(rows), seed=5)[:, 0]
                varied = run(env, SEED, varied_rows)
                others = [index for index in range(env.num_envs) if index != moved]
                different = differences(_until_an_ending(base), _until_an_ending(varied), others)
                assert not different, (
                    f"Different actions in environment {moved} changed {different[0]} of environments {others}: each "
                    "environment must depend only on its own actions. Is a row index wrong, or something summed over "
                    "all environments?"
                )

    # --- memory of its own

    def test_returned_tensors_are_the_callers(self) -> None:
        """A later step changes neither the returned tensors nor the info dictionary."""
        with self.env() as env:
            rows = self.actions(env)
            shown = returned_by(env)
            returned = [shown, *(returned_by(env, row) for row in rows[:6])]
            copies = [copied(each) for each in returned]
            play(env, rows[6:])
            for number, (each, copy) in enumerate(zip(returned, copies)):
                changed = [name for name in each if not same(copy[name], each[name])]
                what = f"step {number}" if number else "reset"
                assert not changed, (
                    f"Later steps changed what {what} returned: {changed[0]} is an internal buffer of the "
                    "environment, or a view of one. Return copies: tensor.clone()."
                )

    def test_the_caller_may_write_to_what_it_was_given_and_gave(self) -> None:
        """The environment keeps no reference to tensors that it returned or was given."""
        with self.env() as env:
            rows = self.actions(env)
            expected = run(env, SEED, rows)
            shown = returned_by(env, seed=SEED)
            scribbled: list[Values] = [{name: value.clone() for name, value in shown.items()}]
            _scribble(shown)
            for row in rows:
                given = row.clone()
                returned = returned_by(env, given)
                scribbled.append({name: value.clone() for name, value in returned.items() if isinstance(value, Tensor)})
                _scribble({**returned, "actions": given})
            different = differences(expected, scribbled)
            assert not different, (
                f"When the caller overwrites returned tensors and its own actions after each step, {different[0]} "
                "differ: the environment still uses tensors that it returned or was given. Keep and return copies: "
                "tensor.clone()."
            )

    # --- saved states

    def test_the_state_continues_bit_for_bit(self) -> None:
        """After load_state_dict the same actions give the same bits, in later episodes too."""
        with self.env() as env, self.env() as other:
            self.needs(env, "state_dict", "load_state_dict")
            rows = torch.cat((self.actions(env), self.actions(env, seed=2)))
            run(env, SEED, rows[:7])
            state = env.state_dict()
            expected = play(env, rows[7:])
            reset(other, 1)
            for again, what in ((env, "the same environment object"), (other, "another environment object")):
                with calling("env.load_state_dict(state)"):
                    again.load_state_dict(state)
                different = differences(expected, play(again, rows[7:]))
                assert not different, (
                    f"After load_state_dict in {what} the same actions give different values, first {different[0]}. "
                    "Does the state hold the physics, counters, buffers and every random generator?"
                )

    def test_a_saved_state_shares_no_memory(self) -> None:
        """Neither what state_dict returned nor what load_state_dict was given changes with later steps."""
        with self.env() as env:
            self.needs(env, "state_dict", "load_state_dict")
            rows = self.actions(env)
            play(env, rows[:3])
            state = env.state_dict()
            kept = copied(state)
            play(env, rows[:3])
            changed = places_that_differ(kept, state)
            assert not changed, f"Steps after state_dict changed {changed[0]} of what it returned: return copies."
            env.load_state_dict(state)
            play(env, rows[:3])
            changed = places_that_differ(kept, state)
            assert not changed, f"Steps after load_state_dict changed {changed[0]} of what it was given: copy it."

    def test_a_saved_state_can_be_written_to_a_checkpoint(self) -> None:
        """The state holds only nested dictionaries, lists, tensors and plain values."""
        with self.env() as env, tempfile.TemporaryDirectory() as folder:
            self.needs(env, "state_dict")
            with calling("Writing env.state_dict() to a checkpoint"):
                save_checkpoint(Path(folder) / "state.pth", env.state_dict())


def _until_an_ending(record: list[Values]) -> list[Values]:
    """The record up to the first step that ends an episode; of that step only what belongs to the old episodes.

    Later, environments may draw from a shared generator in a different order.
    """
    for number, values in enumerate(record):
        if number and bool((values["terminated"] | values["truncated"]).any()):
            last = {name: value for name, value in values.items() if name not in ("observations", CRITIC)}
            return [*record[:number], last]
    return record


def _scribble(values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Tensor):
            try:
                # not fill_, which writes to views of fewer numbers without complaint
                value.copy_(torch.full_like(value, 1 if value.dtype in (torch.bool, torch.int64) else float("nan")))
            except RuntimeError as error:
                raise AssertionError(
                    f"{name} cannot be written to; return a tensor with its own memory: {error}"
                ) from None
