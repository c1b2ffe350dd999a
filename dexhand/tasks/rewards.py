"""Reward terms of every task.

"Acceleration" is the change of a velocity between control steps, not divided by time. Accelerations and changes of
contact are 0 in the first step of an episode.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from dexhand.core.lazy import lazy_module
from dexhand.hands.spec import HandSpec
from dexhand.tasks.hand_state import HandState
from dexhand.tasks.terms import reward

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_module("torch")


class HandRewards:
    """Reward terms of the hand."""

    hand: HandSpec
    dof_limits: Tensor

    @reward()
    def alive(self, state: HandState) -> Tensor:
        """1 in every step."""
        return torch.ones_like(state.lowest_fingertip)

    @reward()
    def height_safety(self, state: HandState) -> Tensor:
        """Fingertips stay away from the ground.

        1 - exp(-20 (z - 0.02)) in [0, 1]; z = height of the lowest fingertip, m.
        """
        return (1.0 - torch.exp(-20.0 * (state.lowest_fingertip - 0.02))).clamp(0.0, 1.0)

    @reward()
    def finger_velocity(self, state: HandState) -> Tensor:
        """Slow fingers.

        exp(-0.1 |v|); v = finger joint velocities, rad/s.
        """
        return torch.exp(-0.1 * _norm(state.finger_vel))

    @reward()
    def hand_velocity(self, state: HandState) -> Tensor:
        """Slow hand.

        exp(-0.2 |v|); v = velocity of the wrist, m/s.
        """
        return torch.exp(-0.2 * _norm(state.hand_linvel))

    @reward()
    def hand_angular_velocity(self, state: HandState) -> Tensor:
        """Slow rotation of the hand.

        exp(-0.2 |w|); w = angular velocity of the wrist, rad/s.
        """
        return torch.exp(-0.2 * _norm(state.hand_angvel))

    @reward()
    def joint_limit(self, state: HandState) -> Tensor:
        """Finger joints stay away from their limits.

        1 - mean over finger joints of max(0, |p| - 0.8), where p is the position scaled to [-1, 1] between the limits.
        """
        middle, half_range = self._finger_ranges
        position = ((state.finger_pos - middle) / half_range).abs()  # 0 in the middle, 1 at a limit
        return 1.0 - (position - 0.8).clamp(0.0, 1.0).mean(1)

    @cached_property
    def _finger_ranges(self) -> tuple[Tensor, Tensor]:
        lower, upper = self.dof_limits[self.hand.num_base :].unbind(1)
        return (lower + upper) / 2.0, (upper - lower) / 2.0

    @reward()
    def finger_acceleration(self, state: HandState) -> Tensor:
        """Steady fingers.

        exp(-2 |change of finger joint velocities|).
        """
        change = _norm(state.finger_vel - state.buffers.finger_vel)
        return torch.exp(-2.0 * change).masked_fill(_first_step(state), 1.0)

    @reward()
    def hand_acceleration(self, state: HandState) -> Tensor:
        """Steady hand.

        exp(-0.5 |change of the wrist's velocity|).
        """
        change = _norm(state.hand_linvel - state.buffers.hand_linvel)
        return torch.exp(-0.5 * change).masked_fill(_first_step(state), 1.0)

    @reward()
    def hand_angular_acceleration(self, state: HandState) -> Tensor:
        """Steady rotation of the hand.

        exp(-0.5 |change of the wrist's angular velocity|).
        """
        change = _norm(state.hand_angvel - state.buffers.hand_angvel)
        return torch.exp(-0.5 * change).masked_fill(_first_step(state), 1.0)

    @reward()
    def contact_stability(self, state: HandState) -> Tensor:
        """Contacts do not flicker.

        exp(-number of contact bodies that gained or lost contact).
        """
        changed = (state.touching != state.buffers.touching).sum(1)
        return torch.exp(-changed.float()).masked_fill(_first_step(state), 1.0)


def _norm(vector: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vector, dim=1)
    return length


def _first_step(state: HandState) -> Tensor:
    return state.buffers.steps == 1
