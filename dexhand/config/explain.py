"""What Hydra, OmegaConf and YAML say in many lines, said in one."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from hydra.errors import MissingConfigException
from omegaconf.errors import InterpolationResolutionError
from yaml import YAMLError

from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.files import Sources, file_that_sets
from dexhand.config.keys import all_keys, keys_of, sections
from dexhand.config.overrides import GROUPS, Overrides, example_key, unknown_key
from dexhand.config.task_schema import TASKS

_NO_GROUP = re.compile(r"Could not override '(\w+)'. No match in the defaults list")


class Explainer:
    """Explains why a command line and the files that it chooses do not compose."""

    def __init__(self, overrides: Overrides, sources: Sources, config: str) -> None:
        """``config`` is the primary configuration as the user named it."""
        self.config = config
        self._overrides = overrides
        self._sources = sources
        self._keys = all_keys()

    def know_task(self, schema: type) -> None:
        """From now on the keys of the task are those of ``schema``, which may be the user's own."""
        shared = {name: key for name, key in all_keys().items() if not name.startswith("task.")}
        self._keys = {**shared, **{key.name: key for key in keys_of(schema, "task.")}}

    def missing(self, error: MissingConfigException) -> ConfigError:
        """A file that something names does not exist."""
        for override in self._overrides.keys:
            if error.missing_cfg_file == f"{override.key}/{override.value}":
                known = sorted(error.options or ())
                own = " A file of your own is found with --config-dir" if override.key in GROUPS else ""
                return ConfigError(
                    f"{override.shown} is unknown. Known: {', '.join(known)}.{did_you_mean(override.value, known)}{own}"
                )
        return ConfigError(f"config={self.config}: {first_line(error)}")

    def refuse_unknown(self, keys: Iterable[str]) -> None:
        """Raise ``ConfigError`` for the first of ``keys`` that does not exist."""
        for key in keys:
            if key not in self._keys:
                raise self._about_key(key, None)

    def without_value(self, key: str) -> ConfigError:
        """The value of ``key`` is ``???``."""
        known = self._keys.get(key)
        expected = f"Expected {known.allowed()}" if known else "Give it one"
        return ConfigError(f"{key}=??? is no value. {expected}")

    def explained(self, error: Exception) -> ConfigError:
        """Anything else."""
        text = first_line(error)
        no_group = _NO_GROUP.match(text)
        if no_group:
            return ConfigError(
                f"{self._given(no_group.group(1))}: config={self.config} is complete and has no {no_group.group(1)} to "
                "choose. Override its keys one by one, or start from another config"
            )
        for cause in _chain(error):
            key = (getattr(cause, "full_key", None) or "").partition("[")[0]  # of a list, the list
            if key:
                return self._about_key(key, cause)
        return ConfigError(f"config={self.config}: {text}")

    def _about_key(self, key: str, cause: BaseException | None) -> ConfigError:
        given = self._given(key, getattr(cause, "value", None))
        if isinstance(cause, InterpolationResolutionError):
            return ConfigError(f"{given}: {first_line(cause)}")
        if key in sections():
            return ConfigError(
                f"{given}: {key} is a section and needs keys below it, such as {example_key(key)}. Leave it out for "
                "the defaults"
            )
        if key in self._keys:
            return ConfigError(f"{given}: expected {self._keys[key].allowed()}")
        tasks = [name for name, schema in TASKS.items() if key in {entry.name for entry in keys_of(schema, "task.")}]
        if tasks:
            return ConfigError(f"{given}: the chosen task has no {key}. It belongs to task={' or task='.join(tasks)}")
        return unknown_key(key, given, self._keys)

    def _given(self, key: str, value: object | None = None) -> str:
        """How ``key`` was given: as on the command line, else with the file and the value that it has there."""
        matching = [override for override in self._overrides.keys if override.key == key]
        if matching:
            return matching[-1].shown
        file = file_that_sets(key, self._sources, self._overrides.for_hydra())
        return (f"{file}: " if file else "") + (key if value is None else f"{key}={value}")


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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
