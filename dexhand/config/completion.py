"""Tab completion of the last word of a command line. Hydra provides the shell functions."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from dexhand.config.aliases import SHORT_FORMS, canonical_key, without_section
from dexhand.config.errors import ConfigError
from dexhand.config.keys import GROUPS, all_keys
from dexhand.config.sources import names_of


def complete(request: str) -> str:
    """Answer ``install=SHELL``, ``uninstall=SHELL`` or ``query=SHELL``, as Hydra's shell functions ask.

    ``query`` reads the command line from the environment variable ``COMP_LINE``. Raises ``ConfigError``.
    """
    from hydra.core.plugins import Plugins  # which takes a third of a second
    from hydra.plugins.completion_plugin import CompletionPlugin

    command, _, shell = request.partition("=")
    discovered = cast(list[type[CompletionPlugin]], Plugins.instance().discover(CompletionPlugin))
    plugins = {plugin.provides(): plugin for plugin in discovered}
    if command not in ("install", "uninstall", "query") or shell not in plugins:
        shells = ", ".join(plugins)
        raise ConfigError(f"-sc {request}: expected install|uninstall|query=SHELL, SHELL one of {shells}")
    if command == "query":
        return ("\n" if shell == "fish" else " ").join(candidates(os.environ.get("COMP_LINE", ""))) + "\n"
    without_loader: Any = None  # which only Hydra's own answers to queries need
    getattr(plugins[shell](without_loader), command)()
    return ""


def candidates(line: str) -> list[str]:
    """Completions of the last word of ``line``. Keys are completed section by section."""
    word = line.rpartition(" ")[2]
    key, equals, _ = word.partition("=")
    offered = (f"{key}={value}" for value in _values(key)) if equals else _names(word)
    return sorted({candidate for candidate in offered if candidate.startswith(word)})


def _names(word: str) -> Iterator[str]:
    yield from (f"{name}=" for name in (*GROUPS, "config", "resume", *SHORT_FORMS, *without_section()))
    yield from ("--dry-run", "--help", "--multirun", "--config-dir", "--cfg")
    for name in all_keys():
        section, dot, _ = name[len(word) :].partition(".")
        yield word + section + dot if dot and name.startswith(word) else f"{name}="


def _values(key: str) -> Iterator[str]:
    if key in GROUPS or key == "config":
        yield from names_of("" if key == "config" else key)
    elif key in ("checkpoint", "train.checkpoint", "against", "train.against", "resume"):
        yield from ("latest", *(path.name for path in Path("runs").glob("*") if path.is_dir()))
    elif (known := all_keys().get(canonical_key(key))) is not None:
        yield from (str(choice) for choice in known.choices or ())
        yield from ("true", "false") if known.plain_type is bool else ()
