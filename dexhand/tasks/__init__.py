"""Tasks: what is asked of the hand. A task of your own begins with ``from dexhand.tasks import ...``.

Importing this package does not import torch: the configuration is made from what the tasks declare.
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
"""Our tasks by name; ``task.module`` names others."""
