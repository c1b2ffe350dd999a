"""The ``key=value`` words of a command line, checked one by one before anything is composed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override as ParsedOverride
from hydra.errors import HydraException

from dexhand.config.aliases import ALIASES, OLD_KEYS, SHORT_FORMS, Override, translate
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.files import CFG, names_of
from dexhand.config.keys import all_keys, sections

GROUPS = ("task", "physics", "actuators", "train")
"""Sections of the configuration that are chosen as a whole: ``physics=fast``."""

WORDS = ("config", "resume")
"""What looks like a key and belongs to the command line itself."""

_SEARCHPATH = "hydra.searchpath"


@dataclass(frozen=True)
class Overrides:
    """What a command line changes."""

    keys: tuple[Override, ...]
    """Keys and choices in canonical spelling."""
    searchpath: tuple[str, ...]
    """Places of the user's own that Hydra searches for files, as ``hydra.searchpath`` takes them."""
    warnings: tuple[str, ...]
    """What is to be said about old spellings."""

    def __contains__(self, key: str) -> bool:
        return any(override.key == key for override in self.keys)

    def with_task(self, name: str) -> "Overrides":
        """With ``task=name`` chosen, where that is one of ours."""
        if name not in names_of("task"):
            return self
        return replace(self, keys=(Override("task", name, f"task={name}"), *self.keys))

    def for_hydra(self) -> list[str]:
        """As Hydra takes them. What keys there are is checked elsewhere, so each may be new to Hydra (``++``)."""
        return [_for_hydra(override) for override in self.keys]


def read_overrides(words: Sequence[str]) -> Overrides:
    """Read words ``key=value``. Raises ``ConfigError`` for the first that cannot be meant.

    Keys below ``task`` are not checked: a task of the user's own may have any.
    """
    plain: list[str] = []
    searchpath: list[str] = []
    for word in _with_presets_selected(words):
        parsed = _parse(word, OverridesParser.create())
        if parsed.is_sweep_override():
            spelling, _, value = word.partition("=")
            raise ConfigError(
                f"{word} gives several values. Give one, write a list as {spelling}=[{value}], or start one job for "
                "each with --multirun"
            )
        if parsed.key_or_group == _SEARCHPATH:
            searchpath += _places(parsed, word)
        else:
            plain.append(word)
    translation = translate(plain)
    for override in translation.overrides:
        _check(override)
    return Overrides(translation.overrides, tuple(searchpath), translation.warnings)


def expand(word: str) -> list[str]:
    """The words that one with several values stands for: ``seed=1,2`` is ``seed=1`` and ``seed=2``.

    Raises ``ConfigError``.
    """
    with initialize_config_dir(str(CFG), version_base="1.3"):  # for glob(), which asks what there is
        parsed = _parse(word, OverridesParser.create(GlobalHydra.instance().config_loader()))
        if not parsed.is_sweep_override():
            return [word]
        try:
            values = list(parsed.sweep_string_iterator())
        except HydraException:
            values = []
    if not values:
        raise ConfigError(f"{word}: these values cannot be listed. Write key=a,b,c or key=range(1,4)")
    return [f"{word.partition('=')[0]}={value}" for value in values]


def _for_hydra(override: Override) -> str:
    if override.key in GROUPS:
        return str(override)
    return f"+{override}" if _is_group(override) else f"++{override}"


def _is_group(override: Override) -> bool:
    """``+mine=file``, where ``mine`` is a folder of the user's own with files to choose from."""
    return override.given.startswith("+") and "." not in override.key and override.key not in ALIASES


def _with_presets_selected(words: Sequence[str]) -> Iterator[str]:
    """Turn ``+defaults=[config,/physics/fast]``, which in Hydra would only add a key, into what it is meant to do."""
    for word in words:
        key, _, value = word.partition("=")
        if key.lstrip("+") != "defaults":
            yield word
            continue
        for entry in value.strip("[]").split(","):
            group, _, choice = entry.strip().lstrip("/").rpartition("/")
            if group:
                yield f"+{group}={choice}"
            elif choice != "config":
                raise ConfigError(
                    f"{word}: {choice!r} names no preset. Write +defaults=[config,/physics/fast], or config=NAME for a "
                    "whole configuration"
                )


def _parse(word: str, parser: OverridesParser) -> ParsedOverride:
    """Refuse what Hydra would refuse in many lines, in one."""
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
    return parsed


def _places(parsed: ParsedOverride, word: str) -> list[str]:
    places: Any = parsed.value()
    if not isinstance(places, list):
        raise ConfigError(f"{word}: expected a list of folders and packages, such as [file://{Path.home()}/mine]")
    return [str(place) for place in places]


def _check(override: Override) -> None:
    key = override.key
    if key in GROUPS:
        _check_choice(override)
    elif key == "task.name":
        raise ConfigError(f"{override.shown}: choose a task with task={override.value}")
    elif key in sections():
        raise ConfigError(
            f"{override.shown}: {key} is a section. Give its keys one by one, such as {example_key(key)}=..."
        )
    elif key.startswith(("hydra.", "hydra/")):
        raise ConfigError(
            f"{override.shown}: of Hydra's own keys only {_SEARCHPATH} can be set. Runs lie in train.runsDir"
        )
    elif key not in all_keys() and not key.startswith("task.") and not _is_group(override):
        raise unknown_key(key, override.shown, all_keys())


def unknown_key(key: str, given: str, keys: Iterable[str]) -> ConfigError:
    """What is said of a key that does not exist; ``keys`` are those that do."""
    known = [*keys, *SHORT_FORMS, *OLD_KEYS, *GROUPS, *WORDS]
    return ConfigError(f"{given}: there is no key {key}.{did_you_mean(key, known)} --help lists all keys")


def _check_choice(override: Override) -> None:
    if override.value in ("", "null") or override.value[0] in "{[":
        known = ", ".join(names_of(override.key))
        raise ConfigError(
            f"{override.shown} is no name. Known: {known}. Keys of the section are given one by one, such as "
            f"{example_key(override.key)}=..."
        )


def example_key(section: str) -> str:
    """A key of a section, for a message."""
    prefix = {"physics": "sim.", "actuators": "env.actuators."}.get(section, f"{section}.")
    return next(name for name in all_keys() if name.startswith(prefix) and name not in ("task.name", "task.module"))
