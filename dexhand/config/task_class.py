"""Find the declaration of a task: a built-in one, or the user's own in the module ``task.module``."""

from dexhand.config.errors import ConfigError, unknown
from dexhand.config.plugins import callable_in, load_module
from dexhand.tasks import TASK_CONFIGS, TASKS, BaseTask, TaskConfig
from dexhand.tasks.terms import config_class_of


def task_config(name: str, module: str | None) -> type[TaskConfig]:
    """Return the class of the section ``task`` for the task ``name``. Raises ``ConfigError``."""
    if module is not None:
        chosen: type[TaskConfig] = config_class_of(task_class(name, module))
        return chosen
    if name not in TASK_CONFIGS:
        raise unknown(f"task.name={name}", name, TASK_CONFIGS, " A task of your own is found with task.module")
    return TASK_CONFIGS[name]


def task_class(name: str, module: str | None) -> type[BaseTask]:
    """Return the class of the hand's task ``name``, from ``module`` (``package.module`` or a ``.py`` file) or built in.

    Raises ``ConfigError``.
    """
    if module is None:
        return TASKS[name]
    where = f"task.module={module}"
    found = callable_in(load_module(module, where), name, where)
    if not (isinstance(found, type) and issubclass(found, BaseTask)):
        raise ConfigError(f"{where}: {name} is not built on dexhand.tasks.BaseTask. Write class {name}(BaseTask)")
    try:
        config_class_of(found)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from None
    return found
