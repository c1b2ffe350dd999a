"""Every configuration key: its type, default, meaning, unit and range, stated once.

The YAML files in ``cfg/`` only override what stands here. ``--help`` is printed from these fields, and validation
checks against them, so a key that is not here does not exist.
"""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence

BACKENDS = ("auto", "mujoco", "mock")

BASE_OBSERVATIONS: Dict[str, int] = {
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

GRASPING_OBSERVATIONS: Dict[str, int] = {
    **BASE_OBSERVATIONS,
    "first_three_fingerpad_centroid": 3,
    "fingerpad_distances": 10,
}
"""Observation keys of the grasping tasks."""

BLIND_GRASPING_OBSERVATIONS: Dict[str, int] = {
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


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    choices: Optional[Sequence[Any]] = None,
    low: Optional[float] = None,
    high: Optional[float] = None,
    above: Optional[float] = None,
) -> Any:
    """A configuration key: ``low`` and ``high`` are inclusive bounds, ``above`` an exclusive lower one."""
    metadata = {"help": help, "unit": unit, "choices": choices, "low": low, "high": high, "above": above}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


# --- sim --------------------------------------------------------------------------------------------------------------


@dataclass
class MujocoConfig:
    """How MuJoCo solves; see MuJoCo's ``option`` element."""

    substeps: int = option(2, "MuJoCo steps per sim.dt", low=1)
    iterations: int = option(20, "solver iterations at most", low=1)
    ls_iterations: int = option(20, "line search iterations at most", low=1)
    tolerance: float = option(1e-8, "solver stops below this improvement", low=0)
    threads: int = option(0, "threads that step environments; 0 = one per processor core", low=0)


@dataclass
class PhysxConfig:
    """How PhysX solves, for Isaac Gym only; names are Isaac Gym's."""

    substeps: int = option(4, "PhysX substeps per sim.dt", low=1)
    solver_type: int = option(1, "0 = PGS, 1 = TGS", choices=(0, 1))
    num_position_iterations: int = option(16, "position iterations", low=1)
    num_velocity_iterations: int = option(0, "velocity iterations", low=0)
    contact_offset: float = option(0.001, "contacts are generated below this distance", unit="m", low=0)
    rest_offset: float = option(0.0005, "bodies rest at this distance", unit="m", low=0)
    bounce_threshold_velocity: float = option(0.15, "slower impacts do not bounce", unit="m/s", low=0)
    max_depenetration_velocity: float = option(0.2, "fastest separation of overlapping bodies", unit="m/s", low=0)
    default_buffer_size_multiplier: float = option(4.0, "contact buffer size factor", above=0)
    gpu_contact_pairs_per_env: int = option(512, "contact pairs reserved per environment", low=1)
    num_threads: int = option(4, "CPU threads", low=0)


@dataclass
class SimConfig:
    """The physics."""

    backend: str = option("auto", "simulator; auto = the best one that this machine has", choices=BACKENDS)
    dt: float = option(0.005, "simulated time per physics call", unit="s", above=0, high=0.1)
    substeps: Optional[int] = option(
        None, "solver steps per physics call; null = what the physics preset says for the simulator", low=1
    )
    mujoco: MujocoConfig = option(MujocoConfig, "MuJoCo's own settings")
    physx: PhysxConfig = option(PhysxConfig, "PhysX's own settings (Isaac Gym)")


# --- env --------------------------------------------------------------------------------------------------------------


@dataclass
class GainsConfig:
    """A joint servo; null = what the hand's file says."""

    stiffness: Optional[float] = option(None, "position gain", unit="N/m or N m/rad", low=0)
    damping: Optional[float] = option(None, "velocity gain", unit="N s/m or N m s/rad", low=0)
    forceLimit: Optional[float] = option(None, "largest force", unit="N or N m", above=0)


@dataclass
class ActuatorsConfig:
    """Joint servos by group."""

    baseTranslation: GainsConfig = option(GainsConfig, "ARTx, ARTy, ARTz")
    baseRotation: GainsConfig = option(GainsConfig, "ARRx, ARRy, ARRz")
    fingers: GainsConfig = option(GainsConfig, "the 20 finger joints")


@dataclass
class EnvConfig:
    """The environments and what stands in them."""

    numEnvs: Optional[int] = option(None, "parallel environments; null = 1024 for training, 4 for testing", low=1)
    device: str = option("auto", "where tensors live: auto, cpu, cuda or cuda:<index>")
    controlDecimation: int = option(2, "physics calls per control step", low=1)
    handAsset: Optional[str] = option(
        None, "MJCF of a hand with the built-in one's joint and body names; null = the built-in one"
    )
    initialHandPos: List[float] = option([0.0, 0.0, 0.5], "where the fixed root of the hand stands, x y z", unit="m")
    actuators: ActuatorsConfig = option(ActuatorsConfig, "joint servos")


# --- task -------------------------------------------------------------------------------------------------------------


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
    termination_success: float = option(0.0, "bonus when the episode ends in success", low=0)
    termination_failure_penalty: float = option(0.0, "subtracted when it ends in failure", low=0)
    termination_timeout_penalty: float = option(0.0, "subtracted when time runs out", low=0)


@dataclass
class BaseTaskConfig:
    """What every task has; BaseTask itself: move about without touching the ground."""

    name: str = option("BaseTask", "the task")
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
    active_success_criteria: List[str] = option([], "success criteria that end an episode; empty = all the task has")
    active_failure_criteria: List[str] = option([], "failure criteria that end an episode; empty = all the task has")
    policy_observation_keys: List[str] = option(
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
    policy_observation_keys: List[str] = option(
        [*_BOX_GRASPING_POLICY, "current_stage", "time_in_stage", "stage_progress"],
        "what the policy sees, in this order; never the box",
        choices=tuple(BLIND_GRASPING_OBSERVATIONS),
    )
    reward_weights: BlindGraspingRewardWeights = option(BlindGraspingRewardWeights, "weight of each reward term")


@dataclass
class BoxGraspingRewardWeights(BaseRewardWeights):
    """BoxGrasping adds terms about the box."""

    object_height: float = option(0.0, "the box goes up")
    single_finger_contact: float = option(0.0, "exactly one finger touches the box")
    multi_finger_contact: float = option(0.0, "thumb and another finger touch the box")
    finger_to_object: float = option(0.0, "pads near the box")
    fingerpad_to_box_centroid: float = option(0.0, "box in the middle of thumb, index and middle finger")
    hand_to_object: float = option(0.0, "wrist near the box")
    grasp_duration: float = option(0.0, "time the box has been held up")


@dataclass
class BoxGraspingConfig(GraspingTaskConfig):
    """BoxGrasping: no stages."""

    policy_observation_keys: List[str] = option(
        _BOX_GRASPING_POLICY,
        "what the policy sees, in this order; never the box",
        choices=tuple(GRASPING_OBSERVATIONS),
    )
    reward_weights: BoxGraspingRewardWeights = option(BoxGraspingRewardWeights, "weight of each reward term")


# --- train ------------------------------------------------------------------------------------------------------------


@dataclass
class NetworkConfig:
    """The actor-critic network."""

    units: List[int] = option([512, 256, 128], "sizes of the hidden layers")
    activation: str = option("elu", "between the layers", choices=("elu", "relu", "tanh", "selu", "swish", "gelu"))
    separate_critic: bool = option(False, "the critic has layers of its own")
    sigma_init: float = option(0.0, "log standard deviation of the actions at the start")


@dataclass
class PpoConfig:
    """PPO as rl_games computes it; names are rl_games's."""

    horizon_length: int = option(16, "control steps per environment and iteration", low=1)
    minibatch_size: int = option(0, "samples per gradient step; 0 = a quarter of the rollout", low=0)
    mini_epochs: int = option(4, "passes over a rollout", low=1)
    learning_rate: float = option(3e-4, "step size of Adam at the start", above=0)
    lr_schedule: str = option("adaptive", "how the learning rate moves", choices=("adaptive", "linear", "constant"))
    schedule_type: str = option(
        "standard", "adaptive schedule looks after each minibatch (legacy) or pass", choices=("legacy", "standard")
    )
    kl_threshold: float = option(0.008, "KL divergence the adaptive schedule aims at", above=0)
    gamma: float = option(0.99, "discount per control step", low=0, high=1)
    tau: float = option(0.95, "lambda of the advantage estimate (GAE)", low=0, high=1)
    e_clip: float = option(0.2, "clip range of the probability ratio", above=0)
    clip_value: bool = option(True, "clip the value loss too")
    critic_coef: float = option(4.0, "weight of the value loss", low=0)
    entropy_coef: float = option(0.0, "weight of the entropy bonus", low=0)
    bounds_loss_coef: float = option(1e-4, "weight of the loss on mean actions beyond 1.1", low=0)
    grad_norm: float = option(1.0, "gradients are clipped to this norm", above=0)
    truncate_grads: bool = option(True, "clip gradients")
    normalize_input: bool = option(True, "normalise observations by running statistics")
    normalize_value: bool = option(True, "normalise returns by running statistics")
    normalize_advantage: bool = option(True, "normalise advantages in each rollout")
    value_bootstrap: bool = option(True, "a timeout is worth the value of its last state")
    reward_scale: float = option(1.0, "rewards are multiplied by this before learning", above=0)


@dataclass
class TrainConfig:
    """Training, testing and what they write."""

    seed: int = option(42, "seed of everything random; -1 = draw one and record it", low=-1)
    torchDeterministic: bool = option(False, "torch uses deterministic algorithms only")
    maxIterations: int = option(10000, "training stops after this many iterations in all", low=1)
    targetScore: Optional[float] = option(None, "training stops when the mean return reaches this")
    test: bool = option(False, "play a checkpoint instead of training")
    testGamesNum: int = option(100, "games to play in a test", low=1)
    checkpoint: Optional[str] = option(
        None, "start from: latest, latest_train, latest_test, a run folder, a .pth file or part of a run's name"
    )
    saveFrequency: int = option(100, "iterations between numbered checkpoints", low=1)
    saveInterval: float = option(30.0, "a checkpoint is written at the latest after this time", unit="s", low=0)
    torchThreads: int = option(1, "torch's CPU threads; more than 1 slows down small networks", low=1)
    runsDir: str = option("runs", "workspace of links to the newest runs; the runs themselves lie in <runsDir>_all")
    logLevel: str = option("info", "how much is said", choices=("debug", "info", "warning", "error"))
    network: NetworkConfig = option(NetworkConfig, "the network")
    ppo: PpoConfig = option(PpoConfig, "the learner")


@dataclass
class Config:
    """The whole configuration."""

    sim: SimConfig = option(SimConfig, "the physics")
    env: EnvConfig = option(EnvConfig, "the environments")
    task: BaseTaskConfig = option(BaseTaskConfig, "the task")
    train: TrainConfig = option(TrainConfig, "training and testing")


TASKS: Dict[str, type] = {
    "BaseTask": BaseTaskConfig,
    "BlindGrasping": BlindGraspingConfig,
    "BoxGrasping": BoxGraspingConfig,
}
"""Configuration class of each task, by name. ``dexhand.build`` knows the task classes of the same names."""
