"""From actions to joint targets: a few controls (base joints, finger controls) drive all joints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dexhand.core.lazy import lazy_module
from dexhand.hands.spec import HandSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_module("torch")


class ActionMap:
    """Moves control targets by actions and distributes them over the joints. C = ``hand.num_controls``.

    ``position``: the action is a pose between the limits, approached no faster than the velocity limits.
    ``position_delta``: the action is the change itself, 1 = as fast as the limits allow.
    """

    def __init__(
        self,
        mode: str,
        *,
        hand: HandSpec,
        dof_limits: Tensor,
        max_velocity: Tensor,
        control_dt: float,
        base: bool,
        fingers: bool,
    ) -> None:
        """``dof_limits`` (D, 2), m or rad; ``max_velocity`` (C,), m/s or rad/s, of the controls.

        ``base`` and ``fingers``: which controls the policy has.
        """
        self.mode = mode
        self.num_controls = hand.num_controls
        self.controlled = slice(0 if base else hand.num_base, hand.num_controls if fingers else hand.num_base)
        self.num_actions = self.controlled.stop - self.controlled.start
        first = [hand.dof_names.index(name) for name in hand.control_joints]
        self.control_dofs = torch.tensor(first, device=dof_limits.device)
        """Index of the joint that stands for each control. Shape (C,)."""
        self.lower, self.upper = dof_limits[self.control_dofs].unbind(1)
        self.max_change = max_velocity * control_dt
        self.coupling = torch.tensor(hand.coupling, device=dof_limits.device)
        """Joint positions per unit of each control. Shape (C, D)."""

    def compute_targets(self, targets: Tensor, scripted: Tensor, actions: Tensor) -> Tensor:
        """New control targets (N, C) from the previous ones (N, C) and actions (N, A).

        Controls that the policy does not have follow ``scripted`` (N, C).
        """
        part = self.controlled
        lower, upper, change = self.lower[part], self.upper[part], self.max_change[part]
        if self.mode == "position":
            wanted = lower + (actions + 1.0) * (0.5 * (upper - lower))
        else:
            wanted = targets[:, part] + actions * change
        if self.num_actions < self.num_controls:
            wanted = torch.cat((scripted[:, : part.start], wanted, scripted[:, part.stop :]), dim=1)
        nearest, farthest = targets - self.max_change, targets + self.max_change
        return wanted.clamp(nearest, farthest).clamp(self.lower, self.upper)

    def joints(self, targets: Tensor) -> Tensor:
        """Joint targets (N, D) of control targets (N, C)."""
        return targets @ self.coupling

    def controls(self, dof_pos: Tensor) -> Tensor:
        """Controls (N, C) of joint positions (N, D) that respect the couplings."""
        return dof_pos[:, self.control_dofs]
