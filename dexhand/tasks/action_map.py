"""Mapping from actions to joint targets, via controls (base joints and finger controls) that drive all joints."""

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
    """Computes control targets from actions and joint targets from control targets. C = ``hand.num_controls``.

    Mode ``position``: actions are poses, scaled to the joint limits and approached within the velocity limits.
    Mode ``position_delta``: actions are changes of the targets, where 1 is the velocity limit.
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

        ``base`` and ``fingers`` select the controls that the policy commands.
        """
        self.mode = mode
        self.num_controls = hand.num_controls
        self.controlled = slice(0 if base else hand.num_base, hand.num_controls if fingers else hand.num_base)
        self.num_actions = self.controlled.stop - self.controlled.start
        first = [hand.dof_names.index(name) for name in hand.control_joints]
        self.control_dofs = torch.tensor(first, device=dof_limits.device)
        """Index of the joint that represents each control. Shape (C,)."""
        self.lower, self.upper = dof_limits[self.control_dofs].unbind(1)
        self.max_change = max_velocity * control_dt
        self.coupling = torch.tensor(hand.coupling, device=dof_limits.device)
        """Joint positions per unit of each control. Shape (C, D)."""

    def compute_targets(self, targets: Tensor, scripted: Tensor, actions: Tensor) -> Tensor:
        """Compute new control targets (N, C) from the previous ones (N, C) and actions (N, A).

        Controls that the policy does not command follow ``scripted`` (N, C).
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
        """Convert control targets (N, C) to joint targets (N, D)."""
        return targets @ self.coupling

    def controls(self, dof_pos: Tensor) -> Tensor:
        """Convert joint positions (N, D), assumed to satisfy the couplings, to controls (N, C)."""
        return dof_pos[:, self.control_dofs]
