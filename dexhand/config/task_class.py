"""Find the task class of a configuration: a built-in one, or the user's own in the module ``task.module``."""

from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.plugins import load_module
from dexhand.tasks import TASKS, BaseTask
from dexhand.tasks.terms import config_class_of


def task_class(name: str, module: str | None) -> type[BaseTask]:
    """Return the task ``name``, from ``module`` (``package.module`` or a ``.py`` file) or a built-in one.

    Raises ``ConfigError``.
    """
    if module is not None:
        return _in_module(name, module)
    if name not in TASKS:
        raise ConfigError(
            f"task.name={name} is unknown. Known: {', '.join(TASKS)}.{did_you_mean(name, TASKS)} "
            "A task of your own is found with task.module"
        )
    return TASKS[name]


def _in_module(name: str, module: str) -> type[BaseTask]:
    where = f"task.module={module}"
    loaded = load_module(module, where)
    found = getattr(loaded, name, None)
    classes = [key for key, value in vars(loaded).items() if isinstance(value, type) and not key.startswith("_")]
    if not isinstance(found, type):
        raise ConfigError(
            f"{where} has no class {name}, which task.name asks for. It has: {', '.join(classes) or 'none'}."
            + did_you_mean(name, classes)
        )
    if not issubclass(found, BaseTask):
        raise ConfigError(f"{where}: {name} is not built on dexhand.tasks.BaseTask. Write class {name}(BaseTask)")
    try:
        config_class_of(found)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from None
    return found
