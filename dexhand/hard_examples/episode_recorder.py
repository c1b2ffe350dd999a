"""A recorder of finished episodes, between environment and learner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dexhand.core.interfaces import Space, StepInfo, VecEnv
from dexhand.core.saved_state import load_state, state_of


@dataclass(frozen=True)
class FinishedEpisodes:
    """E episodes that ended within one rollout, ordered by time, then environment. All tensors are on the CPU."""

    env: Tensor
    """Index of the environment, int64. Shape (E,)."""
    step: Tensor
    """Index of the last step within the rollout, int64. Shape (E,)."""
    outcome: Tensor
    """Index into ``VecEnv.outcome_names``, int64. Shape (E,)."""
    length: Tensor
    """Number of steps, including those in earlier rollouts, int64. Shape (E,)."""
    reward_terms: Tensor
    """Sum over the episode of each weighted reward term, float64; their sum is the return. Shape (E, T)."""
    sample_loss: Tensor
    """Mean of the episode's sample losses as passed to ``take``, float64. Shape (E,)."""
    final_pose: Mapping[str, Tensor]
    """Final poses as the environment names them, E rows each; empty without a ``final_pose`` function."""


class EpisodeRecorder:
    """``VecEnv`` that records the steps of a rollout until ``take`` is called, once per rollout.

    ``step`` computes nothing more and does not wait for the device. Episodes that started before the recorder existed
    (after resuming a training that had none) are omitted.
    """

    def __init__(self, env: VecEnv, final_pose: Callable[[], Mapping[str, Tensor]] | None = None) -> None:
        """``final_pose`` returns what describes the poses of all environments at the end of the last step,
        before resets: tensors with a row for each.
        """
        self.env = env
        self.num_envs = env.num_envs
        self.device = env.device
        self.reward_names = env.reward_names
        self.outcome_names = env.outcome_names
        self._final_pose = final_pose
        self._begin(seen=False)

    def _begin(self, *, seen: bool) -> None:
        self._rollout: list[StepInfo] = []
        self._poses: list[Mapping[str, Tensor]] = []
        # sums over the running episodes: reward terms, sample loss, steps
        self._sums = torch.zeros(self.num_envs, len(self.reward_names) + 2, dtype=torch.float64, device=self.device)
        self._seen = torch.full((self.num_envs,), seen, dtype=torch.bool, device=self.device)

    @property
    def single_observation_space(self) -> Space:
        """See ``VecEnv``."""
        return self.env.single_observation_space

    @property
    def single_critic_observation_space(self) -> Space | None:
        """See ``VecEnv``."""
        return self.env.single_critic_observation_space

    @property
    def single_action_space(self) -> Space:
        """See ``VecEnv``."""
        return self.env.single_action_space

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``."""
        self._begin(seen=True)
        return self.env.reset(seed)

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        result = self.env.step(actions)
        self._rollout.append(result[4])
        if self._final_pose is not None:
            self._poses.append(self._final_pose())
        return result

    def take(self, sample_losses: Tensor) -> FinishedEpisodes:
        """Return the episodes that ended in the H steps since the last call, given their losses (H, N).

        Raises ``ValueError`` for losses of another shape.
        """
        if sample_losses.shape != (len(self._rollout), self.num_envs):
            raise ValueError(
                f"sample losses have shape {tuple(sample_losses.shape)}; there were {len(self._rollout)} steps of "
                f"{self.num_envs} environments"
            )
        outcome = torch.stack([info["outcome"] for info in self._rollout])
        terms = torch.stack([info["reward_terms"] for info in self._rollout])
        finished, sums = self._add_up(
            torch.cat((terms, sample_losses[..., None], torch.ones_like(terms[..., :1])), dim=2)
        )
        step, env = finished.nonzero().unbind(dim=1)
        rows = sums[step, env].cpu()
        episodes = FinishedEpisodes(
            env=env.cpu(),
            step=step.cpu(),
            outcome=outcome[step, env].cpu(),
            length=rows[:, -1].long(),
            reward_terms=rows[:, :-2],
            sample_loss=rows[:, -2] / rows[:, -1],
            final_pose=self._poses_at(step, env),
        )
        self._rollout, self._poses = [], []
        return episodes

    def _add_up(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return where recorded episodes end, bool (H, N), and the sums of ``values`` (H, N, C) since each episode's
        start, (H, N, C).
        """
        sums, finished = [], []
        for info, row in zip(self._rollout, values):
            ended = info["outcome"] >= 0
            self._sums = self._sums + row
            sums.append(self._sums)
            finished.append(ended & self._seen)
            self._sums = self._sums.masked_fill(ended[:, None], 0.0)
            self._seen = self._seen | ended
        return torch.stack(finished), torch.stack(sums)

    def _poses_at(self, step: Tensor, env: Tensor) -> Mapping[str, Tensor]:
        names = self._poses[0] if self._poses else ()
        return {name: torch.stack([pose[name] for pose in self._poses])[step, env].cpu() for name in names}

    def render(self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """See ``VecEnv.render``."""
        return self.env.render(env_id, camera, width, height)

    def state_dict(self) -> dict[str, Any]:
        """See ``VecEnv.state_dict``; call it after ``take``. The environment alone can load it, too."""
        return {**(state_of(self.env) or {}), "recorder": {"sums": self._sums.clone(), "seen": self._seen.clone()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``VecEnv.load_state_dict``; also loads a state of the environment alone."""
        load_state(self.env, state)
        self._begin(seen=False)
        recorded = state.get("recorder")
        if recorded is not None and recorded["sums"].shape == self._sums.shape:
            self._sums = recorded["sums"].to(self.device, copy=True)
            self._seen = recorded["seen"].to(self.device, copy=True)

    def close(self) -> None:
        """See ``VecEnv.close``."""
        self.env.close()
