"""Isaac Gym itself, on both pipelines, and its adapter with the stand-in's tensors on the GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dexhand.core.interfaces import Scene, Simulator
from dexhand.testing.simulator import SimulatorConformance

ALONE = Path(__file__).parent / "isaacgym_alone.py"
CHECKS: list[str] = [f"TestIsaacGym::{name}" for name in dir(SimulatorConformance) if name.startswith("test_")]
OTHERS = ["test_memory_stays_flat_over_resets", "test_a_free_motion_ends_where_the_joint_targets_are"]
BIT_FOR_BIT = (
    "TestIsaacGym::test_resumed_steps_give_equal_bits",
    "TestIsaacGym::test_another_simulator_can_resume",
)
"""PhysX keeps contact caches that the tensor API does not show: a loaded state goes on, but not with the same bits."""


@pytest.mark.gpu("isaacgym")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("device", ["cuda:0", "cpu"])
@pytest.mark.parametrize("check", [*CHECKS, *OTHERS])
def test_isaac_gym(check: str, device: str) -> None:
    """Each check in a process of its own, where Isaac Gym is imported before torch."""
    if check in BIT_FOR_BIT:
        pytest.skip("PhysX's contact caches cannot be saved")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{ALONE}::{check}"]
    environment = {**os.environ, "ISAACGYM_TEST_DEVICE": device}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=550)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.gpu
@pytest.mark.skipif(sys.modules["isaacgym"].__name__ == "isaacgym", reason="the real Isaac Gym is installed")
class TestStandInOnTheGpuPipeline(SimulatorConformance):
    """Device tensors, no fetch_results in the loop: the adapter's other path."""

    settling_time = 0.8
    draws_resets_after_a_step = True

    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        """Physics on the CPU, tensors on the GPU."""
        from dexhand.sim.isaacgym import IsaacGymSimulator, PhysxSettings

        physx = PhysxSettings(1, 16, 0, 0.001, 0.0005, 0.15, 0.2, 4.0, 2048, 4)
        return IsaacGymSimulator(
            scene, num_envs, physx=physx, dt=0.005, substeps=2, calls_per_control=2, device=torch.device("cuda:0")
        )
