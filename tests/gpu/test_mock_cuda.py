"""What runs on a CPU runs on an NVIDIA GPU: the mock simulator, the environment, PPO."""

import pytest
import torch

from dexhand.app.build import build_algorithm, build_env
from dexhand.config.compose import compose
from dexhand.core.interfaces import VecEnv
from dexhand.hand_env.interfaces import Scene, Simulator
from dexhand.mock.simulator import MockSimulator
from dexhand.rl.policy import RlGamesPolicy
from dexhand.testing.simulator import SimulatorConformance
from dexhand.testing.vec_env import VecEnvConformance

pytestmark = pytest.mark.gpu

ON_GPU = ["sim.backend=mock", "env.device=cuda:0", "task.episodeLength=20"]


class TestMockSimulatorOnCuda(SimulatorConformance):
    def make_simulator(self, scene: Scene, num_envs: int) -> Simulator:
        """The mock with its tensors on the GPU."""
        return MockSimulator(scene, num_envs, control_dt=0.01, device="cuda:0")


class TestTaskEnvOnCuda(VecEnvConformance):
    def make_env(self, num_envs: int) -> VecEnv:
        """BaseTask with short episodes."""
        return build_env(compose([*ON_GPU, f"numEnvs={num_envs}"]))


class TestAntForALearnerOnCuda(VecEnvConformance):
    max_steps = 80

    def make_env(self, num_envs: int) -> VecEnv:
        """Physics on the CPU, tensors on the GPU."""
        return build_env(compose(["task=Ant", "task.max_episode_steps=20", "rl_device=cuda:0", f"numEnvs={num_envs}"]))


def test_ppo_trains_and_its_policy_acts_alike_on_both_devices() -> None:
    """Two iterations; the mean action agrees to float32 accuracy."""
    config = compose([*ON_GPU, "numEnvs=64", "train.network.units=[32]"])
    algorithm = build_algorithm(config, build_env(config))
    algorithm.iterate()
    assert algorithm.iterate().iterations_done == 2
    state = algorithm.state_dict()
    observations = torch.randn(16, 224)
    on_gpu = RlGamesPolicy.from_state(state, torch.device("cuda:0")).act(observations.cuda()).cpu()
    weights = {name: tensor.cpu() for name, tensor in state["model"].items()}
    on_cpu = RlGamesPolicy.from_state({**state, "model": weights}, torch.device("cpu")).act(observations)
    assert torch.allclose(on_gpu, on_cpu, atol=1e-4)
    algorithm.close()
