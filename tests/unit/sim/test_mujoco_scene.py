"""The hand's model, and scenes made of it."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from dexhand.config.schema import MujocoConfig, SimConfig
from dexhand.hand_env.interfaces import Box, Scene
from dexhand.hands.spec import Gains
from dexhand.sim.mujoco import MujocoSimulator
from dexhand.sim.mujoco_scene import HAND_PREFIX, compile_scene
from dexhand.testing.scenes import RIGHT_HAND

SIM = SimConfig()
REFERENCE = Path(__file__).parents[2] / "data" / "forward_kinematics.json"


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    """The built-in hand alone."""
    return mujoco.MjModel.from_xml_path(str(RIGHT_HAND.asset))


@pytest.fixture
def reordered(tmp_path: Path) -> Path:
    """The hand as another maker might write it: actuators in another order, sensors and a keyframe of its own."""
    tree = ET.parse(RIGHT_HAND.asset)
    actuators = tree.getroot().find("actuator")
    assert actuators is not None
    actuators[:] = list(actuators)[::-1]
    sensor = ET.SubElement(tree.getroot(), "sensor")
    ET.SubElement(sensor, "jointpos", name="own", joint="ARTx")
    keyframe = ET.SubElement(tree.getroot(), "keyframe")
    ET.SubElement(keyframe, "key", name="own", qpos=" ".join(["0.01"] * 26))
    tree.write(tmp_path / "hand.xml")
    return tmp_path / "hand.xml"


class TestTheHand:
    def test_forward_kinematics_are_those_of_the_joint_table(self, model: mujoco.MjModel) -> None:
        """At random configurations, to a micrometre."""
        data, reference = mujoco.MjData(model), json.loads(REFERENCE.read_text())
        for case in reference["cases"]:
            for name, position in zip(reference["dof_names"], case["dof_pos"]):
                data.joint(name).qpos = position
            mujoco.mj_kinematics(model, data)
            poses = zip(reference["bodies"], case["body_pos"], case["body_quat_xyzw"])
            for name, position, (x, y, z, w) in poses:
                assert np.abs(data.body(name).xpos - position).max() < 1e-6, name
                assert abs(abs(np.dot(data.body(name).xquat, [w, x, y, z])) - 1.0) < 1e-9, name

    def test_it_weighs_what_the_table_says(self, model: mujoco.MjModel) -> None:
        """703 g."""
        assert model.body_mass.sum() == pytest.approx(0.70312698)

    def test_every_joint_has_limits_and_one_servo(self, model: mujoco.MjModel) -> None:
        """26 of each, in the order of RIGHT_HAND.dof_names."""
        assert tuple(model.joint(i).name for i in range(model.njnt)) == RIGHT_HAND.dof_names
        assert model.jnt_limited.all()
        assert tuple(model.joint(i).name for i in model.actuator_trnid[:, 0]) == RIGHT_HAND.dof_names
        assert model.actuator_forcelimited.all()

    def test_only_distal_links_collide_with_each_other(self, model: mujoco.MjModel) -> None:
        """Ten pairs of fingers; no finger with the palm or with itself."""

        def collide(a: int, b: int) -> bool:
            bits = (model.geom_contype[a] & model.geom_conaffinity[b]) | (
                model.geom_contype[b] & model.geom_conaffinity[a]
            )
            return bool(bits)

        geoms = [g for g in range(model.ngeom) if model.geom_contype[g] or model.geom_conaffinity[g]]
        pairs = {
            tuple(sorted((model.body(model.geom_bodyid[a]).name, model.body(model.geom_bodyid[b]).name)))
            for a in geoms
            for b in geoms
            if a < b and collide(a, b)
        }
        distal = RIGHT_HAND.contact_bodies
        assert pairs == {(a, b) for a in distal for b in distal if a < b}


class TestScenes:
    def test_gains_replace_what_the_file_says(self) -> None:
        """None keeps it."""
        model = compile_scene(Scene(replace(RIGHT_HAND, finger_gains=Gains(stiffness=50.0, force_limit=2.0))), SIM)
        finger = model.actuator(f"{HAND_PREFIX}act_r_f_joint2_2")
        assert finger.gainprm[0] == 50.0
        assert list(finger.biasprm[1:3]) == [-50.0, -50.0]
        assert list(finger.forcerange) == [-2.0, 2.0]
        base = model.actuator(f"{HAND_PREFIX}act_ARTx")
        assert (base.gainprm[0], base.forcerange[1]) == (10000.0, 500.0)

    def test_friction_does_not_soften_contacts(self) -> None:
        """A box sinks into the ground equally far whatever its friction."""
        heights = []
        for friction in (0.5, 3.0):
            model = compile_scene(Scene(RIGHT_HAND, objects=(Box("box", (0.05, 0.05, 0.05), 0.1, friction),)), SIM)
            data = mujoco.MjData(model)
            mujoco.mj_step(model, data, nstep=400)
            heights.append(data.body("box").xpos[2])
        assert heights[1] == pytest.approx(heights[0], abs=1e-6)

    def test_armature_makes_contacts_of_light_links_stiff(self) -> None:
        """It is set before compilation, where MuJoCo derives the stiffness of contacts from the masses behind them."""
        light, geared = (
            compile_scene(Scene(replace(RIGHT_HAND, finger_gains=Gains(armature=armature))), SIM)
            for armature in (None, 0.003)
        )
        joint = geared.joint(f"{HAND_PREFIX}r_f_joint2_2")
        assert geared.dof_armature[joint.dofadr[0]] == 0.003
        assert geared.dof_armature[geared.joint(f"{HAND_PREFIX}ARRx").dofadr[0]] == 0.01
        body = geared.body(f"{HAND_PREFIX}r_f_link2_4").id
        assert geared.body_invweight0[body, 0] < 0.2 * light.body_invweight0[body, 0]

    def test_a_box_has_its_size_and_mass(self) -> None:
        """Edges of 4, 6 and 8 cm, 300 g."""
        model = compile_scene(Scene(RIGHT_HAND, objects=(Box("box", (0.04, 0.06, 0.08), 0.3),)), SIM)
        assert list(model.geom("box").size) == [0.02, 0.03, 0.04]
        assert model.body("box").mass[0] == pytest.approx(0.3)

    def test_another_hand_file_moves_alike(self, reordered: Path) -> None:
        """Actuators are found by name; its own sensors and keyframes do not matter."""

        def positions(asset: Path) -> torch.Tensor:
            scene = Scene(
                replace(RIGHT_HAND, asset=asset), bodies=RIGHT_HAND.bodies, contact_bodies=RIGHT_HAND.contact_bodies
            )
            sim = MujocoSimulator(scene, 1, SIM, control_decimation=2)
            for step in range(20):
                sim.step(torch.linspace(0.0, 0.005 * step, 26)[None])
            return sim.state.dof_pos.clone()

        assert torch.allclose(positions(reordered), positions(RIGHT_HAND.asset), atol=1e-6)

    def test_meshes_that_are_only_looked_at_may_be_missing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With a warning; one that collides may not."""
        tree = ET.parse(RIGHT_HAND.asset)
        asset, palm = tree.getroot().find("asset"), tree.getroot().find(".//body[@name='right_hand_base']")
        assert asset is not None
        assert palm is not None
        ET.SubElement(asset, "mesh", name="cover", file="meshes/cover.stl")
        cover = ET.SubElement(palm, "geom", type="mesh", mesh="cover", contype="0", conaffinity="0")
        tree.write(tmp_path / "hand.xml")
        compile_scene(Scene(replace(RIGHT_HAND, asset=tmp_path / "hand.xml")), SIM)
        assert "meshes/cover.stl" in caplog.text
        cover.set("contype", "1")
        tree.write(tmp_path / "hand.xml")
        with pytest.raises(ValueError, match=r"cover\.stl"):
            compile_scene(Scene(replace(RIGHT_HAND, asset=tmp_path / "hand.xml")), SIM)

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("r_f_link3_tip", "r_f_link3_end", "lacks bodies r_f_link3_tip"),
            ("r_f_joint4_2", "r_f_joint4_x", "lacks joints r_f_joint4_2"),
            ("<mujoco", "<mujco", "not a usable MJCF"),
        ],
    )
    def test_a_hand_file_that_lacks_something_is_refused(self, tmp_path: Path, old: str, new: str, words: str) -> None:
        """With the file and what it lacks."""
        broken = tmp_path / "hand.xml"
        broken.write_text(RIGHT_HAND.asset.read_text().replace(old, new))
        with pytest.raises(ValueError, match=r"hand\.xml") as error:
            compile_scene(Scene(replace(RIGHT_HAND, asset=broken)), SIM)
        assert words in str(error.value)


class TestSimulator:
    def test_results_do_not_depend_on_the_number_of_threads(self) -> None:
        """One thread or three: the same bits."""

        def positions(num_threads: int) -> torch.Tensor:
            scene = Scene(
                RIGHT_HAND,
                bodies=RIGHT_HAND.bodies,
                contact_bodies=RIGHT_HAND.contact_bodies,
                objects=(Box("box", (0.05,) * 3, 0.1),),
            )
            sim = MujocoSimulator(scene, 7, SimConfig(mujoco=MujocoConfig(threads=num_threads)), control_decimation=2)
            generator = torch.Generator().manual_seed(0)
            for _ in range(30):
                sim.step(torch.rand(7, 26, generator=generator) * 0.2)
            return sim.state_dict()["integration_state"]

        assert torch.equal(positions(1), positions(3))

    def test_without_any_gl_library_only_drawing_fails(self) -> None:
        """Stepping goes on; the error names the Debian package."""
        code = (
            "import dexhand, torch\n"
            "from dexhand.core.interfaces import RenderingUnavailable\n"
            "env = dexhand.make(num_envs=1); env.reset()\n"
            "try:\n    env.render()\nexcept RenderingUnavailable as error:\n    print(error)\n"
            "env.step(torch.zeros(1, 18)); print('stepped')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "MUJOCO_GL": "disable"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "apt-get install libegl1" in done.stdout
        assert done.stdout.endswith("stepped\n")


def test_a_hand_in_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    """MuJoCo cannot open it, which is an error of one line."""
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    asset = Path(shutil.copy(RIGHT_HAND.asset, folder))
    with pytest.raises(ValueError, match="MuJoCo opens no file whose path is not valid UTF-8"):
        compile_scene(Scene(replace(RIGHT_HAND, asset=asset)), SIM)
