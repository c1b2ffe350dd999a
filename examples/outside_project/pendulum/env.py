"""Swing a pendulum up and hold it there."""

import math
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

DT = 0.05
GRAVITY = 9.81
MAX_TORQUE = 4.0
MAX_SPEED = 8.0


class PendulumEnv:
    """Many pendulums of 1 kg on a rod of 1 m; the torque at the hinge is the action, times 4 N m.

    Observations: cosine and sine of the angle from upright, and the angular velocity in rad/s.
    """

    reward_names = ("upright", "effort")
    outcome_names = ("success:held", "failure:spinning", "timeout")

    def __init__(self, num_envs: int, max_episode_steps: int = 60) -> None:
        self.num_envs = num_envs
        self.device = torch.device("cpu")
        self.max_episode_steps = max_episode_steps
        self.single_observation_space = Box(-np.inf, np.inf, (3,), np.float32)
        self.single_action_space = Box(-1.0, 1.0, (1,), np.float32)
        self.single_critic_observation_space = None  # a critic sees what the policy sees
        self.generator = torch.Generator()
        self.angle: Tensor | None = None

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Release all pendulums at random angles."""
        if seed is not None:
            self.generator.manual_seed(seed)
        self.angle, self.speed = self._starts()
        self.steps = torch.zeros(self.num_envs, dtype=torch.int64)
        self.held = torch.zeros(self.num_envs, dtype=torch.int64)
        return self._observe(), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Simulate 50 ms."""
        if self.angle is None:
            raise RuntimeError("call reset first")
        if actions.shape != (self.num_envs, 1) or not bool(torch.isfinite(actions).all()):
            raise ValueError(f"actions must be finite and of shape {(self.num_envs, 1)}")
        torque = MAX_TORQUE * actions[:, 0].clamp(-1.0, 1.0)
        self.speed = self.speed + DT * (GRAVITY * torch.sin(self.angle) + torque)
        self.angle = self.angle + DT * self.speed
        self.steps = self.steps + 1
        is_up = (torch.cos(self.angle) > 0.95) & (self.speed.abs() < 1.0)
        self.held = (self.held + 1) * is_up

        success, failure = self.held >= 10, self.speed.abs() > MAX_SPEED
        terminated = success | failure
        truncated = (self.steps >= self.max_episode_steps) & ~terminated
        terms = torch.stack((torch.cos(self.angle), -0.01 * torque.square()), dim=1)
        outcome = torch.full((self.num_envs,), -1)
        outcome[truncated] = 2
        outcome[failure] = 1
        outcome[success] = 0
        info = {"final_observation": self._observe(), "outcome": outcome, "reward_terms": terms}
        self._begin_episodes(terminated | truncated)
        return self._observe(), terms.sum(dim=1), terminated, truncated, info

    def close(self) -> None:
        """There is nothing to release."""

    def _observe(self) -> Tensor:
        assert self.angle is not None
        return torch.stack((torch.cos(self.angle), torch.sin(self.angle), self.speed), dim=1)

    def _starts(self) -> tuple[Tensor, Tensor]:
        numbers = torch.rand(2, self.num_envs, generator=self.generator) * 2.0 - 1.0
        return math.pi * numbers[0], numbers[1]

    def _begin_episodes(self, over: Tensor) -> None:
        angle, speed = self._starts()
        self.angle = torch.where(over, angle, self.angle)
        self.speed = torch.where(over, speed, self.speed)
        self.steps = self.steps.masked_fill(over, 0)
        self.held = self.held.masked_fill(over, 0)
