"""Reading a hand's MJCF without MuJoCo, for simulators that do not use it."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dexhand.core.interfaces import Quat, Vec3
from dexhand.hands.spec import HandSpec

_Attributes = dict[str, str]
_Defaults = dict[str, dict[str, _Attributes]]
"""Attributes by default class (``""`` = the outermost), then by element (``joint``, ``geom``, ``position``)."""


@dataclass(frozen=True)
class Joint:
    """One joint and its position servo."""

    name: str
    axis: Vec3
    """Unit vector in the body's frame."""
    is_slide: bool
    lower: float
    """Lower limit, m or rad."""
    upper: float
    """Upper limit, m or rad."""
    damping: float = 0.0
    """N s/m or N m s/rad."""
    armature: float = 0.0
    """kg or kg m^2."""
    friction: float = 0.0
    """Dry friction, N or N m."""
    stiffness: float = 0.0
    """The servo's position gain, N/m or N m/rad."""
    servo_damping: float = 0.0
    """The servo's velocity gain, in addition to the joint's passive damping, N s/m or N m s/rad."""
    force_limit: float = math.inf
    """N or N m."""


@dataclass(frozen=True)
class Body:
    """One ``body`` element, attached to its parent by at most one joint."""

    name: str
    parent: int
    """Index of the parent, -1 for the root."""
    depth: int
    pos: Vec3
    """In the parent's frame, metres."""
    quat: Quat
    joint: Joint | None
    friction: float | None
    """Sliding friction coefficient of its collision shapes; ``None`` without any."""


def read_hand(hand: HandSpec) -> tuple[Body, ...]:
    """Read all bodies of the first tree in the hand's MJCF, parents before children.

    Raises ``ValueError`` if the file is not an MJCF, does not match the hand, or uses unsupported elements.
    """
    try:
        root = ET.parse(hand.asset).getroot()
    except (OSError, ET.ParseError) as error:
        raise ValueError(f"{hand.asset} is not a usable MJCF: {error}") from None
    hand.check_model(
        joints=(joint.get("name", "") for joint in root.iterfind("worldbody//joint")),
        bodies=(body.get("name", "") for body in root.iterfind("worldbody//body")),
        driven=(servo.get("joint", "") for servo in root.iterfind("actuator/position")),
    )
    return _Reader(root, hand.asset).bodies()


class _Reader:
    """Reader of one MJCF."""

    def __init__(self, root: ET.Element, path: Path) -> None:
        self._root = root
        self._path = path
        compiler = root.find("compiler")
        self._autolimits = compiler is None or compiler.get("autolimits", "true") != "false"
        # the format defaults to degrees
        in_degrees = compiler is None or compiler.get("angle", "degree") == "degree"
        self._radian = math.pi / 180 if in_degrees else 1.0
        self._defaults: _Defaults = {"": {}}
        for default in root.findall("default"):
            self._collect_defaults(default, name="", inherited={})
        self._servos = {
            servo.get("joint", ""): self._resolved(servo, childclass="") for servo in root.findall("actuator/position")
        }

    def bodies(self) -> tuple[Body, ...]:
        tree: list[Body] = []
        self._add(tree, self._root.findall("worldbody/body")[0], parent=-1, childclass="")
        return tuple(tree)

    def _collect_defaults(self, element: ET.Element, name: str, inherited: dict[str, _Attributes]) -> None:
        merged = {tag: dict(attributes) for tag, attributes in inherited.items()}
        for child in element:
            if child.tag != "default":
                merged.setdefault(child.tag, {}).update(child.attrib)
        self._defaults[name] = merged
        for child in element.findall("default"):
            self._collect_defaults(child, child.get("class", ""), merged)

    def _resolved(self, element: ET.Element, childclass: str) -> _Attributes:
        """Merge the element's attributes over those of its default class."""
        defaults = self._defaults.get(element.get("class", childclass), self._defaults[""])
        return {**defaults.get(element.tag, {}), **element.attrib}

    def _add(self, tree: list[Body], element: ET.Element, parent: int, childclass: str) -> None:
        childclass = element.get("childclass", childclass)
        name = element.get("name", "")
        unsupported = {"euler", "axisangle", "xyaxes", "zaxis"} & set(element.attrib)
        joints = element.findall("joint")
        if unsupported or len(joints) > 1:
            what = f"is oriented by {unsupported.pop()}, not quat" if unsupported else "has more than one joint"
            raise ValueError(f"{self._path}: body {name} {what}; which this simulator does not support")
        tree.append(
            Body(
                name=name,
                parent=parent,
                depth=tree[parent].depth + 1 if tree else 0,
                pos=_vector(element.get("pos", "0 0 0")),
                quat=_quaternion(element.get("quat", "1 0 0 0")),
                joint=self._joint(self._resolved(joints[0], childclass)) if joints else None,
                friction=self._friction(element, childclass),
            )
        )
        index = len(tree) - 1
        for child in element.findall("body"):
            self._add(tree, child, index, childclass)

    def _joint(self, attributes: _Attributes) -> Joint:
        name = attributes.get("name", "")
        limited = attributes.get("limited", "auto")
        if "range" not in attributes or limited == "false" or (limited == "auto" and not self._autolimits):
            raise ValueError(f'{self._path}: joint {name} has no limits; give it a range and limited="true"')
        is_slide = attributes.get("type") == "slide"
        unit = 1.0 if is_slide else self._radian
        lower, upper = _numbers(attributes["range"])
        servo = self._servos[name]
        limits = [math.inf]
        if servo.get("forcelimited") != "false" and "forcerange" in servo:
            limits.append(_numbers(servo["forcerange"])[1])
        if attributes.get("actuatorfrclimited") != "false" and "actuatorfrcrange" in attributes:
            limits.append(_numbers(attributes["actuatorfrcrange"])[1])
        return Joint(
            name=name,
            axis=_vector(attributes.get("axis", "0 0 1")),
            is_slide=is_slide,
            lower=lower * unit,
            upper=upper * unit,
            damping=float(attributes.get("damping", 0)),
            armature=float(attributes.get("armature", 0)),
            friction=float(attributes.get("frictionloss", 0)),
            stiffness=float(servo.get("kp", 1)),
            servo_damping=float(servo.get("kv", 0)),
            force_limit=min(limits),
        )

    def _friction(self, body: ET.Element, childclass: str) -> float | None:
        shapes = [self._resolved(geom, childclass) for geom in body.findall("geom")]
        colliding = [s for s in shapes if s.get("contype", "1") != "0" or s.get("conaffinity", "1") != "0"]
        frictions = [_numbers(shape.get("friction", "1"))[0] for shape in colliding]
        return max(frictions) if frictions else None


def _numbers(text: str) -> Sequence[float]:
    return [float(number) for number in text.split()]


def _vector(text: str) -> Vec3:
    x, y, z = _numbers(text)
    return x, y, z


def _quaternion(text: str) -> Quat:
    """Convert MJCF's w x y z to a unit quaternion (x, y, z, w)."""
    w, x, y, z = _numbers(text)
    norm = math.sqrt(w * w + x * x + y * y + z * z)
    return x / norm, y / norm, z / norm, w / norm
