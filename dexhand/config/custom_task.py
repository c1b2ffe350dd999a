"""Tasks of the user's own: a class in a module that ``task.module`` names."""

import importlib
import importlib.util
import os
import sys
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.task_schema import BaseTaskConfig


def load_task_class(module: str, name: str) -> Any:
    """The class ``name`` in ``module``, which is ``package.module`` or the path of a ``.py`` file.

    The class implements ``dexhand.core.interfaces.Task``; its ``config_class`` is the dataclass of its configuration.
    Raises ``ConfigError``.
    """
    where = f"task.module={module}"
    loaded = _imported(module, where)
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


def _imported(module: str, where: str) -> ModuleType:
    try:
        return _from_file(Path(module)) if module.endswith(".py") else _from_path(module)
    except FileNotFoundError as error:
        raise ConfigError(f"{where}: there is no file {error.filename}") from None
    except ModuleNotFoundError as error:
        hint = "Start in the folder that holds it, install it, or give the path of a .py file"
        raise ConfigError(f"{where} cannot be imported: {error}. {hint}") from error
    except Exception as error:
        raise ConfigError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    path = path.resolve()
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    if loaded is not None:
        raise ImportError(f"another module is called {path.stem}, too; rename the file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    created = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = created
    try:
        spec.loader.exec_module(created)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return created


def _from_path(module: str) -> ModuleType:
    """Import by name; the working folder counts, as with ``python -m``."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return importlib.import_module(module)
