"""Train, watch and test policies for a dexterous robot hand."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dexhand.core.task_env import TaskEnv


def make(task: str = "BaseTask", *overrides: str, num_envs: int | None = None) -> "TaskEnv":
    """Environments of ``task``, with Gymnasium's vector environment signatures and torch tensors.

    ``overrides`` are configuration keys as on the command line: ``make("BaseTask", "physics=fast", num_envs=64)``.
    Raises ``dexhand.config.errors.ConfigError`` where the configuration cannot work.
    """
    from dexhand.config.compose import compose

    sizes = [] if num_envs is None else [f"env.numEnvs={num_envs}"]
    config = compose([f"task={task}", *sizes, *overrides])

    from dexhand.app.build import build_task_env  # not before: what is wrong with the configuration needs no torch

    return build_task_env(config)
