"""The built-in tasks, and everything needed to write your own: ``from dexhand.tasks import ...``.

Importing this package does not import torch, since the configuration is built from the tasks' declarations.
"""

from collections.abc import Mapping

from dexhand.core.option import option
from dexhand.tasks.base_task.task import BaseTask, BaseTaskConfig
from dexhand.tasks.blind_grasping.task import BlindGrasping
from dexhand.tasks.box_grasping.task import BoxGrasping
from dexhand.tasks.grasping import BoxConfig, GraspingTask, GraspingTaskConfig
from dexhand.tasks.gymnasium_tasks import AntConfig, AnyGymnasiumConfig, HumanoidConfig
from dexhand.tasks.hand_state import HandState, TaskState, buffer
from dexhand.tasks.task_config import TaskConfig
from dexhand.tasks.terms import config_class_of, failure, observation, reward, success

__all__ = [
    "TASKS",
    "TASK_CONFIGS",
    "BaseTask",
    "BaseTaskConfig",
    "BoxConfig",
    "GraspingTask",
    "GraspingTaskConfig",
    "HandState",
    "TaskConfig",
    "TaskState",
    "buffer",
    "failure",
    "observation",
    "option",
    "reward",
    "success",
]

TASKS: dict[str, type[BaseTask]] = {task.__name__: task for task in (BaseTask, BlindGrasping, BoxGrasping)}
"""The built-in tasks of hands by name; ``task.module`` selects others."""
TASK_CONFIGS: Mapping[str, type[TaskConfig]] = {
    **{name: config_class_of(task) for name, task in TASKS.items()},
    **{config.name: config for config in (AntConfig, HumanoidConfig, AnyGymnasiumConfig)},
}
"""The section ``task`` of each built-in task."""
