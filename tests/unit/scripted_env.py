"""An environment whose episodes are written down beforehand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from dexhand.core.interfaces import StepInfo


class ScriptedEnv:
    """Step t of environment n ends as ``outcomes[t][n]`` says; its reward terms are (t, 100 n)."""

    device = torch.device("cpu")
    reward_names = ("time", "place")
    outcome_names = ("failure:dropped", "timeout")
    single_observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    single_action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, outcomes: Sequence[Sequence[int]]) -> None:
        self.outcomes = torch.tensor(outcomes)
        self.num_envs = self.outcomes.shape[1]
        self.time = 0

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Begin."""
        return torch.zeros(self.num_envs, 1), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """The next line."""
        outcome = self.outcomes[self.time]
        places = 100.0 * torch.arange(self.num_envs)
        terms = torch.stack((torch.full((self.num_envs,), float(self.time)), places), dim=1)
        self.time += 1
        nothing = torch.zeros(self.num_envs, 1)
        info: StepInfo = {"final_observation": nothing, "outcome": outcome, "reward_terms": terms}
        return nothing, terms.sum(dim=1), outcome == 0, outcome == 1, info

    def final_pose(self) -> dict[str, Tensor]:
        """One joint at the number of the step that has just ended, one object at the number of the environment."""
        places = torch.arange(self.num_envs)[:, None, None].expand(-1, 1, 7).float()
        return {"dof_pos": torch.full((self.num_envs, 1), self.time - 1.0), "object_pose": places}

    def play(self, steps: int) -> None:
        """Steps without anybody's actions."""
        for _ in range(steps):
            self.step(torch.zeros(self.num_envs, 1))

    def render(self, env_id: int = 0, camera: str = "default", width: int = 64, height: int = 48) -> np.ndarray:
        """Black."""
        return np.zeros((height, width, 3), np.uint8)

    def state_dict(self) -> dict[str, Any]:
        """The line."""
        return {"time": self.time}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue."""
        self.time = state["time"]

    def close(self) -> None:
        """Nothing."""


def rows_of(outcomes: Sequence[Sequence[int]]) -> list[tuple[int, int, int, int, float, float]]:
    """Every episode as a loop in Python finds it: last step, environment, outcome, length and sums of the terms."""
    found = []
    new_run = [0] * len(outcomes[0])
    for time, line in enumerate(outcomes):
        for env, outcome in enumerate(line):
            if outcome >= 0:
                steps = range(new_run[env], time + 1)
                found.append((time, env, outcome, len(steps), float(sum(steps)), 100.0 * env * len(steps)))
                new_run[env] = time + 1
    return found
