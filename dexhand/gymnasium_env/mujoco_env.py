"""``VecEnv`` of Gymnasium's MuJoCo environments, all stepped together in C++."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.spaces import Box
from gymnasium.vector.utils import batch_space
from torch import Tensor

from dexhand.core.actions import checked_actions
from dexhand.core.interfaces import Frame, Shape, StepInfo
from dexhand.gymnasium_env.drawing import Drawing
from dexhand.gymnasium_env.formulas import Formulas
from dexhand.gymnasium_env.physics import BatchPhysics

_UNHEALTHY, _TIMEOUT = "failure:unhealthy", "timeout"


@dataclass(frozen=True)
class Advance:
    """What a step leads to, before finished episodes are replaced by new ones. Numbers are float64."""

    observations: Tensor
    """Shape (N, F)."""
    reward_terms: Tensor
    """Shape (N, T)."""
    terminated: Tensor
    """Bool, shape (N,)."""
    truncated: Tensor
    """Bool, shape (N,)."""


class MujocoGymEnv:
    """N copies of an environment of Gymnasium, with its observations, rewards and endings.

    Actions from -1 to 1 are scaled to the environment's range. In contrast to ``gymnasium.make``, an episode that
    terminates in its last step is not truncated as well. It is ``Drawable``: what travels stays in the middle, and the
    ground moves below it.
    """

    single_critic_observation_space = None

    def __init__(
        self,
        formulas: Formulas,
        env: MujocoEnv,
        num_envs: int,
        *,
        max_episode_steps: int,
        threads: int = 0,
        seed: int = 0,
    ) -> None:
        """Copy model and frame skip of ``env``, which is not used further."""
        self.num_envs = num_envs
        self.device = torch.device("cpu")
        self.max_episode_steps = max_episode_steps
        self.control_dt = float(env.dt)
        self.physics = BatchPhysics(env.model, num_envs, threads, formulas.fields)
        self.reward_names: tuple[str, ...] = formulas.rewards
        self.outcome_names: tuple[str, ...] = (_UNHEALTHY, _TIMEOUT) if formulas.ends_unhealthy else (_TIMEOUT,)
        self._formulas = formulas
        self._substeps = env.frame_skip
        actions: Any = env.action_space
        low, high = (bound.astype(np.float64) for bound in (actions.low, actions.high))
        self._action_centre, self._action_reach = (low + high) / 2, (high - low) / 2
        self._generator = torch.Generator()
        self._generator.manual_seed(seed)
        self._steps = torch.zeros(num_envs, dtype=torch.int64)
        self._position = np.zeros(num_envs)
        self._started = False
        self._drawing = Drawing(env.model, formulas.travels)
        self.single_observation_space = Box(-np.inf, np.inf, (self.observe().shape[1],), np.float32)
        self.single_action_space = Box(-1.0, 1.0, (env.model.nu,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    # --- VecEnv

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``."""
        if seed is not None:
            self._generator.manual_seed(seed)
        self._start_episodes(torch.ones(self.num_envs, dtype=torch.bool))
        self._started = True
        return self.observe().float(), {}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        result = self.advance(actions)
        terminated, truncated = result.terminated, result.truncated
        final = result.observations.float()
        info: StepInfo = {
            "final_observation": final,
            "outcome": torch.where(truncated, len(self.outcome_names) - 1, torch.where(terminated, 0, -1)),
            "reward_terms": result.reward_terms.float(),
        }
        observations, done = final.clone(), terminated | truncated
        if bool(done.any()):
            self._start_episodes(done)
            observations[done] = self.observe()[done].float()
        return observations, result.reward_terms.sum(dim=1).float(), terminated, truncated, info

    def advance(self, actions: Tensor) -> Advance:
        """Do what ``step`` does, but begin no new episodes."""
        if not self._started:
            raise RuntimeError("step() before reset(): call reset() once first")
        formulas, physics = self._formulas, self.physics
        controls = self._action_centre + self._action_reach * self._checked(actions)
        physics.step(controls, self._substeps)
        self._steps += 1
        position = formulas.position(physics)
        velocity = (position - self._position) / self.control_dt
        self._position = position
        healthy = formulas.is_healthy(physics)
        terms = np.stack(formulas.reward_terms(physics, controls, velocity, healthy), axis=1)
        terminated = torch.from_numpy(~healthy & formulas.ends_unhealthy)
        truncated = (self._steps >= self.max_episode_steps) & ~terminated
        return Advance(self.observe(), torch.from_numpy(terms), terminated, truncated)

    def _checked(self, actions: Tensor) -> np.ndarray:
        shape = (self.num_envs, *self.single_action_space.shape)
        checked: np.ndarray = checked_actions(actions, shape, self.device).double().numpy()
        return checked

    def observe(self) -> Tensor:
        """Return the current observations, float64 (N, F).

        Derived fields, such as contact forces, are not part of ``state_dict``: after ``load_state_dict`` call this only
        after the next step or reset.
        """
        return torch.from_numpy(self._formulas.observe(self.physics))

    def _start_episodes(self, mask: Tensor) -> None:
        qpos, qvel = self._formulas.start(
            lambda count: 2 * self._draw(torch.rand, count) - 1,
            lambda count: self._draw(torch.randn, count),
        )
        env_ids = mask.nonzero().flatten().numpy()
        self.start_at(env_ids, qpos[env_ids], qvel[env_ids])

    def _draw(self, kind: Callable[..., Tensor], count: int) -> np.ndarray:
        """Draw numbers for all environments, used or not, so that environments do not influence each other."""
        drawn: np.ndarray = kind(self.num_envs, count, dtype=torch.float64, generator=self._generator).numpy()
        return drawn

    def start_at(self, env_ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Start new episodes of ``env_ids`` (n,) at ``qpos`` (n, nq) and ``qvel`` (n, nv)."""
        self.physics.reset(env_ids, qpos, qvel)
        self._position[env_ids] = self._formulas.position(self.physics)[env_ids]
        self._steps[env_ids] = 0

    def render(self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480) -> np.ndarray:
        """See ``VecEnv.render``; the cameras are those of the model, and ``default`` sees all of it."""
        return self._drawing.render(self.physics.qpos[env_id], camera, width, height)

    def state_dict(self) -> dict[str, Any]:
        """See ``VecEnv.state_dict``."""
        return {
            "physics": torch.from_numpy(self.physics.state.copy()),
            "position": torch.from_numpy(self._position.copy()),
            "steps": self._steps.clone(),
            "generator": self._generator.get_state(),
            "started": self._started,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``VecEnv.load_state_dict``."""
        if state["physics"].shape != self.physics.state.shape:
            raise ValueError(
                f"The saved physics has shape {tuple(state['physics'].shape)}, these environments need "
                f"{self.physics.state.shape}: same task and env.numEnvs={self.num_envs}"
            )
        self.physics.state[:] = state["physics"].numpy()
        self._position = state["position"].numpy().copy()
        self._steps = state["steps"].clone()
        self._generator.set_state(state["generator"])
        self._started = state["started"]

    def close(self) -> None:
        """See ``VecEnv.close``."""
        self._drawing.close()

    # --- Drawable

    @property
    def shapes(self) -> Sequence[Shape]:
        """See ``Drawable.shapes``."""
        return self._drawing.shapes

    def frame(self, env_ids: Sequence[int]) -> Frame:
        """See ``Drawable.frame``."""
        rows = list(env_ids)
        steps = self._steps[rows].tolist()
        captions = tuple(f"step {step} of {self.max_episode_steps}" for step in steps)
        return Frame(self._drawing.poses(self.physics.qpos[rows]), np.zeros((len(rows), 0, 6), np.float32), captions)
