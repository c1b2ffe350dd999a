"""What the grasping tasks share: a box on the ground, contact of fingers with it, and success by holding it up."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from dexhand.config.task_schema import GRASPING_OBSERVATIONS, GraspingTaskConfig
from dexhand.core import quaternions
from dexhand.core.interfaces import Box, ResetPose, SimState
from dexhand.tasks.base_task import BaseTask, Criterion
from dexhand.tasks.hand_state import HandState, TaskState, buffer
from dexhand.tasks.observations import Observation
from dexhand.tasks.rewards import Reward

PAD_PAIRS = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
"""Pairs of fingerpads whose distances are observed, thumb = 0."""


@dataclass
class GraspTaskState(TaskState):
    """Adds what holding the box needs."""

    box_start: Tensor = buffer(3)
    """Where the box stood when the episode began, metres. Shape (N, 3)."""
    holding_steps: Tensor = buffer(dtype=torch.int64)
    """Control steps for which the box has been held up without a break. Shape (N,)."""


class GraspState(HandState):
    """Adds the box. Only rewards and criteria may look at it; the policy does not see it."""

    memory: GraspTaskState

    def __init__(
        self,
        sim: SimState,
        memory: GraspTaskState,
        *,
        control_dt: float,
        contact_threshold: float,
        box_size: float,
        contact_distance: float,
    ) -> None:
        super().__init__(sim, memory, control_dt=control_dt, contact_threshold=contact_threshold)
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
        """Distance of the box from where the episode began, metres. Shape (N,)."""
        return _length(self.box_pos - self.memory.box_start)

    @cached_property
    def pad_to_box(self) -> Tensor:
        """Distance of each fingerpad from the centre of the box, metres. Shape (N, 5)."""
        return _length(self.fingerpad_pos - self.box_pos[:, None])

    @cached_property
    def nearest_tip_to_box(self) -> Tensor:
        """Smallest distance of a fingertip from the centre of the box, metres. Shape (N,)."""
        return _length(self.fingertip_pos - self.box_pos[:, None]).amin(dim=1)

    @cached_property
    def pad_height_above_box(self) -> Tensor:
        """Absolute difference in height of each fingerpad and the box's centre, metres. Shape (N, 5)."""
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
        """Which fingers touch the box: in contact, near it, and something presses on the box, bool. Shape (N, 5)."""
        pressed = _length(self.sim.object_contact_force[:, 0]) > self.contact_threshold
        return self.in_contact & (self.pad_to_box < self.contact_distance) & pressed[:, None]

    @property
    def thumb_contact(self) -> Tensor:
        """The thumb touches the box, bool. Shape (N,)."""
        return self.box_contact[:, 0]

    @cached_property
    def other_fingers_contact(self) -> Tensor:
        """Another finger touches the box, bool. Shape (N,)."""
        return self.box_contact[:, 1:].any(dim=1)

    @cached_property
    def grasping(self) -> Tensor:
        """Thumb and another finger touch the box, bool. Shape (N,)."""
        return self.thumb_contact & self.other_fingers_contact

    @cached_property
    def holding_time(self) -> Tensor:
        """Seconds for which the box has been held up. Shape (N,)."""
        return self.memory.holding_steps * self.control_dt


class GraspingTask(BaseTask):
    """A box to be held up: the base of BlindGrasping and BoxGrasping."""

    config: GraspingTaskConfig
    memory: GraspTaskState
    contact_distance_factor = 1.0
    """A pad touches the box at most this factor times half the box's space diagonal from its centre."""

    @classmethod
    def objects(cls, config: GraspingTaskConfig) -> tuple[Box, ...]:  # type: ignore[override]
        """One cube."""
        edge = config.box.size
        return (Box("box", (edge, edge, edge), config.box.mass, config.box.friction),)

    def new_memory(self) -> GraspTaskState:
        """See ``BaseTask.new_memory``."""
        return GraspTaskState.zeros(self.num_envs, self.device)

    def hand_state(self, state: SimState) -> GraspState:
        """See ``BaseTask.hand_state``."""
        size = self.config.box.size
        return GraspState(
            state,
            self.memory,
            control_dt=self.control_dt,
            contact_threshold=self.config.contact_binary_threshold,
            box_size=size,
            contact_distance=self.contact_distance_factor * 3**0.5 * size / 2.0,
        )

    def observation_table(self) -> dict[str, Observation]:
        """Adds where thumb, index and middle finger are in relation to each other."""
        return {
            **super().observation_table(),
            "first_three_fingerpad_centroid": lambda s: s.fingerpad_pos[:, :3].mean(dim=1),
            "fingerpad_distances": fingerpad_distances,
        }

    def observation_sizes(self) -> dict[str, int]:
        """See ``BaseTask.observation_sizes``."""
        return dict(GRASPING_OBSERVATIONS)

    def reward_table(self) -> dict[str, Reward]:
        """Here there is an object that can go up."""
        return {**super().reward_table(), "object_height": self.lifted_share}

    def success_table(self) -> dict[str, Criterion]:
        """The box has been held up long enough."""
        return {**super().success_table(), "grasp_lift_success": self.grasp_lift_success}

    def failure_table(self) -> dict[str, Criterion]:
        """Adds losing the box out of reach."""
        return {**super().failure_table(), "box_too_far": self.box_too_far}

    def grasp_lift_success(self, s: GraspState) -> Tensor:
        """Held up for ``contact_duration_threshold``."""
        return s.memory.holding_steps >= self._steps(self.config.contact_duration_threshold)

    def box_too_far(self, s: GraspState) -> Tensor:
        """The box's centre is further from the wrist than ``max_box_distance``."""
        return _length(s.hand_pos - s.box_pos) > self.config.max_box_distance

    def lifted_share(self, s: GraspState) -> Tensor:
        """0 where the box begins, 1 at ``success_height_threshold``. Shape (N,)."""
        start, top = self.config.box.height, self.config.success_height_threshold
        return ((s.box_pos[:, 2] - start) / (top - start)).clamp(0.0, 1.0)

    def held_share(self, s: GraspState) -> Tensor:
        """Share of the time for which the box must be held up. Shape (N,)."""
        return (s.holding_time / self.config.contact_duration_threshold).clamp(0.0, 1.0)

    def advance(self, s: GraspState) -> None:  # type: ignore[override]
        """Count the steps for which the box is held up: high enough, in enough fingers."""
        config = self.config
        held = (s.box_pos[:, 2] > config.success_height_threshold) & (
            s.box_contact.sum(dim=1) >= config.min_fingers_for_grasp
        )
        self.memory.holding_steps.add_(1).mul_(held)

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """See ``Task.reset``."""
        super().reset(mask, state, generator)
        self.memory.box_start = torch.where(mask[:, None], state.object_pos[:, 0], self.memory.box_start)

    def reset_pose(self, generator: Generator) -> ResetPose:
        """All joints at 0, the box somewhere under the wrist."""
        pose = super().reset_pose(generator)
        return ResetPose(pose.dof_pos, self.box_pose(generator))

    def box_pose(self, generator: Generator) -> Tensor:
        """Box poses (N, 1, 7): uniform in a square of +-2 cm, turned by up to ``box.yaw_range``."""
        position = self.uniform(generator, 3) * torch.tensor([0.02, 0.02, 0.0], device=self.device)
        position[:, 2] = self.config.box.height
        yaw = self.uniform(generator, 1) * self.config.box.yaw_range
        turn = quaternions.from_rotation_vector(torch.cat((torch.zeros_like(yaw), torch.zeros_like(yaw), yaw), dim=1))
        return torch.cat((position, turn), dim=1)[:, None]

    def uniform(self, generator: Generator, size: int) -> Tensor:
        """Random numbers (N, size) between -1 and 1."""
        return torch.rand(self.num_envs, size, generator=generator, device=self.device) * 2.0 - 1.0

    def _steps(self, seconds: float) -> int:
        """Whole control steps in a time."""
        return round(seconds / self.control_dt)


def fingerpad_distances(s: HandState) -> Tensor:
    """Distances between the pads of each pair of fingers, metres."""
    first, second = ([pair[side] for pair in PAD_PAIRS] for side in (0, 1))
    return _length(s.fingerpad_pos[:, first] - s.fingerpad_pos[:, second])


def _length(vector: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vector, dim=-1)
    return length
