"""Every task keeps the contract of a task."""

from composed import composed

from dexhand.app.build import build_env
from dexhand.hand_env.interfaces import Simulator, Task
from dexhand.testing.task import TaskConformance


def on_the_mock(num_envs: int, *settings: str) -> tuple[Task, Simulator]:
    """A task with episodes of 15 steps and its simulator."""
    env = build_env(composed("sim.backend=mock", f"numEnvs={num_envs}", "task.episodeLength=16", *settings))
    return env.task, env.simulator


class TestBaseTask(TaskConformance):
    def make_task(self, num_envs: int) -> tuple[Task, Simulator]:
        return on_the_mock(num_envs)


class TestBlindGrasping(TaskConformance):
    def make_task(self, num_envs: int) -> tuple[Task, Simulator]:
        """All three stages are gone through."""
        stages = ("task.stage1_duration=0.08", "task.stage2_duration=0.06")
        return on_the_mock(num_envs, "task=BlindGrasping", *stages)


class TestBoxGrasping(TaskConformance):
    def make_task(self, num_envs: int) -> tuple[Task, Simulator]:
        return on_the_mock(num_envs, "task=BoxGrasping")
