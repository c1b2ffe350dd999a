"""A script that solves BlindGrasping instead of a policy: reach around the box, close, lift, hold."""

import math
from typing import Any

import torch
from torch import Tensor

from dexhand.config.errors import ConfigError
from dexhand.core import quaternions as quat
from dexhand.hand_env.task_env import TaskEnv
from dexhand.sim.kinematics import HandKinematics

GRASP: dict[str, float] = {
    "ARRx": -0.016,
    "ARRy": 0.431,
    "th_rot": 1.014,
    "th_mcp": 0.975,
    "th_dip": 0.058,
    "ff_mcp": 0.624,
    "ff_dip": 0.438,
    "mf_mcp": 0.657,
    "mf_dip": 0.540,
    "rf_mcp": 0.636,
    "rf_dip": 0.313,
    "lf_mcp": 0.636,
    "lf_dip": 0.313,
}
"""A pinch of the right hand, rad: the pads of thumb, index and middle finger 5 cm apart, at one height, flat on two
sides of the box.

Found by a random search over the hand's kinematics for opposed, level pads with nothing of the hand far below them.
"""
MIRRORED = ("ARTy", "ARRx", "ARRz")
"""The base joints that have the opposite sign in the mirror image of a pose, which is the left hand's."""
PINCHING = ("th_mcp", "ff_mcp", "mf_mcp")
OPENING = 0.28
"""How much wider the pinching fingers are before they close, rad: some 3 cm on each side."""
SQUEEZE = 0.05
"""How far they close beyond the box, rad. At 50 N m/rad the pads then press with 2 to 4 N; 0.1 pushes the box out."""
HOVER = 0.045
"""Height above the grasp at which the open hand clears the box, m."""
ALIGNED = (0.006, 0.06, 0.08)
"""The hand comes down once it is this close to its goal: sideways (m), rotation (rad), fingers (rad)."""
LIFT = 0.25
"""How high the hand goes with the box, m."""


class Expert:
    """Chooses actions for all environments at once.

    Unlike a policy it knows where the box is, from the state of the simulator and the stage of the task, but it acts
    like one, only through actions in [-1, 1].
    """

    def __init__(self, env: TaskEnv) -> None:
        task: Any = env.task
        self._env, self._task, self._actions = env, task, task.action_map
        self._hand = env.simulator.scene.hand
        missing = GRASP.keys() - {*self._hand.base_joints, *(control.name for control in self._hand.controls)}
        if missing:
            raise ConfigError(
                f"env.hand: the script moves only the DexHand021; this one lacks {', '.join(sorted(missing))}"
            )
        self._grasp = self._grasp_of_this_hand()
        self._open = self._posture(-OPENING)
        self._closed = self._posture(SQUEEZE)
        self._root = torch.tensor(env.simulator.scene.hand_position, device=env.device)
        self._find_pinch()
        self._base_at_grasp = torch.zeros(env.num_envs, 6, device=env.device)

    def _grasp_of_this_hand(self) -> dict[str, float]:
        """``GRASP``, mirrored where the thumb is on the left hand's side, seen from above."""
        kinematics = HandKinematics(self._hand, (0.0, 0.0, 0.0), torch.device("cpu"))
        zero = torch.zeros(1, self._hand.num_dofs)
        is_left = bool(kinematics.poses(zero, zero).pos[0, kinematics.index(self._hand.fingerpads[0]), 1] < 0)
        return {name: -value if is_left and name in MIRRORED else value for name, value in GRASP.items()}

    def _posture(self, closing: float) -> Tensor:
        """Control targets (18,) of the grasp, with the pinching fingers ``closing`` rad further closed."""
        values = {**self._grasp, **{name: self._grasp[name] + closing for name in PINCHING}}
        controls = (*self._hand.base_joints, *(control.name for control in self._hand.controls))
        return torch.tensor([values.get(name, 0.0) for name in controls], device=self._env.device)

    def _find_pinch(self) -> None:
        """Where the middle of the pads is, seen from the wrist, and the direction in which they press."""
        device = self._env.device
        kinematics = HandKinematics(self._hand, (0.0, 0.0, 0.0), device)
        dof_pos = self._actions.joints(self._posture(0.0)[None])
        poses = kinematics.poses(dof_pos, torch.zeros_like(dof_pos))
        thumb, index, middle = (poses.pos[0, kinematics.index(name)] for name in self._hand.fingerpads[:3])
        self._pinch = (thumb + (index + middle) / 2) / 2
        across = middle - index  # the two fingers lie along one side of the box
        self._pinch_angle = math.atan2(float(-across[0]), float(across[1]))

    def act(self) -> Tensor:
        """Actions (N, 18): towards the goal of the present stage, as fast as allowed."""
        buffers = self._task.buffers
        in_stage_1 = (buffers.stage == 1)[:, None]
        self._base_at_grasp = torch.where(in_stage_1, buffers.targets[:, :6], self._base_at_grasp)
        goal = torch.where(in_stage_1, self._approach(buffers.targets), self._grasp_and_lift(buffers.stage))
        actions: Tensor = ((goal - buffers.targets) / self._actions.max_change).clamp(-1.0, 1.0)
        return actions

    def pregrasp(self) -> Tensor:
        """Control targets (N, 18) of the open hand around the box."""
        state = self._env.simulator.state
        # any two opposite sides will do: the least turn that lays the pads flat on some pair
        right_angle = math.pi / 2
        yaw = quat.to_rotation_vector(state.object_quat[:, 0])[:, 2] - self._pinch_angle
        turn = torch.remainder(yaw + right_angle / 2, right_angle) - right_angle / 2
        turn_quat = quat.from_rotation_vector(torch.nn.functional.pad(turn[:, None], (2, 0)))
        goal = self._open.repeat(self._env.num_envs, 1)
        goal[:, :3] = state.object_pos[:, 0] - quat.rotate(turn_quat, self._pinch.expand_as(goal[:, :3])) - self._root
        goal[:, 3:6] = _turned_wrist(turn, self._grasp["ARRx"], self._grasp["ARRy"])
        return goal

    def _approach(self, targets: Tensor) -> Tensor:
        """Stay above the box until everything else is in place, then come down."""
        goal = self.pregrasp()
        away = (goal - targets).abs()
        sideways, turn, fingers = away[:, :2].amax(1), away[:, 3:6].amax(1), away[:, 6:].amax(1)
        limits = ALIGNED
        aligned = (sideways < limits[0]) & (turn < limits[1]) & (fingers < limits[2])
        has_come_down = targets[:, 2] < goal[:, 2] + HOVER / 2
        goal[:, 2] += HOVER * (~aligned & ~has_come_down)
        return goal

    def _grasp_and_lift(self, stage: Tensor) -> Tensor:
        goal = self._closed.repeat(self._env.num_envs, 1)
        goal[:, :6] = self._base_at_grasp
        goal[:, 2] += LIFT * (stage == 3)
        return goal

    def time_needed(self) -> Tensor:
        """Seconds from the present state to the pre-grasp if every control moves at its limit, shape (N,).

        Sideways, turning and down to the hover height at once, then the rest of the way down.
        """
        speed = self._actions.max_change / self._env.simulator.control_dt
        goal = self.pregrasp()
        goal[:, 2] += HOVER
        times = (goal - self._task.buffers.targets).abs() / speed
        needed: Tensor = times.amax(dim=1) + HOVER / speed[2]
        return needed


def _turned_wrist(turn: Tensor, roll: float, pitch: float) -> Tensor:
    """Wrist joints (N, 3) that hold Rz(turn) Rx(roll) Ry(pitch); the joints are serial, Rx Ry Rz."""
    rows = len(turn)
    axes = torch.eye(3, device=turn.device)
    tilt = quat.multiply(
        quat.from_rotation_vector(axes[:1] * roll), quat.from_rotation_vector(axes[1:2] * pitch)
    ).repeat(rows, 1)
    rotation = quat.multiply(quat.from_rotation_vector(turn[:, None] * axes[2]), tilt)
    x, y, z = (quat.rotate(rotation, axis.repeat(rows, 1)) for axis in axes)  # columns of the matrix
    angles = (torch.atan2(-z[:, 1], z[:, 2]), torch.asin(z[:, 0]), torch.atan2(-y[:, 0], x[:, 0]))
    return torch.stack(angles, dim=1)
