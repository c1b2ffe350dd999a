"""The Isaac Gym back-end with the stand-in's tensors on the GPU; ``tests/isaacgym_worker`` tests the real one."""

import pytest
import torch

from dexhand.config.schema import SimConfig
from dexhand.hand_env.interfaces import Scene, Simulator
from dexhand.sim.isaacgym import IsaacGymSimulator
from dexhand.testing.simulator import SimulatorConformance


@pytest.mark.gpu
class TestStandInOnTheGpuPipeline(SimulatorConformance):
    """Device tensors, no fetch_results in the loop: the adapter's other path."""

    settling_time = 0.8
    draws_resets_after_a_step = True

    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        """Physics on the CPU, tensors on the GPU."""
        sim = SimConfig(substeps=2)
        return IsaacGymSimulator(scene, num_envs, sim, control_decimation=2, device=torch.device("cuda:0"))
