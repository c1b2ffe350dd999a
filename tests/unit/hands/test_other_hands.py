"""The simulators with hands other than the right one: the whole contract."""

from dexhand.core.interfaces import Scene
from dexhand.hands.spec import load_hand
from dexhand.sim.mujoco import MujocoSimulator
from dexhand.sim.mujoco_scene import SolverSettings
from dexhand.testing.scenes import RIGHT_PINCH
from dexhand.testing.simulator import SimulatorConformance


class TestLeftHand(SimulatorConformance):
    hand = load_hand("dexhand021_left")
    pinch = RIGHT_PINCH.mirrored()

    def make_simulator(self, scene: Scene, num_envs: int) -> MujocoSimulator:
        return MujocoSimulator(scene, num_envs, solver=SolverSettings(timestep=0.0025), steps_per_control=4)
