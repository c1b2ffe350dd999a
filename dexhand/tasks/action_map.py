"""From actions to joint targets: 18 controls (6 base joints, 12 finger controls) that drive 26 joints."""

import torch
from torch import Tensor

from dexhand.hands import hand

NUM_CONTROLS = len(hand.BASE_JOINTS) + len(hand.FINGER_CONTROLS)
FIRST_JOINTS: tuple[str, ...] = hand.BASE_JOINTS + tuple(joints[0][0] for joints in hand.FINGER_CONTROLS.values())
"""The joint whose position and limits stand for each control."""


class ActionMap:
    """Moves control targets by actions and spreads them over the joints.

    ``position``: the action names a pose between the limits, approached no faster than the velocity limits.
    ``position_delta``: the action is the change itself, 1 = as fast as the limits allow.
    """

    def __init__(
        self, mode: str, *, dof_limits: Tensor, max_velocity: Tensor, control_dt: float, base: bool, fingers: bool
    ) -> None:
        """``dof_limits`` (26, 2), m or rad; ``max_velocity`` (18,), m/s or rad/s, of the controls."""
        num_base = len(hand.BASE_JOINTS)
        self.mode = mode
        self.controlled = slice(0 if base else num_base, NUM_CONTROLS if fingers else num_base)
        self.num_actions = self.controlled.stop - self.controlled.start
        self.first_dofs = torch.tensor([hand.DOF_NAMES.index(name) for name in FIRST_JOINTS], device=dof_limits.device)
        self.lower, self.upper = dof_limits[self.first_dofs].unbind(1)
        self.max_change = max_velocity * control_dt
        self.coupling = _coupling().to(dof_limits.device)

    def move(self, targets: Tensor, rule: Tensor, actions: Tensor) -> Tensor:
        """New control targets (N, 18) from the previous ones, the rule's for what the policy does not control (N, 18),
        and actions (N, A).
        """
        part = self.controlled
        lower, upper, change = self.lower[part], self.upper[part], self.max_change[part]
        if self.mode == "position":
            wanted = lower + (actions + 1.0) * (0.5 * (upper - lower))
        else:
            wanted = targets[:, part] + actions * change
        if self.num_actions < NUM_CONTROLS:
            wanted = torch.cat((rule[:, : part.start], wanted, rule[:, part.stop :]), dim=1)
        nearest, farthest = targets - self.max_change, targets + self.max_change
        return wanted.clamp(nearest, farthest).clamp(self.lower, self.upper)

    def joints(self, targets: Tensor) -> Tensor:
        """Joint targets (N, 26) of control targets (N, 18)."""
        return targets @ self.coupling

    def controls(self, dof_pos: Tensor) -> Tensor:
        """Controls (N, 18) of joint positions (N, 26) that respect the couplings."""
        return dof_pos[:, self.first_dofs]


def _coupling() -> Tensor:
    """Joint position per control. Shape (18, 26)."""
    matrix = torch.zeros(NUM_CONTROLS, len(hand.DOF_NAMES))
    for control, joint in enumerate(hand.BASE_JOINTS):
        matrix[control, hand.DOF_NAMES.index(joint)] = 1.0
    for control, joints in enumerate(hand.FINGER_CONTROLS.values(), start=len(hand.BASE_JOINTS)):
        for joint, factor in joints:
            matrix[control, hand.DOF_NAMES.index(joint)] = factor
    return matrix
