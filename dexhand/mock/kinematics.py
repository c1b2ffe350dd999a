"""Forward kinematics of the built-in hand for many environments at once."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from dexhand.core import hand
from dexhand.core import quaternions as quat


@dataclass(frozen=True)
class BodyPoses:
    """Where bodies are and how they move, in the environment's frame; the order of axis B is the caller's."""

    pos: Tensor
    """Origins, metres. Shape (N, B, 3)."""
    quat: Tensor
    """Orientations. Shape (N, B, 4)."""
    linvel: Tensor
    """Velocities of the origins, m/s. Shape (N, B, 3)."""
    angvel: Tensor
    """Angular velocities, rad/s. Shape (N, B, 3)."""

    def select(self, bodies: Tensor) -> "BodyPoses":
        """The bodies of these indices."""
        return BodyPoses(self.pos[:, bodies], self.quat[:, bodies], self.linvel[:, bodies], self.angvel[:, bodies])


class HandKinematics:
    """The hand's tree of bodies, parsed from its MJCF; every body hangs on its parent by at most one joint."""

    def __init__(self, root_position: Sequence[float], device: torch.device, asset: Path = hand.ASSET) -> None:
        tree = _parse(asset)
        self.names = tuple(body.name for body in tree)
        self._parents = tuple(body.parent for body in tree)
        self.dof_limits = _dof_limits(tree).to(device)
        """Shape (D, 2), m or rad."""
        self._pos = torch.tensor([body.pos for body in tree], device=device)
        self._pos[0] += torch.tensor(tuple(root_position), device=device)
        self._quat = torch.tensor([body.quat for body in tree], device=device)
        axes = torch.tensor([body.axis for body in tree], device=device)
        slides = torch.tensor([body.is_slide for body in tree], device=device)[:, None]
        self._hinge_axes = torch.where(slides, torch.zeros_like(axes), axes)
        self._slide_axes = torch.where(slides, axes, torch.zeros_like(axes))
        # a body without a joint has no axis either: whichever joint it reads, it does not move
        dofs = [hand.DOF_NAMES.index(body.joint) if body.joint else 0 for body in tree]
        self._dofs = torch.tensor(dofs, device=device)
        self._levels = [_Level.of(depth, tree, device) for depth in range(1, 1 + max(body.depth for body in tree))]

    def index(self, body: str) -> int:
        """Place of a body in the arrays of ``poses``. Raises ``ValueError`` for a name the hand does not have."""
        if body not in self.names:
            raise ValueError(f"The hand has no body {body!r}. Known: {', '.join(self.names)}")
        return self.names.index(body)

    def bones_below(self, body: str) -> List[Tuple[int, int]]:
        """Indices of parent and child for ``body`` and everything that hangs on it."""
        inside = {self.index(body)}
        bones = []
        for child, parent in enumerate(self._parents):
            if parent in inside:
                inside.add(child)
                bones.append((parent, child))
        return bones

    def poses(self, dof_pos: Tensor, dof_vel: Tensor) -> BodyPoses:
        """Poses and velocities of all bodies of the hand for joints (N, D), in the order of ``names``."""
        position = dof_pos[:, self._dofs, None]
        velocity = dof_vel[:, self._dofs, None]
        local_quat = quat.multiply(self._quat, quat.from_rotation_vector(self._hinge_axes * position))
        local_pos = self._pos + quat.rotate(self._quat, self._slide_axes * position)
        pos, rotation = local_pos.clone(), local_quat.clone()
        for level in self._levels:
            parent = rotation[:, level.parents]
            rotation[:, level.bodies] = quat.multiply(parent, local_quat[:, level.bodies])
            pos[:, level.bodies] = pos[:, level.parents] + quat.rotate(parent, local_pos[:, level.bodies])
        # slides and hinges of one body never meet, so the body's own orientation turns either axis into the world
        angvel = quat.rotate(rotation, self._hinge_axes * velocity)
        linvel = quat.rotate(rotation, self._slide_axes * velocity)
        for level in self._levels:
            parent_angvel = angvel[:, level.parents]
            arm = pos[:, level.bodies] - pos[:, level.parents]
            angvel[:, level.bodies] += parent_angvel
            linvel[:, level.bodies] += linvel[:, level.parents] + quat.cross(parent_angvel, arm)
        return BodyPoses(pos, rotation, linvel, angvel)


@dataclass(frozen=True)
class _Level:
    """All bodies of one depth, and their parents."""

    bodies: Tensor
    parents: Tensor

    @classmethod
    def of(cls, depth: int, tree: "Sequence[_Body]", device: torch.device) -> "_Level":
        bodies = [index for index, body in enumerate(tree) if body.depth == depth]
        return cls(torch.tensor(bodies, device=device), torch.tensor([tree[i].parent for i in bodies], device=device))


@dataclass(frozen=True)
class _Body:
    """One ``body`` element; a body without a joint has a zero axis."""

    name: str
    parent: int
    depth: int
    pos: Tuple[float, ...]
    quat: Tuple[float, ...]
    joint: Optional[str] = None
    axis: Tuple[float, ...] = (0.0, 0.0, 0.0)
    is_slide: bool = False
    limits: Tuple[float, ...] = (0.0, 0.0)


_Defaults = Dict[str, Dict[str, str]]
"""Attributes of a joint, by its class."""


def _parse(asset: Path) -> List[_Body]:
    root = ET.parse(asset).getroot()
    defaults = {
        default.get("class", ""): joint.attrib for default in root.iter("default") for joint in default.findall("joint")
    }
    tree: List[_Body] = []
    _add(tree, root.findall("worldbody/body")[0], parent=-1, childclass="", defaults=defaults)
    return tree


def _add(tree: List[_Body], element: ET.Element, parent: int, childclass: str, defaults: _Defaults) -> None:
    childclass = element.get("childclass", childclass)
    joint = element.find("joint")
    attributes = {} if joint is None else {**defaults.get(joint.get("class", childclass), {}), **joint.attrib}
    w, x, y, z = _numbers(element.get("quat", "1 0 0 0"))
    rotation = torch.tensor([x, y, z, w], dtype=torch.float64)
    tree.append(
        _Body(
            name=element.attrib["name"],
            parent=parent,
            depth=tree[parent].depth + 1 if tree else 0,
            pos=_numbers(element.get("pos", "0 0 0")),
            quat=tuple((rotation / rotation.norm()).tolist()),
            joint=attributes.get("name"),
            axis=_numbers(attributes.get("axis", "0 0 1")) if attributes else (0.0, 0.0, 0.0),
            is_slide=attributes.get("type") == "slide",
            limits=_numbers(attributes.get("range", "0 0")),
        )
    )
    index = len(tree) - 1
    for child in element.findall("body"):
        _add(tree, child, index, childclass, defaults)


def _numbers(text: str) -> Tuple[float, ...]:
    return tuple(float(number) for number in text.split())


def _dof_limits(tree: Sequence[_Body]) -> Tensor:
    limits = {body.joint: body.limits for body in tree}
    return torch.tensor([limits[name] for name in hand.DOF_NAMES])
