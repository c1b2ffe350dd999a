"""Observations every task offers: small functions of ``HandState``, each of shape (N, size)."""

from collections.abc import Callable

import torch
from torch import Tensor

from dexhand.core import quaternions
from dexhand.hands import hand
from dexhand.tasks.action_map import FIRST_JOINTS
from dexhand.tasks.hand_state import HandState

Observation = Callable[[HandState], Tensor]

_NUM_BASE = len(hand.BASE_JOINTS)
_ACTIVE = [hand.FINGER_JOINTS.index(joint) for joint in FIRST_JOINTS[_NUM_BASE:]]
"""Columns of the finger joints that stand for the 12 finger controls, in the order of the actions."""
_ZERO_POSE = (0.0, 0.5**0.5, 0.0, 0.5**0.5)
"""The wrist's orientation at zero joints."""
# all finger joints in terms of the 12 finger controls
_FACTORS = [[dict(joints).get(name, 0.0) for name in hand.FINGER_JOINTS] for joints in hand.FINGER_CONTROLS.values()]


def hand_pose(s: HandState) -> Tensor:
    """Position and quaternion of the wrist."""
    return torch.cat((s.hand_pos, s.hand_quat), dim=1)


def hand_pose_arr_aligned(s: HandState) -> Tensor:
    """The same position; the quaternion relative to that at zero joints, so identity there."""
    aligned = quaternions.multiply(s.hand_quat, quaternions.conjugate(s.hand_quat.new_tensor(_ZERO_POSE)))
    return torch.cat((s.hand_pos, aligned), dim=1)


def all_finger_dof_target(s: HandState) -> Tensor:
    """Commanded positions of the 20 finger joints, rad."""
    return s.memory.targets[:, _NUM_BASE:] @ s.memory.targets.new_tensor(_FACTORS)


def contact_duration(s: HandState) -> Tensor:
    """Seconds of unbroken contact."""
    return s.memory.contact_steps * s.control_dt


def episode_time(s: HandState) -> Tensor:
    """Seconds since the episode began."""
    return (s.memory.steps * s.control_dt).float()[:, None]


OBSERVATIONS: dict[str, Observation] = {
    "base_dof_pos": lambda s: s.base_pos,
    "base_dof_vel": lambda s: s.base_vel,
    "base_dof_target": lambda s: s.memory.targets[:, :_NUM_BASE],
    "active_finger_dof_pos": lambda s: s.finger_pos[:, _ACTIVE],
    "active_finger_dof_vel": lambda s: s.finger_vel[:, _ACTIVE],
    "active_finger_dof_target": lambda s: s.memory.targets[:, _NUM_BASE:],
    "all_finger_dof_pos": lambda s: s.finger_pos,
    "all_finger_dof_vel": lambda s: s.finger_vel,
    "all_finger_dof_target": all_finger_dof_target,
    "hand_pose": hand_pose,
    "hand_pose_arr_aligned": hand_pose_arr_aligned,
    "contact_forces": lambda s: s.sim.contact_force.flatten(1),
    "contact_force_magnitude": lambda s: s.contact_magnitude,
    "contact_binary": lambda s: s.in_contact.float(),
    "contact_duration": contact_duration,
    "prev_actions": lambda s: s.memory.actions,
    "active_prev_targets": lambda s: s.memory.targets,
    "active_rule_targets": lambda s: s.memory.scripted_targets,
    "fingertip_poses_world": lambda s: s.finger_poses_world[:, :5].flatten(1),
    "fingerpad_poses_world": lambda s: s.finger_poses_world[:, 5:].flatten(1),
    "fingertip_poses_hand": lambda s: s.finger_poses_hand[:, :5].flatten(1),
    "fingerpad_poses_hand": lambda s: s.finger_poses_hand[:, 5:].flatten(1),
    "episode_time": episode_time,
}
"""Observation terms by key; ``dexhand.config.task_schema.BASE_OBSERVATIONS`` lists the same keys with their sizes."""
