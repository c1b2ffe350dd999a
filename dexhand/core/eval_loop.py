"""The evaluation loop: run an exact number of episodes and switch to newer policies between steps."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from dexhand.core.episodes import Episode
from dexhand.core.interfaces import Policy, StepInfo, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.core.stop import StopRequest


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy and the file it came from."""

    policy: Policy
    path: Path
    iteration: int
    """Training iterations of the policy."""
    age: float
    """Seconds between writing and loading the file."""
    load_seconds: float
    """Seconds spent on reading, checking and loading the file."""


class EvalListener(Protocol):
    """Receives the events of an evaluation."""

    def on_step(self, frames_done: int) -> None:
        """Called after each control step; ``frames_done`` is the number of steps so far, summed over environments."""

    def on_episode(self, episode: Episode) -> None:
        """Called when an episode has finished."""

    def on_reload(self, loaded: LoadedPolicy) -> None:
        """Called when a newer policy replaces the current one, before the next step."""


def no_newer_policy() -> LoadedPolicy | None:
    """Return ``None``, for an evaluation without hot reload."""
    return None


def _shares(episodes: int, num_envs: int) -> list[float]:
    """Divide ``episodes`` evenly among the environments."""
    if episodes == 0:
        return [math.inf] * num_envs
    return [episodes // num_envs + (env_id < episodes % num_envs) for env_id in range(num_envs)]


class EvalLoop:
    """Evaluates a policy for a given number of episodes, or until it is stopped.

    The episodes are divided evenly among the environments before the first step, so that environments with short
    episodes do not contribute more of them than the others.

    A newer policy takes over between two control steps without a reset. An episode under way counts for the policy that
    finishes it and is marked as mixed.
    """

    def __init__(
        self,
        env: VecEnv,
        current: LoadedPolicy,
        *,
        episodes: int,
        listeners: Sequence[EvalListener],
        newer_policy: Callable[[], LoadedPolicy | None] = no_newer_policy,
        control: PlayControl | None = None,
    ) -> None:
        """``episodes`` = 0 runs until stopped. ``newer_policy`` (``ReloadWatcher.poll``) is called before each step.

        ``control`` decides when each step comes; ``None`` = at once.
        """
        self.env = env
        self.current = current
        self.listeners = listeners
        self.newer_policy = newer_policy
        self.control = control
        self._left = _shares(episodes, env.num_envs)
        self._finished = 0
        self._returns = torch.zeros(env.num_envs, dtype=torch.float64, device=env.device)
        self._lengths = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
        self._mixed = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)

    def run(self, stop: StopRequest, seed: int | None = None) -> None:
        """Run until all episodes are finished or a stop is requested."""
        env, frames = self.env, 0
        observations, _ = env.reset(seed=seed)
        while any(self._left) and not stop.requested:
            restart = self.control.wait() if self.control else None
            if restart is not None:
                observations, _ = env.reset(seed=restart.seed)
                self._forget_episodes(torch.ones_like(self._mixed))
            self._load_newer_policy()
            actions = self.current.policy.act(observations)
            observations, rewards, terminated, truncated, info = env.step(actions)
            self._returns += rewards
            self._lengths += 1
            self._finish(terminated | truncated, info)
            frames += env.num_envs
            for listener in self.listeners:
                listener.on_step(frames)

    def _load_newer_policy(self) -> None:
        newer = self.newer_policy()
        if newer is not None:
            self.current = newer
            self._mixed |= self._lengths > 0
            for listener in self.listeners:
                listener.on_reload(newer)

    def _finish(self, done: Tensor, info: StepInfo) -> None:
        finished = done.nonzero().flatten().tolist()
        if not finished:
            return
        for env_id in finished:
            if self._left[env_id]:
                self._left[env_id] -= 1
                self._finished += 1
                episode = self._episode(env_id, info)
                for listener in self.listeners:
                    listener.on_episode(episode)
        self._forget_episodes(done)

    def _forget_episodes(self, done: Tensor) -> None:
        """Count from the beginning where ``done``."""
        self._returns.masked_fill_(done, 0.0)
        self._lengths.masked_fill_(done, 0)
        self._mixed.masked_fill_(done, False)

    def _episode(self, env_id: int, info: StepInfo) -> Episode:
        return Episode(
            number=self._finished,
            env_id=env_id,
            episode_return=float(self._returns[env_id]),
            length=int(self._lengths[env_id]),
            outcome=self.env.outcome_names[int(info["outcome"][env_id])],
            iteration=self.current.iteration,
            mixed=bool(self._mixed[env_id]),
        )
