"""The Isaac Gym back-end, driven on the stand-in: the contract of every simulator, and what is its own."""

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dexhand.config.schema import IsaacGymConfig, SimConfig
from dexhand.core.interfaces import RenderingUnavailable
from dexhand.hand_env.interfaces import Scene
from dexhand.hands.spec import Gains
from dexhand.sim.isaacgym import IsaacGymSimulator, describe
from dexhand.testing.scenes import RIGHT_HAND, SCENE, boxes_at, dof_rows
from dexhand.testing.simulator import SimulatorConformance
from dexhand.testing.simulator_harness import mask_of, put


def make(scene: Scene = SCENE, num_envs: int = 4, graphics_device: int | None = None) -> IsaacGymSimulator:
    sim = SimConfig(substeps=2, isaacgym=IsaacGymConfig(graphicsDevice=graphics_device))
    return IsaacGymSimulator(scene, num_envs, sim, control_decimation=2, device=torch.device("cpu"))


class TestIsaacGymSimulator(SimulatorConformance):
    # the stand-in's joint damping is not bounded by the servo's force limit, which slows large movements down
    settling_time = 0.8
    draws_resets_after_a_step = True

    def make_simulator(self, scene: Scene, num_envs: int) -> IsaacGymSimulator:
        return make(scene, num_envs)


class TestBuilding:
    def test_joints_get_the_scenes_gains_over_those_of_the_file(self) -> None:
        """Damping is the servo's and the joint's own together."""
        sim = make(Scene(replace(RIGHT_HAND, finger_gains=Gains(stiffness=50.0, damping=1.0, force_limit=2.0))))
        gym, env = sim._adapter._gym, sim._adapter._envs[1]
        names = gym.get_actor_dof_names(env, 0)
        properties = gym.get_actor_dof_properties(env, 0)
        finger, slide = properties[names.index("r_f_joint2_2")], properties[names.index("ARTx")]
        assert [float(finger[key]) for key in ("stiffness", "damping", "effort")] == [50.0, 2.0, 2.0]
        assert [float(slide[key]) for key in ("stiffness", "damping", "effort")] == [10000.0, 520.0, 500.0]
        assert finger["upper"] == pytest.approx(1.3)
        assert slide["armature"] == pytest.approx(0.01)

    def test_only_distal_links_collide_with_each_other(self) -> None:
        """Two shapes collide where their filters share no bit; boxes collide with everything."""
        sim = make()
        gym, env = sim._adapter._gym, sim._adapter._envs[0]
        filters = {}
        shapes = gym.get_actor_rigid_shape_properties(env, 0)
        bodies = gym.get_actor_rigid_body_names(env, 0)
        for name, those in zip(bodies, gym.get_actor_rigid_body_shape_indices(env, 0)):
            for shape in shapes[those.start : those.start + those.count]:
                filters[name] = shape.filter
        pairs = {(a, b) for a in filters for b in filters if a < b and filters[a] & filters[b] == 0}
        assert pairs == {(a, b) for a in RIGHT_HAND.contact_bodies for b in RIGHT_HAND.contact_bodies if a < b}
        assert [shape.filter for shape in gym.get_actor_rigid_shape_properties(env, 1)] == [0]

    def test_a_single_environment_is_refused(self) -> None:
        """Isaac Gym can crash with one."""
        with pytest.raises(ValueError, match=r"env\.numEnvs=1: .*Use 2 or more"):
            make(num_envs=1)

    @pytest.mark.parametrize(
        ("edit", "words"),
        [
            (lambda root: root.find(".//joint[@name='ARTx']").set("limited", "false"), "has no limits"),
            (
                lambda root: root.find(".//joint[@name='ARTx']").set("name", "slide"),
                "lacks joints ARTx; has joints that are not the hand's: slide",
            ),
            (lambda root: root.find(".//body[@name='hand_base']").set("euler", "0 0 1"), "oriented by euler"),
            (
                lambda root: root.find("actuator").remove(root.find("actuator")[0]),
                "lacks position actuators for joints ARTx",
            ),
        ],
    )
    def test_a_hand_file_it_cannot_read_is_refused(self, tmp_path: Path, edit: Any, words: str) -> None:
        """With the file and the reason."""
        tree = ET.parse(RIGHT_HAND.asset)
        edit(tree.getroot())
        tree.write(tmp_path / "hand.xml")
        with pytest.raises(ValueError, match=words):
            make(Scene(replace(RIGHT_HAND, asset=tmp_path / "hand.xml")))

    def test_a_body_that_the_hand_lacks_is_named(self) -> None:
        with pytest.raises(ValueError, match="lacks bodies sixth_finger"):
            make(Scene(RIGHT_HAND, contact_bodies=("sixth_finger",)))

    def test_the_description_of_a_scene_is_plain_data(self) -> None:
        """It can be sent to another process; a servo without a force limit has the largest finite one."""
        hand = replace(RIGHT_HAND, finger_gains=Gains(force_limit=math.inf))
        description = describe(replace(SCENE, hand=hand))
        assert json.loads(json.dumps(description, allow_nan=False)) == description
        assert max(joint["effort"] for joint in description["joints"]) == pytest.approx(3.4e38, rel=0.01)


class TestRunning:
    def test_a_hand_that_the_engine_reads_differently_is_noticed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In the first step, with the body and the distance."""
        sim = make()
        put(sim)
        monkeypatch.setattr(sim._kinematics, "_pos", sim._kinematics._pos + 0.01)
        with pytest.raises(RuntimeError, match="read the file differently"):
            sim.step(dof_rows(sim))

    def test_several_resets_between_two_steps_all_count(self) -> None:
        """The engine takes one call of each kind between two steps: they go into one."""
        sim = make()
        put(sim)
        sim.step(dof_rows(sim))
        sim.reset(mask_of(sim, 1), dof_rows(sim, ARTx=0.1), boxes_at(sim))
        sim.reset(mask_of(sim, 2), dof_rows(sim, ARTx=0.2), boxes_at(sim))
        sim.reset(mask_of(sim, 1), dof_rows(sim, ARTx=0.3), boxes_at(sim))
        sim.step(sim.state.dof_pos.clone())
        assert torch.allclose(sim.state.dof_pos[:, 0], torch.tensor([0.0, 0.3, 0.2, 0.0]), atol=1e-3)

    def test_a_state_of_another_size_is_refused(self) -> None:
        sim, other = make(), make(num_envs=3)
        with pytest.raises(ValueError, match=r"saved dof_pos has shape \(3, 26\).*env\.numEnvs=4"):
            sim.load_state_dict(other.state_dict())


class TestGraphics:
    def test_without_a_graphics_device_pictures_are_unavailable(self) -> None:
        """And stepping goes on."""
        sim = make(graphics_device=-1)
        with pytest.raises(RenderingUnavailable, match=r"sim\.isaacgym\.graphicsDevice"):
            sim.render(0)
        sim.step(dof_rows(sim))
