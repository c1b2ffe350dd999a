"""HandKinematics: where the bodies of a hand are."""

import json
from pathlib import Path

import pytest
import torch

from dexhand.sim.kinematics import HandKinematics
from dexhand.testing.scenes import RIGHT_HAND

REFERENCE = Path(__file__).parents[2] / "data" / "forward_kinematics.json"
CPU = torch.device("cpu")


def test_poses_are_those_of_the_joint_table() -> None:
    """At zero joints and at random ones, with the root away from the origin, to a hundredth of a millimetre."""
    table = json.loads(REFERENCE.read_text())
    kinematics = HandKinematics(RIGHT_HAND, (0.1, -0.2, 0.5), CPU)
    assert tuple(table["dof_names"]) == RIGHT_HAND.dof_names
    dof_pos = torch.tensor([case["dof_pos"] for case in table["cases"]])
    poses = kinematics.poses(dof_pos, torch.zeros_like(dof_pos)).select(
        torch.tensor([kinematics.index(body) for body in table["bodies"]])
    )
    pos = torch.tensor([case["body_pos"] for case in table["cases"]]) + torch.tensor((0.1, -0.2, 0.5))
    quat = torch.tensor([case["body_quat_xyzw"] for case in table["cases"]])
    assert (poses.pos - pos).abs().max() < 1e-5
    assert (1 - (poses.quat * quat).sum(-1).abs()).abs().max() < 1e-5


def test_limits_are_those_of_the_hand() -> None:
    """In the order of the joints, m or rad."""
    limits = dict(zip(RIGHT_HAND.dof_names, HandKinematics(RIGHT_HAND, (0.0, 0.0, 0.0), CPU).dof_limits.tolist()))
    expected = {name: [0.0, 1.3] for name in RIGHT_HAND.finger_joints}
    expected |= {name: [-1.0, 1.0] for name in RIGHT_HAND.base_joints[:3]}
    expected |= {name: [-3.14, 3.14] for name in RIGHT_HAND.base_joints[3:]}
    expected |= {"r_f_joint1_1": [0.0, 2.2], "r_f_joint2_1": [0.0, 0.3], "r_f_joint3_1": [-0.001, 0.001]}
    expected |= {"r_f_joint4_1": [0.0, 0.3], "r_f_joint5_1": [0.0, 0.6]}
    assert {name: pytest.approx(pair) for name, pair in expected.items()} == limits


def test_an_unknown_body_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no body 'thumb'. Known: .*right_hand_base"):
        HandKinematics(RIGHT_HAND, (0.0, 0.0, 0.0), CPU).index("thumb")
