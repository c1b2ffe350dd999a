"""BlindGrasping: find, grasp and lift a box that the policy cannot see, in three timed stages."""

from dataclasses import dataclass
from math import pi

import torch
from torch import Generator, Tensor

from dexhand.config.task_schema import BLIND_GRASPING_OBSERVATIONS, BlindGraspingConfig
from dexhand.core.interfaces import ResetPose, SimState
from dexhand.hands import hand
from dexhand.tasks.action_map import FIRST_JOINTS
from dexhand.tasks.base_task import Criterion
from dexhand.tasks.grasping import GraspingTask, GraspState, GraspTaskState
from dexhand.tasks.hand_state import buffer
from dexhand.tasks.observations import Observation
from dexhand.tasks.rewards import Reward

_THUMB_ROTATION = hand.FINGER_JOINTS.index("r_f_joint1_1")


@dataclass
class BlindGraspTaskState(GraspTaskState):
    """Adds the stage machine."""

    stage: Tensor = buffer(dtype=torch.int64)
    """1 pre-grasp, 2 grasp, 3 lift. Shape (N,)."""
    stage_steps: Tensor = buffer(dtype=torch.int64)
    """Control steps in this stage. Shape (N,)."""
    pinch_steps: Tensor = buffer(dtype=torch.int64)
    """Control steps for which thumb and another finger have felt contact without a break. Shape (N,)."""
    grasp_began: Tensor = buffer(dtype=torch.bool)
    """Stage 2 began in this step. Shape (N,)."""
    lift_began: Tensor = buffer(dtype=torch.bool)
    """Stage 3 began in this step. Shape (N,)."""


class BlindGrasping(GraspingTask):
    """1. Bring the open hand around the box without moving it. 2. Close. 3. Lift and hold.

    Stage 1 lasts ``stage1_duration``. Stage 2 ends when thumb and another finger have felt contact for
    ``stage2_contact_success_threshold``, at the latest after ``stage2_duration``. Stage 3 ends with the episode. Timers
    count whole control steps.
    """

    config: BlindGraspingConfig
    config_class = BlindGraspingConfig
    memory: BlindGraspTaskState
    contact_distance_factor = 1.2

    def new_memory(self) -> BlindGraspTaskState:
        """See ``BaseTask.new_memory``."""
        return BlindGraspTaskState.zeros(self.num_envs, self.device)

    def reset(self, mask: Tensor, state: SimState, generator: Generator) -> None:
        """Every episode starts in stage 1."""
        super().reset(mask, state, generator)
        self.memory.stage.masked_fill_(mask, 1)

    def advance(self, s: GraspState) -> None:  # type: ignore[override]
        """Move timers and stages on."""
        super().advance(s)
        memory, config = self.memory, self.config
        memory.stage_steps += 1
        memory.pinch_steps.add_(1).mul_(s.in_contact[:, 0] & s.in_contact[:, 1:].any(dim=1))
        memory.grasp_began = (memory.stage == 1) & (memory.stage_steps >= self._steps(config.stage1_duration))
        memory.lift_began = (memory.stage == 2) & (
            (memory.pinch_steps >= self._steps(config.stage2_contact_success_threshold))
            | (memory.stage_steps >= self._steps(config.stage2_duration))
        )
        moved_on = memory.grasp_began | memory.lift_began
        memory.stage += moved_on
        memory.stage_steps.masked_fill_(moved_on, 0)
        memory.pinch_steps.masked_fill_(moved_on, 0)

    # --- observations

    def observation_table(self) -> dict[str, Observation]:
        """Adds where in the stages the episode is."""
        memory = self.memory
        return {
            **super().observation_table(),
            "current_stage": lambda s: memory.stage.float()[:, None],
            "time_in_stage": lambda s: (memory.stage_steps * s.control_dt).float()[:, None],
            "stage_progress": lambda s: self.stage_progress()[:, None],
        }

    def observation_sizes(self) -> dict[str, int]:
        """See ``BaseTask.observation_sizes``."""
        return dict(BLIND_GRASPING_OBSERVATIONS)

    def stage_progress(self) -> Tensor:
        """Share of the stage's longest duration that is over; 1 in stage 3. Shape (N,)."""
        config, memory = self.config, self.memory
        longest = torch.tensor([config.stage1_duration, config.stage2_duration], device=self.device)
        elapsed = memory.stage_steps * self.control_dt
        progress = (elapsed / longest[memory.stage.clamp(1, 2) - 1]).clamp(max=1.0)
        return progress.masked_fill(memory.stage == 3, 1.0)

    # --- criteria

    def failure_table(self) -> dict[str, Criterion]:
        """Adds a failure for each stage."""
        return {
            **super().failure_table(),
            "stage1_pregrasp_failed": self.stage1_pregrasp_failed,
            "stage2_contact_failed": self.stage2_contact_failed,
            "stage3_grasp_lost": self.stage3_grasp_lost,
        }

    def pregrasp_reached(self, s: GraspState) -> Tensor:
        """Three pads at the box's height, around it, and the box not disturbed. Shape (N,)."""
        config = self.config
        return (
            (s.pad_height_above_box[:, :3] <= config.height_tolerance).all(dim=1)
            & (s.centroid_to_box <= config.centroid_tolerance)
            & (s.box_drift <= config.position_drift_tolerance)
            & (s.box_speed <= config.velocity_tolerance)
        )

    def stage1_pregrasp_failed(self, s: GraspState) -> Tensor:
        """Stage 1 ends and the hand is not around an undisturbed box."""
        return self.memory.grasp_began & ~self.pregrasp_reached(s)

    def stage2_contact_failed(self, s: GraspState) -> Tensor:
        """Stage 2 ends without a grasp."""
        return self.memory.lift_began & ~s.grasping

    def stage3_grasp_lost(self, s: GraspState) -> Tensor:
        """No grasp in stage 3."""
        return (self.memory.stage == 3) & ~s.grasping

    # --- rewards

    def reward_table(self) -> dict[str, Reward]:
        """Adds a set of terms for each stage; a term of another stage than the current one is 0."""
        staged = {
            1: {
                "s1_height_alignment": lambda s: torch.exp(-5.0 * s.pad_height_above_box.mean(dim=1)),
                "s1_centroid_positioning": lambda s: torch.exp(-5.0 * s.centroid_to_box),
                "s1_object_stability": lambda s: torch.exp(-100.0 * (s.box_drift + s.box_speed)),
                "s1_finger_height_consistency": lambda s: torch.exp(-50.0 * s.fingerpad_pos[:, :3, 2].var(dim=1)),
                "s1_thumb_rotation": lambda s: torch.exp(-5.0 * (s.finger_pos[:, _THUMB_ROTATION] - pi / 2).abs()),
            },
            2: {
                "s2_thumb_contact": lambda s: s.thumb_contact.float(),
                "s2_other_fingers_contact": lambda s: s.other_fingers_contact.float(),
                "s2_grasp_achievement": lambda s: s.grasping.float(),
                "s2_fingerpad_proximity": lambda s: torch.exp(-10.0 * s.nearest_tip_to_box.clamp(min=s.box_size / 2)),
                "s2_base_stability": lambda s: torch.exp(-3.0 * torch.linalg.vector_norm(s.base_vel, dim=1)),
            },
            3: {
                "s3_object_height": self.lifted_share,
                "s3_grasp_maintenance": lambda s: s.grasping.float(),
                "s3_grasp_duration": self.held_share,
            },
        }
        return {
            **super().reward_table(),
            **{name: self._in_stage(stage, term) for stage, terms in staged.items() for name, term in terms.items()},
            "s1_completion": lambda s: (self.memory.grasp_began & self.pregrasp_reached(s)).float(),
            "s2_completion": lambda s: (self.memory.lift_began & s.grasping).float(),
            "penetration_penalty": lambda s: 100.0 * (s.box_size / 2 - s.nearest_tip_to_box).clamp(min=0.0),
        }

    def _in_stage(self, stage: int, term: Reward) -> Reward:
        return lambda s: term(s) * (self.memory.stage == stage)

    # --- reset

    def reset_pose(self, generator: Generator) -> ResetPose:
        """Wrist within +-0.2 m and +-45 degrees, fingers partly closed; limits and couplings are kept."""
        box = self.box_pose(generator)
        spread = torch.tensor([0.2] * 3 + [pi / 4] * 3, device=self.device)
        base = self.uniform(generator, 6) * spread
        closed = torch.tensor([_most_closed(joint) for joint in FIRST_JOINTS[6:]], device=self.device)
        fingers = (self.uniform(generator, len(closed)) + 1.0) / 2.0 * closed
        return ResetPose(self.action_map.joints(torch.cat((base, fingers), dim=1)), box)


def _most_closed(joint: str) -> float:
    """Largest starting angle of a finger control, rad."""
    return {"r_f_joint1_1": pi / 2, "r_f_joint2_1": 0.3}.get(joint, pi / 6)
