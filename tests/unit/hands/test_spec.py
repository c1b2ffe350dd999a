"""HandSpec: hands read from folders, and errors that name file, key and what is allowed."""

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dexhand.config.schema import SimConfig
from dexhand.hand_env.interfaces import Scene
from dexhand.hands.spec import Gains, HandError, HandSpec, known_hands, load_hand
from dexhand.sim.hand_file import read_hand
from dexhand.sim.kinematics import HandKinematics
from dexhand.sim.mujoco_scene import compile_scene

FOUR_FINGER = Path(__file__).parents[2] / "hands" / "four_finger"
RIGHT = load_hand("dexhand021_right")


@pytest.fixture(params=[*known_hands(), str(FOUR_FINGER)], ids=lambda hand: Path(hand).name)
def hand(request: pytest.FixtureRequest) -> HandSpec:
    return load_hand(request.param)


def edited(folder: Path, path: str, value: Any) -> Path:
    """The four-finger hand with one value of its spec.yaml replaced; ``None`` removes it."""
    spec = yaml.safe_load((FOUR_FINGER / "spec.yaml").read_text())
    *sections, key = path.split(".")
    section = spec
    for name in sections:
        section = section[name]
    if value is None:
        del section[key]
    else:
        section[key] = value
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    (folder / "hand.xml").write_text((FOUR_FINGER / "hand.xml").read_text())
    return folder


class TestHands:
    def test_the_right_hand_has_the_documented_sizes(self) -> None:
        """26 joints, 18 controls, five fingers; r_f_joint3_1 is driven by no control."""
        assert (RIGHT.num_dofs, RIGHT.num_base, RIGHT.num_controls, RIGHT.num_fingers) == (26, 6, 18, 5)
        assert RIGHT.bodies == (RIGHT.palm, *RIGHT.fingertips, *RIGHT.fingerpads)
        driven = {joint for control in RIGHT.controls for joint, _ in control.joints}
        assert set(RIGHT.finger_joints) - driven == {"r_f_joint3_1"}

    def test_a_folder_is_a_hand(self) -> None:
        """The four-finger hand of the tests: 22 joints, 15 controls, gains of its own."""
        hand = load_hand(str(FOUR_FINGER))
        assert (hand.name, hand.num_dofs, hand.num_controls, hand.num_fingers) == ("four_finger", 22, 15, 4)
        assert hand.finger_gains == Gains(stiffness=20.0, damping=0.5, force_limit=1.0)
        assert hand.base_rotation_gains == Gains()

    def test_joints_are_those_of_the_mjcf_in_its_order(self, hand: HandSpec) -> None:
        """Every joint is there once and is driven by one servo."""
        root = ET.parse(hand.asset).getroot()
        assert tuple(joint.attrib["name"] for joint in root.iterfind("worldbody//joint")) == hand.dof_names
        driven = Counter(servo.attrib["joint"] for servo in root.findall("actuator/position"))
        assert driven == Counter(hand.dof_names)

    def test_couplings_stay_within_the_limits(self, hand: HandSpec) -> None:
        """A control between the limits of its first joint keeps all its joints within theirs."""
        joints = {body.joint.name: body.joint for body in read_hand(hand) if body.joint}
        for control in hand.controls:
            first = joints[control.joints[0][0]]
            for joint, factor in control.joints:
                low, high = sorted((factor * first.lower, factor * first.upper))
                assert joints[joint].lower <= low + 1e-9, joint
                assert high <= joints[joint].upper + 1e-9, joint

    def test_the_palm_is_turned_as_the_spec_says(self, hand: HandSpec) -> None:
        """At zero joints; the fingers then point along x."""
        kinematics = HandKinematics(hand, (0.0, 0.0, 0.0), torch.device("cpu"))
        poses = kinematics.poses(torch.zeros(1, hand.num_dofs), torch.zeros(1, hand.num_dofs))
        palm = poses.quat[0, kinematics.index(hand.palm)]
        assert abs(float(palm @ torch.tensor(hand.palm_quat))) == pytest.approx(1.0, abs=1e-6)
        for finger in hand.fingers[1:]:
            x, _, z = poses.pos[0, kinematics.index(finger.tip)].tolist()
            assert x > 0.1
            assert abs(z) < 0.02

    def test_every_body_has_an_inertia_or_a_shape(self, hand: HandSpec) -> None:
        """Some importers of MJCF drop a body with neither, and what hangs on it."""
        for body in ET.parse(hand.asset).getroot().iterfind("worldbody//body"):
            assert body.find("inertial") is not None or body.find("geom") is not None, body.attrib["name"]

    def test_coupling_gives_joints_of_controls(self, hand: HandSpec) -> None:
        """One row for each control, the control's factors in the columns of its joints."""
        for row, control in zip(hand.coupling[hand.num_base :], hand.controls):
            assert {joint: factor for joint, factor in zip(hand.dof_names, row) if factor} == dict(control.joints)

    def test_a_hand_is_hashable(self) -> None:
        """Equal hands are one key of a dictionary, other gains are another hand."""
        again = load_hand("dexhand021_right")
        assert {RIGHT: 1}[again] == 1
        assert replace(RIGHT, finger_gains=Gains(stiffness=1.0)) != again


class TestErrors:
    def test_an_unknown_hand_is_refused(self) -> None:
        """With the hands there are, and what a folder needs."""
        with pytest.raises(
            HandError, match=r"env\.hand=dexhnd is unknown\. Known: dexhand021_left, dexhand021_right;.*sp"
        ):
            load_hand("dexhnd")

    @pytest.mark.parametrize(
        ("key", "value", "words"),
        [
            ("palm", None, "palm=None: give a name"),
            ("plam", "palm", "plam=palm: unknown key. Known: asset, base_joints"),
            ("asset", "other.xml", "asset=other.xml: there is no file"),
            ("base_joints", ["move_x"], "base_joints=['move_x']: give three slides, then three hinges"),
            ("palm_quat", [0, 0, 0, 2], "palm_quat=[0.0, 0.0, 0.0, 2.0]: give a quaternion"),
            ("fingers.thumb.pad", None, "fingers.thumb.pad=None: give a name"),
            ("fingers.ring.joints", "ring_mcp", "fingers.ring.joints=ring_mcp: give a list of names"),
            ("fingers.ring.joints", ["index_mcp"], "fingers=index_mcp: given more than once"),
            ("fingers.ring.tip", "index_tip", "fingers=index_tip: given more than once"),
            ("controls.thumb_turn", {"thumb_rott": 1}, "controls.thumb_turn.thumb_rott=1: unknown key. Known: "),
            ("controls.thumb_turn", {"thumb_rot": 2}, "the first one with factor 1"),
            ("controls.thumb_turn", {"thumb_mcp": 1}, "controls=thumb_mcp: given more than once"),
            ("controls.thumb_turn", {"thumb_rot": "x"}, "controls.thumb_turn.thumb_rot=x: give a number"),
            ("controls.thumb_turn", {"thumb_rot": 1, "thumb_mcp": 10**99}, "give a finite number"),
            ("controls", {}, "controls={}: give at least one"),
            ("start_angles", {"sprad": 0.1}, "start_angles.sprad=0.1: unknown key. Known: thumb_turn"),
            ("gains.fingers.stifness", 1.0, "gains.fingers.stifness=1.0: unknown key. Known: stiffness, damping"),
            ("gains.fingers.stiffness", -1.0, "gains.fingers.stiffness=-1.0: give 0 or more"),
            ("gains.fingers.damping", float("inf"), "gains.fingers.damping=inf: give a finite number"),
            ("gains.fingers.armature", float("nan"), "gains.fingers.armature=nan: give a finite number"),
            ("gains.fingers.force_limit", 0, "gains.fingers.force_limit=0.0: give more than 0"),
            ("start_angles", {"thumb_turn": -0.1}, "start_angles.thumb_turn=-0.1: give 0 or more"),
            ("palm_quat", [0, 0, 0, float("nan")], "palm_quat=nan: give a finite number"),
            ("asset", "x" * 4000, "there is no file"),
        ],
    )
    def test_a_wrong_spec_is_refused_in_one_line(self, tmp_path: Path, key: str, value: Any, words: str) -> None:
        """With the file, the key, its value and what is allowed."""
        with pytest.raises(HandError) as error:
            load_hand(str(edited(tmp_path, key, value)))
        text = str(error.value)
        assert text.startswith(f"{tmp_path / 'spec.yaml'}: ")
        assert words in text
        assert "\n" not in text

    @pytest.mark.parametrize(
        "text", ["fingers: [", "just text", "- a\n- list", "[" * 9999, "palm: " + "9" * 9999, 'asset: "a\\0b"']
    )
    def test_a_file_that_is_no_mapping_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "spec.yaml").write_text(text)
        with pytest.raises(HandError, match=r"spec\.yaml"):
            load_hand(str(tmp_path))

    @pytest.mark.parametrize("hand", ["a\0b", "x" * 5000], ids=["NUL", "long"])
    def test_a_name_that_no_folder_can_have_is_unknown(self, hand: str) -> None:
        with pytest.raises(HandError, match="is unknown"):
            load_hand(hand)

    def test_an_mjcf_that_lacks_parts_is_refused_name_by_name(self, tmp_path: Path) -> None:
        """By every reader of MJCF: joints, bodies and servos, all in one line."""
        hand = load_hand(str(edited(tmp_path, "palm", "palm")))
        text = hand.asset.read_text()
        for old, new in (
            ("index_pad", "index_pad_"),
            ('"ring_dip"', '"ring_end"'),
            ('joint="turn_z"', 'joint="turn_y"'),
        ):
            text = text.replace(old, new)
        hand.asset.write_text(text)
        words = (
            rf"{hand.asset} does not match env.hand={hand.name}: it lacks joints ring_dip; lacks bodies index_pad; "
            "lacks position actuators for joints turn_z; has joints that are not the hand's: ring_end. "
            r"Rename them in the MJCF, or correct the hand's spec\.yaml; a built-in hand needs one of your own"
        )
        for read in (read_hand, lambda hand: compile_scene(Scene(hand), SimConfig())):
            with pytest.raises(HandError, match=words):
                read(hand)
