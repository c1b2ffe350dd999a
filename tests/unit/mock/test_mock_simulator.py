"""MockSimulator."""

from dexhand.core.interfaces import Scene
from dexhand.mock.simulator import MockSimulator
from dexhand.testing.simulator import SimulatorConformance


class TestMockSimulator(SimulatorConformance):
    def make_simulator(self, scene: Scene, num_envs: int) -> MockSimulator:
        return MockSimulator(scene, num_envs, control_dt=0.01)
