"""Tasks of the user's own: a class in a module that ``task.module`` names."""

from dataclasses import is_dataclass
from typing import Any

from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.plugins import load_module
from dexhand.config.task_schema import BaseTaskConfig


def load_task_class(module: str, name: str) -> Any:
    """The class ``name`` in ``module``, which is ``package.module`` or the path of a ``.py`` file.

    The class implements ``dexhand.core.interfaces.Task``; its ``config_class`` is the dataclass of its configuration.
    Raises ``ConfigError``.
    """
    where = f"task.module={module}"
    loaded = load_module(module, where)
    found = getattr(loaded, name, None)
    classes = [key for key, value in vars(loaded).items() if isinstance(value, type) and not key.startswith("_")]
    if not isinstance(found, type):
        raise ConfigError(
            f"{where} has no class {name}, which task.name asks for. It has: {', '.join(classes) or 'none'}."
            + did_you_mean(name, classes)
        )
    schema = getattr(found, "config_class", None)
    if not (isinstance(schema, type) and is_dataclass(schema) and issubclass(schema, BaseTaskConfig)):
        raise ConfigError(
            f"{where}: {name}.config_class={schema} must be BaseTaskConfig or a dataclass built on it. "
            f"Build {name} on BaseTask, which has one"
        )
    return found
