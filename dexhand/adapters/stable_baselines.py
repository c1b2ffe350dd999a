"""A ``VecEnv`` as Stable-Baselines3 knows vector environments."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv as Sb3VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from dexhand.adapters.vector_env import DexhandVectorEnv


class StableBaselinesEnv(Sb3VecEnv):
    """Environments of ``dexhand.make`` for the algorithms of Stable-Baselines3."""

    def __init__(self, env: DexhandVectorEnv) -> None:
        """``env`` returns NumPy arrays."""
        self._env = env
        self._actions = np.empty(0)
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> np.ndarray:
        """Start new episodes; ``seed()`` before it makes them the same again."""
        observations, _ = self._env.reset(seed=self._seeds[0])
        self._reset_seeds()
        return np.asarray(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions (N, A) of the next ``step_wait``."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Run one control step."""
        observations, rewards, terminated, truncated, info = self._env.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for env_id in np.flatnonzero(info["_final_obs"]):
            infos[env_id] = {
                "terminal_observation": info["final_obs"][env_id],
                "TimeLimit.truncated": bool(truncated[env_id]),
                "outcome": self._env.outcome_names[info["outcome"][env_id]],
            }
        return observations, rewards, terminated | truncated, infos

    def close(self) -> None:
        """See ``VecEnv.close``."""
        self._env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Draw all environments."""
        return self._env.render() or []

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The same attribute of all environments for each of ``indices``."""
        return [getattr(self._env, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Not possible for single environments."""
        raise NotImplementedError("the environments share their attributes")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Not possible for single environments."""
        raise NotImplementedError("the environments share their methods")

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """They have no wrappers."""
        return [False] * len(list(self._get_indices(indices)))
