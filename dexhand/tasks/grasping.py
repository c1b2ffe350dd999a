"""Base of the grasping tasks: a box on the ground, finger contact with it, and success by holding it up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from dexhand.core import quaternions
from dexhand.core.lazy import lazy_module
from dexhand.core.option import option
from dexhand.hand_env.interfaces import Box, ResetPose, SimState
from dexhand.hands.spec import HandSpec
from dexhand.tasks.base_task.task import POLICY_SEES, BaseTask, BaseTaskConfig
from dexhand.tasks.hand_state import HandState, TaskState, buffer
from dexhand.tasks.terms import failure, observation, success

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Generator, Tensor
else:
    torch = lazy_module("torch")

BOX_SPREAD = 0.02
"""Largest initial distance of the box from the centre along x and along y, metres."""

POLICY_KEYS = [
    "base_dof_pos",
    "active_finger_dof_pos",
    "base_dof_vel",
    "active_finger_dof_vel",
    "contact_binary",
    "contact_duration",
    "hand_pose",
    "prev_actions",
    "fingertip_poses_world",
    "fingerpad_poses_world",
    "first_three_fingerpad_centroid",
    "episode_time",
    "fingerpad_distances",
]


@dataclass
class BoxConfig:
    """The cube to be grasped."""

    size: float = option(0.05, "edge length", unit="m", above=0)
    mass: float = option(0.1, "mass of the cube", unit="kg", above=0)
    friction: float = option(1.0, "sliding friction coefficient", low=0)
    height: float = option(0.027, "height of the centre when an episode begins", unit="m", above=0)
    yaw_range: float = option(0.0, "largest turn about the vertical when an episode begins", unit="rad", low=0)


@dataclass
class GraspingTaskConfig(BaseTaskConfig):
    """Keys that BlindGrasping and BoxGrasping share."""

    outlook: ClassVar[str] = (
        "no success is normal, also after hundreds of iterations: with the noise of exploration the fingers drop the "
        "box. examples/scripted_grasp.py shows what a solution looks like"
    )
    episodeLength: int = option(500, "an episode times out after episodeLength - 1 control steps", low=2)
    box: BoxConfig = option(BoxConfig, "the cube")
    success_height_threshold: float = option(0.2, "the box is held up above this height", unit="m", above=0)
    min_fingers_for_grasp: int = option(2, "fingers that must touch a box that is held up", low=1, high=5)
    contact_duration_threshold: float = option(2.0, "success: the box is held up for this long", unit="s", above=0)
    max_box_distance: float = option(0.8, "box_too_far: largest distance of box and wrist", unit="m", above=0)
    policy_observation_keys: list[str] = option(POLICY_KEYS, f"{POLICY_SEES}; never the box")


@dataclass
class GraspTaskState(TaskState):
    """Adds the state needed to judge how the box is held."""

    box_start: Tensor = buffer(3)
    """Position of the box at the start of the episode, metres. Shape (N, 3)."""
    holding_steps: Tensor = buffer(dtype="int64")
    """Control steps for which the box has been held up without interruption. Shape (N,)."""


class GraspState(HandState):
    """Adds the box, for rewards, criteria and the critic; the policy does not see it."""

    buffers: GraspTaskState

    def __init__(
        self,
        sim: SimState,
        buffers: GraspTaskState,
        *,
        hand: HandSpec,
        control_dt: float,
        contact_threshold: float,
        box_size: float,
        contact_distance: float,
    ) -> None:
        super().__init__(sim, buffers, hand=hand, control_dt=control_dt, contact_threshold=contact_threshold)
        self.box_size = box_size
        self.contact_distance = contact_distance

    @property
    def box_pos(self) -> Tensor:
        """Centre of the box, metres. Shape (N, 3)."""
        return self.sim.object_pos[:, 0]

    @cached_property
    def box_speed(self) -> Tensor:
        """Speed of the box, m/s. Shape (N,)."""
        return _length(self.sim.object_linvel[:, 0])

    @cached_property
    def box_drift(self) -> Tensor:
        """Distance of the box from its start, metres. Shape (N,)."""
        return _length(self.box_pos - self.buffers.box_start)

    @cached_property
    def pad_to_box(self) -> Tensor:
        """Distance of each fingerpad from the centre of the box, metres. Shape (N, K)."""
        return _length(self.fingerpad_pos - self.box_pos[:, None])

    @cached_property
    def nearest_tip_to_box(self) -> Tensor:
        """Smallest distance of a fingertip from the centre of the box, metres. Shape (N,)."""
        return _length(self.fingertip_pos - self.box_pos[:, None]).amin(dim=1)

    @cached_property
    def pad_height_above_box(self) -> Tensor:
        """Absolute difference in height of each fingerpad and the box's centre, metres. Shape (N, K)."""
        return (self.fingerpad_pos[:, :, 2] - self.box_pos[:, None, 2]).abs()

    @cached_property
    def pad_centroid(self) -> Tensor:
        """Middle of the pads of thumb, index and middle finger, metres. Shape (N, 3)."""
        return self.fingerpad_pos[:, :3].mean(dim=1)

    @cached_property
    def centroid_to_box(self) -> Tensor:
        """Distance of ``pad_centroid`` from the centre of the box, metres. Shape (N,)."""
        return _length(self.pad_centroid - self.box_pos)

    @cached_property
    def box_contact(self) -> Tensor:
        """Which fingers touch the box: in contact and near it while the box feels a force, bool. Shape (N, K)."""
        pressed = _length(self.sim.object_contact_force[:, 0]) > self.contact_threshold
        return self.in_contact & (self.pad_to_box < self.contact_distance) & pressed[:, None]

    @property
    def thumb_contact(self) -> Tensor:
        """Whether the thumb touches the box, bool. Shape (N,)."""
        return self.box_contact[:, 0]

    @cached_property
    def other_fingers_contact(self) -> Tensor:
        """Whether another finger touches the box, bool. Shape (N,)."""
        return self.box_contact[:, 1:].any(dim=1)

    @cached_property
    def grasping(self) -> Tensor:
        """Whether the thumb and another finger touch the box, bool. Shape (N,)."""
        return self.thumb_contact & self.other_fingers_contact

    @cached_property
    def holding_time(self) -> Tensor:
        """Seconds for which the box has been held up. Shape (N,)."""
        return self.buffers.holding_steps * self.control_dt


class GraspingTask(BaseTask):
    """Grasp a box and hold it up; the base of BlindGrasping and BoxGrasping."""

    config: GraspingTaskConfig
    config_class: ClassVar[type[BaseTaskConfig]] = GraspingTaskConfig
    buffers: GraspTaskState
    buffers_class: ClassVar[type[TaskState]] = GraspTaskState
    contact_distance_factor = 1.0
    """Largest distance of a touching pad from the box's centre, as a factor of half the box's space diagonal."""

    def __init__(self, config: GraspingTaskConfig, *, hand: HandSpec, **kwargs: Any) -> None:
        """See ``BaseTask``. Raises ``ValueError`` if the hand has too few fingers."""
        needed = max(3, config.min_fingers_for_grasp)
        if hand.num_fingers < needed:
            raise ValueError(
                f"env.hand={hand.name} has {hand.num_fingers} fingers; task={config.name} needs 3 or more, and "
                f"task.min_fingers_for_grasp={config.min_fingers_for_grasp}"
            )
        super().__init__(config, hand=hand, **kwargs)

    @classmethod
    def objects(cls, config: GraspingTaskConfig) -> tuple[Box, ...]:  # type: ignore[override]
        """Return one cube."""
        edge = config.box.size
        return (Box("box", (edge, edge, edge), config.box.mass, config.box.friction),)

    def hand_state(self, state: SimState) -> GraspState:
        """See ``BaseTask.hand_state``."""
        size = self.config.box.size
        return GraspState(
            state,
            self.buffers,
            hand=self.hand,
            control_dt=self.control_dt,
            contact_threshold=self.config.contact_binary_threshold,
            box_size=size,
            contact_distance=self.contact_distance_factor * 3**0.5 * size / 2.0,
        )

    # --- observations

    @observation(3)
    def first_three_fingerpad_centroid(self, state: GraspState) -> Tensor:
        """Middle of the pads of the first three fingers, thumb included, metres."""
        return state.pad_centroid

    @observation(lambda hand: hand.num_fingers * (hand.num_fingers - 1) // 2)
    def fingerpad_distances(self, state: GraspState) -> Tensor:
        """Distances between the pads of each pair of fingers, metres."""
        first, second = self._pad_pairs
        return _length(state.fingerpad_pos[:, first] - state.fingerpad_pos[:, second])

    @cached_property
    def _pad_pairs(self) -> Tensor:
        return torch.tensor(list(combinations(range(self.hand.num_fingers), 2)), device=self.device).T

    @observation(7, privileged=True)
    def box_pose(self, state: GraspState) -> Tensor:
        """Position and quaternion of the box."""
        return torch.cat((state.box_pos, state.sim.object_quat[:, 0]), dim=1)

    @observation(6, privileged=True)
    def box_velocity(self, state: GraspState) -> Tensor:
        """Linear and angular velocity of the box, m/s and rad/s."""
        return torch.cat((state.sim.object_linvel[:, 0], state.sim.object_angvel[:, 0]), dim=1)

    @observation(lambda hand: hand.num_fingers, privileged=True)
    def box_contact(self, state: GraspState) -> Tensor:
        """1 for each finger that touches the box, else 0."""
        return state.box_contact.float()

    @observation(1, privileged=True)
    def holding_time(self, state: GraspState) -> Tensor:
        """Seconds for which the box has been held up."""
        return state.holding_time[:, None]

    # --- rewards and criteria

    def object_height(self, state: GraspState) -> Tensor:  # type: ignore[override]
        """See ``lift_progress``."""
        return self.lift_progress(state)

    @success()
    def grasp_lift_success(self, state: GraspState) -> Tensor:
        """The box was held up for ``contact_duration_threshold``."""
        return state.buffers.holding_steps >= self.control_steps(self.config.contact_duration_threshold)

    @failure()
    def box_too_far(self, state: GraspState) -> Tensor:
        """The box's centre is further from the wrist than ``max_box_distance``."""
        return _length(state.hand_pos - state.box_pos) > self.config.max_box_distance

    def lift_progress(self, state: GraspState) -> Tensor:
        """Scale the box's height: 0 at its start, 1 at ``success_height_threshold``. Shape (N,)."""
        start, top = self.config.box.height, self.config.success_height_threshold
        return ((state.box_pos[:, 2] - start) / (top - start)).clamp(0.0, 1.0)

    def hold_progress(self, state: GraspState) -> Tensor:
        """Return the holding time as a fraction of ``contact_duration_threshold``. Shape (N,)."""
        return (state.holding_time / self.config.contact_duration_threshold).clamp(0.0, 1.0)

    def targets(self, env_ids: Sequence[int]) -> Tensor:
        """See ``BaseTask.targets``: the height to which the box is to be lifted, above its start."""
        target = self.buffers.box_start[list(env_ids)]
        target[:, 2] = self.config.success_height_threshold
        return target[:, None]

    # --- episodes

    def advance(self, state: GraspState, generator: Generator) -> None:  # type: ignore[override]
        """Count the steps for which the box is held up: high enough, by enough fingers."""
        config = self.config
        held = (state.box_pos[:, 2] > config.success_height_threshold) & (
            state.box_contact.sum(dim=1) >= config.min_fingers_for_grasp
        )
        self.buffers.holding_steps.add_(1).mul_(held)

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """See ``Task.reset``."""
        super().reset(mask, state, generator)
        self.buffers.box_start = torch.where(mask[:, None], state.object_pos[:, 0], self.buffers.box_start)

    def reset_pose(self, generator: Generator) -> ResetPose:
        """Start with all joints at 0 and a random box pose under the wrist."""
        pose = super().reset_pose(generator)
        return ResetPose(pose.dof_pos, self.draw_box_pose(generator))

    def draw_box_pose(self, generator: Generator) -> Tensor:
        """Draw box poses (N, 1, 7), uniform within +-2 cm along x and y and +-``box.yaw_range`` of yaw."""
        position = self.uniform(generator, 3) * BOX_SPREAD
        position[:, 2] = self.config.box.height
        turn = torch.zeros_like(position)
        turn[:, 2:] = self.uniform(generator, 1) * self.config.box.yaw_range
        return torch.cat((position, quaternions.from_rotation_vector(turn)), dim=1)[:, None]

    def uniform(self, generator: Generator, size: int) -> Tensor:
        """Draw uniform random numbers (N, size) between -1 and 1."""
        return torch.rand(self.num_envs, size, generator=generator, device=self.device) * 2.0 - 1.0

    def control_steps(self, seconds: float) -> int:
        """Convert a duration to whole control steps."""
        return round(seconds / self.control_dt)


def _length(vector: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vector, dim=-1)
    return length
