"""An environment with a known best action, and learners on it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from dexhand.config.schema import NetworkConfig, PpoConfig
from dexhand.core.interfaces import StepInfo
from dexhand.rl.rl_games import RlGamesPpo


class PointEnv:
    """Reward 1 - |action - 0.5|^2, observations are noise; episodes of 5 steps, environment 0 fails after 3."""

    device = torch.device("cpu")
    reward_names = ("base", "cost")
    outcome_names = ("failure:early", "timeout")

    def __init__(self, num_envs: int = 4, num_observations: int = 3) -> None:
        self.num_envs = num_envs
        self.single_observation_space = Box(-np.inf, np.inf, (num_observations,), np.float32)
        self.single_action_space = Box(-1.0, 1.0, (2,), np.float32)
        self.single_critic_observation_space = None
        self.generator = torch.Generator().manual_seed(0)
        self.steps = torch.zeros(num_envs)

    def observe(self) -> Tensor:
        """Noise."""
        return torch.randn(self.num_envs, *self.single_observation_space.shape, generator=self.generator)

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Begin."""
        self.steps.zero_()
        return self.observe(), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """One step."""
        assert float(actions.abs().max()) <= 1.0
        self.steps += 1
        terms = torch.stack((torch.ones(self.num_envs), -((actions - 0.5) ** 2).sum(1)), dim=1)
        terminated = (self.steps >= 3) & (torch.arange(self.num_envs) == 0)
        truncated = self.steps >= 5
        self.steps[terminated | truncated] = 0
        outcome = torch.full((self.num_envs,), -1)
        outcome[truncated] = 1
        outcome[terminated] = 0
        observations = self.observe()
        info: StepInfo = {"final_observation": observations, "outcome": outcome, "reward_terms": terms}
        return observations, terms.sum(1), terminated, truncated, info

    def state_dict(self) -> dict[str, Any]:
        """Counters and noise."""
        return {"steps": self.steps.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue."""
        self.steps = state["steps"].clone()
        self.generator.set_state(state["generator"])

    def render(self, env_id: int = 0, camera: str = "default", width: int = 64, height: int = 48) -> np.ndarray:
        """Black."""
        return np.zeros((height, width, 3), np.uint8)

    def close(self) -> None:
        """Nothing."""


def ppo(
    seed: int = 0,
    num_envs: int = 4,
    env_kind: str = "point",
    units: tuple[int, ...] = (16,),
    env: type[PointEnv] = PointEnv,
    **keys: Any,
) -> RlGamesPpo:
    """A small learner."""
    torch.manual_seed(seed)
    settings = PpoConfig(**{"horizon_length": 8, "minibatch_size": 8 * num_envs, "mini_epochs": 2, **keys})
    return RlGamesPpo(env(num_envs), settings, NetworkConfig(units=list(units)), max_iterations=100, env_kind=env_kind)


def weights(algorithm: RlGamesPpo) -> dict[str, Tensor]:
    """Copies of the network's tensors."""
    return {name: tensor.clone() for name, tensor in algorithm.state_dict()["model"].items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Equal in every bit."""
    return all(torch.equal(first[name], second[name]) for name in first)
