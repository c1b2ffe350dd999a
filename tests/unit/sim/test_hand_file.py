"""Reading a hand's MJCF without MuJoCo."""

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dexhand.sim.hand_file import Joint, read_hand
from dexhand.testing.scenes import RIGHT_HAND


def joints_of(path: Path) -> dict[str, Joint]:
    return {body.joint.name: body.joint for body in read_hand(replace(RIGHT_HAND, asset=path)) if body.joint}


def edited(tmp_path: Path, **edits: Any) -> Path:
    """The built-in hand with attributes of its first element of a path changed: ``path={attribute: value}``."""
    tree = ET.parse(RIGHT_HAND.asset)
    for path, attributes in edits["changes"].items():
        element = tree.getroot().find(path)
        assert element is not None
        element.attrib.update(attributes)
    tree.write(tmp_path / "hand.xml")
    return tmp_path / "hand.xml"


def test_classes_give_joints_and_servos_their_values() -> None:
    """Down the tree of default classes."""
    joints = joints_of(RIGHT_HAND.asset)
    assert set(joints) == set(RIGHT_HAND.dof_names)
    slide, finger = joints["ARTx"], joints["r_f_joint5_1"]
    assert (slide.is_slide, slide.lower, slide.upper) == (True, -1.0, 1.0)
    assert (slide.damping, slide.armature, slide.friction) == (20.0, 0.01, 0.1)
    assert (slide.stiffness, slide.servo_damping, slide.force_limit) == (10000.0, 500.0, 500.0)
    assert (finger.is_slide, finger.upper, finger.damping) == (False, 0.6, 1.0)
    assert (finger.stiffness, finger.servo_damping, finger.force_limit) == (1000.0, 50.0, 10.0)


def test_friction_is_that_of_shapes_that_can_touch_something() -> None:
    """Pictures have none."""
    friction = {body.name: body.friction for body in read_hand(RIGHT_HAND)}
    assert friction["r_f_link2_4"] == 3.0
    assert friction["r_f_link2_pad"] is None
    assert friction["ARTx_child"] is None


def test_a_range_limits_a_joint_unless_the_compiler_says_otherwise(tmp_path: Path) -> None:
    """MJCF's ``autolimits``, true by default."""
    tree = ET.parse(RIGHT_HAND.asset)
    for joint in tree.getroot().iter("joint"):
        joint.attrib.pop("limited", None)
    tree.write(tmp_path / "hand.xml")
    with pytest.raises(ValueError, match="has no limits"):
        joints_of(tmp_path / "hand.xml")
    compiler = tree.getroot().find("compiler")
    assert compiler is not None
    del compiler.attrib["autolimits"]
    tree.write(tmp_path / "hand.xml")
    assert joints_of(tmp_path / "hand.xml")["ARTx"].upper == 1.0


def test_angles_may_be_degrees(tmp_path: Path) -> None:
    """They are, where the file says nothing."""
    tree = ET.parse(RIGHT_HAND.asset)
    compiler = tree.getroot().find("compiler")
    assert compiler is not None
    del compiler.attrib["angle"]
    tree.write(tmp_path / "hand.xml")
    joints = joints_of(tmp_path / "hand.xml")
    assert joints["ARRx"].upper == pytest.approx(math.radians(3.14))
    assert joints["ARTx"].upper == 1.0


def test_the_tighter_of_two_force_limits_counts(tmp_path: Path) -> None:
    """A joint can have one beside its servo's."""
    limits = {".//joint[@name='r_f_joint2_2']": {"actuatorfrcrange": "-3 3"}}
    assert joints_of(edited(tmp_path, changes=limits))["r_f_joint2_2"].force_limit == 3.0
    unlimited = {".//position[@joint='r_f_joint2_2']": {"forcelimited": "false"}}
    assert joints_of(edited(tmp_path, changes=unlimited))["r_f_joint2_2"].force_limit == math.inf


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<mujoco><worldbody>", "is not a usable MJCF"),
        (
            "<mujoco><worldbody><body name='a'/></worldbody></mujoco>",
            "it lacks joints ARR.*; lacks bodies .*r_f_link1_4",
        ),
    ],
)
def test_what_is_no_hand_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "hand.xml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_hand(replace(RIGHT_HAND, asset=path))


def test_two_joints_of_one_body_are_refused(tmp_path: Path) -> None:
    """Here ARTz, moved up to the body of ARTy."""
    tree = ET.parse(RIGHT_HAND.asset)
    upper, lower = (tree.getroot().find(f".//body[@name='{name}_child']") for name in ("ARTx", "ARTy"))
    assert upper is not None
    assert lower is not None
    joint = lower.find("joint")
    assert joint is not None
    lower.remove(joint)
    upper.append(joint)
    tree.write(tmp_path / "hand.xml")
    with pytest.raises(ValueError, match="ARTx_child has more than one joint"):
        read_hand(replace(RIGHT_HAND, asset=tmp_path / "hand.xml"))
