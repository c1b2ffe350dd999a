"""Import code by name, ``package.module:Name`` or ``path/to/file.py:Name``; nothing else does."""

import functools
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from dexhand.config.errors import ConfigError, did_you_mean


def load_plugin(key: str, spec: str) -> Any:
    """Import the class or function that ``spec`` names; ``key`` is the configuration key that holds it.

    Raises ``ConfigError``.
    """
    module, _, name = spec.rpartition(":")
    where = f"{key}={spec}"
    return callable_in(load_module(module, where), name, where)


def callable_in(module: ModuleType, name: str, where: str) -> Any:
    """The class or function ``name`` of ``module``. ``where`` begins messages. Raises ``ConfigError``."""
    found = getattr(module, name, None)
    if found is None:
        known = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise ConfigError(
            f"{where}: {module.__name__} has no {name}. It has: {', '.join(known) or 'no class or function'}."
            + did_you_mean(name, known)
        )
    if not callable(found):
        raise ConfigError(f"{where}: {name} is {found!r}, which cannot be called. Name a class or a function")
    home = str(getattr(found, "__module__", "")).partition(".")[0]
    if home in sys.stdlib_module_names and not isinstance(found, functools.partial):
        # a run of somebody else could name os.system where a module of the user's imports it
        raise ConfigError(f"{where}: {name} is not made for this: it belongs to Python's standard library, to {home}")
    return found


def check_plugin_name(key: str, value: str, known: Sequence[str] = ()) -> None:
    """Raise ``ConfigError`` if ``value`` is neither one of ``known`` nor the name of code; imports nothing."""
    module, colon, name = value.rpartition(":")
    if value in known or (colon and module and name.isidentifier()):
        return
    ours = f"one of {', '.join(known)}, or code of your own as " if known else ""
    raise ConfigError(
        f"{key}={value} is unknown. Expected {ours}package.module:Name or path/to/file.py:Name."
        + did_you_mean(value, known)
    )


def settled(value: Any) -> Any:
    """Make the paths in a text or in a list of them absolute, because a run may be resumed from another folder."""
    if isinstance(value, list):
        return [settled(element) for element in value]
    path, dot, name = str(value).partition(".py")
    return f"{os.path.realpath(path)}{dot}{name}" if dot and name[:1] in ("", ":") else value


def load_module(module: str, where: str) -> ModuleType:
    """Import ``package.module`` or the file ``path/to/file.py``; the working folder is searched too.

    ``where`` begins messages. Raises ``ConfigError``.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that a random.py here does not hide the standard library's
    try:
        return _from_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    except FileNotFoundError as error:
        raise ConfigError(f"{where}: there is no file {error.filename}") from None
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            hint = "Start in the folder that holds it, install it, or give the path of a .py file"
            raise ConfigError(f"{where} cannot be imported: {error}. {hint}") from error
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = "" if frame.filename.startswith("<") else f" ({frame.filename}, line {frame.lineno})"
        raise ConfigError(f"{where} cannot be imported: {type(error).__name__}: {error}{place}") from error


def find_code(module: str) -> list[Path]:
    """Return the files that ``load_module`` would run, packages first; imports nothing. Empty if there is no module."""
    if module.endswith(".py"):
        return [Path(module)] if os.path.isfile(module) else []
    specs = list(_specs(module))
    return [Path(spec.origin) for spec in specs if spec and spec.origin and spec.has_location] if all(specs) else []


def find_package(package: str) -> list[Path]:
    """Return the folders of an installed package, or of one in the working folder; imports nothing."""
    *_, spec = _specs(package)
    return [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]


def _specs(module: str) -> Iterator[ModuleSpec | None]:
    """Yield what Python finds for each part of ``package.module``, up to the first that is missing (``None``).

    ``importlib.util.find_spec`` would import the packages.
    """
    top, *names = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # no name
        spec = None
    if spec is None or spec.origin is None:  # a mere folder of this name elsewhere comes after modules here
        spec = PathFinder.find_spec(top, [*sys.path, os.getcwd()]) or spec
    yield spec
    for name in names if spec else ():
        spec = spec and PathFinder.find_spec(name, [*(spec.submodule_search_locations or ())])
        yield spec


def _from_file(path: Path) -> ModuleType:
    path = Path(os.path.realpath(path))
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
