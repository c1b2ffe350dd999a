"""What dexhand knows of a hand, as data: a folder with ``spec.yaml`` and the MJCF that it names.

Everything else follows from a ``HandSpec``: numbers of joints and actions, the order of tensors, the sizes of
observations. Nothing here needs torch or a simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

HANDS = Path(__file__).parent
"""Holds a folder for each hand that dexhand comes with."""

SPEC_FILE = "spec.yaml"


class HandError(ValueError):
    """A hand cannot be used as it is described; one line for the user."""


@dataclass(frozen=True)
class Gains:
    """A joint servo: force = stiffness * (target - position) - damping * velocity, clamped to +-force_limit.

    ``None`` keeps what the hand's MJCF says. Slides: N/m, N s/m, N. Hinges: N m/rad, N m s/rad, N m.
    """

    stiffness: float | None = None
    damping: float | None = None
    force_limit: float | None = None
    armature: float | None = None
    """Inertia of the drive as the joint feels it, kg or kg m^2."""


@dataclass(frozen=True)
class Finger:
    """One finger: joints of the MJCF and the bodies that tasks look at."""

    name: str
    joints: tuple[str, ...]
    """From the palm outwards."""
    tip: str
    """Body at the fingertip."""
    pad: str
    """Body on the surface that grasps."""
    contact: str
    """Body whose contact force is measured: the distal link."""


@dataclass(frozen=True)
class Control:
    """One finger action and the joints that it drives: joint position = factor * control."""

    name: str
    joints: tuple[tuple[str, float], ...]
    """Joint and factor. The first joint stands for the control: its position and limits are the control's."""


@dataclass(frozen=True)
class HandSpec:
    """A hand on a floating base. Frozen and hashable by identity of its fields; see ``load_hand``."""

    name: str
    asset: Path
    """The MJCF."""
    base_joints: tuple[str, ...]
    """Three slides (m), then three hinges (rad): world rotation = Rx Ry Rz."""
    fingers: tuple[Finger, ...]
    """The thumb, or whatever opposes the others, first."""
    controls: tuple[Control, ...]
    """Finger controls, the order of the actions behind the base's. A joint that no control drives stays at 0."""
    palm: str
    """Body of the wrist and palm, whose pose is the hand's."""
    palm_quat: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    """Orientation of the palm at zero joints, (x, y, z, w)."""
    start_angles: Mapping[str, float] = field(default_factory=dict)
    """Largest angle of a finger control when a grasping episode begins, rad, where it is not the task's own."""
    base_translation_gains: Gains = Gains()
    base_rotation_gains: Gains = Gains()
    finger_gains: Gains = Gains()

    @cached_property
    def finger_joints(self) -> tuple[str, ...]:
        """All finger joints, finger by finger."""
        return tuple(chain.from_iterable(finger.joints for finger in self.fingers))

    @cached_property
    def dof_names(self) -> tuple[str, ...]:
        """All joints, the order of axis D: base joints, then finger joints."""
        return self.base_joints + self.finger_joints

    @property
    def num_base(self) -> int:
        """Base joints."""
        return len(self.base_joints)

    @property
    def num_dofs(self) -> int:
        """D."""
        return len(self.dof_names)

    @property
    def num_controls(self) -> int:
        """What a policy can command: base joints and finger controls."""
        return len(self.base_joints) + len(self.controls)

    @property
    def num_fingers(self) -> int:
        """Fingers, and with them tips, pads and contact bodies."""
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
        """For each of ``num_controls`` the joint that stands for it."""
        return self.base_joints + tuple(control.joints[0][0] for control in self.controls)

    @cached_property
    def coupling(self) -> tuple[tuple[float, ...], ...]:
        """Joint positions per unit of each control: joints (N, D) = controls (N, num_controls) @ coupling."""
        base = [{joint: 1.0} for joint in self.base_joints]
        rows = [*base, *(dict(control.joints) for control in self.controls)]
        return tuple(tuple(row.get(joint, 0.0) for joint in self.dof_names) for row in rows)

    @property
    def joint_groups(self) -> tuple[tuple[tuple[str, ...], Gains], ...]:
        """Joints that share a servo's gains: base slides, base hinges, fingers."""
        return (
            (self.base_joints[:3], self.base_translation_gains),
            (self.base_joints[3:], self.base_rotation_gains),
            (self.finger_joints, self.finger_gains),
        )


def known_hands() -> list[str]:
    """Names of the hands that dexhand comes with."""
    return sorted(path.parent.name for path in HANDS.glob(f"*/{SPEC_FILE}"))


def load_hand(hand: str) -> HandSpec:
    """Read a hand: the name of one of ours, or a folder with a ``spec.yaml``. Raises ``HandError``."""
    folder = HANDS / hand if hand in known_hands() else Path(hand)
    path = folder / SPEC_FILE
    if not path.is_file():
        raise HandError(
            f"env.hand={hand}: no hand of this name and no folder with a {SPEC_FILE}. Known: {', '.join(known_hands())}"
        )
    try:
        return _parse(yaml.safe_load(path.read_text(encoding="utf-8")), folder)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise HandError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HandError(f"{path} does not describe a hand: {error!r}") from None


def _parse(values: Mapping[str, Any], folder: Path) -> HandSpec:
    return HandSpec(
        name=folder.resolve().name,
        asset=(folder / values["asset"]).resolve(),
        base_joints=tuple(values["base_joints"]),
        fingers=tuple(
            Finger(name, tuple(finger["joints"]), finger["tip"], finger["pad"], finger["contact"])
            for name, finger in values["fingers"].items()
        ),
        controls=tuple(
            Control(name, tuple((joint, float(factor)) for joint, factor in joints.items()))
            for name, joints in values["controls"].items()
        ),
        palm=values["palm"],
        palm_quat=tuple(values.get("palm_quat", (0.0, 0.0, 0.0, 1.0))),
        start_angles={name: float(angle) for name, angle in values.get("start_angles", {}).items()},
        **{
            name: Gains(**values["gains"][name.removesuffix("_gains")])
            for name in _GAINS
            if name.removesuffix("_gains") in values.get("gains", {})
        },
    )


_GAINS = ("base_translation_gains", "base_rotation_gains", "finger_gains")
