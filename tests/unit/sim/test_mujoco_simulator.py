"""MuJoCo keeps the contract of every simulator."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dexhand.config.schema import SimConfig
from dexhand.hand_env.interfaces import Scene, Simulator
from dexhand.sim import mujoco_warnings
from dexhand.sim.mujoco import MujocoSimulator
from dexhand.testing.scenes import SCENE, dof_rows, random_targets
from dexhand.testing.simulator import SimulatorConformance
from dexhand.testing.simulator_harness import mask_of, play, put, rough_start


def make(scene: Scene = SCENE, num_envs: int = 4) -> MujocoSimulator:
    """Steps of 2.5 ms, as the default preset has them."""
    return MujocoSimulator(scene, num_envs, SimConfig(), control_decimation=2)


class TestMujocoSimulator(SimulatorConformance):
    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        return make(scene, num_envs)


def test_randomized_physics_is_that_of_a_scene_built_with_it() -> None:
    """The constants that MuJoCo derives from masses and armatures follow: contacts are as soft as in such a scene."""
    gains = replace(SCENE.hand.finger_gains, stiffness=30.0, damping=1.5, armature=0.002)
    boxes = tuple(replace(box, mass=3 * box.mass, friction=0.4) for box in SCENE.objects)
    built = make(replace(SCENE, objects=boxes, ground_friction=0.2, hand=replace(SCENE.hand, finger_gains=gains)))
    randomized = make()
    values = {name: value for name, value in built.physics.items() if name != "gravity"}
    randomized.randomize(mask_of(randomized, 0, 1, 2, 3), values)
    for sim in (built, randomized):
        rough_start(sim)
    expected, found = (play(sim, random_targets(sim, steps=20)) for sim in (built, randomized))
    assert expected["object_contact_force"].any()
    assert expected["contact_force"].any()
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, rtol=1e-4, atol=1e-5), name


def test_warnings_of_mujoco_go_to_the_log(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each kind once, however many environments it is about; nothing is printed or written to the working folder."""
    monkeypatch.setattr(mujoco_warnings, "_logged", set())
    monkeypatch.chdir(tmp_path)
    sim = make(num_envs=8)
    for _ in range(2):
        put(sim)
        sim._qpos[:] = torch.nan
        sim.step(dof_rows(sim))
    assert len(caplog.messages) == len({text.partition(" at ")[0] for text in caplog.messages}) > 0
    assert all(text.startswith("MuJoCo: Nan, Inf or huge value in Q") for text in caplog.messages)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_varied_stays_shared() -> None:
    """Fields of the model get rows of their own only for the parameters that are set."""
    sim = make()
    put(sim)
    sim.step(dof_rows(sim))
    sim.randomize(mask_of(sim, 1), {"gravity": sim.physics["gravity"] / 2})
    assert sim._batch.expanded("opt.gravity") is not None
    assert sim._batch.expanded("body_mass") is None
