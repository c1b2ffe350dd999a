"""``VecEnv`` of any environment of Gymnasium with boxes as spaces, stepped one after the other in Python."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from dexhand.core.actions import checked_actions
from dexhand.core.interfaces import StepInfo
from dexhand.gymnasium_env.check import CheckedEnv

_OUTCOMES = ("success:is_success", "failure:terminated", "timeout")
_SUCCESS, _FAILURE, _TIMEOUT = range(3)


class VectorGymEnv:
    """N environments that Gymnasium makes.

    Observations are flattened; actions from -1 to 1 are scaled to the environment's range. An episode that terminates
    in a step whose info says ``is_success`` ends in success, any other that terminates in failure. What is in progress
    cannot be saved: there is no ``state_dict``.
    """

    single_critic_observation_space = None
    reward_names = ("reward",)
    outcome_names = _OUTCOMES

    def __init__(
        self, make: Callable[[], "gymnasium.Env[Any, Any]"], num_envs: int, *, name: str, seed: int = 0
    ) -> None:
        """``make`` makes one, with spaces that ``check_spaces`` accepts; ``name`` begins the messages about it.

        ``reset``, ``step`` and ``close`` raise ``EnvironmentFault`` for what goes wrong in it.
        """
        self._envs = SyncVectorEnv(
            [lambda: CheckedEnv(make(), name)] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP
        )
        observations, actions = self._envs.single_observation_space, self._envs.single_action_space
        assert isinstance(observations, Box)
        assert isinstance(actions, Box)
        self.num_envs = num_envs
        self.device = torch.device("cpu")
        self._actions = actions
        self._seed: int | None = seed
        size = int(np.prod(observations.shape))
        self.single_observation_space = Box(-np.inf, np.inf, (size,), np.float32)
        self.single_action_space = Box(-1.0, 1.0, (int(np.prod(actions.shape)),), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._started = False

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``."""
        seed = self._seed if seed is None else seed
        self._seed = None  # each environment has a generator, from which it draws on
        # Gymnasium would count up from one seed, so that environments of neighbouring seeds were the same
        seeds = None if seed is None else np.random.SeedSequence(seed).generate_state(self.num_envs).tolist()
        observations, _ = self._envs.reset(seed=seeds)
        self._started = True
        return self._flat(observations), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        if not self._started:
            raise RuntimeError("step() before reset(): call reset() once first")
        shown, rewards, terminated, truncated, info = self._envs.step(self._scaled(actions))
        observations, reward = self._flat(shown), torch.from_numpy(rewards).float()
        final = observations.clone()
        done = np.flatnonzero(terminated | truncated)
        if len(done):
            final[done] = self._flat(np.stack([info["final_obs"][env] for env in done]))
        truncated &= ~terminated
        success = info["final_info"]["is_success"] if len(done) else np.zeros(self.num_envs, bool)
        outcome = np.select([terminated & success, terminated, truncated], [_SUCCESS, _FAILURE, _TIMEOUT], -1)
        step_info: StepInfo = {
            "final_observation": final,
            "outcome": torch.from_numpy(outcome.astype(np.int64)),
            "reward_terms": reward[:, None].clone(),
        }
        return observations, reward, torch.from_numpy(terminated), torch.from_numpy(truncated), step_info

    def _scaled(self, actions: Tensor) -> np.ndarray:
        """Check actions (N, A) and scale them from [-1, 1] to the environment's range and shape."""
        checked = checked_actions(actions, (self.num_envs, *self.single_action_space.shape), self.device)
        low, high = (bound.astype(np.float64).ravel() for bound in (self._actions.low, self._actions.high))
        scaled: np.ndarray = (low + high) / 2 + (high - low) / 2 * checked.double().numpy()
        return scaled.clip(low, high).astype(self._actions.dtype).reshape(self.num_envs, *self._actions.shape)

    def _flat(self, observations: np.ndarray) -> Tensor:
        return torch.from_numpy(observations.reshape(len(observations), -1).astype(np.float32))

    def close(self) -> None:
        """See ``VecEnv.close``."""
        self._envs.close()
