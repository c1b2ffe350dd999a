"""The built-in tasks, and everything needed to write your own: ``from dexhand.tasks import ...``.

Importing this package does not import torch, since the configuration is built from the tasks' declarations.
"""

from dexhand.core.option import option
from dexhand.tasks.base_task.task import BaseTask, BaseTaskConfig
from dexhand.tasks.blind_grasping.task import BlindGrasping
from dexhand.tasks.box_grasping.task import BoxGrasping
from dexhand.tasks.grasping import BoxConfig, GraspingTask, GraspingTaskConfig
from dexhand.tasks.hand_state import HandState, TaskState, buffer
from dexhand.tasks.terms import failure, observation, reward, success

__all__ = [
    "TASKS",
    "BaseTask",
    "BaseTaskConfig",
    "BoxConfig",
    "GraspingTask",
    "GraspingTaskConfig",
    "HandState",
    "TaskState",
    "buffer",
    "failure",
    "observation",
    "option",
    "reward",
    "success",
]

TASKS: dict[str, type[BaseTask]] = {task.__name__: task for task in (BaseTask, BlindGrasping, BoxGrasping)}
"""The built-in tasks by name; ``task.module`` selects others."""
