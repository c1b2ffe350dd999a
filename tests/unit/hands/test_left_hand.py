"""dexhand021_left is the mirror image of dexhand021_right."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from dexhand.hands.spec import load_hand
from dexhand.sim.kinematics import HandKinematics

RIGHT, LEFT = load_hand("dexhand021_right"), load_hand("dexhand021_left")
SCRIPT = Path(__file__).parents[3] / "scripts" / "mirror_hand.py"
BASE_SIGNS = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
"""Of the base joints: the mirror image of a pose is on the other side and turned the other way about x and z."""
REFLECTED = np.array([1.0, -1.0, 1.0])
"""Positions, metres."""
REVERSED = np.array([1.0, -1.0, 1.0, -1.0])
"""Quaternions w x y z."""


def other_name(name: str) -> str:
    return name.replace("r_f_", "l_f_").replace("right", "left")


@pytest.fixture(scope="module")
def models() -> tuple[mujoco.MjModel, mujoco.MjModel]:
    return mujoco.MjModel.from_xml_path(str(RIGHT.asset)), mujoco.MjModel.from_xml_path(str(LEFT.asset))


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def random_joints(count: int) -> np.ndarray:
    """Joint positions (count, 26) of the right hand within its limits."""
    model = mujoco.MjModel.from_xml_path(str(RIGHT.asset))
    return np.random.default_rng(0).uniform(*model.jnt_range.T, size=(count, model.njnt))


def mirrored_joints(dof_pos: np.ndarray) -> np.ndarray:
    return np.concatenate((dof_pos[:, :6] * BASE_SIGNS, dof_pos[:, 6:]), axis=1)


def assert_mirrored(pos: np.ndarray, quat_wxyz: np.ndarray, left_pos: np.ndarray, left_quat_wxyz: np.ndarray) -> None:
    assert np.abs(left_pos - pos * REFLECTED).max() < 1e-9
    assert np.abs(np.abs((left_quat_wxyz * quat_wxyz * REVERSED).sum(-1)) - 1.0).max() < 1e-9


def test_names_and_controls_are_those_of_the_right_hand() -> None:
    """With l for r."""
    assert LEFT.base_joints == RIGHT.base_joints
    assert LEFT.finger_joints == tuple(other_name(name) for name in RIGHT.finger_joints)
    assert LEFT.bodies == tuple(other_name(name) for name in RIGHT.bodies)
    assert LEFT.contact_bodies == tuple(other_name(name) for name in RIGHT.contact_bodies)
    assert [control.name for control in LEFT.controls] == [control.name for control in RIGHT.controls]
    assert LEFT.coupling == RIGHT.coupling
    assert LEFT.start_angles == RIGHT.start_angles
    assert LEFT.palm_quat == RIGHT.palm_quat


def test_mujoco_puts_its_bodies_at_the_mirrored_places(models: tuple[mujoco.MjModel, mujoco.MjModel]) -> None:
    """For random joint positions, to a nanometre."""
    right, left = (mujoco.MjData(model) for model in models)
    dof_pos = random_joints(50)
    for right_joints, left_joints in zip(dof_pos, mirrored_joints(dof_pos)):
        right.qpos, left.qpos = right_joints, left_joints
        for model, data in zip(models, (right, left)):
            mujoco.mj_kinematics(model, data)
        assert_mirrored(right.xpos, right.xquat, left.xpos, left.xquat)


@pytest.mark.usefixtures("float64")
def test_hand_kinematics_put_its_bodies_at_the_mirrored_places() -> None:
    """For random joint positions, to a nanometre."""
    dof_pos = random_joints(50)
    right, left = (
        HandKinematics(hand, (0.0, 0.0, 0.0), torch.device("cpu")).poses(
            torch.tensor(joints), torch.zeros(joints.shape)
        )
        for hand, joints in ((RIGHT, dof_pos), (LEFT, mirrored_joints(dof_pos)))
    )
    wxyz = [3, 0, 1, 2]
    assert_mirrored(right.pos.numpy(), right.quat[..., wxyz].numpy(), left.pos.numpy(), left.quat[..., wxyz].numpy())


def test_masses_and_inertias_are_mirrored(models: tuple[mujoco.MjModel, mujoco.MjModel]) -> None:
    """Body by body, with the centres of mass."""
    right, left = models
    assert [left.body(i).name for i in range(left.nbody)] == [
        other_name(right.body(i).name) for i in range(right.nbody)
    ]
    assert np.array_equal(left.body_mass, right.body_mass)
    assert np.array_equal(left.body_inertia, right.body_inertia)
    assert_mirrored(right.body_ipos, right.body_iquat, left.body_ipos, left.body_iquat)


def test_shapes_are_mirrored(models: tuple[mujoco.MjModel, mujoco.MjModel]) -> None:
    """With size, friction and what they collide with."""
    right, left = models
    for name in ("geom_type", "geom_size", "geom_friction", "geom_contype", "geom_conaffinity", "geom_bodyid"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name
    assert np.abs(left.geom_pos - right.geom_pos * REFLECTED).max() < 1e-9


def test_servos_and_limits_are_those_of_the_right_hand(models: tuple[mujoco.MjModel, mujoco.MjModel]) -> None:
    right, left = models
    for name in ("jnt_range", "dof_damping", "dof_armature", "actuator_gainprm", "actuator_forcerange"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name


def test_its_mjcf_is_what_the_script_writes() -> None:
    """A change of the right hand is a change of the left one."""
    spec = importlib.util.spec_from_file_location("mirror_hand", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    text = script.mirrored_mjcf(RIGHT, (("r_f_", "l_f_"), ("right", "left")))
    assert text == LEFT.asset.read_text(encoding="utf-8")
