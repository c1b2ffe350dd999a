"""A ``Task`` for any simulator: bring a few joints to 0."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from dexhand.hand_env.interfaces import Observations, ResetPose, SimState, Simulator, StepResult

WITHIN = 0.02
"""Success: every controlled joint is within this distance of 0, m or rad."""
TOO_FAR = 0.6
"""Failure: a controlled joint is farther from 0 than this fraction of its smaller limit."""


class MockTask:
    """Move the first joints, which belong to the base, to 0 by changing their targets.

    Actions (N, A) change the targets of the first A joints by up to 0.05 m or rad per step; the other joints stay.
    Episodes start with these joints within +-0.4 m or rad and the others as close to 0 as their limits allow; objects
    lie in a row out of the way. The policy observes joint positions, with noise drawn in every step, and targets
    (N, 2 A); the critic observes true positions, targets and velocities (N, 3 A).
    """

    change = 0.05
    noise = 1e-3
    """Largest error of an observed position, m or rad."""
    reward_names = ("distance", "success")
    success_names = ("at_zero",)
    failure_names = ("too_far",)

    def __init__(self, simulator: Simulator, num_actions: int = 2, max_episode_steps: int = 20) -> None:
        """Read sizes and limits from ``simulator``, without keeping a reference."""
        self.num_actions = num_actions
        self.num_observations = 2 * num_actions
        self.num_critic_observations = 3 * num_actions
        self.max_episode_steps = max_episode_steps
        self._limits = simulator.dof_limits.clone()
        self._rest = torch.zeros_like(self._limits[:, 0]).clamp(self._limits[:, 0], self._limits[:, 1])
        self._farthest = TOO_FAR * self._limits[:num_actions].abs().amin(dim=1)
        self._objects = _row_of_objects(simulator)
        self._targets = self._rest.repeat(simulator.num_envs, 1)
        self._errors = torch.zeros(simulator.num_envs, num_actions, device=simulator.device)
        self._steps = torch.zeros(simulator.num_envs, dtype=torch.int64, device=simulator.device)

    def dof_targets(self, actions: Tensor) -> Tensor:
        """See ``Task.dof_targets``."""
        moved = self._targets.clone()
        moved[:, : self.num_actions] += self.change * actions
        self._targets = moved.clamp(self._limits[:, 0], self._limits[:, 1])
        return self._targets.clone()

    def evaluate(self, state: SimState, generator: Generator) -> StepResult:
        """See ``Task.evaluate``."""
        self._steps = self._steps + 1
        self._errors = self.noise * self._uniform(generator)
        joints = state.dof_pos[:, : self.num_actions]
        success = (joints.abs() <= WITHIN).all(dim=1)
        return StepResult(
            observations=self.observe(state),
            reward_terms=torch.stack((-joints.abs().sum(dim=1), success.float()), dim=1),
            success=success[:, None],
            failure=(joints.abs() > self._farthest).any(dim=1)[:, None],
            timeout=self._steps >= self.max_episode_steps,
        )

    def observe(self, state: SimState) -> Observations:
        """See ``Task.observe``."""
        joints, targets = state.dof_pos[:, : self.num_actions], self._targets[:, : self.num_actions]
        return Observations(
            policy=torch.cat((joints + self._errors, targets), dim=1),
            critic=torch.cat((joints, targets, state.dof_vel[:, : self.num_actions]), dim=1),
        )

    def reset_pose(self, generator: Generator) -> ResetPose:
        """See ``Task.reset_pose``."""
        dof_pos = self._rest.repeat(len(self._steps), 1)
        dof_pos[:, : self.num_actions] += 0.4 * self._uniform(generator)
        return ResetPose(dof_pos.clamp(self._limits[:, 0], self._limits[:, 1]), self._objects.clone())

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """See ``Task.reset``."""
        self._steps = self._steps.masked_fill(mask, 0)
        self._targets = torch.where(mask[:, None], state.dof_pos, self._targets)
        self._errors = torch.where(mask[:, None], self.noise * self._uniform(generator), self._errors)

    def _uniform(self, generator: Generator) -> Tensor:
        """Draw uniform random numbers (N, A) between -1 and 1."""
        return 2.0 * torch.rand(self._errors.shape, generator=generator, device=generator.device) - 1.0

    def state_dict(self) -> dict[str, Tensor]:
        """See ``Task.state_dict``."""
        return {"steps": self._steps.clone(), "targets": self._targets.clone(), "errors": self._errors.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See ``Task.load_state_dict``."""
        self._steps, self._targets = state["steps"].clone(), state["targets"].clone()
        self._errors = state["errors"].clone()


def _row_of_objects(simulator: Simulator) -> Tensor:
    """Return object poses (N, O, 7) on the ground, 1 m beside the hand and 0.5 m apart."""
    poses = [[0.5 * i, 1.0, box.size[2] / 2, 0.0, 0.0, 0.0, 1.0] for i, box in enumerate(simulator.scene.objects)]
    return torch.tensor(poses, device=simulator.device).reshape(1, -1, 7).repeat(simulator.num_envs, 1, 1)
