"""The command line of ``scripts/train.py``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import List, NoReturn, Optional, Sequence, Tuple

from dexhand.config.compose import compose_with_remarks
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.help import help_text
from dexhand.config.schema import Config

_VALUE_FLAGS = {"-cn": "config", "--config-name": "config", "-cd": "config_dir", "--config-dir": "config_dir"}
_FLAGS = (*_VALUE_FLAGS, "--dry-run", "--help", "-h")


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
    config, config_dir, dry_run = "config", None, False
    overrides: List[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word == "--dry-run":
            dry_run = True
        elif flag == "config":
            config = value
        elif flag in _VALUE_FLAGS:
            value = value if equals else _next(rest, flag)
            config, config_dir = (value, config_dir) if _VALUE_FLAGS[flag] == "config" else (config, value)
        elif word.startswith("-"):
            raise ConfigError(f"{word} is unknown. Known: {', '.join(_FLAGS)}, key=value.{did_you_mean(word, _FLAGS)}")
        else:
            overrides.append(word)
    composed = compose_with_remarks(overrides, config, _checked_folder(config_dir))
    return Invocation(composed.config, dry_run, tuple(argv), composed.remarks)


def _next(rest: List[str], flag: str) -> str:
    if not rest:
        raise ConfigError(f"{flag} needs a value")
    return rest.pop(0)


def _checked_folder(folder: Optional[str]) -> Optional[str]:
    if folder is not None and not Path(folder).is_dir():
        raise ConfigError(f"--config-dir={folder}: there is no such folder")
    return folder
