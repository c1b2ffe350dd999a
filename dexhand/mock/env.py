"""A drawable ``VecEnv`` whose optimal return is known exactly, to test whether an algorithm learns."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from dexhand.core.interfaces import Frame, Shape, StepInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPEED = 1.0 / 4.0
"""Distance that an action of 1 moves the point in one step along each axis, metres."""
REACH = 1.0 / 8.0
"""Distance at which the goal counts as reached, metres."""
FARTHEST_START = 4
"""Steps to the goal from the farthest start at full speed."""
ARENA = 1.5
"""Distance beyond which the point counts as lost, metres."""
STEP_COST = 1.0 / 4.0
"""Penalty per step."""

_THICKNESS = 0.01
_SHAPES = (
    Shape("box", 0, (2 * ARENA, 2 * ARENA, _THICKNESS), (0.0, 0.0, _THICKNESS / 2), rgba=(0.2, 0.2, 0.25, 1.0)),
    Shape("box", 0, (2 * REACH, 2 * REACH, _THICKNESS), (0.0, 0.0, 3 * _THICKNESS / 2), rgba=(0.0, 0.6, 0.2, 1.0)),
    Shape("ellipsoid", 1, (2 * REACH, 2 * REACH, 2 * REACH), rgba=(0.9, 0.9, 0.9, 1.0)),
)
"""The arena and the goal, which do not move, and the point."""


class MockEnv:
    """Bring a point in the plane to the origin, as fast as possible.

    An action (N, 2) moves the point by ``SPEED * action`` metres. Distances are the larger of the two coordinates'
    absolute values, d = max(|x|, |y|). Episodes start at a d drawn uniformly from (1/8, 9/8], anywhere on that
    square. They end in success within ``REACH`` of the origin, in failure beyond ``ARENA``, and in a timeout after
    ``max_episode_steps``. Observations (N, 3): x and y in metres, and the fraction of time that is left. With
    ``critic`` there are critic observations (N, 2): the steps of the episode so far, and d at its start.

    Reward terms: ``progress`` is the decrease of the distance in the step, with distance 0 when the goal is reached;
    ``time`` is -1/4; ``success`` is 1 and ``failure`` -1 in a step that ends in success or failure.

    **The optimal return.** In an episode that succeeds after T steps, progress adds up to the initial distance d on any
    path, so the return is 1 + d - T/4. One step reduces d by at most ``SPEED``, and by exactly that if the policy moves
    each coordinate towards 0 at full speed; so the smallest T is T*(d) = ceil((d - 1/8) / (1/4)) and the optimal return
    from a start is

        V(d) = 1 + d - T*(d)/4.

    T* < (d - 1/8) * 4 + 1, so V(d) > 1 + 1/8 - 1/4 > 0. A failing episode returns at most d - ARENA - 1 < 0, and one
    that times out at most d - T/4, also below 0 for T >= 5: success is always better. Over all starts d has mean 5/8
    and T* is uniform on 1 ... 4 with mean 5/2, so the expected optimal return is 1 + 5/8 - 5/8 = 1.

    All constants are exact in binary, so float32 adds no rounding errors and T* is attained exactly.
    """

    reward_names = ("progress", "time", "success", "failure")
    outcome_names = ("success:reached", "failure:lost", "timeout")
    control_dt = 0.1
    """See ``Drawable``; nothing else here depends on time."""
    shapes = _SHAPES

    def __init__(
        self,
        num_envs: int,
        *,
        seed: int = 0,
        max_episode_steps: int = 16,
        device: str | torch.device = "cpu",
        critic: bool = False,
    ) -> None:
        """Raise ``ValueError`` if episodes are too short for the optimal return stated above."""
        if max_episode_steps < 5:
            raise ValueError(f"max_episode_steps={max_episode_steps} must be at least 5")
        self.num_envs = num_envs
        self.device = torch.device(device)
        self.max_episode_steps = max_episode_steps
        self.single_observation_space = Box(-np.inf, np.inf, (3,), np.float32)
        self.single_critic_observation_space = Box(-np.inf, np.inf, (2,), np.float32) if critic else None
        self.single_action_space = Box(-1.0, 1.0, (2,), np.float32)
        self._generator = torch.Generator(device=self.device)
        self._generator.manual_seed(seed)
        self._position = torch.zeros(num_envs, 2, device=self.device)
        self._steps = torch.zeros(num_envs, dtype=torch.int64, device=self.device)
        self._first_distance = torch.zeros(num_envs, device=self.device)
        self._started = False

    # --- the optimum

    def optimal_return(self) -> float:
        """Return the expected return of an optimal policy, as derived in the class docstring."""
        return 1.0

    def optimal_returns(self, first_observations: Tensor) -> Tensor:
        """Return the optimal return V(d) (N,) of starts with ``first_observations`` (N, 3)."""
        distance = _distance(first_observations[:, :2])
        least_steps = torch.ceil((distance - REACH) / SPEED)
        return 1.0 + distance - STEP_COST * least_steps

    # --- Drawable

    def frame(self, env_ids: Sequence[int]) -> Frame:
        """See ``Drawable.frame``."""
        rows = list(env_ids)
        body_pose = np.zeros((len(rows), 2, 7), np.float32)
        body_pose[..., 6] = 1.0
        body_pose[:, 1, :2] = self._position[rows].cpu().numpy()
        body_pose[:, 1, 2] = REACH
        captions = (f"step {step} of {self.max_episode_steps}" for step in self._steps[rows].tolist())
        return Frame(body_pose, np.zeros((len(rows), 0, 6), np.float32), tuple(captions))

    # --- VecEnv

    def reset(self, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """See ``VecEnv.reset``."""
        if seed is not None:
            self._generator.manual_seed(seed)
        self._start_episodes(torch.ones(self.num_envs, dtype=torch.bool, device=self.device))
        self._started = True
        critic = self._observe_for_critic()
        return self._observe(), {} if critic is None else {"critic_observations": critic}

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, StepInfo]:
        """See ``VecEnv.step``."""
        if not self._started:
            raise RuntimeError("step() before reset(): call reset() once first")
        before = _distance(self._position)
        self._position = self._position + SPEED * self._checked(actions).clamp(-1.0, 1.0)
        self._steps = self._steps + 1
        after = _distance(self._position)

        success, failure = after <= REACH, after > ARENA
        terminated = success | failure
        truncated = (self._steps >= self.max_episode_steps) & ~terminated
        progress = before - after.masked_fill(success, 0.0)
        time = torch.full_like(after, -STEP_COST)
        terms = torch.stack((progress, time, success.float(), -failure.float()), dim=1)
        info: StepInfo = {
            "final_observation": self._observe(),
            "outcome": (success * 1 + failure * 2 + truncated * 3) - 1,
            "reward_terms": terms,
        }
        self._start_episodes(terminated | truncated)
        critic = self._observe_for_critic()
        if critic is not None:
            info["critic_observations"] = critic
        return self._observe(), terms.sum(dim=1), terminated, truncated, info

    def render(
        self, env_id: int = 0, camera: str = "default", width: int = 640, height: int = 480
    ) -> "NDArray[np.uint8]":
        """See ``VecEnv.render``; shows the arena from above with a green goal and a white point."""
        if camera != "default":
            raise ValueError(f"camera={camera!r} does not exist. Cameras: default")
        y, x = np.meshgrid(np.linspace(ARENA, -ARENA, height), np.linspace(-ARENA, ARENA, width), indexing="ij")
        place = self._position[env_id].cpu().numpy()
        picture: NDArray[np.uint8] = np.full((height, width, 3), 40, np.uint8)
        picture[np.maximum(abs(x), abs(y)) <= REACH] = (0, 160, 0)
        picture[np.hypot(x - place[0], y - place[1]) <= REACH] = 255
        return picture

    def state_dict(self) -> dict[str, Any]:
        """See ``VecEnv.state_dict``."""
        return {
            "position": self._position.clone(),
            "steps": self._steps.clone(),
            "first_distance": self._first_distance.clone(),
            "generator": self._generator.get_state(),
            "started": self._started,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``VecEnv.load_state_dict``."""
        self._position = state["position"].to(self.device, copy=True)
        self._steps = state["steps"].to(self.device, copy=True)
        self._first_distance = state["first_distance"].to(self.device, copy=True)
        self._generator.set_state(state["generator"].cpu())
        self._started = state["started"]

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    # --- parts

    def _checked(self, actions: Tensor) -> Tensor:
        actions = torch.as_tensor(actions, dtype=torch.float32, device=self.device)
        if actions.shape != (self.num_envs, 2):
            raise ValueError(f"actions have shape {tuple(actions.shape)}, expected {(self.num_envs, 2)}")
        # on a GPU this check would synchronise host and device in every step
        if self.device.type == "cpu" and not bool(torch.isfinite(actions).all()):
            raise ValueError("actions are not finite")
        return actions

    def _start_episodes(self, mask: Tensor) -> None:
        self._position = torch.where(mask[:, None], self._starts(), self._position)
        self._steps = self._steps.masked_fill(mask, 0)
        self._first_distance = torch.where(mask, _distance(self._position), self._first_distance)

    def _starts(self) -> Tensor:
        """Draw starts (N, 2) for all environments, used or not, so that environments do not influence each other."""
        numbers = torch.rand(self.num_envs, 3, generator=self._generator, device=self.device)
        distance = REACH + FARTHEST_START * SPEED * (1.0 - numbers[:, 0])  # never equal to REACH, since rand is below 1
        along = (2.0 * numbers[:, 1] - 1.0) * distance
        side = torch.floor(4.0 * numbers[:, 2])
        x = torch.where(side < 2, along, torch.where(side == 2, distance, -distance))
        y = torch.where(side >= 2, along, torch.where(side == 0, distance, -distance))
        return torch.stack((x, y), dim=1)

    def _observe(self) -> Tensor:
        left = 1.0 - self._steps / self.max_episode_steps
        return torch.cat((self._position, left[:, None]), dim=1)

    def _observe_for_critic(self) -> Tensor | None:
        if self.single_critic_observation_space is None:
            return None
        return torch.stack((self._steps.float(), self._first_distance), dim=1)


def _distance(position: Tensor) -> Tensor:
    """Return the larger absolute coordinate (N,) of positions (N, 2), metres."""
    return position.abs().amax(dim=1)
