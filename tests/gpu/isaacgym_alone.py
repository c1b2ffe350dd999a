"""Checks of the real Isaac Gym; ``test_isaacgym_cuda.py`` runs each in a process of its own."""

import os

import pytest
import torch

from dexhand.app.build import build_env
from dexhand.config.compose import compose
from dexhand.core.interfaces import Scene, Simulator
from dexhand.sim.isaacgym import IsaacGymSimulator, PhysxSettings
from dexhand.testing.scenes import RIGHT_HAND, dof_rows
from dexhand.testing.simulator import SimulatorConformance
from dexhand.testing.simulator_harness import put, worst

DEVICE = os.environ.get("ISAACGYM_TEST_DEVICE", "cuda:0")


def make(scene: Scene, num_envs: int, device: str = DEVICE) -> IsaacGymSimulator:
    return IsaacGymSimulator(
        scene,
        max(2, num_envs),
        physx=PhysxSettings(
            solver_type=1,
            num_position_iterations=16,
            num_velocity_iterations=0,
            contact_offset=0.001,
            rest_offset=0.0005,
            bounce_threshold_velocity=0.15,
            max_depenetration_velocity=0.2,
            default_buffer_size_multiplier=4.0,
            max_gpu_contact_pairs=512 * num_envs,
            num_threads=4,
        ),
        dt=0.005,
        substeps=4,
        calls_per_control=2,
        device=torch.device(device),
    )


class TestIsaacGym(SimulatorConformance):
    draws_resets_after_a_step = True
    pose_tolerance = 1e-4

    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        return make(scene, num_envs)


def test_memory_stays_flat_over_resets() -> None:
    """A thousand resets leave nothing behind on the device."""
    from test_backends_cuda import bytes_used_by_resets

    env = build_env(compose(["sim.backend=isaacgym", f"env.device={DEVICE}", "numEnvs=64"]))
    assert bytes_used_by_resets(env, 1000) <= 0


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_a_free_motion_ends_where_the_joint_targets_are(device: str) -> None:
    """On both pipelines alike."""
    sim = make(Scene(RIGHT_HAND, bodies=("right_hand_base",)), 2, device)
    put(sim)
    for _ in range(100):
        sim.step(dof_rows(sim, ARTx=0.1, ARRz=0.3, r_f_joint2_2=0.8))
    assert worst(sim.state.dof_pos - dof_rows(sim, ARTx=0.1, ARRz=0.3, r_f_joint2_2=0.8)) < 0.01
