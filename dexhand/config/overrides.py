"""The ``key=value`` words of a command line, in Hydra's grammar and in canonical spelling."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, RangeSweep
from hydra.core.override_parser.types import Override as ParsedOverride
from hydra.errors import HydraException

from dexhand.config.aliases import NEGATED, OLD_SECTIONS, canonical_key, canonical_value
from dexhand.config.errors import ConfigError
from dexhand.config.keys import GROUPS, example_key, sections
from dexhand.config.sources import find_sources, names_of
from dexhand.tasks import TASK_CONFIGS

INCOMPLETE_TASKS = [name for name, config in TASK_CONFIGS.items() if not config.is_complete]
"""Tasks that need more than their name: ``task=gymnasium:NAME``."""

SEARCHPATH = "hydra.searchpath"

_DECIMAL_COMMA = re.compile(r"-?0,\d+")

MOST_JOBS = 1_000
"""Of a sweep: ``range(0,1e12)`` would fill the memory."""


@dataclass(frozen=True)
class Override:
    """One ``key=value``."""

    key: str
    """In canonical spelling."""
    value: Any
    """As Hydra reads it: a number, a string, a list ..."""
    given: str
    """The word as the user wrote it."""
    sim_device: str | None = None
    """Beside ``rl_device``, the word that gives the physics another device, which not all tasks allow."""

    @property
    def alias(self) -> str:
        """The key as the user spelled it."""
        return self.given.partition("=")[0].lstrip("+")

    @property
    def text(self) -> str:
        """The value as the user spelled it."""
        return self.given.partition("=")[2]

    @property
    def shown(self) -> str:
        """The user's spelling for a message, and the canonical one if it differs."""
        text = str(self.value).lower() if self.alias in NEGATED else self.text
        return f"{self.key}={text}" if self.alias == self.key else f"{self.given} ({self.key}={text})"

    @property
    def is_choice(self) -> bool:
        """Whether it selects a file: ``physics=fast``, or ``+mine=file`` with the user's own folder ``mine``."""
        is_own = self.given.startswith("+") and "." not in self.key
        return self.key in GROUPS or (is_own and self.key not in (*sections(), *OLD_SECTIONS))


Overrides = dict[str, Override]
"""Overrides by canonical key; of several values in one spelling the last one counts, as in Hydra."""


def read_overrides(words: Iterable[str]) -> Overrides:
    """Read words ``key=value``. Raises ``ConfigError`` for the first that is no such word.

    ``+key=value`` and ``++key=value``, with which Hydra adds a key, mean the same as ``key=value``.
    """
    overrides: Overrides = {}
    for word in chain.from_iterable(map(_expanded, words)):
        parsed = _parse(word)
        spelling, _, text = word.partition("=")
        if parsed.is_sweep_override():
            point = f" ({text.replace(',', '.')} with a point)" if _DECIMAL_COMMA.fullmatch(text) else ""
            raise ConfigError(
                f"{word} gives several values. Give one{point}, write a list as {spelling}=[{text}], or start one job "
                "for each with --multirun"
            )
        alias = spelling.lstrip("+")
        override = Override(canonical_key(alias), canonical_value(alias, parsed.value()), word)
        _check(override)
        other = overrides.get(override.key, override)
        if other.given.partition("=")[0] != spelling and other.value != override.value:
            override = _of_learner(other, override)
        overrides[override.key] = override
    return overrides


def _of_learner(first: Override, second: Override) -> Override:
    """The one of two spellings with different values that is the learner's device. Raises ``ConfigError``."""
    devices = {override.alias: override for override in (first, second)}
    if devices.keys() != {"sim_device", "rl_device"}:
        raise two_spellings(first.given, second.given, first.key)
    return replace(devices["rl_device"], sim_device=devices["sim_device"].given)


def two_spellings(first: str, second: str, key: str) -> ConfigError:
    """Return the error for two words that give ``key`` different values."""
    return ConfigError(f"{first} and {second} are two spellings of {key} with different values. Give one of them")


def choices(overrides: Overrides) -> list[str]:
    """The words that select files, for Hydra."""
    chosen = (override for override in overrides.values() if override.is_choice)
    return [f"{'' if override.key in GROUPS else '+'}{override.key}={override.text}" for override in chosen]


def expand(words: Sequence[str], config_dir: str | None = None) -> Iterator[list[str]]:
    """Yield for each word the words it stands for: ``seed=1,2`` gives ``seed=1`` and ``seed=2``.

    ``task=glob(*)`` stands for the built-in tasks that need no further key, and those in ``config_dir``. Raises
    ``ConfigError``.
    """
    folders = find_sources("config", config_dir).folders
    for word in words:
        parsed = _parse(word)
        value, swept = parsed.value(), []
        try:
            if isinstance(value, Glob):
                names = names_of(parsed.key_or_group, folders)
                swept = value.filter([name for name in names if name not in INCOMPLETE_TASKS])
            elif not parsed.is_sweep_override():
                swept = [word.partition("=")[2]]
            elif not (isinstance(value, RangeSweep) and _is_long(value)):
                swept = list(parsed.sweep_string_iterator())
        except HydraException:
            pass  # a kind of sweep that has no end
        if not swept:
            raise ConfigError(f"{word}: these values cannot be listed. Write key=a,b,c or key=range(1,4)")
        yield [f"{word.partition('=')[0]}={value}" for value in swept]


def _is_long(sweep: RangeSweep) -> bool:
    return abs((sweep.stop or 0) - (sweep.start or 0)) > MOST_JOBS * abs(sweep.step)


def _expanded(word: str) -> Iterator[str]:
    """Yield the words that ``task=gymnasium:PACKAGE:NAME`` or ``+defaults=[config,/physics/fast]`` stands for."""
    key, _, value = word.partition("=")
    task, colon, environment = value.strip("'\"").partition(":")
    if key.lstrip("+") == "task" and colon and task.isidentifier():
        package, colon, name = environment.rpartition(":")
        yield from (f"task={task}", f"task.id={name}", *([f"task.package={package}"] if colon else []))
    elif key.lstrip("+") == "defaults":  # in Hydra, this only adds a key
        entries = [entry.strip() for entry in value.strip("[]").split(",")]
        if not all(entry == "config" or "/" in entry for entry in entries):
            raise ConfigError(
                f"{word} names no preset. Write +defaults=[config,/physics/fast], or config=NAME for a whole "
                "configuration"
            )
        yield from ("+" + "=".join(entry.strip("/").rsplit("/", 1)) for entry in entries if entry != "config")
    else:
        yield word


@lru_cache(maxsize=256)  # takes a millisecond, and a sweep's jobs share most of their words
def _parse(word: str) -> ParsedOverride:
    name, _, value = word.partition("=")
    is_plain = value.isascii() or set(value) & set("'\"[]{}(),\\")
    try:  # Hydra's grammar lacks other letters, as in runsDir=/home/jürgen
        (parsed,) = OverridesParser.create().parse_overrides([word if is_plain else f"{name}='{value}'"])
    except HydraException:
        if word in TASK_CONFIGS:
            raise ConfigError(f"{word!r} has no key. Write task={word}") from None
        example = "" if "=" in word else ", such as task=BaseTask or checkpoint=latest"
        raise ConfigError(
            f"{word!r} cannot be read. Write key=value without spaces{example}; quote values with special characters"
        ) from None
    key = parsed.key_or_group
    if not key:
        raise ConfigError(f"{word!r} names no key. Write key=value")
    if parsed.is_delete():
        raise ConfigError(f"{word}: keys cannot be removed. Give {key} another value")
    if key == SEARCHPATH and not isinstance(parsed.value(), list):
        raise ConfigError(f"{word}: expected a list of folders and packages, such as [file:///home/me/conf]")
    return parsed


def _check(override: Override) -> None:
    key, shown = override.key, override.shown
    if key in GROUPS and not (override.value and isinstance(override.value, str)):
        raise ConfigError(
            f"{shown} is no name. Known: {', '.join(names_of(key))}. Keys of the section are given one by one, "
            f"such as {example_key(key)}=..."
        )
    if key == "task.name":
        raise ConfigError(f"{shown}: choose a task with task={override.text}")
    if key.partition(".")[0].partition("/")[0] == "hydra" and key != SEARCHPATH:
        raise ConfigError(f"{shown}: of Hydra's own keys only {SEARCHPATH} can be set. Runs lie in train.runsDir")
