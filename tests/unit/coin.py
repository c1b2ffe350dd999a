"""Environments and policies whose probability of success is known: an environment, a learner and checkpoints."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from dexhand.checkpoints.store import save_checkpoint
from dexhand.core.interfaces import StepInfo


class CoinEnv:
    """An episode of 1 to 4 steps succeeds if the action in its last step is at least its difficulty.

    The difficulty is drawn uniformly from [0, 1) at the start and observed, so a constant action succeeds with a
    probability of its value. Success earns 1; each step earns noise, too.
    """

    reward_names = ("success", "noise")
    outcome_names = ("success:heads", "failure:tails")
    single_observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    single_critic_observation_space = None
    single_action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, num_envs: int, device: str | torch.device = "cpu", seed: int = 0) -> None:
        self.num_envs = num_envs
        self.device = torch.device(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.difficulty = torch.zeros(num_envs)
        self.left = torch.zeros(num_envs)
        self.seeds: list[int | None] = []

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Start everywhere."""
        self.seeds.append(seed)
        if seed is not None:
            self.generator.manual_seed(seed)
        self._start(torch.ones(self.num_envs, dtype=torch.bool))
        return self.difficulty[:, None].clone(), {}

    def _start(self, mask: Tensor) -> None:
        numbers = torch.rand(2, self.num_envs, generator=self.generator)
        self.difficulty = torch.where(mask, numbers[0], self.difficulty)
        self.left = torch.where(mask, (4 * numbers[1]).floor() + 1, self.left)

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """One step of all."""
        self.left = self.left - 1
        done = self.left == 0
        success = done & (actions[:, 0] >= self.difficulty)
        noise = 0.1 * torch.randn(self.num_envs, generator=self.generator)
        terms = torch.stack((success.float(), noise), dim=1)
        last = self.difficulty[:, None].clone()
        if bool(done.any()):
            self._start(done)
        outcome = torch.where(success, 0, torch.where(done, 1, -1))
        info: StepInfo = {"final_observation": last, "outcome": outcome, "reward_terms": terms}
        return self.difficulty[:, None].clone(), terms.sum(dim=1), done, torch.zeros_like(done), info

    def state_dict(self) -> dict[str, Any]:
        """Not needed here."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Not needed here."""

    def close(self) -> None:
        """Nothing."""


class ForgetfulEnv(CoinEnv):
    """It does not repeat its starts: all objects share their random numbers."""

    resets = itertools.count()

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Start somewhere else each time."""
        return super().reset(next(self.resets))


class SameStartEnv(CoinEnv):
    """Every episode begins alike."""

    def _start(self, mask: Tensor) -> None:
        self.difficulty = torch.full((self.num_envs,), 0.5)
        self.left = torch.where(mask, 2.0, self.left)


class InfiniteEnv(CoinEnv):
    """Its rewards are not finite."""

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """One step of all."""
        observations, rewards, *rest = super().step(actions)
        return observations, rewards / 0.0, *rest


class ConstantPolicy:
    """The same action always."""

    def __init__(self, action: float) -> None:
        self.action = action

    def act(self, observations: Tensor) -> Tensor:
        """One number for each environment."""
        return torch.full((len(observations), 1), self.action)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""


class CoinLearner:
    """Names the policy of a checkpoint; it cannot learn."""

    @staticmethod
    def policy_from_state(state: dict[str, Any], **_: Any) -> ConstantPolicy:
        """See ``AlgorithmClass``."""
        return ConstantPolicy(float(state["model"]["skill"]))


def save_skill(folder: Path, iteration: int, skill: float, trained_in: str | None = None) -> Path:
    """Write a checkpoint that succeeds with a probability of ``skill``; it may record its ``env.factory``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"checkpoint_{iteration}.pth"
    loop = {"best_return": None, "contract": {"env.factory": trained_in} if trained_in else {}}
    save_checkpoint(path, {"model": {"skill": torch.tensor(skill)}, "epoch": iteration, "train_loop": loop})
    return path
