"""Reward terms every task offers: small functions of ``HandState``, raw values of shape (N,).

"acceleration" is the change of a velocity from one control step to the next, not divided by time. It is 0 in the first
step of an episode, as are changes of contact.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dexhand.tasks.hand_state import HandState

Reward = Callable[[Any], Tensor]
"""A term, raw values of shape (N,), of what the task's ``hand_state`` returns."""


def _norm(vector: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vector, dim=1)
    return length


def _first_step(s: HandState) -> Tensor:
    return s.memory.steps == 1


def alive(s: HandState) -> Tensor:
    """1."""
    return torch.ones_like(s.lowest_fingertip)


def nothing(s: HandState) -> Tensor:
    """0: of an object, where there is none."""
    return torch.zeros_like(s.lowest_fingertip)


def height_safety(s: HandState) -> Tensor:
    """1 - exp(-20 (z - 0.02)) in [0, 1]; z = height of the lowest fingertip, m."""
    return (1.0 - torch.exp(-20.0 * (s.lowest_fingertip - 0.02))).clamp(0.0, 1.0)


def finger_velocity(s: HandState) -> Tensor:
    """exp(-0.1 |v|); v = finger joint velocities, rad/s."""
    return torch.exp(-0.1 * _norm(s.finger_vel))


def hand_velocity(s: HandState) -> Tensor:
    """exp(-0.2 |v|); v = velocity of the wrist, m/s."""
    return torch.exp(-0.2 * _norm(s.hand_linvel))


def hand_angular_velocity(s: HandState) -> Tensor:
    """exp(-0.2 |w|); w = angular velocity of the wrist, rad/s."""
    return torch.exp(-0.2 * _norm(s.hand_angvel))


def finger_acceleration(s: HandState) -> Tensor:
    """exp(-2 |change of finger joint velocities|)."""
    return torch.exp(-2.0 * _norm(s.finger_vel - s.memory.finger_vel)).masked_fill(_first_step(s), 1.0)


def hand_acceleration(s: HandState) -> Tensor:
    """exp(-0.5 |change of the wrist's velocity|)."""
    return torch.exp(-0.5 * _norm(s.hand_linvel - s.memory.hand_linvel)).masked_fill(_first_step(s), 1.0)


def hand_angular_acceleration(s: HandState) -> Tensor:
    """exp(-0.5 |change of the wrist's angular velocity|)."""
    return torch.exp(-0.5 * _norm(s.hand_angvel - s.memory.hand_angvel)).masked_fill(_first_step(s), 1.0)


def contact_stability(s: HandState) -> Tensor:
    """exp(-number of contact bodies that began or ceased to touch something)."""
    changed = (s.touching != s.memory.touching).sum(1)
    return torch.exp(-changed.float()).masked_fill(_first_step(s), 1.0)


class JointLimit:
    """1 - mean over finger joints of how deep each is in the outer fifth of its range on either side."""

    def __init__(self, finger_limits: Tensor) -> None:
        """``finger_limits`` (20, 2), rad."""
        self.middle = finger_limits.mean(1)
        self.half_range = (finger_limits[:, 1] - finger_limits[:, 0]) / 2.0

    def __call__(self, s: HandState) -> Tensor:
        """See the class."""
        position = ((s.finger_pos - self.middle) / self.half_range).abs()  # 0 in the middle, 1 at a limit
        return 1.0 - (position - 0.8).clamp(0.0, 1.0).mean(1)


def common_rewards(finger_limits: Tensor) -> dict[str, Reward]:
    """The terms by name, the order of axis T."""
    return {
        "alive": alive,
        "height_safety": height_safety,
        "finger_velocity": finger_velocity,
        "hand_velocity": hand_velocity,
        "hand_angular_velocity": hand_angular_velocity,
        "joint_limit": JointLimit(finger_limits),
        "finger_acceleration": finger_acceleration,
        "hand_acceleration": hand_acceleration,
        "hand_angular_acceleration": hand_angular_acceleration,
        "contact_stability": contact_stability,
    }
