"""What Hydra, OmegaConf and YAML say in many lines, said in one."""

import re
from typing import Any, Iterator, Optional, Sequence

from omegaconf.errors import InterpolationResolutionError
from yaml import YAMLError

from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.keys import all_keys, keys_of, sections
from dexhand.config.task_schema import TASKS

_IN_FILE = re.compile(r"In '([^']+)': ")
_NO_GROUP = re.compile(r"Could not override '(\w+)'. No match in the defaults list")
_AMBIGUOUS = re.compile(r"Ambiguous value for argument '([^=]+)=(.*)'")


def explained(error: Exception, overrides: Sequence[str], config: str) -> ConfigError:
    """One line about why ``overrides`` and the files they choose do not compose to ``config``."""
    text = first_line(error)
    no_group = _NO_GROUP.match(text)
    if no_group:
        return ConfigError(
            f"{_given(no_group.group(1), overrides)}: config={config} is complete and has no {no_group.group(1)} to "
            "choose. Override its keys one by one, or start from another config"
        )
    ambiguous = _AMBIGUOUS.match(text)
    if ambiguous:
        key, value = ambiguous.groups()
        return ConfigError(f"{key}={value} gives several values. Give one, or write a list as {key}=[{value}]")
    for cause in _chain(error):
        key = (getattr(cause, "full_key", None) or "").partition("[")[0]  # of a list, the list
        if key:
            in_file = _IN_FILE.match(text)
            return _about_key(key, cause, overrides, f"{in_file.group(1)}: " if in_file else "")
    return ConfigError(f"config={config}: {text}")


def unreadable(error: Exception, config: str) -> ConfigError:
    """One line about a file that is not YAML; ``config`` is named where the error does not name the file."""
    mark: Any = getattr(error, "problem_mark", None)
    if isinstance(error, YAMLError) and mark is not None:
        problem = getattr(error, "problem", None) or "not YAML"
        return ConfigError(f"{mark.name}, line {mark.line + 1}: {problem}. Correct the YAML")
    return ConfigError(f"config={config} or a file that it names cannot be read: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """The head of a message of several lines."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _about_key(key: str, cause: BaseException, overrides: Sequence[str], where: str) -> ConfigError:
    given = where + _given(key, overrides, getattr(cause, "value", None))
    known = all_keys()
    if isinstance(cause, InterpolationResolutionError):
        return ConfigError(f"{given}: {first_line(cause)}")
    if key in sections():
        return ConfigError(f"{where}{key} is a section and needs keys below it. Leave it out for the defaults")
    if key not in known:
        return ConfigError(f"{given}: there is no key {key}.{did_you_mean(key, known)} --help lists all keys")
    if getattr(cause, "value", None) is None and "not in" in first_line(cause):
        tasks = [name for name, schema in TASKS.items() if key in {entry.name for entry in keys_of(schema, "task.")}]
        return ConfigError(f"{given}: the chosen task has no {key}. It belongs to task={' or task='.join(tasks)}")
    return ConfigError(f"{given}: expected {known[key].allowed()}")


def _given(key: str, overrides: Sequence[str], value: Optional[object] = None) -> str:
    """How ``key`` was given: as on the command line, else with the value that a file has."""
    matching = [override for override in overrides if override.partition("=")[0] == key]
    if matching:
        return matching[-1]
    return key if value is None else f"{key}={value}"


def _chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
