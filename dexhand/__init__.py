"""Train, watch and test policies for a dexterous robot hand."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dexhand.core.interfaces import VecEnv


def make(task: str = "BaseTask", *overrides: str, num_envs: int | None = None) -> "VecEnv":
    """Create environments of ``task``, with the signatures of Gymnasium's vector environments and torch tensors.

    ``overrides`` are configuration keys as on the command line: ``make("BaseTask", "physics=fast", num_envs=64)``.
    Raises ``dexhand.config.errors.ConfigError`` for an invalid configuration.
    """
    from dexhand.config.compose import compose

    sizes = [] if num_envs is None else [f"env.numEnvs={num_envs}"]
    config = compose([f"task={task}", *sizes, *overrides])

    from dexhand.app.build import build_env  # imports torch, which configuration errors do not need

    return build_env(config)
