"""Clauses of the environment suite about episodes: rewards, endings, and new episodes."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from dexhand.core.interfaces import VecEnv
from dexhand.testing.tree import copied
from dexhand.testing.vec_env_harness import LEAST_STEPS, VecEnvHarness, actions_for
from dexhand.testing.vec_env_returned import (
    CRITIC,
    FIRST,
    FIRST_CRITIC,
    SEED,
    Ending,
    Rollout,
    Values,
    differences,
    first_values,
    has,
    has_critic,
    play,
    reset,
    run,
)

FINAL = "info['final_observation']"
OUTCOME = "info['outcome']"
TERMS = "info['reward_terms']"


class EpisodeClauses(VecEnvHarness):
    """Rewards and endings that a step reports, and the observations around an ending."""

    # --- rewards

    def test_the_reward_is_the_sum_of_its_terms(self) -> None:
        """In every step and environment, the reward is the sum of ``reward_terms``."""
        for number, values in enumerate(self.rollout("rewards", TERMS).steps, start=1):
            total = values[TERMS].sum(dim=1)
            env = int((total - values["rewards"]).abs().argmax())
            reward, expected = float(values["rewards"][env]), float(total[env])
            assert abs(reward - expected) <= 1e-4 * max(1.0, abs(expected)), (
                f"In step {number} the reward of environment {env} is {reward:g}, but {TERMS} add up to {expected:g}."
            )

    def test_the_last_reward_belongs_to_the_episode_that_ended(self) -> None:
        """The reward of an episode's last step does not depend on how the next episode begins."""
        rollout, endings = self.endings("rewards", "observations", FINAL)
        new_run = [rollout.steps[end.step - 1]["observations"][end.env] for end in endings]
        if all(torch.equal(each, new_run[0]) for each in new_run):
            pytest.skip("not reached: all new episodes begin in the same way")
        with self.env() as env:
            compared = [self._compare_last_rewards(*pair) for pair in self._ends_with_other_beginnings(env)]
        if not any(compared):
            pytest.skip("not reached: no two runs have the same episode followed by different ones")

    def _compare_last_rewards(self, first: Values, second: Values, index: int) -> bool:
        """Compare the rewards of two steps that end the same episode; returns whether the new episodes differ."""
        for name in ("rewards", TERMS):
            assert name not in first or torch.equal(first[name][index], second[name][index]), (
                f"Two identical episodes of environment {index} end with different {name}, "
                f"{first[name][index].tolist()} and {second[name][index].tolist()}: they depend on how the "
                "next episode begins. Compute rewards before the environment is reset."
            )
        return not torch.equal(first["observations"][index], second["observations"][index])

    def _ends_with_other_beginnings(self, env: VecEnv) -> Iterator[tuple[Values, Values, int]]:
        """Yield pairs of steps that end the same episode of an environment, and its index; what follows may differ."""
        rows = self.actions(env)
        base = run(env, SEED, rows)
        last = next(number for number, values in enumerate(base) if number and bool(_done(values).any()))
        if has(env, "state_dict") and has(env, "load_state_dict"):
            # the last step again, with torch's generators at another place
            run(env, SEED, rows[: last - 1])
            state = copied(env.state_dict())
            for seed in range(1, 4):
                env.load_state_dict(_with_other_seed(state, seed))
                again = [*base[:last], *play(env, rows[last - 1 : last])]
                yield from _alike_to_the_end(base, again, range(env.num_envs))
        for seed, index in itertools.product(range(1, 4), range(env.num_envs)):
            # everywhere else the same extreme action throughout, so that episodes end at other times there: where
            # starts come from one generator, it is at another place then
            other = actions_for(env, 1, seed).sign().repeat(len(rows), 1, 1)
            other[:, index] = rows[:, index]
            yield from _alike_to_the_end(base, run(env, SEED, other), [index])

    # --- endings

    def test_episodes_end_under_random_actions(self) -> None:
        """Some episode ends within ``max_steps``; otherwise endings cannot be checked."""
        rollout = self.rollout("terminated", "truncated")
        assert rollout.endings(), (
            f"No episode ended within {len(rollout.steps)} steps of random actions, so endings could not be "
            "checked. Shorten the episodes for this test, or allow more steps (max_steps of the suite, "
            "--dexhand-env-steps on the command line)."
        )

    def test_an_episode_never_both_terminates_and_is_truncated(self) -> None:
        """An episode ends by the task or by the time limit, never both."""
        rollout, endings = self.endings()
        for ending in endings:
            values = rollout.steps[ending.step - 1]
            both = bool(values["terminated"][ending.env] & values["truncated"][ending.env])
            assert not both, (
                f"terminated and truncated are both true for {ending}. If the task ends an episode in its last "
                "step, it counts as terminated: truncated = out_of_time & ~terminated."
            )

    def test_the_outcome_is_told_exactly_where_an_episode_ends(self) -> None:
        """The outcome is -1 while an episode goes on, and timeout exactly where it is truncated."""
        rollout, _ = self.endings(OUTCOME)
        with self.env() as env:
            if not has(env, "outcome_names"):
                pytest.skip(
                    "not reached: the environment lacks outcome_names, see test_names_are_unique_and_well_formed"
                )
            names = tuple(env.outcome_names)
        for number, values in enumerate(rollout.steps, start=1):
            for index, outcome in enumerate(values[OUTCOME].tolist()):
                ended, truncated = bool(_done(values)[index]), bool(values["truncated"][index])
                where = f"In step {number} info['outcome'] of environment {index} is {outcome}"
                assert ended or outcome == -1, f"{where}, but its episode has not ended: -1 is expected."
                assert not ended or 0 <= outcome < len(names), (
                    f"{where}, but its episode ended: an index into outcome_names={names} is expected."
                )
                assert not ended or truncated == (names[outcome] == "timeout"), (
                    f"{where}, {names[outcome]!r}, and truncated is {truncated}: the outcome must be timeout exactly "
                    "where truncated is true."
                )

    def test_time_ends_every_episode_after_the_same_number_of_steps(self) -> None:
        """The limit is the same in all environments and episodes, and equals ``max_episode_steps`` if there is one."""
        _, endings = self.endings()
        timed_out = [ending for ending in endings if ending.truncated]
        if not timed_out:
            pytest.skip("not reached: no episode was truncated under random actions")
        with self.env() as env:
            limit = getattr(env, "max_episode_steps", timed_out[0].length)
        for ending in timed_out:
            assert ending.length == limit, (
                f"The time limit ended {ending}, after {ending.length} steps instead of {limit}, the limit from "
                f"max_episode_steps or from {timed_out[0]}. Count steps separately for each environment, from 0 at "
                "the start of its episode, and compare after counting: steps >= limit."
            )
        longest = max(endings, key=lambda ending: ending.length)
        assert longest.length <= limit, f"The time limit is {limit} steps, but {longest}, lasted {longest.length}."

    # --- what follows

    def test_an_ended_episode_is_followed_by_the_first_observation_of_a_new_one(self) -> None:
        """The step that ends an episode returns the first observation of a new one."""
        rollout, endings = self.endings("observations", FINAL, FIRST)
        with self.env() as env:
            firsts = torch.cat([reset(env, seed).cpu() for seed in range(20)])
        spread = 1.5 * (firsts.amax(dim=0) - firsts.amin(dim=0)) + 1e-4
        for ending in endings:
            shown = rollout.steps[ending.step - 1]["observations"][ending.env]
            far = ((shown - rollout.first[ending.env]).abs() > spread).nonzero().flatten().tolist()
            assert not far, (
                f"After {ending}, number {far[0]} of its observation is {float(shown[far[0]]):g}, which no new episode "
                f"begins with (in 20 resets it was {float(firsts[:, far[0]].amin()):g} to "
                f"{float(firsts[:, far[0]].amax()):g}). An environment whose episode ends is reset within the same "
                "step: return the first observation of the new episode, and the last one of the old episode in "
                "info['final_observation']."
            )
        vary = (firsts != firsts[0]).any(dim=0)
        ends = [rollout.steps[end.step - 1] for end in endings]
        assert not (bool(vary.any()) and all(_stays(values, end.env, vary) for values, end in zip(ends, endings))), (
            "Wherever an episode ended, the new one begins with what final_observation shows of the old, in all "
            "numbers that vary between beginnings: the environment was not reset, or final_observation was taken after "
            "the reset."
        )

    def test_the_critic_sees_the_new_episode_after_an_ending(self) -> None:
        """The step that ends an episode returns critic observations that a new episode begins with."""
        with self.env() as env:
            if not has_critic(env):
                pytest.skip("the environment has no critic observations")
            firsts = torch.cat([first_values(env, seed)[CRITIC].cpu() for seed in range(20)])
        rollout, endings = self.endings(CRITIC, FIRST_CRITIC)
        spread = 1.5 * (firsts.amax(dim=0) - firsts.amin(dim=0)) + 1e-4
        for ending in endings:
            shown = rollout.steps[ending.step - 1][CRITIC][ending.env]
            far = ((shown - rollout.first_critic[ending.env]).abs() > spread).nonzero().flatten().tolist()
            assert not far, (
                f"After {ending}, number {far[0]} of its critic observation is {float(shown[far[0]]):g}, which no new "
                f"episode begins with (in 20 resets it was {float(firsts[:, far[0]].amin()):g} to "
                f"{float(firsts[:, far[0]].amax()):g}). Compute the critic's observations after the reset, like the "
                "policy's."
            )

    def test_the_last_observation_of_an_ended_episode_is_kept(self) -> None:
        """final_observation is neither the new episode's first observation nor the one before the last step."""
        rollout, endings = self.endings("observations", FINAL, FIRST)
        for truncated in (False, True):
            chosen = [ending for ending in endings if ending.truncated == truncated]
            kind = "were truncated" if truncated else "terminated"
            if chosen:
                self._check_final(rollout, chosen, kind)

    def _check_final(self, rollout: Rollout, endings: list[Ending], kind: str) -> None:
        finals = [rollout.steps[end.step - 1][FINAL][end.env] for end in endings]
        news = [rollout.steps[end.step - 1]["observations"][end.env] for end in endings]
        olds = [_shown_before(rollout, end) for end in endings]
        assert not all(torch.equal(one, other) for one, other in zip(finals, news)), (
            f"In all episodes that {kind}, final_observation is the first observation of the new episode. Copy the "
            "observations before the environments are reset."
        )
        assert not (_moves(rollout) and all(torch.equal(one, other) for one, other in zip(finals, olds))), (
            f"In all episodes that {kind}, final_observation is the observation from before the last step. Compute it "
            "after the step and before the reset."
        )
        assert _is_constant(rollout.first[0]) or not all(_is_constant(final) for final in finals), (
            f"In all episodes that {kind}, all numbers of final_observation are {finals[0][0]:g}: it was not filled in."
        )

    def test_final_observation_equals_the_observation_where_nothing_ended(self) -> None:
        """In an environment whose episode goes on, the two are equal bit for bit."""
        for number, values in enumerate(self.rollout("observations", "terminated", "truncated", FINAL).steps, start=1):
            differs = (values["observations"] != values[FINAL]).any(dim=1) & ~_done(values)
            assert not bool(differs.any()), (
                f"In step {number} final_observation of environment {int(differs.float().argmax())} differs from "
                "its observation, although its episode has not ended."
            )

    def test_an_ending_concerns_its_own_environment_alone(self) -> None:
        """Observations do not jump in environments whose episodes go on."""
        rollout, _ = self.endings("observations", FIRST)
        shown = [rollout.first, *(values["observations"] for values in rollout.steps)]
        jumps = [(after - before).abs() for before, after in itertools.pairwise(shown)]
        ended = [_done(values) for values in rollout.steps]
        quiet = [jump for jump, done in zip(jumps, ended) if not bool(done.any())]
        beside = [jump[~done] for jump, done in zip(jumps, ended) if bool(done.any()) and not bool(done.all())]
        if len(quiet) < LEAST_STEPS or len(beside) < 2:
            pytest.skip("not reached: too few steps in which episodes end in some environments and go on in others")
        largest = 1.5 * torch.cat(quiet).amax(dim=0)
        jumped = sum(bool((jump > largest).any()) for jump in beside)
        assert 2 * jumped <= len(beside), (
            f"In {jumped} of {len(beside)} steps in which an episode ended somewhere, the observations of an "
            "environment whose own episode goes on changed more than in any other step: it was reset too. Reset only "
            "the environments whose episodes ended."
        )

    def test_the_first_action_of_a_new_episode_is_not_lost(self) -> None:
        """The first action after an ending has an effect, like the first action after a reset."""
        _, endings = self.endings()
        with self.env() as env:
            rows = self.actions(env)
            rows = torch.cat((rows, actions_for(env, 2, seed=1)))
            base = run(env, SEED, rows)
            restarts = [end for end in endings if end.step < len(rows) and end.number == 1]
            reacts = [self._reacts(env, rows, base, 0, index) for index in range(env.num_envs)]
            if not all(reacts):
                pytest.skip("not reached: after a reset the first action changes nothing that is returned")
            acted = [self._reacts(env, rows, base, end.step, end.env) for end in restarts]
            assert any(acted), (
                f"After {restarts[0]}, the action of the next step has no effect, although the first action after "
                "reset() has one. Reset within the step that ends the episode, not in a separate step."
            )

    def _reacts(self, env: VecEnv, rows: Tensor, base: list[Values], before: int, index: int) -> bool:
        """Whether another action of one environment in the step after ``before`` changes what that step returns."""
        other = rows[: before + 1].clone()
        other[before, index] = torch.where(other[before, index] > 0, -1.0, 1.0)
        varied = run(env, SEED, other)
        return bool(differences(varied[before + 1 :], base[before + 1 : before + 2], [index]))


def _done(values: Values) -> Tensor:
    return values["terminated"] | values["truncated"]


def _stays(values: Values, index: int, vary: Tensor) -> bool:
    """Whether a new episode begins, in the numbers ``vary``, with the final observation of the one before."""
    return torch.equal(values["observations"][index, vary], values[FINAL][index, vary])


def _is_constant(row: Tensor) -> bool:
    return bool((row == row[0]).all())


def _shown_before(rollout: Rollout, ending: Ending) -> Tensor:
    """The observation before the step that ended the episode."""
    shown = rollout.first if ending.step == 1 else rollout.steps[ending.step - 2]["observations"]
    return shown[ending.env]


def _moves(rollout: Rollout) -> bool:
    """Whether observations change in every step that ends nothing."""
    pairs = zip(rollout.steps, rollout.steps[1:])
    changes = [(b[FINAL] != a["observations"]).any(dim=1)[~_done(b)] for a, b in pairs]
    return bool(torch.cat(changes).all())


def _alike_to_the_end(
    first: list[Values], second: list[Values], envs: Iterable[int]
) -> Iterator[tuple[Values, Values, int]]:
    """The steps that end the first episode of an environment, where it went the same way in two runs."""
    for index in envs:
        for one, other in zip(first[1:], second[1:]):
            if not torch.equal(one[FINAL][index], other[FINAL][index]):
                break
            if bool(_done(one)[index] & _done(other)[index]):
                yield one, other, index
                break


def _with_other_seed(state: Any, seed: int) -> Any:
    """Copy a state, with every torch generator's state replaced by that of another seed."""
    if isinstance(state, dict):
        return {key: _with_other_seed(value, seed) for key, value in state.items()}
    generator = torch.Generator().manual_seed(seed).get_state()
    is_generator = isinstance(state, Tensor) and state.dtype == torch.uint8 and state.shape == generator.shape
    return generator if is_generator else copied(state)
