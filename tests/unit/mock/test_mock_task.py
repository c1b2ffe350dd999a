"""MockTask: the contract on two simulators."""

import torch

from dexhand.hand_env.interfaces import Box, Scene, Simulator, Task
from dexhand.hand_env.task_env import TaskEnv
from dexhand.mock.simulator import MockSimulator
from dexhand.mock.task import MockTask
from dexhand.testing.scenes import RIGHT_HAND
from dexhand.testing.task import TaskConformance

SCENE = Scene(RIGHT_HAND, objects=(Box("box", (0.05, 0.05, 0.05), 0.1),))


class TestOnTheMock(TaskConformance):
    def make_task(self, num_envs: int) -> tuple[Task, Simulator]:
        simulator = MockSimulator(SCENE, num_envs, control_dt=0.01)
        return MockTask(simulator), simulator


class TestOnMujoco(TaskConformance):
    def make_task(self, num_envs: int) -> tuple[Task, Simulator]:
        from dexhand.config.schema import SimConfig
        from dexhand.sim.mujoco import MujocoSimulator

        simulator = MujocoSimulator(SCENE, num_envs, SimConfig(), control_decimation=1)
        return MockTask(simulator), simulator


def test_it_can_be_solved() -> None:
    """Joints that are sent to 0 arrive there: success everywhere, within the time."""
    simulator = MockSimulator(SCENE, 8, control_dt=0.01)
    env = TaskEnv(simulator, MockTask(simulator))
    observations, _ = env.reset(seed=0)
    outcomes = set()
    for _ in range(20):
        targets = observations[:, 2:]
        *_, info = env.step((-targets / MockTask.change).clamp(-1.0, 1.0))
        observations = env.observe().policy
        outcomes |= set(info["outcome"].tolist())
    assert env.outcome_names == ("success:at_zero", "failure:too_far", "timeout", "failure:diverged")
    assert outcomes == {-1, 0}
    assert torch.isfinite(observations).all()
