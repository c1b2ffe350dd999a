"""Tab completion: what a shell offers for the last word of a command line."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.completion_plugin import CompletionPlugin

from dexhand.config.aliases import SHORT_FORMS
from dexhand.config.errors import ConfigError
from dexhand.config.files import CFG, names_of
from dexhand.config.keys import all_keys
from dexhand.config.overrides import GROUPS

_COMMANDS = ("install", "uninstall", "query")
_CHECKPOINTS = ("checkpoint", "train.checkpoint", "resume")


def complete(request: str) -> str:
    """Answer ``install=SHELL``, ``uninstall=SHELL`` or ``query=SHELL``, as Hydra's shell functions ask.

    ``query`` reads the command line from the environment variable ``COMP_LINE``. Raises ``ConfigError``.
    """
    command, _, shell = request.partition("=")
    with initialize_config_dir(str(CFG), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        discovered = cast(list[type[CompletionPlugin]], Plugins.instance().discover(CompletionPlugin))
        plugins = {plugin.provides(): plugin for plugin in discovered}
        if command not in _COMMANDS or shell not in plugins:
            raise ConfigError(f"-sc {request}: expected {'|'.join(_COMMANDS)}=SHELL, SHELL one of {', '.join(plugins)}")
        if command == "query":
            return (" " if shell != "fish" else "\n").join(candidates(os.environ.get("COMP_LINE", ""))) + "\n"
        getattr(plugins[shell](loader), command)()
    return ""


def candidates(line: str) -> list[str]:
    """Words that the last word of ``line`` may become. Keys come section by section."""
    word = line.rpartition(" ")[2]
    key, equals, _ = word.partition("=")
    offered = (f"{key}={value}" for value in _values(key)) if equals else _names(word)
    return sorted({candidate for candidate in offered if candidate.startswith(word)})


def _names(word: str) -> Iterator[str]:
    for name in (*(f"{group}=" for group in (*GROUPS, "config", "resume")), *(f"{name}=" for name in SHORT_FORMS)):
        yield name
    for name in all_keys():
        section, dot, _ = name[len(word) :].partition(".")
        yield word + section + dot if dot and name.startswith(word) else f"{name}="
    yield from ("--dry-run", "--help", "--multirun", "--config-dir", "--cfg")


def _values(key: str) -> Iterator[str]:
    if key in GROUPS:
        yield from names_of(key)
    elif key == "config":
        yield from names_of("")
    elif key in _CHECKPOINTS:
        yield from ("latest", *(path.name for path in Path("runs").glob("*") if path.is_dir()))
    else:
        known = all_keys().get(SHORT_FORMS.get(key, key))
        if known is not None:
            yield from (str(choice) for choice in known.choices)
            yield from ("true", "false") if bool in (known.type, *getattr(known.type, "__args__", ())) else ()
