"""A ``VecEnv`` as Gymnasium knows vector environments."""

from typing import Any, Literal

import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from dexhand.core.interfaces import VecEnv

Output = Literal["numpy", "torch"]


class DexhandVectorEnv(VectorEnv[Any, Any, Any]):
    """The environments that ``dexhand.make`` returns: ``gymnasium.vector.VectorEnv`` with same-step autoreset.

    An episode that ends restarts in the same step. Its last observation is in ``info["final_obs"]`` where
    ``info["_final_obs"]`` is true, as in Gymnasium. ``StepInfo`` in ``dexhand.core.interfaces`` describes the rest.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, env: VecEnv, output: Output = "numpy") -> None:
        """``output``: the kind of arrays that ``reset`` and ``step`` return; tensors are on ``env.device``."""
        if output not in ("numpy", "torch"):
            raise ValueError(f"output={output!r}: expected 'numpy' or 'torch'")
        self.vec_env = env
        """The environments themselves, which can also be saved, and rendered one by one."""
        self.num_envs = env.num_envs
        self.reward_names, self.outcome_names = env.reward_names, env.outcome_names
        self.single_observation_space = _box(env.single_observation_space.shape, np.inf)
        self.single_action_space = _box(env.single_action_space.shape, 1.0)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self.action_space = batch_space(self.single_action_space, env.num_envs)
        self.render_mode = "rgb_array" if hasattr(env, "render") else None
        self._output = output

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start new episodes in all environments; one seed determines the random numbers of all of them.

        Raises ``ValueError`` for a seed for each environment, and for options, of which there are none.
        """
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ValueError(f"reset(seed={seed!r}): expected one whole number, which determines all environments")
        if options:
            raise ValueError(f"reset(options={options!r}): there are no options; all environments start new episodes")
        observations, info = self.vec_env.reset(None if seed is None else int(seed))
        return self._shown(observations), {key: self._shown(value) for key, value in info.items()}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Run one control step with actions (N, A), arrays or tensors. See ``VecEnv.step``."""
        given = torch.as_tensor(actions, dtype=torch.float32, device=self.vec_env.device)
        observations, rewards, terminated, truncated, info = self.vec_env.step(given)
        shown = {key: self._shown(value) for key, value in info.items()}
        shown["final_obs"] = shown.pop("final_observation")
        shown["_final_obs"] = shown["_outcome"] = self._shown(terminated | truncated)
        return *(self._shown(value) for value in (observations, rewards, terminated, truncated)), shown

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Draw all environments, pictures (480, 640, 3) uint8; ``vec_env.render`` draws one, in a size of your choice.

        Needs EGL or OSMesa, but no display. ``None`` if they cannot be drawn.
        """
        if self.render_mode is None:
            return None
        return tuple(self.vec_env.render(env_id) for env_id in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """See ``VectorEnv.close_extras``."""
        self.vec_env.close()

    def _shown(self, value: Any) -> Any:
        return value.cpu().numpy() if self._output == "numpy" and isinstance(value, Tensor) else value


def _box(shape: tuple[int, ...], bound: float) -> Box:
    return Box(-bound, bound, shape, np.float32)
