"""Convert the errors of Hydra, OmegaConf and YAML, which have many lines, to one line."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from yaml import YAMLError

from dexhand.config.aliases import canonical_key
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.keys import Key, all_keys, sections, tasks_with
from dexhand.config.overrides import GROUPS, Overrides, choices, example_key, unknown_key
from dexhand.config.sources import Sources, leaves, read_yaml

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError, OSError, RecursionError)
"""Exceptions that Hydra raises when it composes."""

_NO_GROUP = re.compile(r"Could not override '(\w+)'. No match in the defaults list")


def explain(
    error: Exception, overrides: Overrides, sources: Sources, keys: Mapping[str, Key] | None = None
) -> ConfigError:
    """The error for a command line and files that do not compose; ``keys`` are those of the chosen task."""
    config = f"config={sources.config}"
    if isinstance(error, MissingConfigException):
        return _about_missing_file(error, overrides, config)
    if isinstance(error, (YAMLError, UnicodeDecodeError, OSError)):
        return _about_unreadable_file(error, config)
    if isinstance(error, RecursionError):
        return ConfigError(f"{config} names itself in its defaults list. Name another file there")
    no_group = _NO_GROUP.match(str(error))
    if no_group:
        group = no_group[1]
        return ConfigError(
            f"{overrides[group].shown}: {config} is complete and has no {group} to choose. Override its keys one by "
            "one, or start from another config"
        )
    for cause in _chain(error):
        key = (getattr(cause, "full_key", None) or "").partition("[")[0]  # of a list, the list
        if key:
            return about_key(key, cause, overrides, sources, all_keys() if keys is None else keys)
    return ConfigError(f"{config}: {_first_line(error)}")


def about_key(
    key: str, cause: BaseException | None, overrides: Overrides, sources: Sources, keys: Mapping[str, Key]
) -> ConfigError:
    """The error for the value of ``key``; without a ``cause``, ``key`` is not one of ``keys``."""
    given = _given(key, getattr(cause, "value", None), overrides, sources)
    if isinstance(cause, InterpolationResolutionError):
        return ConfigError(f"{given}: {_first_line(cause)}")
    if key in keys:
        return ConfigError(f"{given}: expected {keys[key].allowed()}")
    if key in sections():
        return ConfigError(
            f"{given}: {key} is a section and needs keys below it, such as {example_key(key)}. Leave it out for the "
            "defaults"
        )
    tasks = tasks_with(key)
    if tasks:
        return ConfigError(f"{given}: the chosen task has no {key}. It belongs to task={' or task='.join(tasks)}")
    return unknown_key(key, given, keys)


def _about_missing_file(error: MissingConfigException, overrides: Overrides, config: str) -> ConfigError:
    for override in overrides.values():
        if error.missing_cfg_file == f"{override.key}/{override.value}":
            known = sorted(error.options or ())
            own = " A file of your own is found with --config-dir" if override.key in GROUPS else ""
            return ConfigError(
                f"{override.shown} is unknown. Known: {', '.join(known)}.{did_you_mean(override.value, known)}{own}"
            )
    return ConfigError(f"{config}: {_first_line(error)}")


def _about_unreadable_file(error: Exception, config: str) -> ConfigError:
    mark: Any = getattr(error, "problem_mark", None)
    if mark is None:
        return ConfigError(f"{config} or a file that it names cannot be read: {_first_line(error)}")
    problem = getattr(error, "problem", None) or "not YAML"
    return ConfigError(f"{mark.name}, line {mark.line + 1}: {problem}. Correct the YAML")


def _given(key: str, value: object, overrides: Overrides, sources: Sources) -> str:
    """The user's spelling of ``key`` and its value on the command line, else the file and the value in it."""
    if key in overrides:
        return overrides[key].shown
    file = _file_that_sets(key, overrides, sources)
    return (f"{file}: " if file else "") + (key if value is None else f"{key}={value}")


def _file_that_sets(key: str, overrides: Overrides, sources: Sources) -> str | None:
    """The file that sets ``key``, such as ``train/MinePPO``, or the path of the whole configuration."""
    with sources.in_hydra() as (loader, searchpath):
        words = [*choices(overrides), searchpath]
        entries = loader.compute_defaults_list(sources.name, words, RunMode.RUN).defaults
    for entry in reversed(entries):
        path = sources.find(str(entry.config_path))
        package = f"{entry.package}." if entry.package else ""
        if path is not None and key in (canonical_key(name) for name, _ in leaves(read_yaml(path), package)):
            return str(path) if entry.primary else str(entry.config_path)
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
