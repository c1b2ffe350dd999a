"""MuJoCo Warp on an NVIDIA GPU."""

from collections.abc import Iterator

import pytest
import torch

pytest.importorskip(
    "dexhand.sim.mujoco_warp", reason="needs MuJoCo Warp: pip install 'dexhand[warp]'", exc_type=ImportError
)

from dexhand.app.build import build_env
from dexhand.config.compose import compose
from dexhand.config.schema import MujocoWarpConfig, SimConfig
from dexhand.core.interfaces import VecEnv
from dexhand.hand_env.interfaces import Scene, Simulator
from dexhand.sim.mujoco_warp import MujocoWarpSimulator
from dexhand.testing.scenes import SCENE, boxes_at, dof_rows
from dexhand.testing.simulator import SimulatorConformance
from dexhand.testing.simulator_harness import mask_of, play, put, worst
from dexhand.testing.vec_env import VecEnvConformance

pytestmark = [pytest.mark.gpu("mujoco_warp"), pytest.mark.timeout(900)]  # the first test compiles Warp's kernels


def make_warp(scene: Scene, num_envs: int, device: str = "cuda:0", nconmax: int = 64) -> MujocoWarpSimulator:
    return MujocoWarpSimulator(
        scene,
        num_envs,
        SimConfig(mujoco_warp=MujocoWarpConfig(nconmax, njmax=256)),
        control_decimation=2,
        device=torch.device(device),
    )


class TestMujocoWarpSimulatorOnCuda(SimulatorConformance):
    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        """Steps of 2.5 ms, as the default preset has them."""
        return make_warp(scene, num_envs)


class TestTaskEnvOnMujocoWarp(VecEnvConformance):
    def make_env(self, num_envs: int) -> VecEnv:
        """BaseTask with short episodes; auto takes the GPU."""
        return build_env(compose([f"numEnvs={num_envs}", "task.episodeLength=20"]))


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Whatever makes the host wait for the GPU is an error."""
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("no_waiting")
def test_step_and_reset_do_not_wait_for_the_gpu() -> None:
    """Neither copies anything to the host that it then waits for."""
    sim = make_warp(SCENE, 4)
    put(sim)
    targets, pose, mask = dof_rows(sim), boxes_at(sim), mask_of(sim, 1, 3)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(3):
        sim.step(targets)
        sim.reset(mask, targets, pose)


def test_it_moves_as_on_the_cpu() -> None:
    """Half a second of motion without contact, to float32 accuracy."""
    sims = make_warp(SCENE, 4), make_warp(SCENE, 4, "cpu")
    for sim in sims:
        put(sim)
        for _ in range(50):
            sim.step(dof_rows(sim, ARTx=0.1, ARRz=0.3, r_f_joint2_2=0.8))
    assert worst(sims[0].state.body_pos.cpu() - sims[1].state.body_pos) < 1e-5


def test_it_follows_the_stream_that_torch_works_on() -> None:
    """Steps on a stream of the caller's come after the work that was given to it before."""
    here, there = make_warp(SCENE, 4), make_warp(SCENE, 4)
    put(here)
    put(there)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(20):
            targets = dof_rows(there)
            torch.cuda._sleep(1_000_000)
            targets += 0.1
            there.step(targets)
    for _ in range(20):
        here.step(dof_rows(here) + 0.1)
    torch.cuda.synchronize()
    assert torch.equal(here.state.dof_pos, there.state.dof_pos)


def test_memory_that_runs_out_is_said_within_some_steps(caplog: pytest.LogCaptureFixture) -> None:
    """The warning comes late rather than never."""
    sim = make_warp(SCENE, 4, nconmax=4)
    put(sim)
    play(sim, dof_rows(sim).repeat(1000, 1, 1))
    assert caplog.text.count("sim.mujoco_warp.nconmax=4 is too small") == 1
