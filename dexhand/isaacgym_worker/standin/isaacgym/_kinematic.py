"""The stand-in where MuJoCo is not installed: joints that follow their targets, and boxes that fall and lie.

Gains, friction and external forces mean nothing here, and the hand touches nothing.
"""

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np

from ._records import Asset, Camera, Sim, misuse
from ._types import DOF_PROPERTIES, AssetOptions, ContactCollection, pose_of, vector_of

TIME_CONSTANT = 0.03
"""Seconds in which a joint covers all but 1/e of the way to its target."""

_Defaults = Dict[str, Dict[str, Dict[str, str]]]
"""Attributes by default class (``""`` = the outermost), then by element."""


@dataclass
class _Body:
    """One ``body`` element of an MJCF, with the attributes of its joint and of the shapes that can touch something."""

    name: str
    parent: int
    pos: np.ndarray
    quat: np.ndarray
    joint: Optional[Dict[str, str]]
    shapes: List[Dict[str, str]]


def describe(path: Path, options: AssetOptions) -> Asset:
    """Bodies, joints and shapes as the file has them; at most one joint for each body."""
    root = ET.parse(str(path)).getroot()
    bodies = _read(path)
    joints = [body.joint for body in bodies if body.joint is not None]
    servos = {servo.get("joint", ""): servo for servo in root.iterfind("actuator/position")}
    properties = np.zeros(len(joints), DOF_PROPERTIES)
    properties["hasLimits"], properties["driveMode"] = True, options.default_dof_drive_mode
    for row, joint in zip(properties, joints):
        row["lower"], row["upper"] = _numbers(joint["range"])
        row["damping"], row["armature"] = float(joint.get("damping", 0)), float(joint.get("armature", 0))
    properties["effort"] = properties["velocity"] = np.finfo(np.float32).max
    return Asset(
        source=path,
        options=options,
        body_names=[body.name for body in bodies],
        dof_names=[joint["name"] for joint in joints],
        shapes_of_body=[len(body.shapes) for body in bodies],
        masses=[0.0] * len(bodies),
        frictions=[_numbers(shape.get("friction", "1"))[0] for body in bodies for shape in body.shapes],
        dof_properties=properties,
        actuator_joints=list(servos),
    )


def _read(path: Path) -> List[_Body]:
    """The file's bodies, parents before children."""
    root = ET.parse(str(path)).getroot()
    defaults: _Defaults = {"": {}}
    for element in root.iterfind("default"):
        _collect_defaults(element, "", {}, defaults)
    bodies: List[_Body] = []
    for element in root.iterfind("worldbody/body"):
        _add_body(element, -1, "", defaults, bodies)
    return bodies


def _collect_defaults(element: ET.Element, name: str, inherited: Dict[str, Dict[str, str]], found: _Defaults) -> None:
    merged = {tag: dict(attributes) for tag, attributes in inherited.items()}
    for child in element:
        if child.tag != "default":
            merged.setdefault(child.tag, {}).update(child.attrib)
    found[name] = merged
    for child in element.iterfind("default"):
        _collect_defaults(child, child.get("class", ""), merged, found)


def _add_body(element: ET.Element, parent: int, inherited: str, defaults: _Defaults, bodies: List[_Body]) -> None:
    childclass = element.get("childclass", inherited)

    def resolved(tag: str) -> Iterator[Dict[str, str]]:
        for child in element.iterfind(tag):
            yield {**defaults[child.get("class", childclass)].get(tag, {}), **child.attrib}

    joints = list(resolved("joint"))
    if len(joints) > 1:
        misuse(f"Without MuJoCo the stand-in reads one joint for each body, not {len(joints)} of {element.get('name')}")
    w, x, y, z = _numbers(element.get("quat", "1 0 0 0"))
    bodies.append(
        _Body(
            name=element.get("name", ""),
            parent=parent,
            pos=np.array(_numbers(element.get("pos", "0 0 0"))),
            quat=np.array([x, y, z, w]) / math.sqrt(w * w + x * x + y * y + z * z),
            joint=joints[0] if joints else None,
            shapes=[s for s in resolved("geom") if s.get("contype", "1") != "0" or s.get("conaffinity", "1") != "0"],
        )
    )
    index = len(bodies) - 1
    for child in element.iterfind("body"):
        _add_body(child, index, childclass, defaults, bodies)


class KinematicEngine:
    """``Engine`` for one articulated actor on a fixed base, and boxes after it."""

    def __init__(self, sim: Sim) -> None:
        articulated, *boxes = sim.first_env.actors
        if not isinstance(articulated.asset.source, Path) or any(isinstance(b.asset.source, Path) for b in boxes):
            misuse("Without MuJoCo the stand-in knows one articulated actor and boxes after it, no more")
        if sim.ground is None or vector_of(sim.ground.normal) != (0.0, 0.0, 1.0):
            misuse("Without MuJoCo the stand-in's ground has the normal z")
        self._dt, self._gravity = sim.params.dt, np.array(vector_of(sim.params.gravity))
        self._has_contacts = sim.params.physx.contact_collection is not ContactCollection.CC_NEVER
        self._tree = _read(articulated.asset.source)
        self._root = np.array(pose_of(articulated.pose))
        properties = articulated.dof_properties
        self._lower, self._upper = properties["lower"], properties["upper"]
        self._half_heights = np.array([box.asset.source[2] * box.scale / 2 for box in boxes])  # type: ignore[index]
        self._masses = np.array([box.asset.masses[0] for box in boxes])
        num_envs = len(sim.envs)
        self._dofs = np.zeros((num_envs, len(properties), 2))
        poses = np.array([[*pose_of(box.pose), *[0.0] * 6] for box in boxes]).reshape(len(boxes), 13)
        self._boxes = np.tile(poses, (num_envs, 1, 1))
        self._rests = np.zeros(self._boxes.shape[:2], bool)
        self._round()

    def simulate(self, targets: np.ndarray, forces: Optional[np.ndarray], torques: Optional[np.ndarray]) -> None:
        """See ``Engine.simulate``."""
        if forces is not None or torques is not None:
            misuse("Without MuJoCo the stand-in has no forces")
        goal = np.clip(targets, self._lower, self._upper)
        behind = (self._dofs[..., 0] - goal) * math.exp(-self._dt / TIME_CONSTANT)
        self._dofs = np.stack((goal + behind, -behind / TIME_CONSTANT), axis=-1)
        self._boxes[..., 7:10] += self._gravity * self._dt
        self._boxes[..., :3] += self._boxes[..., 7:10] * self._dt
        self._rests = self._boxes[..., 2] <= self._half_heights
        self._boxes[..., 2] = np.maximum(self._boxes[..., 2], self._half_heights)
        self._boxes[self._rests, 7:] = 0.0
        self._round()

    def set_dof_state(self, env: int, first: int, state: np.ndarray) -> None:
        """See ``Engine.set_dof_state``."""
        self._dofs[env, first : first + len(state)] = state

    def set_root_state(self, env: int, actor: int, state: np.ndarray) -> None:
        """See ``Engine.set_root_state``."""
        self._boxes[env, actor - 1] = state

    def set_gravity(self, gravity: Tuple[float, float, float]) -> None:
        """See ``Engine.set_gravity``."""
        self._gravity = np.array(gravity)

    def readings(self) -> Dict[str, np.ndarray]:
        """See ``Engine.readings``."""
        hand = self._hand_states()
        weights = np.zeros((*self._rests.shape, 3))
        weights[..., 2] = self._rests * self._masses * -self._gravity[2] * self._has_contacts
        return {
            "dof_state": self._dofs,
            "root_state": np.concatenate((hand[:, :1], self._boxes), axis=1),
            "body_state": np.concatenate((hand, self._boxes), axis=1),
            "contact_force": np.concatenate((np.zeros((*hand.shape[:2], 3)), weights), axis=1),
            "dof_force": np.zeros(self._dofs.shape[:2]),
            "force_sensor": np.zeros((len(self._dofs), 0, 6)),
        }

    def can_draw(self) -> bool:
        """See ``Engine.can_draw``."""
        return True

    def draw(self, env: int, camera: Camera, colors: Dict[Tuple[int, int], Tuple[float, float, float]]) -> np.ndarray:
        """See ``Engine.draw``: a gradient, of the right shape."""
        height, width = camera.properties.height, camera.properties.width
        column = np.linspace(0, 255, height).astype(np.uint8)
        picture: np.ndarray = np.broadcast_to(column[:, None, None], (height, width, 3)).copy()
        return picture

    def _round(self) -> None:
        """Keep no more than the float32 tensors show."""
        self._dofs, self._boxes = (each.astype(np.float32).astype(float) for each in (self._dofs, self._boxes))

    def _hand_states(self) -> np.ndarray:
        """Forward kinematics. Shape (N, bodies, 13)."""
        states = np.zeros((len(self._dofs), len(self._tree), 13))
        dof = 0
        for index, body in enumerate(self._tree):
            parent = states[:, body.parent] if body.parent >= 0 else np.array([[*self._root, *[0.0] * 6]])
            pos = parent[:, :3] + _rotate(parent[:, 3:7], body.pos)
            quat = _multiply(parent[:, 3:7], body.quat)
            linvel = parent[:, 7:10] + np.cross(parent[:, 10:13], pos - parent[:, :3])
            angvel = parent[:, 10:13]
            if body.joint is not None:
                axis = _rotate(quat, np.array(_numbers(body.joint.get("axis", "0 0 1"))))
                position, velocity = self._dofs[:, dof, :1], self._dofs[:, dof, 1:]
                if body.joint.get("type") == "slide":
                    pos, linvel = pos + axis * position, linvel + axis * velocity
                else:
                    turn = np.concatenate((axis * np.sin(position / 2), np.cos(position / 2)), axis=-1)
                    quat, angvel = _multiply(turn, quat), angvel + axis * velocity
                dof += 1
            for columns, values in (
                (slice(3), pos),
                (slice(3, 7), quat),
                (slice(7, 10), linvel),
                (slice(10, 13), angvel),
            ):
                states[:, index, columns] = values
        return states


def _numbers(text: str) -> List[float]:
    return [float(number) for number in text.split()]


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """First ``b``, then ``a``; quaternions x, y, z, w."""
    vector = a[..., 3:] * b[..., :3] + b[..., 3:] * a[..., :3] + np.cross(a[..., :3], b[..., :3])
    scalar = a[..., 3:] * b[..., 3:] - (a[..., :3] * b[..., :3]).sum(-1, keepdims=True)
    return np.concatenate((vector, scalar), axis=-1)


def _rotate(quat: np.ndarray, vector: np.ndarray) -> np.ndarray:
    twice = 2 * np.cross(quat[..., :3], vector)
    rotated: np.ndarray = vector + quat[..., 3:] * twice + np.cross(quat[..., :3], twice)
    return rotated
