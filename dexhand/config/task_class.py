"""Find the task class of a configuration: a built-in one, or the user's own in the module ``task.module``."""

from dexhand.config.errors import ConfigError, unknown
from dexhand.config.plugins import callable_in, load_module
from dexhand.tasks import TASKS, BaseTask
from dexhand.tasks.terms import config_class_of


def task_class(name: str, module: str | None) -> type[BaseTask]:
    """Return the task ``name``, from ``module`` (``package.module`` or a ``.py`` file) or a built-in one.

    Raises ``ConfigError``.
    """
    if module is not None:
        return _in_module(name, module)
    if name not in TASKS:
        raise unknown(f"task.name={name}", name, TASKS, " A task of your own is found with task.module")
    return TASKS[name]


def _in_module(name: str, module: str) -> type[BaseTask]:
    where = f"task.module={module}"
    found = callable_in(load_module(module, where), name, where)
    if not (isinstance(found, type) and issubclass(found, BaseTask)):
        raise ConfigError(f"{where}: {name} is not built on dexhand.tasks.BaseTask. Write class {name}(BaseTask)")
    try:
        config_class_of(found)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from None
    return found
