"""Forward kinematics of the hand for many environments at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dexhand.core import quaternions as quat
from dexhand.hands.spec import HandSpec
from dexhand.sim.hand_file import read_hand


@dataclass(frozen=True)
class BodyPoses:
    """Poses and velocities of B bodies in the environment's frame."""

    pos: Tensor
    """Origins, metres. Shape (N, B, 3)."""
    quat: Tensor
    """Orientations. Shape (N, B, 4)."""
    linvel: Tensor
    """Velocities of the origins, m/s. Shape (N, B, 3)."""
    angvel: Tensor
    """Angular velocities, rad/s. Shape (N, B, 3)."""

    def select(self, bodies: Tensor) -> "BodyPoses":
        """Select bodies by index."""
        return BodyPoses(self.pos[:, bodies], self.quat[:, bodies], self.linvel[:, bodies], self.angvel[:, bodies])


class HandKinematics:
    """The tree of bodies of a hand's MJCF, with its root at ``root_position``.

    Raises ``ValueError`` for a file that cannot be read; see ``read_hand``.
    """

    def __init__(self, hand: HandSpec, root_position: Sequence[float], device: torch.device) -> None:
        tree = read_hand(hand)
        self.names = tuple(body.name for body in tree)
        self._parents = tuple(body.parent for body in tree)
        joints = {body.joint.name: body.joint for body in tree if body.joint}
        limits = [(joints[name].lower, joints[name].upper) for name in hand.dof_names]
        self.dof_limits = torch.tensor(limits, device=device)
        """Shape (D, 2), m or rad."""
        # the last row is the world, above the root
        self._pos = torch.tensor([*(body.pos for body in tree), (0.0, 0.0, 0.0)], device=device)
        self._pos[0] += torch.tensor(tuple(root_position), device=device)
        self._quat = torch.tensor([*(body.quat for body in tree), (0.0, 0.0, 0.0, 1.0)], device=device)
        # a body without a joint has a zero axis, so the joint index it reads has no effect
        of_bodies = [*(body.joint for body in tree), None]
        axes = torch.tensor([joint.axis if joint else (0.0, 0.0, 0.0) for joint in of_bodies], device=device)
        slides = torch.tensor([bool(joint and joint.is_slide) for joint in of_bodies], device=device)[:, None]
        hinge_axes = torch.where(slides, torch.zeros_like(axes), axes)
        slide_axes = torch.where(slides, axes, torch.zeros_like(axes))
        self._axes = torch.stack((hinge_axes, slide_axes))
        self._half_turns = hinge_axes.norm(dim=-1, keepdim=True) / 2  # per radian: 1/2, or 0 where nothing turns
        half_turn = torch.nn.functional.pad(torch.nn.functional.normalize(hinge_axes, dim=-1), (0, 1))
        self._turned = quat.multiply(self._quat, half_turn)
        self._slides = quat.rotate(self._quat, slide_axes)
        dofs = [hand.dof_names.index(joint.name) if joint else 0 for joint in of_bodies]
        self._dofs = torch.tensor(dofs, device=device)
        self._lineage = _lineage(self._parents).to(device)
        self._ancestors = [ancestors.to(device) for ancestors in _ancestors(self._parents)]

    def index(self, body: str) -> int:
        """Return the index of a body in the arrays of ``poses``. Raises ``ValueError`` for an unknown name."""
        if body not in self.names:
            raise ValueError(f"The hand has no body {body!r}. Known: {', '.join(self.names)}")
        return self.names.index(body)

    def bones_below(self, body: str) -> list[tuple[int, int]]:
        """Return the (parent, child) index pairs of the subtree below ``body``."""
        inside = {self.index(body)}
        bones = []
        for child, parent in enumerate(self._parents):
            if parent in inside:
                inside.add(child)
                bones.append((parent, child))
        return bones

    def poses(self, dof_pos: Tensor, dof_vel: Tensor) -> BodyPoses:
        """Compute poses and velocities of all bodies, in the order of ``names``, for joints (N, D)."""
        position = dof_pos[:, self._dofs, None]
        velocity = dof_vel[:, self._dofs, None]
        half = self._half_turns * position
        rotation = torch.addcmul(self._quat * torch.cos(half), self._turned, torch.sin(half))
        pos = torch.addcmul(self._pos, self._slides, position)
        for ancestors in self._ancestors:
            above = rotation.index_select(1, ancestors)
            pos = pos.index_select(1, ancestors) + quat.rotate(above, pos)
            rotation = quat.multiply(above, rotation)
        # a body has at most one joint, so its orientation maps that joint's axis to the world frame
        turning, sliding = quat.rotate(rotation[:, None], self._axes * velocity[:, None]).unbind(1)
        # each ancestor hinge, at its origin q, moves the body's origin p: sum of w x (p - q)
        angvel = self._lineage @ turning
        linvel = self._lineage @ (sliding - quat.cross(turning, pos)) + quat.cross(angvel, pos)
        return BodyPoses(*(each[:, :-1] for each in (pos, rotation, linvel, angvel)))


def _lineage(parents: Sequence[int]) -> Tensor:
    """Return (B + 1, B + 1): 1 where the column's body is the row's or an ancestor of it, else 0.

    Parents precede children; the last row is the world's.
    """
    lineage = torch.eye(len(parents) + 1)
    for body, parent in enumerate(parents[1:], 1):
        lineage[body] += lineage[parent]
    return lineage


def _ancestors(parents: Sequence[int]) -> list[Tensor]:
    """Return the parent (B + 1) of each body, then the parent's parent, then the ancestor 4 levels above, 8 ...

    Composing each pose with that of such an ancestor doubles the levels that it spans. The world is above the root.
    """
    world = len(parents)
    above = torch.tensor([*(world if parent < 0 else parent for parent in parents), world])
    found = []
    while bool((above != world).any()):
        found.append(above)
        above = above[above]
    return found
