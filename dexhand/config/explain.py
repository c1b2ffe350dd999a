"""Convert the errors of Hydra, which have many lines, to one line, and say what is wrong with a key."""

import re
from collections.abc import Iterable

from hydra.errors import HydraException, MissingConfigException

from dexhand.config.aliases import OLD_KEYS, OTHER_NAMES, SHORT_FORMS, without_section
from dexhand.config.errors import ConfigError, did_you_mean, first_line, unknown
from dexhand.config.keys import example_key, sections, tasks_with
from dexhand.config.overrides import GROUPS, Overrides
from dexhand.config.sources import UNREADABLE, unreadable

COMPOSITION_ERRORS = (HydraException, ValueError, *UNREADABLE)
"""Exceptions that Hydra raises when it looks for files."""

_NO_GROUP = re.compile(r"Could not override '(\w+)'. No match in the defaults list")


def explain(error: Exception, overrides: Overrides, config: str) -> ConfigError:
    """The error for choices and files that do not compose; ``config`` is as the user named it."""
    if isinstance(error, ConfigError):
        return error
    where = f"config={config}"
    if isinstance(error, RecursionError):
        return ConfigError(f"{where} names itself in its defaults list. Name another file there")
    if isinstance(error, MissingConfigException):
        for override in overrides.values():
            if error.missing_cfg_file == f"{override.key}/{override.value}":
                hint = " A file of your own is found with --config-dir" if override.key in GROUPS else ""
                return unknown(override.shown, override.value, sorted(error.options or ()), hint)
    elif isinstance(error, UNREADABLE):
        mark = getattr(error, "problem_mark", None)
        return unreadable(error, mark.name if mark else f"{where} or a file that it names")
    no_group = _NO_GROUP.match(str(error))
    if no_group and no_group[1] in overrides:
        group = no_group[1]
        return ConfigError(
            f"{overrides[group].shown}: {where} is complete and has no {group} to choose. Override its keys one by "
            "one, or start from another config"
        )
    return ConfigError(f"{where}: {first_line(error)}")


def no_such_key(key: str, shown: str, keys: Iterable[str]) -> ConfigError:
    """The error for a ``key`` that is not one of ``keys``; ``shown`` is the user's spelling of it."""
    if key in sections():
        return ConfigError(
            f"{shown}: {key} is a section. Give its keys one by one, such as {example_key(key)}=..., or leave it out "
            "for the defaults"
        )
    tasks = tasks_with(key)
    if tasks:
        return ConfigError(f"{shown}: the chosen task has no {key}. It belongs to task={' or task='.join(tasks)}")
    if key in OTHER_NAMES:
        return ConfigError(f"{shown}: there is no key {key}. It is called {OTHER_NAMES[key]} here")
    known = [*keys, *SHORT_FORMS, *without_section(), *OLD_KEYS, *GROUPS, "config", "resume"]
    return ConfigError(f"{shown}: there is no key {key}.{did_you_mean(key, known)} --help lists all keys")
