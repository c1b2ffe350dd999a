"""``HandSpec``: the description of a hand, read from a folder with ``spec.yaml`` and an MJCF.

It determines the numbers of joints and actions, the order of tensors and the sizes of observations. Nothing here needs
torch or a simulator.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields
from difflib import get_close_matches
from functools import cache, cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from dexhand.files.bounded_yaml import read_yaml_text

HANDS = Path(__file__).parent
"""Contains one folder per built-in hand."""

SPEC_FILE = "spec.yaml"


class HandError(ValueError):
    """A hand's ``spec.yaml`` or MJCF is invalid. The message is one line for the user."""


@dataclass(frozen=True)
class Gains:
    """A joint servo: force = stiffness * (target - position) - damping * velocity, clamped to +-force_limit.

    ``None`` keeps the value of the hand's MJCF. Slides: N/m, N s/m, N. Hinges: N m/rad, N m s/rad, N m.
    """

    stiffness: float | None = None
    damping: float | None = None
    force_limit: float | None = None
    armature: float | None = None
    """Reflected inertia of the drive, kg or kg m^2."""


@dataclass(frozen=True)
class Finger:
    """One finger: its joints, and the bodies that tasks observe."""

    name: str
    joints: tuple[str, ...]
    """Joints, from the palm outwards."""
    tip: str
    """Body at the fingertip."""
    pad: str
    """Body on the grasping surface."""
    contact: str
    """Body whose contact force is measured: the distal link."""


@dataclass(frozen=True)
class Control:
    """One finger action and the joints that it drives: joint position = factor * control."""

    name: str
    joints: tuple[tuple[str, float], ...]
    """Pairs of joint and factor. The first joint, with factor 1, gives the control its position and limits."""


@dataclass(frozen=True)
class HandSpec:
    """A hand on a floating base of three slides and three hinges. Immutable and hashable; see ``load_hand``."""

    name: str
    asset: Path
    """The MJCF."""
    base_joints: tuple[str, ...]
    """Three slides (m), then three hinges (rad): world rotation = Rx Ry Rz."""
    fingers: tuple[Finger, ...]
    """Fingers; the thumb, or whichever finger opposes the others, comes first."""
    controls: tuple[Control, ...]
    """Finger controls, in the order of their actions, which follow the base's. Joints without a control stay at 0."""
    palm: str
    """Body of wrist and palm; its pose is the pose of the hand."""
    palm_quat: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    """Orientation of the palm at zero joints, (x, y, z, w)."""
    start_angles: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Largest initial angle of a finger control in grasping tasks, rad; unlisted controls use the task's default."""
    thumb_opposition: tuple[str, float] | None = None
    """The control that turns the thumb, and its angle opposite the other fingers, rad."""
    base_translation_gains: Gains = Gains()
    base_rotation_gains: Gains = Gains()
    finger_gains: Gains = Gains()

    @cached_property
    def finger_joints(self) -> tuple[str, ...]:
        """All finger joints, finger by finger."""
        return tuple(chain.from_iterable(finger.joints for finger in self.fingers))

    @cached_property
    def dof_names(self) -> tuple[str, ...]:
        """All joints, in the order of axis D: base joints, then finger joints."""
        return self.base_joints + self.finger_joints

    @property
    def num_base(self) -> int:
        """Number of base joints."""
        return len(self.base_joints)

    @property
    def num_dofs(self) -> int:
        """Number of joints, D."""
        return len(self.dof_names)

    @property
    def num_controls(self) -> int:
        """Number of quantities a policy can command: base joints and finger controls."""
        return len(self.base_joints) + len(self.controls)

    @property
    def num_fingers(self) -> int:
        """Number of fingers, and of tips, pads and contact bodies."""
        return len(self.fingers)

    @cached_property
    def fingertips(self) -> tuple[str, ...]:
        """Bodies at the tips, finger by finger."""
        return tuple(finger.tip for finger in self.fingers)

    @cached_property
    def fingerpads(self) -> tuple[str, ...]:
        """Bodies on the pads, finger by finger."""
        return tuple(finger.pad for finger in self.fingers)

    @cached_property
    def contact_bodies(self) -> tuple[str, ...]:
        """Bodies whose contact forces are measured, finger by finger."""
        return tuple(finger.contact for finger in self.fingers)

    @cached_property
    def bodies(self) -> tuple[str, ...]:
        """Bodies that tasks track: the palm, all tips, all pads."""
        return (self.palm, *self.fingertips, *self.fingerpads)

    @cached_property
    def control_joints(self) -> tuple[str, ...]:
        """The joint that represents each control. Length ``num_controls``."""
        return self.base_joints + tuple(control.joints[0][0] for control in self.controls)

    @cached_property
    def coupling(self) -> tuple[tuple[float, ...], ...]:
        """Joint positions per unit of each control: joints (N, D) = controls (N, num_controls) @ coupling."""
        base = [{joint: 1.0} for joint in self.base_joints]
        rows = [*base, *(dict(control.joints) for control in self.controls)]
        return tuple(tuple(row.get(joint, 0.0) for joint in self.dof_names) for row in rows)

    @cached_property
    def layout(self) -> str:
        """Digest of what a policy takes for granted: joints, fingers, controls and palm. Folder and gains are not."""
        parts = (self.base_joints, [*map(astuple, self.fingers)], [*map(astuple, self.controls)])
        return sha256(repr((*parts, self.palm, self.palm_quat)).encode()).hexdigest()[:12]

    @property
    def joint_groups(self) -> tuple[tuple[tuple[str, ...], Gains], ...]:
        """Joints that share a servo's gains: base slides, base hinges, fingers."""
        return (
            (self.base_joints[:3], self.base_translation_gains),
            (self.base_joints[3:], self.base_rotation_gains),
            (self.finger_joints, self.finger_gains),
        )

    def check_model(self, joints: Iterable[str], bodies: Iterable[str], driven: Iterable[str]) -> None:
        """Raise ``HandError`` if an MJCF with these joints, bodies and driven joints does not match this hand."""
        model_joints, needed_bodies = set(joints), {*self.bodies, *self.contact_bodies}
        problems = {
            "lacks joints": set(self.dof_names) - model_joints,
            "lacks bodies": needed_bodies - set(bodies),
            "lacks position actuators for joints": (set(self.dof_names) & model_joints) - set(driven),
            "has joints that are not the hand's:": model_joints - set(self.dof_names),
        }
        text = "; ".join(f"{what} {', '.join(sorted(names))}" for what, names in problems.items() if names)
        if text:
            raise HandError(
                f"{self.asset} does not match env.hand={self.name}: it {text}. "
                f"Rename them in the MJCF, or correct the hand's {SPEC_FILE}; a built-in hand needs one of your own"
            )


def known_hands() -> list[str]:
    """Names of the built-in hands."""
    return sorted(path.parent.name for path in HANDS.glob(f"*/{SPEC_FILE}"))


def load_hand(hand: str) -> HandSpec:
    """Load a hand by the name of a built-in one or by a folder with a ``spec.yaml``. Raises ``HandError``."""
    return _load_built_in(hand) if hand in known_hands() else _load(hand, Path(hand))


@cache
def _load_built_in(name: str) -> HandSpec:
    return _load(name, HANDS / name)


def _load(hand: str, folder: Path) -> HandSpec:
    path = folder / SPEC_FILE
    if not hand or not os.path.isfile(path):  # unlike Path.is_file, false for a name that no file can have
        raise HandError(
            f"env.hand={hand} is unknown. Known: {', '.join(known_hands())}; or give a folder that holds a {SPEC_FILE}."
            + "".join(f" Did you mean {name!r}?" for name in get_close_matches(hand, known_hands(), 1))
        )
    try:
        values = yaml.safe_load(read_yaml_text(path))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise HandError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    return _hand(_Section(path, "", values))


_GAINS = ("base_translation", "base_rotation", "fingers")


_LARGEST = 1e30
"""Fits into single precision."""


class _Section:
    """A mapping of ``spec.yaml``; errors name the file, the key and what is allowed."""

    def __init__(self, path: Path, key: str, values: object) -> None:
        self.path = path
        self._key = key
        if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
            raise self.error("", values, "give a mapping of names")
        self.values: dict[str, Any] = values

    def error(self, key: str, value: object, advice: str) -> HandError:
        full = ".".join(part for part in (self._key, key) if part) or "the file"
        return HandError(f"{self.path}: {full}={value}: {advice}")

    def only(self, *known: str) -> _Section:
        """Refuse other keys."""
        for key in self.values:
            if key not in known:
                raise self.error(key, self.values[key], f"unknown key. Known: {', '.join(known)}")
        return self

    def section(self, key: str) -> _Section:
        """Return a nested mapping; empty if the key is missing."""
        return _Section(self.path, f"{self._key}.{key}" if self._key else key, self.values.get(key, {}))

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, value, "give a name")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            raise self.error(key, value, "give a list of names")
        return tuple(value)

    def number(self, key: str, *, above: float = -math.inf, at_least: float = -math.inf) -> float:
        """Return a finite number that is more than ``above`` and not less than ``at_least``."""
        number = self._float(key, self.values[key])
        if not (number > above and number >= at_least):
            raise self.error(
                key, number, f"give {f'{at_least:g} or more' if number > above else f'more than {above:g}'}"
            )
        return number

    def numbers(self, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        value = self.values.get(key, default)
        if not isinstance(value, (list, tuple)) or len(value) != len(default):
            raise self.error(key, value, f"give {len(default)} numbers")
        return tuple(self._float(key, number) for number in value)

    def _float(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error(key, value, "give a number")
        if not abs(value) <= _LARGEST:
            raise self.error(key, value, f"give a finite number, at most {_LARGEST:g} in size")
        return float(value)


def _hand(spec: _Section) -> HandSpec:
    required = ("asset", "base_joints", "palm", "fingers", "controls")
    spec.only(*required, "palm_quat", "start_angles", "thumb_opposition", "gains")
    for key in ("fingers", "controls"):
        if not spec.section(key).values:
            raise spec.error(key, "{}", "give at least one")
    base_joints = spec.texts("base_joints")
    if len(base_joints) != 6:
        raise spec.error("base_joints", list(base_joints), "give three slides, then three hinges")
    x, y, z, w = spec.numbers("palm_quat", (0.0, 0.0, 0.0, 1.0))
    if abs(x * x + y * y + z * z + w * w - 1.0) > 1e-6:
        raise spec.error("palm_quat", [x, y, z, w], "give a quaternion (x, y, z, w) of length 1")
    fingers = tuple(_finger(name, spec.section("fingers").section(name)) for name in spec.section("fingers").values)
    _refuse_repeated(spec, "fingers", [*base_joints, *chain.from_iterable(finger.joints for finger in fingers)])
    finger_joints = set(chain.from_iterable(finger.joints for finger in fingers))
    controls = spec.section("controls")
    angles = spec.section("start_angles").only(*controls.values)
    gains = spec.section("gains").only(*_GAINS)
    asset = spec.path.parent / spec.text("asset")
    if not os.path.isfile(asset):
        raise spec.error("asset", spec.text("asset"), f"there is no file {asset}")
    hand = HandSpec(
        name=os.path.basename(os.path.realpath(spec.path.parent)),
        asset=Path(os.path.realpath(asset)),
        base_joints=base_joints,
        fingers=fingers,
        controls=tuple(_control(name, controls, finger_joints) for name in controls.values),
        palm=spec.text("palm"),
        palm_quat=(x, y, z, w),
        start_angles={name: angles.number(name, at_least=0.0) for name in angles.values},
        thumb_opposition=_thumb_opposition(spec.section("thumb_opposition"), controls.values),
        base_translation_gains=_gains(gains.section(_GAINS[0])),
        base_rotation_gains=_gains(gains.section(_GAINS[1])),
        finger_gains=_gains(gains.section(_GAINS[2])),
    )
    _refuse_repeated(spec, "controls", [joint for control in hand.controls for joint, _ in control.joints])
    _refuse_repeated(spec, "fingers", [*hand.bodies])
    _refuse_repeated(spec, "fingers", [*hand.contact_bodies])
    return hand


def _finger(name: str, finger: _Section) -> Finger:
    finger.only("joints", "tip", "pad", "contact")
    return Finger(name, finger.texts("joints"), finger.text("tip"), finger.text("pad"), finger.text("contact"))


def _control(name: str, controls: _Section, finger_joints: Collection[str]) -> Control:
    section = controls.section(name).only(*finger_joints)
    joints = tuple((joint, section.number(joint)) for joint in section.values)
    if not joints or joints[0][1] != 1.0 or not all(factor for _, factor in joints):
        raise controls.error(name, section.values, "give joints with factors other than 0, the first one with factor 1")
    return Control(name, joints)


def _thumb_opposition(section: _Section, controls: Collection[str]) -> tuple[str, float] | None:
    angles = [(name, section.number(name)) for name in section.only(*controls).values]
    if len(angles) > 1:
        raise section.error("", section.values, "give one control and its angle, rad")
    return angles[0] if angles else None


def _gains(gains: _Section) -> Gains:
    gains.only(*(entry.name for entry in fields(Gains)))
    if "force_limit" in gains.values:
        gains.number("force_limit", above=0.0)
    return Gains(**{name: gains.number(name, at_least=0.0) for name in gains.values})


def _refuse_repeated(spec: _Section, key: str, names: list[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise spec.error(key, ", ".join(repeated), "given more than once; list each only once")
