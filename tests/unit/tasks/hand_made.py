"""Simulator states made by hand."""

from typing import Any

import torch
from composed import composed
from torch import Tensor

from dexhand.hand_env.interfaces import SimState
from dexhand.hands.spec import load_hand
from dexhand.tasks import BaseTask

HAND = load_hand("dexhand021_right")

ZERO_POSE = (0.0, 0.5**0.5, 0.0, 0.5**0.5)
"""The wrist's orientation at zero joints: turned by 90 degrees about y."""


def sim_state(num_envs: int = 1) -> SimState:
    """Zero joints at rest, wrist at height 0.5, tips and pads 0.2 in front of it, nothing touched."""

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(num_envs, *shape)

    state = SimState(
        dof_pos=zeros(26),
        dof_vel=zeros(26),
        body_pos=zeros(11, 3),
        body_quat=torch.tensor(ZERO_POSE).repeat(num_envs, 11, 1),
        body_linvel=zeros(11, 3),
        body_angvel=zeros(11, 3),
        contact_force=zeros(5, 3),
        object_pos=zeros(0, 3),
        object_quat=zeros(0, 4),
        object_linvel=zeros(0, 3),
        object_angvel=zeros(0, 3),
        object_contact_force=zeros(0, 3),
    )
    state.body_pos[..., 2] = 0.5
    state.body_pos[:, 1:, 0] = 0.2
    return state


def base_task(num_envs: int = 1, *, control_dt: float = 0.01, **keys: Any) -> BaseTask:
    """BaseTask of the default configuration with some keys changed, after the second control step of an episode."""
    config = composed().task
    for name, value in keys.items():
        setattr(config, name, value)
    task = BaseTask(
        config, hand=HAND, num_envs=num_envs, device=torch.device("cpu"), control_dt=control_dt, dof_limits=limits()
    )
    task.buffers.steps += 2
    return task


def limits() -> Tensor:
    """Joint limits (26, 2) of the built-in hand."""
    upper = {"r_f_joint1_1": 2.2, "r_f_joint2_1": 0.3, "r_f_joint4_1": 0.3, "r_f_joint5_1": 0.6, "r_f_joint3_1": 0.001}
    fingers = [[0.0, upper.get(name, 1.3)] for name in HAND.finger_joints]
    fingers[HAND.finger_joints.index("r_f_joint3_1")][0] = -0.001
    return torch.tensor([[-1.0, 1.0]] * 3 + [[-3.14, 3.14]] * 3 + fingers)
