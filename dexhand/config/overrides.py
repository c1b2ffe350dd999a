"""The ``key=value`` words of a command line, checked one by one before anything is composed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override as ParsedOverride
from hydra.errors import HydraException

from dexhand.config.aliases import (
    ALIASES,
    NOT_YET,
    OLD_KEYS,
    SHORT_FORMS,
    canonical_key,
    canonical_value,
    spelling_warning,
)
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.keys import all_keys, sections
from dexhand.config.sources import CFG, names_of

GROUPS = ("task", "physics", "actuators", "train")
"""Sections of the configuration that are chosen as a whole: ``physics=fast``."""

SEARCHPATH = "hydra.searchpath"


@dataclass(frozen=True)
class Override:
    """One ``key=value``."""

    key: str
    """In canonical spelling."""
    value: str
    given: str
    """The word as the user wrote it."""

    @property
    def spelling(self) -> str:
        """The key as the user spelled it."""
        return self.given.partition("=")[0].lstrip("+")

    @property
    def shown(self) -> str:
        """For a message: the canonical spelling, and the user's where it is another."""
        canonical = f"{self.key}={self.value}"
        return canonical if self.given.lstrip("+") == canonical else f"{self.given} ({canonical})"

    @property
    def is_own_group(self) -> bool:
        """``+mine=file``, where ``mine`` is a folder of the user's own with files to choose from."""
        return self.given.startswith("+") and "." not in self.key and self.spelling not in ALIASES

    def for_hydra(self) -> str:
        """As Hydra takes it: ``++`` because defaults that no file states are new to Hydra."""
        plus = "" if self.key in GROUPS else "+" if self.is_own_group else "++"
        return f"{plus}{self.key}={self.value}"


Overrides = dict[str, Override]
"""What a command line changes, by canonical key; of several values in one spelling the last counts, as in Hydra."""


def read_overrides(words: Iterable[str]) -> Overrides:
    """Read words ``key=value``. Raises ``ConfigError`` for the first that is wrong in itself.

    ``+key=value`` and ``++key=value``, with which Hydra adds a key, mean the same as ``key=value``. Keys of the task
    are not checked: it may be the user's own.
    """
    overrides: Overrides = {}
    for word in _without_defaults(words):
        parsed = _parse(word, OverridesParser.create())
        spelling, _, value = word.partition("=")
        if parsed.is_sweep_override():
            raise ConfigError(
                f"{word} gives several values. Give one, write a list as {spelling}=[{value}], or start one job for "
                "each with --multirun"
            )
        alias = spelling.lstrip("+")
        override = Override(canonical_key(alias), canonical_value(alias, value), word)
        _check(override)
        other = overrides.get(override.key, override)
        if other.given.partition("=")[0] != spelling and not _equal(other.value, override.value):
            raise ConfigError(
                f"{other.given} and {word} are two spellings of {override.key} with different values. Give one of them"
            )
        overrides[override.key] = override
    return overrides


def hydra_words(overrides: Overrides) -> list[str]:
    """As Hydra takes them, except for the search path."""
    return [override.for_hydra() for override in overrides.values() if override.key != SEARCHPATH]


def searchpath_of(overrides: Overrides) -> list[str]:
    """Further places with files, from ``hydra.searchpath=[...]``."""
    given = overrides.get(SEARCHPATH)
    places: Any = [] if given is None else _parse(given.given, OverridesParser.create()).value()
    return [str(place) for place in places]


def expand(words: Sequence[str]) -> Iterator[list[str]]:
    """For each word the words it stands for: ``seed=1,2`` is ``seed=1`` and ``seed=2``. Raises ``ConfigError``."""
    with initialize_config_dir(str(CFG), version_base="1.3"):  # glob() asks for the choices that exist
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        for word in words:
            parsed = _parse(word, parser)
            try:
                swept = list(parsed.sweep_string_iterator()) if parsed.is_sweep_override() else None
            except HydraException:
                swept = []
            if swept == []:
                raise ConfigError(f"{word}: these values cannot be listed. Write key=a,b,c or key=range(1,4)")
            yield [word] if swept is None else [f"{word.partition('=')[0]}={value}" for value in swept]


def spelling_warnings(overrides: Overrides) -> list[str]:
    """A line for each old spelling."""
    found = (spelling_warning(override.spelling, override.key) for override in overrides.values())
    return [warning for warning in found if warning is not None]


def example_key(section: str) -> str:
    """A key of a section, for a message."""
    prefix = {"physics": "sim.", "actuators": "env.actuators."}.get(section, f"{section}.")
    return next(name for name in all_keys() if name.startswith(prefix) and name not in ("task.name", "task.module"))


def unknown_key(key: str, given: str, keys: Iterable[str]) -> ConfigError:
    """The error for a key that does not exist; ``keys`` are those that do."""
    known = [*keys, *NOT_YET, *SHORT_FORMS, *OLD_KEYS, *GROUPS, "config", "resume"]
    return ConfigError(f"{given}: there is no key {key}.{did_you_mean(key, known)} --help lists all keys")


def _without_defaults(words: Iterable[str]) -> Iterator[str]:
    """Replace ``+defaults=[config,/physics/fast]``, which in Hydra adds a key only, by the choices it stands for."""
    for word in words:
        key, _, value = word.partition("=")
        entries = [entry.strip() for entry in value.strip("[]").split(",")]
        if key.lstrip("+") != "defaults":
            yield word
        elif all(entry == "config" or entry.count("/") > 0 for entry in entries):
            yield from ("+" + "=".join(entry.strip("/").rsplit("/", 1)) for entry in entries if entry != "config")
        else:
            raise ConfigError(
                f"{word} names no preset. Write +defaults=[config,/physics/fast], or config=NAME for a whole "
                "configuration"
            )


def _parse(word: str, parser: OverridesParser) -> ParsedOverride:
    try:
        (parsed,) = parser.parse_overrides([word])
    except HydraException:
        raise ConfigError(
            f"{word!r} cannot be read. Write key=value without spaces; quote values with special characters"
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
    if key in GROUPS:
        if override.value in ("", "null") or override.value[0] in "{[":
            raise ConfigError(
                f"{shown} is no name. Known: {', '.join(names_of(key))}. Keys of the section are given one by one, "
                f"such as {example_key(key)}=..."
            )
    elif key == "task.name":
        raise ConfigError(f"{shown}: choose a task with task={override.value}")
    elif key in sections():
        raise ConfigError(f"{shown}: {key} is a section. Give its keys one by one, such as {example_key(key)}=...")
    elif key.startswith(("hydra.", "hydra/")) and key != SEARCHPATH:
        raise ConfigError(f"{shown}: of Hydra's own keys only {SEARCHPATH} can be set. Runs lie in train.runsDir")
    elif not (key in all_keys() or key in NOT_YET or key.startswith(("task.", "hydra.")) or override.is_own_group):
        raise unknown_key(key, shown, all_keys())


def _equal(one: str, other: str) -> bool:
    try:
        return bool(yaml.safe_load(one) == yaml.safe_load(other))
    except yaml.YAMLError:
        return one == other
