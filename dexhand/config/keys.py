"""The configuration keys as a flat list, derived from the schema."""

import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from types import MappingProxyType, NoneType
from typing import Any

from omegaconf import ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dexhand.config.errors import ConfigError, first_line, unknown
from dexhand.config.plugins import check_plugin_name
from dexhand.config.schema import Config
from dexhand.core.option import Names
from dexhand.tasks import TASK_CONFIGS

GROUPS = ("task", "physics", "actuators", "train")
"""Sections of the configuration that are chosen as a whole: ``physics=fast``."""

_SCALARS = (bool, int, float, str)
_TYPE_NAMES: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a string",
    list[int]: "a list of whole numbers",
    list[float]: "a list of numbers",
    list[str]: "a list of names",
}


@dataclass(frozen=True)
class Key:
    """One configuration key that takes a value."""

    name: str
    """With its sections: ``env.numEnvs``."""
    type: Any
    default: Any
    help: str
    unit: str
    choices: Sequence[Any] | None
    """Allowed values, or allowed elements of a list; ``None`` = any."""
    low: Any
    high: Any
    above: Any
    names: Names | None
    """What the value may name beside ``choices``; see ``option``."""

    def allowed(self) -> str:
        """Describe type, choices and range in words."""
        if self.choices and not self.is_list:
            own = ", or package.module:Name" if self.names == "code" else ""
            return "one of " + ", ".join(str(choice) for choice in self.choices) + own
        words = "keys with values" if self.is_open else _TYPE_NAMES.get(self.plain_type, str(self.plain_type))
        if self.low is not None and self.high is not None:
            words += f" from {self.low} to {self.high}"
        elif self.low is not None:
            words += f" >= {self.low}"
        elif self.above is not None:
            words += f" > {self.above}" + (f" and <= {self.high}" if self.high is not None else "")
        return words + (" or null" if self.is_optional else "")

    @property
    def plain_type(self) -> Any:
        """The type of values other than ``null``."""
        kinds = typing.get_args(self.type)
        return kinds[0] if NoneType in kinds else self.type

    @property
    def is_optional(self) -> bool:
        """``null`` is allowed."""
        return self.plain_type is not self.type

    @property
    def is_open(self) -> bool:
        """The value may hold keys of its own, which can be any."""
        return self.type is Any or typing.get_origin(self.type) is dict

    @property
    def is_list(self) -> bool:
        """The value is a list."""
        return typing.get_origin(self.type) is list

    def convert(self, value: Any) -> Any:
        """Return ``value`` in the key's type: the text ``5`` is a number. Raises ``OmegaConfBaseException``."""
        # OmegaConf takes its time, also for values that it leaves alone
        is_plain = type(value) is self.plain_type in _SCALARS and value != "???"
        if is_plain or (value is None and self.is_optional):
            return value
        typed: Any = ListConfig([value], element_type=self.type)
        return OmegaConf.to_container(typed, throw_on_missing=True)[0]  # type: ignore[index]

    def check(self, value: Any) -> None:
        """Raise ``ConfigError`` if a value of the right type is not one of the choices or is out of range."""
        for element in value if isinstance(value, list) and not self.is_open else [value]:
            if self.names == "code" and element is not None:
                check_plugin_name(self.name, element, self.choices or ())
            elif self.choices is not None and element is not None and element not in self.choices:
                raise unknown(f"{self.name}={element}", element, map(str, self.choices))
            if isinstance(element, (int, float)) and not isinstance(element, bool) and not self._in_range(element):
                unit = f", {self.unit}" if self.unit else ""
                problem = "out of range" if math.isfinite(element) else "not finite"
                raise ConfigError(f"{self.name}={value} is {problem}: expected {self.allowed()}{unit} ({self.help})")

    def _in_range(self, number: float) -> bool:
        return (
            math.isfinite(number)
            and (self.low is None or number >= self.low)
            and (self.above is None or number > self.above)
            and (self.high is None or number <= self.high)
        )


def _keys_of(schema: Any, prefix: str) -> list[Key]:
    """All keys of a schema class, depth first."""
    hints = typing.get_type_hints(schema)
    found: list[Key] = []
    for entry in fields(schema):
        name, kind = f"{prefix}{entry.name}", hints[entry.name]
        if is_dataclass(kind):
            found += _keys_of(kind, f"{name}.")
            continue
        if "help" not in entry.metadata:
            raise ConfigError(f"{schema.__name__}.{entry.name} is no configuration key. Declare it with option()")
        default = entry.default_factory() if callable(entry.default_factory) else entry.default
        key = Key(name, kind, default, **entry.metadata)
        try:
            found.append(replace(key, default=key.convert(default)))
        except OmegaConfBaseException as error:
            raise ConfigError(f"{name}: its default does not fit its type: {first_line(error)}") from None
    return found


@cache
def all_keys(task_schema: Any = None) -> Mapping[str, Key]:
    """Every key by name: with the task keys of ``task_schema``, or with those of all built-in tasks merged."""
    keys: dict[str, Key] = {}
    for section, kind in typing.get_type_hints(Config).items():
        of_tasks = [task_schema] if task_schema else TASK_CONFIGS.values()
        for schema in of_tasks if section == "task" else [kind]:
            for key in _keys_of(schema, f"{section}."):
                known = keys.get(key.name, key)
                choices = key.choices and tuple(dict.fromkeys([*(known.choices or ()), *key.choices]))
                keys[key.name] = replace(known, choices=choices)
    return MappingProxyType(keys)


def is_section(name: str, keys: Iterable[str]) -> bool:
    """Whether some of ``keys`` are below ``name``."""
    return any(key.startswith(f"{name}.") for key in keys)


def tasks_with(key: str) -> list[str]:
    """Names of the built-in tasks that have ``key``."""
    configs: Mapping[str, Any] = TASK_CONFIGS
    return [name for name, config in configs.items() if key in all_keys(config)]


def is_unused(key: str, config: Config) -> bool:
    """Whether ``key`` is refused because it has no effect on the task of ``config``."""
    return key.startswith(config.task.unused) and not key.startswith(config.task.accepted)


@cache
def sections() -> tuple[str, ...]:
    """Names of sections that hold other keys: ``env``, ``env.actuators`` ..."""
    found = {".".join(name.split(".")[:depth]) for name in all_keys() for depth in range(1, name.count(".") + 1)}
    return tuple(sorted(found))


def example_key(section: str) -> str:
    """A key of a section, for a message."""
    prefix = {"physics": "sim.", "actuators": "env.actuators."}.get(section, f"{section}.")
    return next(name for name in all_keys() if name.startswith(prefix) and name not in ("task.name", "task.module"))
