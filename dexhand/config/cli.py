"""The command line of ``scripts/train.py``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, NoReturn, Optional, Sequence, Tuple

from dexhand.config.aliases import canonical_key
from dexhand.config.compose import GROUPS, Composed, compose_with_remarks
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.help import help_text
from dexhand.config.schema import Config, TrainConfig

_VALUE_FLAGS = {
    "config": "config",
    "-cn": "config",
    "--config-name": "config",
    "-cd": "--config-dir",
    "--config-dir": "--config-dir",
    "resume": "resume",
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
    resume: Optional[str] = None
    """The run to go on in, as the user named it."""


SavedConfig = Callable[[str, str], Path]
"""Finds the configuration of the run that ``resume=`` names, in a ``train.runsDir``."""


def parse(argv: Sequence[str], saved_config: SavedConfig) -> Invocation:
    """Read a command line. Prints the help page and exits 0, or one line about what is wrong and exits 2."""
    if "--help" in argv or "-h" in argv:
        print(help_text())  # noqa: T201
        sys.exit(0)
    try:
        return _invocation(argv, saved_config)
    except ConfigError as error:
        fail(error)


def fail(error: Exception) -> NoReturn:
    """Say what is wrong, in one line, and exit 2."""
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


@dataclass(frozen=True)
class _Words:
    """A command line, sorted."""

    overrides: List[str]
    chosen: Dict[str, str]
    """What ``config=``, ``--config-dir`` and ``resume=`` name."""
    dry_run: bool


def _invocation(argv: Sequence[str], saved_config: SavedConfig) -> Invocation:
    words = _sorted_words(argv)
    folder = _checked_folder(words.chosen.get("--config-dir"))
    resume = words.chosen.get("resume")
    if resume is None:
        composed = compose_with_remarks(words.overrides, words.chosen.get("config", "config"), folder)
    else:
        composed = _compose_to_resume(resume, words, folder, saved_config)
    return Invocation(composed.config, words.dry_run, tuple(argv), composed.remarks, resume)


def _sorted_words(argv: Sequence[str]) -> _Words:
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
    return _Words(overrides, chosen, dry_run)


def _compose_to_resume(resume: str, words: _Words, folder: Optional[str], saved_config: SavedConfig) -> Composed:
    """The configuration of the run that goes on; the command line changes it key by key, and may name its task."""
    given = {canonical_key(word.partition("=")[0].lstrip("+")): word.partition("=")[2] for word in words.overrides}
    if "config" in words.chosen:
        raise ConfigError(f"resume={resume} and config={words.chosen['config']} exclude each other. Give one of them")
    if resume in ("exact", "weights"):
        raise ConfigError(f"resume={resume} names a run; what to take over from a checkpoint is train.resume={resume}")
    for key in ("train.checkpoint", "train.test", *GROUPS):
        if key in given and key != "task":
            raise ConfigError(
                f"resume={resume} goes on in a run with that run's own configuration; {key}= cannot be given with it"
            )
    config_file = saved_config(resume, given.get("train.runsDir", TrainConfig.runsDir).strip("\"'"))
    overrides = [word for word in words.overrides if not word.startswith("task=")]
    composed = compose_with_remarks(overrides, str(config_file), folder)
    task = composed.config.task.name
    if given.get("task", task) != task:
        raise ConfigError(f"resume={resume} is a run of task={task}, not task={given['task']}")
    return composed


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
