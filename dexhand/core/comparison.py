"""Comparing policies on the same starts: rounds in which each environment plays one episode after a seeded reset.

An environment's automatic resets draw from the generator that all its episodes share, at times that depend on the
policy. So only the first episodes after a reset are paired: they have the same start and, until the first of them ends,
the same random draws. One episode in each environment also means that short episodes are not favoured.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from dexhand.core.interfaces import StepInfo, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.core.statistics import (
    Estimate,
    estimate_mean,
    estimate_rate,
    estimate_rate_difference,
    mcnemar_p,
    sign_flip_p,
)
from dexhand.core.stop import StopRequest


class StartsDiffer(ValueError):
    """The environments do not start alike after the same seed; the message says where."""


@dataclass(frozen=True)
class Result:
    """One episode from a start that other policies have, too."""

    episode_return: float
    length: int
    """Control steps."""
    outcome: str
    """See ``VecEnv.outcome_names``."""

    @property
    def is_success(self) -> bool:
        """Whether a success criterion ended it."""
        return self.outcome.startswith("success:")


@dataclass(frozen=True)
class Round:
    """The first episodes of all N environments after a seeded reset."""

    starts: Tensor
    """First observations, those for the critic behind those for the policy. Shape (N, F) or (N, F + Fc)."""
    results: list[Result]
    """By environment. Length N."""


@dataclass(frozen=True)
class Difference:
    """What B is above A on the same starts."""

    estimate: Estimate
    p: float
    """Two-sided p-value of the hypothesis that there is none."""


def round_seeds(seed: int) -> Iterator[int]:
    """Seeds of rounds without end. They are far apart: some environments seed the next one with ``seed`` + 1."""
    sequence = np.random.SeedSequence(seed)
    while True:
        (child,) = sequence.spawn(1)
        yield int(child.generate_state(1)[0])


def play_round(
    env: VecEnv, act: Callable[[Tensor], Tensor], seed: int, stop: StopRequest, control: PlayControl | None = None
) -> Round | None:
    """Play one episode in each environment, with ``act`` from observations to actions.

    ``control`` decides when each step comes; a restart that it asks for begins the same round again. Returns ``None``
    if stopped before the last episode ended.
    """
    played = _Playing(env, seed)
    while bool(played.goes_on.any()):
        if control is not None and control.wait() is not None:
            played = _Playing(env, seed)
        if stop.requested:
            return None
        played.step(act)
    return played.results()


class _Playing:
    """A round that has begun."""

    def __init__(self, env: VecEnv, seed: int) -> None:
        self._env = env
        self._observations, first = env.reset(seed=seed)
        seen_by_critic = first.get("critic_observations", self._observations[:, :0])
        self._starts = torch.cat((self._observations, seen_by_critic), dim=1)
        self._returns = torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
        self._lengths = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self._outcomes = torch.full_like(self._lengths, -1)

    @property
    def goes_on(self) -> Tensor:
        """The environments whose episode has not ended, bool (N,)."""
        return self._outcomes < 0

    def step(self, act: Callable[[Tensor], Tensor]) -> None:
        """Take a step in all environments; episodes after the first of each do not count."""
        plays = self.goes_on
        self._observations, rewards, _, _, info = self._env.step(act(self._observations))
        self._returns += torch.where(plays, rewards, 0.0)
        self._lengths += plays
        self._outcomes = torch.where(plays, info["outcome"], self._outcomes)

    def results(self) -> Round:
        """What the episodes were; call it when all have ended."""
        names = [self._env.outcome_names[outcome] for outcome in self._outcomes.tolist()]
        results = zip(self._returns.tolist(), self._lengths.tolist(), names)
        return Round(self._starts, [Result(*values) for values in results])


def check_starts(first: Tensor, second: Tensor, seed: int) -> None:
    """Raise ``StartsDiffer`` unless the first observations (N, any) of two resets with ``seed`` are the same."""
    differ = (first != second).any(dim=1)
    if bool(differ.any()):
        env_ids = differ.nonzero().flatten().tolist()
        some = ", ".join(map(str, env_ids[:5])) + (", ..." if len(env_ids) > 5 else "")
        raise StartsDiffer(
            f"environments {some} do not start again as they did after reset(seed={seed}), so episodes cannot be "
            "paired. A seed must determine all random numbers; pytest --dexhand-env checks that"
        )


def compare_returns(a: Sequence[Result], b: Sequence[Result]) -> Difference:
    """Test with ``sign_flip_p`` whether the mean returns of paired episodes differ."""
    differences = [second.episode_return - first.episode_return for first, second in zip(a, b)]
    return Difference(estimate_mean(differences), sign_flip_p(differences))


def compare_success(a: Sequence[Result], b: Sequence[Result]) -> Difference:
    """Test with ``mcnemar_p`` whether the success rates of paired episodes differ."""
    only_a = sum(first.is_success and not second.is_success for first, second in zip(a, b))
    only_b = sum(second.is_success and not first.is_success for first, second in zip(a, b))
    return Difference(estimate_rate_difference(only_a, only_b, len(a)), mcnemar_p(only_a, only_b))


def estimate_return(results: Sequence[Result]) -> Estimate:
    """Estimate the mean return."""
    return estimate_mean([result.episode_return for result in results])


def estimate_success(results: Sequence[Result]) -> Estimate:
    """Estimate the success rate."""
    return estimate_rate(sum(result.is_success for result in results), len(results))


def side_by_side(left: VecEnv, right: VecEnv) -> VecEnv:
    """Join two equally made environments; see ``SideBySide``."""
    return cast(VecEnv, SideBySide(left, right))


class SideBySide:
    """``VecEnv`` of two others: environments 2 i and 2 i + 1 are the i-th of each, and start alike after a seed."""

    def __init__(self, left: VecEnv, right: VecEnv) -> None:
        self.halves = left, right
        self.num_envs = left.num_envs + right.num_envs
        self.device = left.device
        self.reward_names = left.reward_names
        self.outcome_names = left.outcome_names
        self.single_observation_space = left.single_observation_space
        self.single_critic_observation_space = left.single_critic_observation_space
        self.single_action_space = left.single_action_space

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``. Raises ``StartsDiffer`` if a seed does not give both the same first observations."""
        (left, left_info), (right, right_info) = (env.reset(seed=seed) for env in self.halves)
        if seed is not None:
            check_starts(left, right, seed)
            for name in left_info:
                check_starts(left_info[name], right_info[name], seed)
        return interleaved(left, right), _joined(left_info, right_info)

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        left, right = (env.step(actions[place::2]) for place, env in enumerate(self.halves))
        observations, rewards, terminated, truncated = map(interleaved, left[:4], right[:4])
        return observations, rewards, terminated, truncated, cast(StepInfo, _joined({**left[4]}, {**right[4]}))

    def close(self) -> None:
        """See ``VecEnv.close``."""
        for env in self.halves:
            env.close()


def _joined(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {name: interleaved(left[name], right[name]) for name in left}


def interleaved(left: Tensor, right: Tensor) -> Tensor:
    """Join rows (N, ...) of two tensors in turns to (2 N, ...)."""
    return torch.stack((left, right), dim=1).flatten(0, 1)
