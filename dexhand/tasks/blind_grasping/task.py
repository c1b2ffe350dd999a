"""BlindGrasping: find, grasp and lift a box that the policy cannot see, in three timed stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import pi
from typing import TYPE_CHECKING

from dexhand.core.lazy import lazy_module
from dexhand.core.option import option
from dexhand.hand_env.interfaces import ResetPose, SimState
from dexhand.tasks.base_task.task import POLICY_SEES
from dexhand.tasks.grasping import POLICY_KEYS, BoxConfig, GraspingTask, GraspingTaskConfig, GraspState, GraspTaskState
from dexhand.tasks.hand_state import buffer
from dexhand.tasks.terms import failure, observation, reward

if TYPE_CHECKING:
    import torch
    from torch import Generator, Tensor
else:
    torch = lazy_module("torch")

BASE_SPREAD = [0.2] * 3 + [pi / 4] * 3
"""Largest initial displacement of each base joint from 0, m and rad."""
STAGES = ("pre-grasp", "grasp", "lift")
MOST_CLOSED = pi / 6
"""Largest initial angle of finger controls that the hand's ``start_angles`` do not list, rad."""


@dataclass
class BlindGraspingBoxConfig(BoxConfig):
    """A cube on the ground, turned by any angle about the vertical."""

    yaw_range: float = option(3.14159265, "largest turn about the vertical when an episode begins", unit="rad", low=0)


@dataclass
class BlindGraspingConfig(GraspingTaskConfig):
    """Keys of BlindGrasping."""

    max_base_linear_velocity: float = option(0.1, "limit of the wrist's targets", unit="m/s", above=0)
    max_base_angular_velocity: float = option(0.5, "limit of the wrist's targets", unit="rad/s", above=0)
    contact_binary_threshold: float = option(0.1, "a larger force counts as contact", unit="N", low=0)
    box: BlindGraspingBoxConfig = option(BlindGraspingBoxConfig, "the cube")
    stage1_duration: float = option(4.0, "stage 1 (pre-grasp) lasts this long", unit="s", above=0)
    stage2_duration: float = option(3.0, "stage 2 (grasp) lasts at most this long", unit="s", above=0)
    stage2_contact_success_threshold: float = option(
        0.5, "stage 2 ends when thumb and another finger have felt contact for this long", unit="s", above=0
    )
    height_tolerance: float = option(0.03, "pre-grasp: pads off the box's height by at most this", unit="m", above=0)
    centroid_tolerance: float = option(0.08, "pre-grasp: middle of three pads off the box by at most this", unit="m")
    position_drift_tolerance: float = option(0.01, "pre-grasp: the box has moved by at most this", unit="m", above=0)
    velocity_tolerance: float = option(0.005, "pre-grasp: the box moves at most this fast", unit="m/s", above=0)
    policy_observation_keys: list[str] = option(
        [*POLICY_KEYS, "current_stage", "time_in_stage", "stage_progress"], f"{POLICY_SEES}; never the box"
    )


@dataclass
class BlindGraspTaskState(GraspTaskState):
    """Adds the stage machine."""

    stage: Tensor = buffer(dtype="int64")
    """1 pre-grasp, 2 grasp, 3 lift. Shape (N,)."""
    stage_steps: Tensor = buffer(dtype="int64")
    """Control steps since the stage started. Shape (N,)."""
    pinch_steps: Tensor = buffer(dtype="int64")
    """Control steps of unbroken contact of the thumb and another finger. Shape (N,)."""
    grasp_began: Tensor = buffer(dtype="bool")
    """Whether stage 2 started in this step. Shape (N,)."""
    lift_began: Tensor = buffer(dtype="bool")
    """Whether stage 3 started in this step. Shape (N,)."""


class BlindGrasping(GraspingTask):
    """Three stages: 1. move the open hand around the box without disturbing it; 2. close it; 3. lift and hold.

    Stage 1 lasts ``stage1_duration``. Stage 2 ends once the thumb and another finger have been in contact for
    ``stage2_contact_success_threshold``, at the latest after ``stage2_duration``. Stage 3 ends with the episode. Timers
    count whole control steps.
    """

    config: BlindGraspingConfig
    config_class = BlindGraspingConfig
    buffers: BlindGraspTaskState
    buffers_class = BlindGraspTaskState
    contact_distance_factor = 1.2

    # --- episodes

    def reset_pose(self, generator: Generator) -> ResetPose:
        """Draw wrist poses within +-0.2 m and +-45 degrees and partly closed fingers, within limits and couplings."""
        box = self.draw_box_pose(generator)
        spread, closed = self._start_ranges
        base = self.uniform(generator, len(spread)) * spread
        fingers = (self.uniform(generator, len(closed)) + 1.0) / 2.0 * closed
        controls = torch.cat((base, fingers), dim=1).clamp(self.action_map.lower, self.action_map.upper)
        return ResetPose(self.action_map.joints(controls), box)

    @cached_property
    def _start_ranges(self) -> tuple[Tensor, Tensor]:
        """Return the ranges of base joints, m and rad, and of finger controls, rad."""
        closed = [self.hand.start_angles.get(control.name, MOST_CLOSED) for control in self.hand.controls]
        return torch.tensor(BASE_SPREAD, device=self.device), torch.tensor(closed, device=self.device)

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """See ``Task.reset``; every episode starts in stage 1."""
        super().reset(mask, state, generator)
        self.buffers.stage.masked_fill_(mask, 1)

    def advance(self, state: GraspState, generator: Generator) -> None:  # type: ignore[override]
        """See ``BaseTask.advance``."""
        super().advance(state, generator)
        buffers, config = self.buffers, self.config
        buffers.stage_steps += 1
        buffers.pinch_steps.add_(1).mul_(state.in_contact[:, 0] & state.in_contact[:, 1:].any(dim=1))
        buffers.grasp_began = (buffers.stage == 1) & (buffers.stage_steps >= self.control_steps(config.stage1_duration))
        buffers.lift_began = (buffers.stage == 2) & (
            (buffers.pinch_steps >= self.control_steps(config.stage2_contact_success_threshold))
            | (buffers.stage_steps >= self.control_steps(config.stage2_duration))
        )
        moved_on = buffers.grasp_began | buffers.lift_began
        buffers.stage += moved_on
        buffers.stage_steps.masked_fill_(moved_on, 0)
        buffers.pinch_steps.masked_fill_(moved_on, 0)

    def captions(self, env_ids: Sequence[int]) -> list[str]:
        """See ``BaseTask.captions``; names the stage."""
        return [f"stage {stage}: {STAGES[stage - 1]}" for stage in self.buffers.stage[list(env_ids)].tolist()]

    # --- observations

    @observation(1)
    def current_stage(self, state: GraspState) -> Tensor:
        """1 pre-grasp, 2 grasp, 3 lift."""
        return self.buffers.stage.float()[:, None]

    @observation(1)
    def time_in_stage(self, state: GraspState) -> Tensor:
        """Time since the start of the stage, s."""
        return (self.buffers.stage_steps * self.control_dt).float()[:, None]

    @observation(1)
    def stage_progress(self, state: GraspState) -> Tensor:
        """Elapsed fraction of the stage's longest duration; 1 in stage 3."""
        elapsed = self.buffers.stage_steps * self.control_dt
        progress = (elapsed / self._longest[self.buffers.stage.clamp(1, 2) - 1]).clamp(max=1.0)
        return progress.masked_fill(self.buffers.stage == 3, 1.0)[:, None]

    @cached_property
    def _longest(self) -> Tensor:
        return torch.tensor([self.config.stage1_duration, self.config.stage2_duration], device=self.device)

    @observation(3)
    def stage_one_hot(self, state: GraspState) -> Tensor:
        """One-hot encoding of the current stage."""
        return (self.buffers.stage[:, None] == self._stages).float()

    @cached_property
    def _stages(self) -> Tensor:
        return torch.tensor([1, 2, 3], device=self.device)

    @observation(1, privileged=True)
    def pregrasp(self, state: GraspState) -> Tensor:
        """1 where the hand is around an undisturbed box, else 0."""
        return self.pregrasp_reached(state).float()[:, None]

    @observation(1, privileged=True)
    def grasp(self, state: GraspState) -> Tensor:
        """1 where thumb and another finger touch the box, else 0."""
        return state.grasping.float()[:, None]

    # --- criteria

    def pregrasp_reached(self, state: GraspState) -> Tensor:
        """Whether three pads are at the box's height and around it, and the box is undisturbed. Shape (N,)."""
        config = self.config
        return (
            (state.pad_height_above_box[:, :3] <= config.height_tolerance).all(dim=1)
            & (state.centroid_to_box <= config.centroid_tolerance)
            & (state.box_drift <= config.position_drift_tolerance)
            & (state.box_speed <= config.velocity_tolerance)
        )

    @failure()
    def stage1_pregrasp_failed(self, state: GraspState) -> Tensor:
        """Stage 1 ends while the hand is not around an undisturbed box."""
        return self.buffers.grasp_began & ~self.pregrasp_reached(state)

    @failure()
    def stage2_contact_failed(self, state: GraspState) -> Tensor:
        """Stage 2 ends without a grasp."""
        return self.buffers.lift_began & ~state.grasping

    @failure()
    def stage3_grasp_lost(self, state: GraspState) -> Tensor:
        """No grasp in stage 3."""
        return (self.buffers.stage == 3) & ~state.grasping

    # --- rewards; terms of stages other than the current one are 0

    def _in_stage(self, stage: int, value: Tensor) -> Tensor:
        return value * (self.buffers.stage == stage)

    @reward()
    def s1_height_alignment(self, state: GraspState) -> Tensor:
        """Pads at the height of the box."""
        return self._in_stage(1, torch.exp(-5.0 * state.pad_height_above_box.mean(dim=1)))

    @reward()
    def s1_centroid_positioning(self, state: GraspState) -> Tensor:
        """Box in the middle of thumb, index and middle finger."""
        return self._in_stage(1, torch.exp(-5.0 * state.centroid_to_box))

    @reward()
    def s1_object_stability(self, state: GraspState) -> Tensor:
        """The box stays where it is."""
        return self._in_stage(1, torch.exp(-100.0 * (state.box_drift + state.box_speed)))

    @reward()
    def s1_finger_height_consistency(self, state: GraspState) -> Tensor:
        """Thumb, index and middle finger at one height."""
        return self._in_stage(1, torch.exp(-50.0 * state.fingerpad_pos[:, :3, 2].var(dim=1)))

    @reward()
    def s1_thumb_rotation(self, state: GraspState) -> Tensor:
        """Thumb turned opposite the fingers."""
        column, angle = self._thumb_opposition
        return self._in_stage(1, torch.exp(-5.0 * (state.sim.dof_pos[:, column] - angle).abs()))

    @cached_property
    def _thumb_opposition(self) -> tuple[int, float]:
        """Return the column of the joint that turns the thumb, and its angle opposite the fingers, rad."""
        if self.hand.thumb_opposition is None:
            raise ValueError(
                f"task.reward_weights.s1_thumb_rotation={self.config.reward_weights.s1_thumb_rotation}: "
                f"env.hand={self.hand.name} has no thumb_opposition. Add it to its spec.yaml, or set the weight to 0"
            )
        name, angle = self.hand.thumb_opposition
        (joint,) = (control.joints[0][0] for control in self.hand.controls if control.name == name)
        return self.hand.dof_names.index(joint), angle

    @reward()
    def s2_thumb_contact(self, state: GraspState) -> Tensor:
        """The thumb touches the box."""
        return self._in_stage(2, state.thumb_contact.float())

    @reward()
    def s2_other_fingers_contact(self, state: GraspState) -> Tensor:
        """Another finger touches the box."""
        return self._in_stage(2, state.other_fingers_contact.float())

    @reward()
    def s2_grasp_achievement(self, state: GraspState) -> Tensor:
        """Thumb and another finger touch the box."""
        return self._in_stage(2, state.grasping.float())

    @reward()
    def s2_fingerpad_proximity(self, state: GraspState) -> Tensor:
        """A fingertip near the box."""
        distance = state.nearest_tip_to_box.clamp(min=state.box_size / 2)
        return self._in_stage(2, torch.exp(-10.0 * distance))

    @reward()
    def s2_base_stability(self, state: GraspState) -> Tensor:
        """The wrist is at rest."""
        return self._in_stage(2, torch.exp(-3.0 * torch.linalg.vector_norm(state.base_vel, dim=1)))

    @reward()
    def s3_object_height(self, state: GraspState) -> Tensor:
        """Height of the box above its start."""
        return self._in_stage(3, self.lift_progress(state))

    @reward()
    def s3_grasp_maintenance(self, state: GraspState) -> Tensor:
        """The grasp is kept."""
        return self._in_stage(3, state.grasping.float())

    @reward()
    def s3_grasp_duration(self, state: GraspState) -> Tensor:
        """Time the box has been held up."""
        return self._in_stage(3, self.hold_progress(state))

    @reward()
    def s1_completion(self, state: GraspState) -> Tensor:
        """Bonus when stage 1 ends in success."""
        return (self.buffers.grasp_began & self.pregrasp_reached(state)).float()

    @reward()
    def s2_completion(self, state: GraspState) -> Tensor:
        """Bonus when stage 2 ends in success."""
        return (self.buffers.lift_began & state.grasping).float()

    @reward()
    def penetration_penalty(self, state: GraspState) -> Tensor:
        """Depth of a fingertip inside the box's inscribed sphere, cm."""
        return 100.0 * (state.box_size / 2 - state.nearest_tip_to_box).clamp(min=0.0)
