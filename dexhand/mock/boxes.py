"""Boxes that fall, rest on the ground and are carried by the hand: rigid motions without contact dynamics."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dexhand.core import quaternions as quat
from dexhand.hand_env.interfaces import Box
from dexhand.sim.kinematics import BodyPoses

CONTACT_STIFFNESS = 1000.0
"""Contact force per penetration of a fingerpad into the ground or a box's skin, N/m."""

SKIN = 0.003
"""Distance from a box's faces at which contact begins, metres."""


class Boxes:
    """The objects of N environments. Its tensors are updated in place.

    A free box moves exactly ballistically at constant angular velocity. At the ground it stops immediately, keeping its
    orientation, with its lowest corner on the ground. A held box moves rigidly with the hand.
    """

    def __init__(self, boxes: Sequence[Box], mass: Tensor, gravity: Tensor) -> None:
        """See ``set_physics`` for ``mass`` and ``gravity``."""
        num_envs, count = mass.shape
        device = mass.device
        self.set_physics(mass, gravity)
        self._half_sizes = torch.tensor([box.size for box in boxes], device=device).reshape(count, 3) / 2
        self.pos = torch.zeros(num_envs, count, 3, device=device)
        self.quat = torch.zeros(num_envs, count, 4, device=device)
        self.quat[..., 3] = 1
        self.linvel = torch.zeros_like(self.pos)
        self.angvel = torch.zeros_like(self.pos)
        self.contact_force = torch.zeros_like(self.pos)
        self.held = torch.zeros(num_envs, count, dtype=torch.bool, device=device)
        """Which boxes the hand carries. Shape (N, O)."""
        self.grip_pos = torch.zeros_like(self.pos)
        """Position of a held box in the hand's frame, metres. Shape (N, O, 3)."""
        self.grip_quat = torch.zeros_like(self.quat)
        """Orientation of a held box in the hand's frame. Shape (N, O, 4)."""
        for index, box in enumerate(boxes):
            self.pos[:, index, 2] = box.size[2] / 2

    def tensors(self) -> dict[str, Tensor]:
        """Return all state tensors by name, not copied."""
        return {
            "object_pos": self.pos,
            "object_quat": self.quat,
            "object_linvel": self.linvel,
            "object_angvel": self.angvel,
            "object_contact_force": self.contact_force,
            "held": self.held,
            "grip_pos": self.grip_pos,
            "grip_quat": self.grip_quat,
        }

    def set_physics(self, mass: Tensor, gravity: Tensor) -> None:
        """Set masses (N, O), kg, and gravity (N, 3), m/s^2, in double precision."""
        self._gravity = gravity[:, None]
        self._weights = (mass[..., None] * self._gravity).float()

    def reset(self, mask: Tensor, pose: Tensor) -> None:
        """Place the boxes at ``pose`` (N, O, 7), at rest and not held, where ``mask`` (N,) is true."""
        rows = mask[:, None, None]
        self.pos.copy_(torch.where(rows, pose[..., :3], self.pos))
        self.quat.copy_(torch.where(rows, pose[..., 3:], self.quat))
        for tensor in (self.linvel, self.angvel, self.contact_force):
            tensor.masked_fill_(rows, 0)
        self.held.masked_fill_(mask[:, None], False)

    def advance(self, seconds: float, hand_base: BodyPoses) -> Tensor:
        """Move the boxes for ``seconds``; ``hand_base`` (N, 1, ...) is the hand's pose at the end.

        Returns which boxes rest on the ground, bool (N, O).
        """
        pos, rotation, linvel, angvel, grounded = self._free_motion(seconds)
        arm = quat.rotate(hand_base.quat, self.grip_pos)
        held = self.held[..., None]
        self.pos.copy_(torch.where(held, hand_base.pos + arm, pos))
        self.quat.copy_(torch.where(held, quat.multiply(hand_base.quat, self.grip_quat), rotation))
        self.linvel.copy_(torch.where(held, hand_base.linvel + quat.cross(hand_base.angvel, arm), linvel))
        self.angvel.copy_(torch.where(held, hand_base.angvel, angvel))
        return grounded & ~self.held

    def _free_motion(self, seconds: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        pos = self.pos + self.linvel * seconds
        fall = (self._gravity * seconds**2 / 2).float()
        linvel = self.linvel + (self._gravity * seconds).float()
        rotation = quat.multiply(quat.from_rotation_vector(self.angvel * seconds), self.quat)
        lowest = self._lowest_corner(rotation)
        height = pos[..., 2] + fall[..., 2]
        grounded = height <= lowest
        moving = ~grounded[..., None]
        pos += fall * moving  # no sliding on the ground
        pos[..., 2] = torch.maximum(height, lowest)
        return pos, rotation, linvel * moving, self.angvel * moving, grounded

    def _lowest_corner(self, rotation: Tensor) -> Tensor:
        """Return the height of a box's centre above its lowest corner, metres. Shape (N, O)."""
        up = torch.zeros_like(self._half_sizes)
        up[:, 2] = 1
        return (quat.rotate(quat.conjugate(rotation), up).abs() * self._half_sizes).sum(-1)

    def touch(self, pads: Tensor, grounded: Tensor, hand_base: BodyPoses) -> Tensor:
        """Compute contacts and which boxes are held; returns the forces on the pads, newtons. Shape (N, fingers, 3).

        ``pads`` (N, fingers, 3) are the pad positions, thumb first. A pad in the ground, or less than ``SKIN`` outside
        a box, is pushed out through the nearest face by a spring; the reaction acts on the box, as does its support
        where it rests on the ground. A box that the thumb and another pad touch is held: all touching pads equally
        share the force that is missing to balance its weight.
        """
        from_centre = pads[:, :, None] - self.pos[:, None]
        local = quat.rotate(quat.conjugate(self.quat)[:, None], from_centre)
        depths = self._half_sizes + SKIN - local.abs()
        # not depths.min(dim=-1), which starts torch's threads even for small tensors
        face = depths.argmin(dim=-1, keepdim=True)
        depth = depths.gather(-1, face)
        normal = torch.zeros_like(local).scatter_(-1, face, torch.sign(local.gather(-1, face)))
        from_boxes = quat.rotate(self.quat[:, None], normal) * CONTACT_STIFFNESS * depth.clamp(min=0)
        on_boxes = -from_boxes.sum(dim=1)
        on_boxes -= self._weights * grounded[..., None]
        touching = depth[..., 0] > 0
        self._update_held(touching[:, 0] & touching[:, 1:].any(dim=1), hand_base)
        lacking = -on_boxes - self._weights
        lacking *= self.held[..., None]
        self.contact_force.copy_(on_boxes + lacking)
        share = touching / touching.sum(dim=1, keepdim=True).clamp(min=1)
        forces = (from_boxes - lacking[:, None] * share[..., None]).sum(dim=2)
        forces[..., 2] += CONTACT_STIFFNESS * (-pads[..., 2]).clamp(min=0)
        return forces

    def _update_held(self, held: Tensor, hand_base: BodyPoses) -> None:
        newly = (held & ~self.held)[..., None]
        to_hand = quat.conjugate(hand_base.quat)
        grip_pos = quat.rotate(to_hand, self.pos - hand_base.pos)
        self.grip_pos.copy_(torch.where(newly, grip_pos, self.grip_pos))
        self.grip_quat.copy_(torch.where(newly, quat.multiply(to_hand, self.quat), self.grip_quat))
        self.held.copy_(held)
