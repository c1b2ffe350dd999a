"""The ``task`` section of each task: every key with its type, default, meaning, unit and range."""

from dataclasses import dataclass

from dexhand.config.option import option

BASE_OBSERVATIONS: dict[str, int] = {
    "base_dof_pos": 6,
    "base_dof_vel": 6,
    "base_dof_target": 6,
    "active_finger_dof_pos": 12,
    "active_finger_dof_vel": 12,
    "active_finger_dof_target": 12,
    "all_finger_dof_pos": 20,
    "all_finger_dof_vel": 20,
    "all_finger_dof_target": 20,
    "hand_pose": 7,
    "hand_pose_arr_aligned": 7,
    "contact_forces": 15,
    "contact_force_magnitude": 5,
    "contact_binary": 5,
    "contact_duration": 5,
    "prev_actions": 18,
    "active_prev_targets": 18,
    "active_rule_targets": 18,
    "fingertip_poses_world": 35,
    "fingerpad_poses_world": 35,
    "fingertip_poses_hand": 35,
    "fingerpad_poses_hand": 35,
    "episode_time": 1,
}
"""Observation keys every task offers, with their sizes."""

GRASPING_OBSERVATIONS: dict[str, int] = {
    **BASE_OBSERVATIONS,
    "first_three_fingerpad_centroid": 3,
    "fingerpad_distances": 10,
}
"""Observation keys of the grasping tasks."""

BLIND_GRASPING_OBSERVATIONS: dict[str, int] = {
    **GRASPING_OBSERVATIONS,
    "current_stage": 1,
    "time_in_stage": 1,
    "stage_progress": 1,
}
"""Observation keys of BlindGrasping."""

_BOX_GRASPING_POLICY = [
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
class BaseRewardWeights:
    """Weight of each reward term; 0 = not counted. The last three are paid once, when an episode ends."""

    alive: float = option(0.0, "1 in every step")
    height_safety: float = option(0.0, "fingertips keep off the ground")
    finger_velocity: float = option(0.0, "slow fingers")
    hand_velocity: float = option(0.0, "slow hand")
    hand_angular_velocity: float = option(0.0, "slowly turning hand")
    joint_limit: float = option(0.0, "finger joints keep off their limits")
    finger_acceleration: float = option(0.0, "steady fingers")
    hand_acceleration: float = option(0.0, "steady hand")
    hand_angular_acceleration: float = option(0.0, "steadily turning hand")
    contact_stability: float = option(0.0, "contacts do not flicker")
    object_height: float = option(0.0, "the object goes up; always 0 in a task without one")
    termination_success: float = option(0.0, "bonus when the episode ends in success", low=0)
    termination_failure_penalty: float = option(0.0, "subtracted when it ends in failure", low=0)
    termination_timeout_penalty: float = option(0.0, "subtracted when time runs out", low=0)


@dataclass
class BaseTaskConfig:
    """What every task has; BaseTask itself: move about without touching the ground."""

    name: str = option("BaseTask", "the task")
    module: str | None = option(
        None,
        "module (my_package.my_task) or file (my_task.py) of your own with a class of the task's name; null = ours",
    )
    episodeLength: int = option(300, "an episode times out after episodeLength - 1 control steps", low=2)
    controlMode: str = option(
        "position_delta",
        "what an action says: a commanded pose (position) or a change of it (position_delta)",
        choices=("position", "position_delta"),
    )
    policy_controls_hand_base: bool = option(True, "the policy moves the wrist (6 actions)")
    policy_controls_fingers: bool = option(True, "the policy moves the fingers (12 actions)")
    max_base_linear_velocity: float = option(0.5, "limit of the wrist's targets", unit="m/s", above=0)
    max_base_angular_velocity: float = option(1.5, "limit of the wrist's targets", unit="rad/s", above=0)
    max_finger_joint_velocity: float = option(1.0, "limit of the finger controls' targets", unit="rad/s", above=0)
    contact_binary_threshold: float = option(1.0, "a larger force counts as contact", unit="N", low=0)
    handbase_threshold: float = option(0.0, "hitting_ground: lowest height of the wrist", unit="m")
    fingertip_threshold: float = option(0.0, "hitting_ground: lowest height of a fingertip", unit="m")
    fingerpad_threshold: float = option(0.0, "hitting_ground: lowest height of a fingerpad", unit="m")
    active_success_criteria: list[str] = option([], "success criteria that end an episode; empty = all the task has")
    active_failure_criteria: list[str] = option([], "failure criteria that end an episode; empty = all the task has")
    policy_observation_keys: list[str] = option(
        [
            "base_dof_pos",
            "base_dof_vel",
            "active_finger_dof_pos",
            "active_finger_dof_vel",
            "hand_pose",
            "contact_binary",
            "prev_actions",
            "base_dof_target",
            "active_finger_dof_target",
            "fingertip_poses_world",
            "fingertip_poses_hand",
            "fingerpad_poses_world",
            "fingerpad_poses_hand",
        ],
        "what the policy sees, in this order",
        choices=tuple(BASE_OBSERVATIONS),
    )
    reward_weights: BaseRewardWeights = option(BaseRewardWeights, "weight of each reward term")


@dataclass
class BoxConfig:
    """The cube to be grasped."""

    size: float = option(0.05, "edge length", unit="m", above=0)
    mass: float = option(0.1, "how heavy it is", unit="kg", above=0)
    friction: float = option(1.0, "sliding friction coefficient", low=0)
    height: float = option(0.027, "height of the centre when an episode begins", unit="m", above=0)
    yaw_range: float = option(0.0, "largest turn about the vertical when an episode begins", unit="rad", low=0)


@dataclass
class GraspingTaskConfig(BaseTaskConfig):
    """What BlindGrasping and BoxGrasping share."""

    episodeLength: int = option(500, "an episode times out after episodeLength - 1 control steps", low=2)
    box: BoxConfig = option(BoxConfig, "the cube")
    success_height_threshold: float = option(0.2, "the box is held up above this height", unit="m", above=0)
    min_fingers_for_grasp: int = option(2, "fingers that must touch a box that is held up", low=1, high=5)
    contact_duration_threshold: float = option(2.0, "success: the box is held up for this long", unit="s", above=0)
    max_box_distance: float = option(0.8, "box_too_far: largest distance of box and wrist", unit="m", above=0)


@dataclass
class BlindGraspingRewardWeights(BaseRewardWeights):
    """BlindGrasping adds terms for each stage."""

    s1_height_alignment: float = option(0.0, "pads at the height of the box")
    s1_centroid_positioning: float = option(0.0, "box in the middle of thumb, index and middle finger")
    s1_object_stability: float = option(0.0, "the box stays where it is")
    s1_finger_height_consistency: float = option(0.0, "thumb, index and middle finger at one height")
    s1_thumb_rotation: float = option(0.0, "thumb turned opposite the fingers")
    s2_thumb_contact: float = option(0.0, "the thumb touches the box")
    s2_other_fingers_contact: float = option(0.0, "another finger touches the box")
    s2_grasp_achievement: float = option(0.0, "both do")
    s2_fingerpad_proximity: float = option(0.0, "a fingertip near the box")
    s2_base_stability: float = option(0.0, "a wrist at rest")
    s3_object_height: float = option(0.0, "the box goes up")
    s3_grasp_maintenance: float = option(0.0, "the grasp is kept")
    s3_grasp_duration: float = option(0.0, "time the box has been held up")
    s1_completion: float = option(0.0, "once, when stage 1 ends well")
    s2_completion: float = option(0.0, "once, when stage 2 ends well")
    penetration_penalty: float = option(0.0, "centimetres by which a fingertip is inside the box's inscribed sphere")


@dataclass
class BlindGraspingConfig(GraspingTaskConfig):
    """BlindGrasping: three timed stages."""

    max_base_linear_velocity: float = option(0.1, "limit of the wrist's targets", unit="m/s", above=0)
    max_base_angular_velocity: float = option(0.5, "limit of the wrist's targets", unit="rad/s", above=0)
    contact_binary_threshold: float = option(0.1, "a larger force counts as contact", unit="N", low=0)
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
        [*_BOX_GRASPING_POLICY, "current_stage", "time_in_stage", "stage_progress"],
        "what the policy sees, in this order; never the box",
        choices=tuple(BLIND_GRASPING_OBSERVATIONS),
    )
    reward_weights: BlindGraspingRewardWeights = option(BlindGraspingRewardWeights, "weight of each reward term")


@dataclass
class BoxGraspingRewardWeights(BaseRewardWeights):
    """BoxGrasping adds terms about the box."""

    single_finger_contact: float = option(0.0, "exactly one finger touches the box")
    multi_finger_contact: float = option(0.0, "thumb and another finger touch the box")
    finger_to_object: float = option(0.0, "pads near the box")
    fingerpad_to_box_centroid: float = option(0.0, "box in the middle of thumb, index and middle finger")
    hand_to_object: float = option(0.0, "wrist near the box")
    grasp_duration: float = option(0.0, "time the box has been held up")


@dataclass
class BoxGraspingConfig(GraspingTaskConfig):
    """BoxGrasping: no stages."""

    policy_observation_keys: list[str] = option(
        _BOX_GRASPING_POLICY,
        "what the policy sees, in this order; never the box",
        choices=tuple(GRASPING_OBSERVATIONS),
    )
    reward_weights: BoxGraspingRewardWeights = option(BoxGraspingRewardWeights, "weight of each reward term")


TASKS: dict[str, type] = {
    "BaseTask": BaseTaskConfig,
    "BlindGrasping": BlindGraspingConfig,
    "BoxGrasping": BoxGraspingConfig,
}
"""Configuration class of each task, by name. ``dexhand.app.build`` knows the task classes of the same names."""
