"""Other spellings of configuration keys: one table, used for the command line, for YAML files and for ``--help``."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import yaml

from dexhand.config.errors import ConfigError
from dexhand.config.keys import all_keys, sections

SHORT_FORMS: dict[str, str] = {
    "numEnvs": "env.numEnvs",
    "device": "env.device",
    "viewer": "env.viewer",
    "render": "env.viewer",
    "headless": "env.viewer",
    "videoRecord": "env.videoRecord",
    "videoStream": "env.videoStream",
    "streamBindAll": "env.videoStreamBindAll",
    "test": "train.test",
    "testGamesNum": "train.testGamesNum",
    "reloadInterval": "train.reloadInterval",
    "checkpoint": "train.checkpoint",
    "seed": "train.seed",
    "maxIter": "train.maxIterations",
    "logLevel": "train.logLevel",
    "maxTrainRuns": "train.maxTrainRuns",
    "maxTestRuns": "train.maxTestRuns",
}
"""Convenient on a command line; using them needs no remark."""

OLD_SECTIONS: dict[str, str] = {
    "training": "train",
    "testing": "train",
    "logging": "train",
    "experiment": "train",
    "task.reward": "task.reward_weights",
}
"""Sections of older versions and documents: ``training.seed`` is ``train.seed``."""

OLD_KEYS: dict[str, str] = {
    "experiment.name": "train.experimentName",
    "num_envs": "env.numEnvs",
    "maxIterations": "train.maxIterations",
    "train.maxIter": "train.maxIterations",
    "recordVideo": "env.videoRecord",
    "env.recordVideo": "env.videoRecord",
    "env.render": "env.viewer",
    "env.headless": "env.viewer",
    "env.streamBindAll": "env.videoStreamBindAll",
    "env.graphicsDeviceId": "sim.isaacgym.graphicsDevice",
    "env.box": "task.box",
    "wandb_activate": "train.wandb.enabled",
    "wandb_entity": "train.wandb.entity",
    "wandb_project": "train.wandb.project",
    "wandb_name": "train.wandb.name",
}
"""From older versions and documents; using them is remarked upon."""

ALIASES: dict[str, str] = {**SHORT_FORMS, **OLD_KEYS, **OLD_SECTIONS}
"""Other spelling: the key or section it means.

Beside these, camelCase and snake_case are the same: ``task.rewardWeights`` is ``task.reward_weights``.
"""

NEGATED = ("headless", "env.headless")
"""Aliases that say the opposite of their key."""

_OPPOSITE = {"true": "false", "false": "true"}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Override:
    """One ``key=value`` in canonical spelling."""

    key: str
    value: str
    given: str
    """As the user wrote it."""

    def __str__(self) -> str:
        return f"{self.key}={self.value}"

    @property
    def shown(self) -> str:
        """For a message: the canonical spelling, and the user's where it is another."""
        same = self.given.lstrip("+") == str(self)
        return str(self) if same else f"{self.given} ({self})"


@dataclass(frozen=True)
class Translation:
    """A command line in canonical spelling."""

    overrides: tuple[Override, ...]
    warnings: tuple[str, ...]
    """One line for each old spelling, with the one to use instead."""


def canonical_key(key: str) -> str:
    """``key`` with aliases at its front replaced; a key that is no alias is returned as it is."""
    for table in ({**SHORT_FORMS, **OLD_KEYS}, OLD_SECTIONS, OLD_KEYS):
        if key not in OLD_SECTIONS:  # a section takes no value
            key = _with_head_replaced(key, table.get)
    return _with_head_replaced(key, lambda head: _names().get(_snake(head)))


def canonical_value(key: str, value: str) -> str:
    """``value`` as the canonical key takes it; ``key`` is the alias. Raises ``ConfigError``."""
    if key not in NEGATED or value.lower() == "null":
        return value
    if value.lower() not in _OPPOSITE:
        raise ConfigError(f"{key}={value}: expected true, false or null")
    return _OPPOSITE[value.lower()]


def translate(overrides: Sequence[str]) -> Translation:
    """Canonical overrides of words ``key=value``.

    ``+key=value`` and ``++key=value`` say in Hydra that the key may be new; here no key can be, and they mean the same.
    Raises ``ConfigError`` where one key is given different values in two spellings.
    """
    translated: list[Override] = []
    warnings: list[str] = []
    given: dict[str, Override] = {}
    for word in overrides:
        spelling, _, value = word.partition("=")
        plain = spelling.lstrip("+")
        override = Override(canonical_key(plain), canonical_value(plain, value), word)
        other = given.setdefault(override.key, override)
        if other.given.partition("=")[0] != spelling and not _equal(other.value, override.value):
            raise ConfigError(
                f"{other.given} and {word} are two spellings of {override.key} with different values. Give one of them"
            )
        if override.key != plain and plain not in SHORT_FORMS:
            warnings.append(remark(plain, override.key))
        translated.append(override)
    return Translation(tuple(translated), tuple(warnings))


def remark(alias: str, key: str) -> str:
    """What is said of an old spelling."""
    opposite = ", which says the opposite" if alias in NEGATED else ""
    return f"{alias} is an old spelling of {key}{opposite}"


def _with_head_replaced(key: str, lookup: Callable[[str], str | None]) -> str:
    """``key`` with the longest head that ``lookup`` knows replaced."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        name = lookup(".".join(parts[:length]))
        if name is not None:
            return ".".join([name, *parts[length:]])
    return key


def _snake(key: str) -> str:
    return _HUMP.sub("_", key).lower()


@cache
def _names() -> dict[str, str]:
    """Every key and section by its snake_case form."""
    return {_snake(name): name for name in (*sections(), *all_keys())}


def _equal(one: str, other: str) -> bool:
    try:
        return bool(yaml.safe_load(one) == yaml.safe_load(other))
    except yaml.YAMLError:
        return one == other
