"""The command line of ``scripts/train.py``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NoReturn, Optional, Sequence, Tuple

from dexhand.config.compose import compose_with_remarks
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.help import help_text
from dexhand.config.schema import Config

_VALUE_FLAGS = {
    "config": "config",
    "-cn": "config",
    "--config-name": "config",
    "-cd": "--config-dir",
    "--config-dir": "--config-dir",
}
_FLAGS = (*(flag for flag in _VALUE_FLAGS if flag.startswith("-")), "--dry-run", "--help", "-h")


@dataclass(frozen=True)
class Invocation:
    """What was asked for."""

    config: Config
    dry_run: bool
    argv: Tuple[str, ...]
    """The command line as it was given."""
    remarks: Tuple[str, ...]
    """What is to be said about old spellings."""


def parse(argv: Sequence[str]) -> Invocation:
    """Read a command line. Prints the help page and exits 0, or one line about what is wrong and exits 2."""
    if "--help" in argv or "-h" in argv:
        print(help_text())  # noqa: T201
        sys.exit(0)
    try:
        return _invocation(argv)
    except ConfigError as error:
        fail(error)


def fail(error: Exception) -> NoReturn:
    """Say what is wrong, in one line, and exit 2."""
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


def _invocation(argv: Sequence[str]) -> Invocation:
    chosen: Dict[str, str] = {}
    dry_run = False
    overrides: List[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word == "--dry-run":
            dry_run = True
        elif flag in _VALUE_FLAGS:
            value = value if equals or not flag.startswith("-") else _next(rest, flag)
            _choose(chosen, _VALUE_FLAGS[flag], value)
        elif word.startswith("-"):
            raise ConfigError(f"{word} is unknown. Known: {', '.join(_FLAGS)}, key=value.{did_you_mean(word, _FLAGS)}")
        else:
            overrides.append(word)
    folder = _checked_folder(chosen.get("--config-dir"))
    composed = compose_with_remarks(overrides, chosen.get("config", "config"), folder)
    return Invocation(composed.config, dry_run, tuple(argv), composed.remarks)


def _choose(chosen: Dict[str, str], what: str, value: str) -> None:
    if chosen.setdefault(what, value) != value:
        raise ConfigError(f"{what}={chosen[what]} and {what}={value} exclude each other. Give one of them")


def _next(rest: List[str], flag: str) -> str:
    if not rest:
        raise ConfigError(f"{flag} needs a value")
    return rest.pop(0)


def _checked_folder(folder: Optional[str]) -> Optional[str]:
    if folder is not None and not (folder and Path(folder).is_dir()):
        raise ConfigError(f"--config-dir={folder}: there is no such folder")
    return folder
