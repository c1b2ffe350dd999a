"""Train, watch and test policies for a dexterous robot hand."""

from __future__ import annotations

from os.path import isdir

TYPE_CHECKING = False  # typing takes longer than all that a program needs to handle Ctrl-C
if TYPE_CHECKING:
    from os import PathLike
    from typing import Literal

    from dexhand.adapters.policy import ArrayPolicy
    from dexhand.adapters.vector_env import DexhandVectorEnv
    from dexhand.config.errors import ConfigError

__version__ = "0.1.0"

__all__ = ["ConfigError", "load_policy", "make"]


def make(
    task: str = "BaseTask",
    *overrides: str,
    num_envs: int | None = None,
    output: Literal["numpy", "torch"] = "numpy",
    config_dir: str | PathLike[str] | None = None,
) -> DexhandVectorEnv:
    """Create environments of ``task``, a ``gymnasium.vector.VectorEnv`` that returns NumPy arrays or torch tensors.

    ``overrides`` are configuration keys as on the command line: ``make("BaseTask", "physics=fast", num_envs=64)``.
    ``config_dir`` is a folder of your own with further configurations, as ``--config-dir`` names it. Raises
    ``ConfigError`` for an invalid configuration, and ``TypeError`` for arguments of wrong types.
    """
    for word in (task, *overrides):
        if not isinstance(word, str):
            raise TypeError(
                f"make(..., {word!r}): the task and overrides are text, such as 'BaseTask', 'physics=fast'. "
                "The number of environments is num_envs=16"
            )
    if num_envs is not None and (isinstance(num_envs, bool) or not isinstance(num_envs, int)):
        raise TypeError(f"make(num_envs={num_envs!r}): expected a whole number")

    from dexhand.config.compose import compose
    from dexhand.config.errors import ConfigError

    if config_dir is not None and not isdir(config_dir):
        raise ConfigError(f"make(config_dir={str(config_dir)!r}): there is no such folder")
    sizes = [] if num_envs is None else [f"env.numEnvs={num_envs}"]
    config = compose([f"task={task}", *sizes, *overrides], config_dir=None if config_dir is None else str(config_dir))

    # they import torch, which configuration errors do not need
    from dexhand.adapters.vector_env import DexhandVectorEnv
    from dexhand.app.build import build_env

    return DexhandVectorEnv(build_env(config), output)


def load_policy(checkpoint: str | PathLike[str], *overrides: str) -> ArrayPolicy:
    """Load a trained policy: a ``.pth`` file, a run's folder, its name, or ``latest``.

    The file alone suffices, wherever it was copied to. ``overrides`` are configuration keys:
    ``train.trustCheckpoint=true`` if it names code that is not yours, or if rl_games itself saved it with
    ``torch.save`` of more than tensors. Raises ``dexhand.config.errors.ConfigError``.
    """
    from dexhand.app.load_policy import load_policy as load

    return load(str(checkpoint), *overrides)


def __getattr__(name: str) -> object:
    """Import what ``import dexhand`` leaves to its first use."""
    if name == "ConfigError":
        from dexhand.config.errors import ConfigError

        return ConfigError
    raise AttributeError(f"module 'dexhand' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
