"""NewEnv: move a point on a line to 0."""

import copy

import numpy as np
import torch
from gymnasium.spaces import Box


class NewEnv:
    """Many points; the action is the speed. The contract is VecEnv in dexhand.core.interfaces."""

    reward_names = ("nearness",)
    outcome_names = ("success:there", "timeout")
    single_observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    single_action_space = Box(-1.0, 1.0, (1,), np.float32)
    single_critic_observation_space = None  # the critic sees what the policy sees

    def __init__(self, num_envs, device="cpu", seed=0):
        self.num_envs, self.device = num_envs, torch.device(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.place = self.steps = None

    def reset(self, seed=None):
        if seed is not None:
            self.generator.manual_seed(seed)
        self.place, self.steps = self.draw(), torch.zeros(self.num_envs, device=self.device)
        return self.place.clone(), {}

    def step(self, actions):
        if self.place is None:
            raise RuntimeError("call reset() first")
        if actions.shape != (self.num_envs, 1) or not actions.isfinite().all():
            raise ValueError("actions must be finite and of shape (num_envs, 1)")
        self.place = self.place + 0.1 * actions.clamp(-1.0, 1.0)
        self.steps = self.steps + 1
        final, terms = self.place.clone(), -self.place.abs()
        terminated = self.place[:, 0].abs() < 0.05
        truncated = (self.steps >= 50) & ~terminated
        over = terminated | truncated
        self.place = torch.where(over[:, None], self.draw(), self.place)
        self.steps = self.steps.masked_fill(over, 0)
        outcome = torch.where(terminated, 0, torch.where(truncated, 1, -1))
        info = {"final_observation": final, "outcome": outcome, "reward_terms": terms}
        return self.place.clone(), terms.sum(dim=1), terminated, truncated, info

    def draw(self):
        return (2.0 * torch.rand(self.num_envs, 1, generator=self.generator) - 1.0).to(self.device)

    def state_dict(self):
        return {"place": self.place, "steps": self.steps, "generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.place, self.steps = copy.deepcopy((state["place"], state["steps"]))
        self.generator.set_state(state["generator"])

    def close(self):
        pass
