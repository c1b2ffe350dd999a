"""Policies are compared on the same starts."""

import itertools
from typing import Any

import pytest
import torch
from coin import CoinEnv, ConstantPolicy, ForgetfulEnv
from torch import Tensor

from dexhand.core.comparison import (
    Result,
    Round,
    StartsDiffer,
    compare_returns,
    compare_success,
    estimate_success,
    play_round,
    round_seeds,
    side_by_side,
)
from dexhand.core.stop import StopRequest


def played(left: float, right: float, pairs: int, seed: int = 1) -> tuple[list[Result], list[Result]]:
    """One round of two constant policies."""
    env = side_by_side(CoinEnv(pairs), CoinEnv(pairs))  # type: ignore[arg-type]
    actions = torch.tensor([left, right]).repeat(pairs)[:, None]
    done = play_round(env, lambda _: actions, seed, StopRequest())
    assert done is not None
    return done.results[::2], done.results[1::2]


def test_each_environment_plays_its_first_episode_to_its_end() -> None:
    """And nothing of the episodes after it counts."""
    env = CoinEnv(50)
    done = play_round(env, ConstantPolicy(1.0).act, 3, StopRequest())  # type: ignore[arg-type]
    assert isinstance(done, Round)
    env.reset(seed=3)
    assert [result.length for result in done.results] == env.left.tolist()
    assert {result.outcome for result in done.results} == {"success:heads"}
    assert all(0.0 < result.episode_return < 2.0 for result in done.results)


def test_the_same_policy_twice_plays_the_same_episodes() -> None:
    """In every bit, with the noise that is drawn within them."""
    left, right = played(0.4, 0.4, 100)
    assert left == right
    assert compare_returns(left, right).p == compare_success(left, right).p == 1.0


def test_starts_are_the_same_for_both() -> None:
    """Who succeeds with less skill succeeds with more."""
    left, right = played(0.3, 0.8, 400)
    assert all(b.is_success for a, b in zip(left, right) if a.is_success)


def test_success_is_estimated_and_a_difference_found() -> None:
    """Both intervals hold the truth, and B is better by half."""
    left, right = played(0.3, 0.8, 400)
    for results, truth in ((left, 0.3), (right, 0.8)):
        estimate = estimate_success(results)
        assert estimate.low < truth < estimate.high
    difference = compare_success(left, right)
    assert difference.estimate.low < 0.5 < difference.estimate.high
    assert difference.p < 1e-10
    assert compare_returns(left, right).estimate.value == pytest.approx(difference.estimate.value, abs=0.05)


def test_rounds_are_far_apart() -> None:
    """Environments that seed the next one with 1 more never meet a start of another round."""
    seeds = [seed for _, seed in zip(range(1000), round_seeds(42))]
    assert len({seed + env_id for seed in seeds for env_id in range(64)}) == 64 * len(seeds)
    assert seeds[:5] == [seed for _, seed in zip(range(5), round_seeds(42))]
    assert not set(seeds) & {seed for _, seed in zip(range(1000), round_seeds(43))}


def test_environments_that_do_not_repeat_their_starts_are_refused() -> None:
    """With the seed and the environments."""
    env = side_by_side(ForgetfulEnv(8), ForgetfulEnv(8))  # type: ignore[arg-type]
    with pytest.raises(StartsDiffer, match=r"environments 0, 1, 2, 3, 4, ... do not start again .*reset\(seed=5\)"):
        env.reset(seed=5)


def test_starts_that_only_the_critic_sees_count_too() -> None:
    """A hidden object would be somewhere else."""
    resets = itertools.count()

    class Hidden(CoinEnv):
        def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
            observations, _ = super().reset(seed)
            return observations, {"critic_observations": torch.full((self.num_envs, 1), float(next(resets)))}

    env = side_by_side(Hidden(2), Hidden(2))  # type: ignore[arg-type]
    with pytest.raises(StartsDiffer):
        env.reset(seed=5)


def test_a_stop_ends_a_round_without_a_result() -> None:
    """Of its finished episodes, too: the short ones would be favoured."""
    stop = StopRequest()

    def act(observations: Tensor) -> Tensor:
        stop.requested = True
        return torch.zeros(len(observations), 1)

    assert play_round(CoinEnv(20), act, 1, stop) is None  # type: ignore[arg-type]
