"""Shared parts of the environment suite: the factory, optional methods, and one recorded rollout."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from dexhand.core.interfaces import VecEnv
from dexhand.testing.vec_env_returned import SEED, Ending, Rollout, axis_of, calling, differences, has, reset, run


class VecEnvHarness:
    """The factory that a subclass defines, and helpers that run its environment."""

    num_envs = 3
    max_steps = 1000
    """Steps within which some episode must end under random actions; no more are played than needed."""
    optional: tuple[str, ...] = ()
    """Methods that this environment may lack; their checks are skipped with a reason if it does."""

    _rollouts: ClassVar[dict[type["VecEnvHarness"], Rollout]] = {}
    _repeats: ClassVar[dict[type["VecEnvHarness"], bool]] = {}

    def make_env(self, num_envs: int) -> VecEnv:
        """Build the environment under test, the same every time: several checks share one recording.

        The suite closes it.
        """
        raise NotImplementedError("A conformance suite needs make_env(num_envs)")

    # --- making

    @contextmanager
    def new_env(self, num_envs: int | None = None) -> Iterator[VecEnv]:
        """Make an environment, not reset yet, and close it at the end."""
        num_envs = self.num_envs if num_envs is None else num_envs
        with calling(f"make_env({num_envs})"):
            env = self.make_env(num_envs)
        missing = [name for name in REQUIRED if name not in self.optional and not has(env, name)]
        if missing:
            listed = "; ".join(f"{name}: {REQUIRED[name]}" for name in missing)
            raise AssertionError(f"The environment that make_env returned, {type(env).__name__}, lacks {listed}.")
        try:
            yield env
        finally:
            with calling("env.close()"):
                env.close()

    @contextmanager
    def env(self, seed: int = SEED) -> Iterator[VecEnv]:
        """Make an environment and reset it."""
        self.rollout()  # if it cannot be run, one check fails and the others are skipped
        with self.new_env() as env:
            reset(env, seed)
            yield env

    def needs(self, env: VecEnv, *methods: str) -> None:
        """Skip the check if the environment lacks an optional method."""
        for method in methods:
            if method in self.optional and not has(env, method):
                pytest.skip(f"the environment has no {method}: {OPTIONAL[method]}")

    # --- playing

    def recording(self) -> Rollout:
        """A recording of the environment under random actions, made once for all checks that only read it."""
        kind = type(self)
        if kind not in self._rollouts:
            self._rollouts[kind] = self.record(self.num_envs)
        return self._rollouts[kind]

    def rollout(self, *names: str) -> Rollout:
        """``recording()``; skips the check if one of the values ``names`` is not usable: another check fails for it."""
        rollout = self.recording()
        if rollout.broken is not None:
            pytest.skip("not reached: see test_it_can_be_made_reset_and_stepped")
        for name in names:
            if not rollout.has(name):
                pytest.skip(f"not reached: {name} is unusable, see test_step_returns_tensors_of_the_declared_shapes")
        return rollout

    def record(self, num_envs: int) -> Rollout:
        """Play until every environment has ended two episodes, at most ``max_steps``; never raises."""
        rollout = Rollout()
        try:
            with self.new_env(num_envs) as env:
                self._record(env, rollout)
        except AssertionError as error:
            rollout.broken = str(error)
        return rollout

    def _record(self, env: VecEnv, rollout: Rollout) -> None:
        rollout.reset(env)
        ended: Counter[int] = Counter()
        for number, row in enumerate(actions_for(env, self.max_steps), start=1):
            ended.update(rollout.step(env, row))
            if number >= LEAST_STEPS and len(ended) == env.num_envs and min(ended.values()) >= 2:
                return

    def endings(self, *names: str) -> tuple[Rollout, list[Ending]]:
        """The rollout and its endings; skips the check if there are none, for which another check fails."""
        rollout = self.rollout("terminated", "truncated", *names)
        endings = rollout.endings()
        if not endings:
            pytest.skip("not reached: no episode ended, see test_episodes_end_under_random_actions")
        return rollout, endings

    def actions(self, env: VecEnv, seed: int = 0) -> Tensor:
        """Random actions (steps, N, A) until a little after the first ending.

        Skips the check if two runs with the same seed differ, because it compares runs; another check fails for that.
        """
        endings = self.rollout().endings()
        rows = actions_for(env, max(LEAST_STEPS, endings[0].step + 6 if endings else 0), seed)
        kind = type(self)
        if kind not in self._repeats:
            self._repeats[kind] = not differences(run(env, SEED, rows), run(env, SEED, rows))
        if not self._repeats[kind]:
            pytest.skip("not reached: one seed gives different values, see test_a_seed_determines_everything")
        return rows


REQUIRED: dict[str, str] = {
    "num_envs": "the number of environments, an int",
    "device": "where its tensors are, for example torch.device('cpu')",
    "single_observation_space": "the space of one environment's observations: gymnasium.spaces.Box(-inf, inf, (F,))",
    "single_action_space": "the space of one environment's actions: gymnasium.spaces.Box(-1, 1, (A,))",
    "reset": "def reset(self, seed=None), which returns observations and a dictionary",
    "step": "def step(self, actions), which returns observations, rewards, terminated, truncated and info",
    "close": "def close(self), which frees its resources",
    "state_dict": "def state_dict(self), which returns a copy of everything that later steps depend on",
    "load_state_dict": "def load_state_dict(self, state), which continues from such a state",
    "render": "def render(self, env_id, camera, width, height), which returns a picture",
}
"""The attributes and methods without which nothing can be checked, with an explanation for the author."""

OPTIONAL: dict[str, str] = {
    "state_dict": "a training on it cannot be continued exactly where it stopped",
    "load_state_dict": "a training on it cannot be continued exactly where it stopped",
    "render": "it cannot be watched",
}
"""What an environment may lack if its suite allows it, and the consequence."""

LEAST_STEPS = 12
"""Steps that are played at least, however soon episodes end."""


def actions_for(env: VecEnv, steps: int, seed: int = 0) -> Tensor:
    """Random actions (steps, N, A) in [-1, 1], the same for the same seed.

    Environments 0, 3 ... get a new action in every step; 1, 4 ... keep each action for eight steps, which leads farther
    away; 2, 5 ... get small actions.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (steps, env.num_envs, axis_of(env, "single_action_space"))
    rows = torch.rand(shape, generator=generator) * 2.0 - 1.0
    rows[:, 1::3] = rows[torch.arange(steps) // 8 * 8][:, 1::3]
    rows[:, 2::3] *= 0.1
    return rows.to(torch.device(env.device))
