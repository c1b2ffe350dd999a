"""Code and files that only a run names: the run may come from somebody else, so they must be the user's own."""

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dexhand.config.errors import ConfigError
from dexhand.config.keys import Key, all_keys
from dexhand.config.plugins import find_code
from dexhand.config.schema import TrainConfig
from dexhand.config.settings import Settings, value_of
from dexhand.hands.spec import known_hands

_INSTALLED = ("site-packages", "dist-packages")


def refuse_foreign(settings: Settings) -> None:
    """Raise ``ConfigError`` if a value that only a run's file gives names code or files that are not the user's.

    The user's own are in the working folder or below, but not in ``train.runsDir``, in the part of the working folder
    that holds the run, or in an installed package. Nothing is imported.
    """
    of_run = {name: setting for name, setting in settings.items() if setting.run_file is not None}
    run_file = next((setting.run_file for setting in of_run.values()), None)
    if run_file is None or value_of(settings, "train.trustCheckpoint") is True:
        return
    runs_dir = str(value_of(settings, "train.runsDir") or TrainConfig.runsDir)
    not_own = _not_own(run_file, (runs_dir, TrainConfig.runsDir))  # both, because a run may give another runsDir
    for key in all_keys().values():
        for name in _named(key, value_of(of_run, key.name)):
            places = _places(key, name)
            if not places or not all(_is_own(place, not_own) for place in places):
                what = "files" if key.names == "files" else "code"
                raise _refusal(key.name, name, of_run[key.name].value, run_file, what)
    open_sections = tuple(f"{key.name}." for key in all_keys().values() if key.is_open)
    for name, setting in of_run.items():
        for text in _texts(setting.value) if name.startswith(open_sections) else ():
            if not all(_is_own(place, not_own) for place in _meant_by(text)):
                raise _refusal(name, text, setting.value, run_file, "files or code")


def _refusal(key: str, name: str, value: Any, run_file: Path, what: str) -> ConfigError:
    given = f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
    return ConfigError(
        f"{key}={name}: only {run_file} names it, and the working folder has no such {what} of your own. Start where "
        f"it is, or, if you trust it, give {key}={given}, or train.trustCheckpoint=true for all that the run names"
    )


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value of a key that may be anything."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value if isinstance(value, list) else [*value, *value.values()]:
            yield from _texts(item)


def _meant_by(text: str) -> list[Path]:
    """The files or code that a text means, if there are any; a word without a dot or colon is no code."""
    path = os.path.expanduser(text)  # as Gymnasium does with xml_file
    if "\0" not in text and (os.sep in text or os.path.exists(path)):
        return [Path(path)]
    return find_code(text.partition(":")[0]) if {".", ":"} & set(text) else []


def check_code_exists(settings: Settings) -> None:
    """Raise ``ConfigError`` if there is no file for code that ``settings`` name; imports nothing."""
    for key in all_keys().values():
        for name in _named(key, value_of(settings, key.name)):
            if key.names != "files" and not _places(key, name):
                raise ConfigError(
                    f"{key.name}={name}: there is no such file or module. Start in the folder that holds it, install "
                    "it, or give the path of a .py file"
                )


def _named(key: Key, value: Any) -> Iterator[str]:
    """What a value names beside the choices of its key."""
    ours = known_hands() if key.name == "env.hand" else key.choices or ()
    for name in value if isinstance(value, list) else [value]:
        if key.names is not None and name is not None and name not in ours:
            yield str(name)


def _places(key: Key, name: str) -> list[Path]:
    """The files that a name means, or the folder; empty if it is unknown."""
    if key.names == "files":
        return [Path(name)] if os.path.exists(name) else []
    return find_code(name.rpartition(":")[0] if key.names == "code" else name)


def _not_own(run_file: Path, runs_dirs: Iterable[str]) -> list[Path]:
    """The folders in the working folder that hold somebody else's files."""
    home, *runs = (Path(os.path.realpath(path)) for path in (".", *runs_dirs))
    parts = [_part(home, folder) for folder in (run_file.absolute().parent, Path(os.path.realpath(run_file)).parent)]
    python = (Path(sysconfig.get_path("stdlib")), Path(sys.prefix), Path(sys.base_prefix))
    archives = [Path(f"{folder}_all") for folder in runs]
    return [*parts, *runs, *archives, *(folder for folder in python if folder.is_relative_to(home))]


def _is_own(place: Path, not_own: Sequence[Path]) -> bool:
    home, real = (Path(os.path.realpath(path)) for path in (".", place))
    if not real.is_relative_to(home) or any(name in real.parts for name in _INSTALLED):
        return False
    return not any(_is_in(real, folder) for folder in not_own)


def _part(home: Path, folder: Path) -> Path:
    """The part of ``home`` that ``folder`` is in: what was copied here with a run may lie beside it."""
    if home.is_relative_to(folder) or not folder.is_relative_to(home):
        return folder
    return home / folder.relative_to(home).parts[0]


def _is_in(place: Path, folder: Path) -> bool:
    """By identity, because names may differ in case on some file systems."""
    return folder.exists() and any(path.exists() and path.samefile(folder) for path in (place, *place.parents))
