"""MuJoCo keeps the contract of every simulator."""

import pytest

pytest.importorskip("dexhand.sim.mujoco_scene", reason="MuJoCo needs Python 3.11 or newer", exc_type=ImportError)

from dexhand.core.interfaces import Scene, Simulator
from dexhand.sim.mujoco import MujocoSimulator
from dexhand.sim.mujoco_scene import SolverSettings
from dexhand.testing.simulator import SimulatorConformance


class TestMujocoSimulator(SimulatorConformance):
    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        """Steps of 2.5 ms, as the default preset has them."""
        return MujocoSimulator(scene, num_envs, solver=SolverSettings(timestep=0.0025), steps_per_control=4)
