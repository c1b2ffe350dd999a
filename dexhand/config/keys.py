"""The configuration's keys as a flat list, read off the schema."""

import typing
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from dexhand.config.schema import Config
from dexhand.config.task_schema import TASKS


@dataclass(frozen=True)
class Key:
    """One configuration key that takes a value."""

    name: str
    """With its sections: ``env.numEnvs``."""
    type: Any
    default: Any
    help: str
    unit: str
    choices: tuple[Any, ...]
    """Allowed values, or allowed elements of a list; empty = not restricted so."""
    low: Any
    high: Any
    above: Any

    def allowed(self) -> str:
        """Type, choices and range in words."""
        if self.choices and not self.is_list:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        words = _type_name(self.type)
        if self.low is not None and self.high is not None:
            words += f" from {self.low} to {self.high}"
        elif self.low is not None:
            words += f" >= {self.low}"
        elif self.above is not None:
            words += f" > {self.above}" + (f" and <= {self.high}" if self.high is not None else "")
        return words + (" or null" if self.is_optional else "")

    @property
    def is_optional(self) -> bool:
        """``null`` is allowed."""
        return type(None) in typing.get_args(self.type)

    @property
    def is_list(self) -> bool:
        """The value is a list."""
        return typing.get_origin(self.type) is list


def _type_name(kind: Any) -> str:
    inner = [part for part in typing.get_args(kind) if part is not type(None)]
    if typing.get_origin(kind) is list:
        return f"a list of {_type_name(inner[0])}s".replace("a list of a ", "a list of ").replace(" strings", " names")
    if inner:
        return _type_name(inner[0])
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}[kind]


def keys_of(schema: Any, prefix: str = "") -> tuple[Key, ...]:
    """All keys of a schema class, depth first."""
    return _keys_of(schema, prefix)


@cache
def _keys_of(schema: Any, prefix: str) -> tuple[Key, ...]:
    hints = typing.get_type_hints(schema)
    found: list[Key] = []
    for entry in fields(schema):
        name = f"{prefix}{entry.name}"
        kind = hints[entry.name]
        if is_dataclass(kind):
            found += keys_of(kind, f"{name}.")
        else:
            found.append(_key(name, kind, entry))
    return tuple(found)


def _key(name: str, kind: Any, entry: "Field[Any]") -> Key:
    meta = entry.metadata
    default = entry.default_factory() if callable(entry.default_factory) else entry.default
    return Key(
        name=name,
        type=kind,
        default=default,
        help=meta["help"],
        unit=meta["unit"],
        choices=tuple(meta["choices"] or ()),
        low=meta["low"],
        high=meta["high"],
        above=meta["above"],
    )


@cache
def all_keys() -> Mapping[str, Key]:
    """Every key of every task, by name."""
    keys = {key.name: key for key in keys_of(Config)}
    for task in TASKS.values():
        keys.update({key.name: key for key in keys_of(task, "task.")})
    return MappingProxyType(keys)


@cache
def sections() -> tuple[str, ...]:
    """Names that hold other keys: ``env``, ``env.actuators`` ..."""
    found = {".".join(name.split(".")[:depth]) for name in all_keys() for depth in range(1, name.count(".") + 1)}
    return tuple(sorted(found))
