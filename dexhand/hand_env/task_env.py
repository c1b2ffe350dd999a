"""``VecEnv`` that combines a ``Simulator`` and a ``Task``."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector.utils import batch_space
from torch import Tensor

from dexhand.core.actions import checked_actions
from dexhand.core.interfaces import StepInfo
from dexhand.hand_env.interfaces import Observations, ResetPose, SimState, Simulator, StepResult, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

LARGEST_NORM = 1e10
"""An environment has diverged if the norm of its state, observations and reward terms together is larger or NaN."""
_DIVERGED = "failure:diverged"


class TaskEnv:
    """``VecEnv`` of a task on a simulator. One generator, saved in ``state_dict``, provides all randomness.

    The episode of an environment that diverges ends with the outcome ``failure:diverged``; its last reward terms,
    observations and pose are 0. The first divergence is logged.
    """

    final_pose: ResetPose | None = None
    """Poses of all environments (copies) at the end of the last step, before finished ones were reset. ``None`` before
    the first step and without ``keep_final_pose``.
    """

    def __init__(self, simulator: Simulator, task: Task, seed: int = 0, *, keep_final_pose: bool = False) -> None:
        self.keep_final_pose = keep_final_pose
        self.simulator = simulator
        self.task = task
        self.num_envs = simulator.num_envs
        self.device = simulator.device
        self.single_observation_space = Box(-np.inf, np.inf, (task.num_observations,), np.float32)
        self.single_critic_observation_space = (
            Box(-np.inf, np.inf, (task.num_critic_observations,), np.float32) if task.num_critic_observations else None
        )
        self.single_action_space = Box(-1.0, 1.0, (task.num_actions,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.reward_names = task.reward_names
        names = [
            *(f"success:{name}" for name in task.success_names),
            *(f"failure:{name}" for name in task.failure_names),
            "timeout",
            _DIVERGED,
        ]
        self.outcome_names = tuple(dict.fromkeys(names))  # a task may have a criterion of this name
        self._generator = torch.Generator(device=self.device)
        self._generator.manual_seed(seed)
        self._all_envs = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._started = False
        self._has_diverged = torch.zeros((), dtype=torch.bool, device=self.device)
        self._divergence_seen = torch.zeros((), dtype=torch.bool, pin_memory=self.device.type == "cuda")
        self._has_warned = False

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``."""
        if seed is not None:
            self._generator.manual_seed(seed)
        self._start_episodes(self._all_envs)
        self._started = True
        observations = self.observe()
        return observations.policy, {} if observations.critic is None else {"critic_observations": observations.critic}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        if not self._started:
            raise RuntimeError("step() before reset(): call reset() once first")
        actions = checked_actions(actions, (self.num_envs, self.task.num_actions), self.device)
        self.simulator.step(self.task.dof_targets(actions))
        result = self.task.evaluate(self.simulator.state, self._generator)
        diverged = _diverged(self.simulator.state, result)
        if self.device.type != "cpu" or bool(diverged.any()):
            self._warn_of_divergence(diverged)
            result = _cleared(result, diverged)
        if self.keep_final_pose:
            self.final_pose = _pose_of(self.simulator.state, diverged)

        terminated = torch.cat((result.success, result.failure, diverged[:, None]), dim=1).any(dim=1)
        truncated = result.timeout & ~terminated
        outcome = self._outcome(result.success, result.failure, truncated)
        info: StepInfo = {
            "final_observation": result.observations.policy,
            "outcome": outcome.masked_fill(diverged, self.outcome_names.index(_DIVERGED)),
            "reward_terms": result.reward_terms,
        }
        observations = self._reset_finished(terminated | truncated, result.observations)
        if observations.critic is not None:
            info["critic_observations"] = observations.critic
        return observations.policy, result.reward_terms.sum(dim=1), terminated, truncated, info

    def _outcome(self, success: Tensor, failure: Tensor, truncated: Tensor) -> Tensor:
        """Return the index of the first criterion that holds, -1 where none does."""
        holds = torch.cat((success, failure, truncated[:, None]), dim=1)
        first = holds.to(torch.int8).argmax(dim=1)
        return torch.where(holds.any(dim=1), first, torch.full_like(first, -1))

    def _warn_of_divergence(self, diverged: Tensor) -> None:
        """Log the first divergence. On a GPU nothing waits for the flag, so the line may come some steps late."""
        if self._has_warned:
            return
        self._has_diverged |= diverged.any()
        self._divergence_seen.copy_(self._has_diverged, non_blocking=True)
        if bool(self._divergence_seen):
            self._has_warned = True
            log.warning(
                "An environment diverged and was reset: its state, observations or reward were not finite or beyond "
                "%g. Such episodes end as %s; if there are many, try a smaller sim.dt",
                LARGEST_NORM,
                _DIVERGED,
            )

    def _reset_finished(self, done: Tensor, before: Observations) -> Observations:
        """Start new episodes where ``done``; returns the current observations of all environments."""
        if self.device.type == "cpu" and not bool(done.any()):
            return before
        self._start_episodes(done)
        new, ended = self.observe(), done[:, None]
        policy = torch.where(ended, new.policy, before.policy)
        if new.critic is None or before.critic is None:
            return Observations(policy)
        return Observations(policy, torch.where(ended, new.critic, before.critic))

    def _start_episodes(self, mask: Tensor) -> None:
        pose = self.task.reset_pose(self._generator)
        self.simulator.reset(mask, pose.dof_pos, pose.object_pose)
        self.task.reset(mask, self.simulator.state, self._generator)

    def render(
        self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480
    ) -> "NDArray[np.uint8]":
        """See ``VecEnv.render``."""
        return self.simulator.render(env_id, camera, width, height)

    def state_dict(self) -> dict[str, Any]:
        """See ``VecEnv.state_dict``."""
        return {
            "simulator": self.simulator.state_dict(),
            "task": self.task.state_dict(),
            "generator": self._generator.get_state(),
            "started": self._started,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``VecEnv.load_state_dict``."""
        self.simulator.load_state_dict(state["simulator"])
        self.task.load_state_dict(state["task"])
        self._generator.set_state(state["generator"].cpu())
        self._started = state["started"]

    def observe(self) -> Observations:
        """Return the current observations of policy and critic."""
        return self.task.observe(self.simulator.state)

    def close(self) -> None:
        """See ``VecEnv.close``."""
        self.simulator.close()


def _diverged(state: SimState, result: StepResult) -> Tensor:
    """Find the environments that have diverged, bool (N,)."""
    observations = [tensor for tensor in vars(result.observations).values() if tensor is not None]
    numbers = [tensor.flatten(1) for tensor in (*vars(state).values(), *observations, result.reward_terms)]
    norm: Tensor = torch.linalg.vector_norm(torch.cat(numbers, dim=1), dim=1)
    return ~(norm <= LARGEST_NORM)  # true for NaN, too


def _cleared(result: StepResult, diverged: Tensor) -> StepResult:
    """Replace observations and reward terms of environments that have diverged by 0."""
    policy, critic = result.observations.policy, result.observations.critic
    observations = Observations(_zeroed(policy, diverged), None if critic is None else _zeroed(critic, diverged))
    return replace(result, observations=observations, reward_terms=_zeroed(result.reward_terms, diverged))


def _zeroed(values: Tensor, mask: Tensor) -> Tensor:
    """Copy ``values`` (N, ...), with 0 where ``mask`` (N,) is true."""
    return values.masked_fill(mask.view(-1, *[1] * (values.dim() - 1)), 0.0)


def _pose_of(state: SimState, diverged: Tensor) -> ResetPose:
    """Copy the poses of hand and objects, with 0 where they have diverged."""
    object_pose = torch.cat((state.object_pos, state.object_quat), dim=2)
    return ResetPose(_zeroed(state.dof_pos, diverged), _zeroed(object_pose, diverged))
