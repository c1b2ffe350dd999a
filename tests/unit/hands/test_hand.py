"""The names in hand.py and the built-in model agree."""

import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from dexhand.hands import hand


@pytest.fixture(scope="module")
def model() -> ET.Element:
    return ET.parse(hand.ASSET).getroot()


def names(model: ET.Element, tag: str) -> "list[str]":
    return [element.attrib["name"] for element in model.iter(tag) if "name" in element.attrib]


def test_joints_are_those_of_the_model_in_its_order(model: ET.Element) -> None:
    """The model has the 26 joints of DOF_NAMES and no other, in the same order."""
    assert names(model, "joint") == list(hand.DOF_NAMES)


def test_every_joint_has_one_servo(model: ET.Element) -> None:
    """Each joint is driven by exactly one position actuator."""
    driven = Counter(servo.attrib["joint"] for servo in model.findall("actuator/position"))
    assert driven == Counter(hand.DOF_NAMES)


@pytest.mark.parametrize("bodies", [(hand.HAND_BODY,), hand.FINGERTIPS, hand.FINGERPADS, hand.CONTACT_BODIES])
def test_named_bodies_are_in_the_model(model: ET.Element, bodies: "tuple[str, ...]") -> None:
    """Every body that hand.py names exists in the model once."""
    in_model = names(model, "body")
    assert [in_model.count(body) for body in bodies] == [1] * len(bodies)


def test_controls_cover_every_finger_joint_but_one() -> None:
    """The 12 controls drive each finger joint exactly once, except r_f_joint3_1, which none drives."""
    driven = Counter(joint for joints in hand.FINGER_CONTROLS.values() for joint, _ in joints)
    assert len(hand.FINGER_CONTROLS) == 12
    assert driven == Counter(set(hand.FINGER_JOINTS) - {"r_f_joint3_1"})


def test_couplings_stay_within_the_limits(model: ET.Element) -> None:
    """A control that brings one of its joints to the upper limit brings all of them there."""
    limits = {
        joint.attrib["name"]: float(joint.attrib["range"].split()[1])
        for joint in model.iter("joint")
        if joint.get("name") in hand.FINGER_JOINTS
    }
    for joints in hand.FINGER_CONTROLS.values():
        reaches = {limits[joint] / factor for joint, factor in joints}
        assert len(reaches) == 1


def test_fingers_are_listed_thumb_first() -> None:
    """Tips, pads and distal links follow the same order of fingers."""
    for finger, bodies in enumerate(zip(hand.FINGERTIPS, hand.FINGERPADS, hand.CONTACT_BODIES), start=1):
        assert all(body.startswith(f"r_f_link{finger}_") for body in bodies)
