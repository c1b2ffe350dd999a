"""The command line of ``dexhand train``."""

import argparse
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NoReturn, Protocol

from dexhand.config.aliases import canonical_key
from dexhand.config.completion import complete
from dexhand.config.compose import Composed, compose_with_warnings, to_yaml
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.help import help_text
from dexhand.config.keys import GROUPS, all_keys
from dexhand.config.overrides import MOST_JOBS, Overrides, expand, read_overrides
from dexhand.config.schema import Config, TrainConfig
from dexhand.config.settings import SavedConfig
from dexhand.config.sources import leaves, read_run_file


@dataclass(frozen=True)
class Program:
    """How the user called the program, so that the commands in messages work where the user is."""

    command: str = "dexhand train"
    play: str = "dexhand test {words}checkpoint={run}"
    """Plays the policy of a run; further words are followed by a space."""


@dataclass(frozen=True)
class Invocation:
    """A request for one run."""

    config: Config
    dry_run: bool
    argv: tuple[str, ...]
    """The command line as it was given."""
    warnings: tuple[str, ...]
    """About old spellings and keys without effect."""
    resume: str | None = None
    """The run to resume, as the user named it."""
    program: Program = Program()


@dataclass(frozen=True)
class Sweep:
    """A request for several runs, from ``--multirun``."""

    jobs: tuple[Invocation, ...]


@dataclass(frozen=True)
class Page:
    """Text to print, from ``--help``, ``--cfg`` or ``--shell-completion``."""

    text: str


class SavedConfigs(Protocol):
    """Finds the ``config.yaml`` of runs in a ``train.runsDir``."""

    def to_resume(self, spec: str, runs_dir: str) -> Path:
        """The file of the run that ``resume=`` names. Raises ``ConfigError`` if there is none."""

    def behind(self, checkpoint: str, runs_dir: str) -> SavedConfig | None:
        """What ``checkpoint=`` was trained with: the file of its run, or what it holds; ``None`` if it is unknown."""


def parse(argv: Sequence[str], saved: SavedConfigs) -> Invocation | Sweep | Page:
    """Read a command line. Raises ``ConfigError``."""
    for word in argv:
        _refuse_oversized(word)
    flags, words = _read_flags(argv)
    if flags.help:
        is_general = not words and flags.config is None and flags.resume is None
        return Page(help_text(None if is_general else _invocation(argv, flags, words, saved).config))
    if flags.shell_completion is not None:
        return Page(complete(flags.shell_completion))
    if flags.multirun:
        return _sweep(argv, flags, words, saved)
    invocation = _invocation(argv, flags, words, saved)
    return Page(to_yaml(invocation.config, flags.package)) if flags.cfg else invocation


LONGEST_WORD = 5_000
"""Characters; a path has at most 4,096."""
DEEPEST_WORD = 20
"""Brackets within brackets."""
_LONG_NUMBER = re.compile(r"\d{300}")


def _refuse_oversized(word: str) -> None:
    """Raise ``ConfigError`` for a word that no key takes, before Hydra parses it."""
    depth = max(accumulate((char in "[{(") - (char in ")}]") for char in word[:LONGEST_WORD]), default=0)
    if len(word) > LONGEST_WORD or depth > DEEPEST_WORD or "\0" in word or _LONG_NUMBER.search(word):
        raise ConfigError(
            f"{word[:60]!r}... cannot be read: a word has at most {LONGEST_WORD} characters, numbers of 299 digits and "
            f"{DEEPEST_WORD} brackets within brackets"
        )


# --- flags ------------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def _parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cn", "--config-name", "--config", dest="config", action="append", default=[])
    parser.add_argument("--resume", action="append", default=[])
    parser.add_argument("-cd", "--config-dir", action="append", default=[])
    parser.add_argument("-c", "--cfg", choices=["job"])
    parser.add_argument("-p", "--package", default="")
    parser.add_argument("--resolve", action="store_true", help="as with Hydra; values are always resolved")
    parser.add_argument("-sc", "--shell-completion")
    parser.add_argument("--local-rank", "--local_rank", help="from torch.distributed.launch; LOCAL_RANK is the same")
    return parser


def _read_flags(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The flags of a command line, with ``config=`` and ``resume=`` among them, and its ``key=value`` words."""
    parser = _parser()
    plain = [f"--{word}" if word.startswith(("config=", "resume=")) else word for word in argv]
    flags, words = parser.parse_known_args(plain)
    for word in words:
        if word.startswith("-"):
            if "=" in word:
                raise ConfigError(f"{word}: keys have no dashes. Write {word.lstrip('-')}")
            key = canonical_key(word.lstrip("-"))
            if key in all_keys():
                raise ConfigError(f"{word}: keys have no dashes. Write {word.lstrip('-')}=VALUE")
            known = [option for action in parser._actions for option in action.option_strings]
            raise ConfigError(f"{word} is unknown. Known: {', '.join(known)}, key=value.{did_you_mean(word, known)}")
    for name in ("config", "resume", "config_dir"):
        first, *others = dict.fromkeys(getattr(flags, name)) or [None]
        if others:
            raise ConfigError(f"{name}={first} and {name}={others[0]} exclude each other. Give one of them")
        setattr(flags, name, first)
    folder = flags.config_dir
    if folder is not None and not (folder and Path(folder).is_dir()):
        raise ConfigError(f"--config-dir={folder}: there is no such folder")
    return flags, words


# --- one run, or several ----------------------------------------------------------------------------------------------


def _invocation(
    argv: Sequence[str], flags: argparse.Namespace, words: Sequence[str], saved: SavedConfigs
) -> Invocation:
    overrides = read_overrides(words)
    if flags.resume is None:
        config = "config" if flags.config is None else flags.config
        composed = compose_with_warnings(overrides, config, flags.config_dir, saved.behind, imports=not flags.dry_run)
    else:
        composed = _compose_to_resume(flags, overrides, saved)
    return Invocation(composed.config, flags.dry_run, tuple(argv), composed.warnings, flags.resume)


def _compose_to_resume(flags: argparse.Namespace, overrides: Overrides, saved: SavedConfigs) -> Composed:
    """The configuration of the run to resume, with keys from the command line; ``task=`` may only repeat its task."""
    resume = flags.resume
    if flags.config is not None:
        raise ConfigError(f"resume={resume} and config={flags.config} exclude each other. Give one of them")
    if resume in ("exact", "weights"):
        raise ConfigError(f"resume={resume} names a run; what to take over from a checkpoint is train.resume={resume}")
    for key in ("train.checkpoint", "train.test", *GROUPS):
        if key in overrides and key != "task":
            raise ConfigError(
                f"resume={resume} continues a run with its own configuration; {key}= cannot be given with it"
            )
    runs_dir = overrides["train.runsDir"].value if "train.runsDir" in overrides else TrainConfig.runsDir
    file = saved.to_resume(resume, str(runs_dir))
    _refuse_fixed(resume, file, overrides)
    keys = {key: override for key, override in overrides.items() if key != "task"}
    composed = compose_with_warnings(keys, str(file), flags.config_dir, imports=not flags.dry_run)
    task = composed.config.task.name
    if "task" in overrides and overrides["task"].value != task:
        raise ConfigError(f"resume={resume} is a run of task={task}, not task={overrides['task'].value}")
    return composed


_FIXED = ("train.seed", "train.network.", "train.resume", "train.experimentName")
"""Keys that only matter at the start of a training."""


def _refuse_fixed(resume: str, file: Path, overrides: Overrides) -> None:
    """Raise ``ConfigError`` for a key that a resumed run cannot change, unless its value is that of ``file``."""
    recorded = dict(leaves(read_run_file(file)))
    for override in overrides.values():
        for key, value in leaves({override.key: override.value}):  # train.network={units:[8]}
            if key.startswith(_FIXED) and value != recorded.get(key):
                raise ConfigError(
                    f"{override.shown}: resume={resume} continues with {key}={recorded.get(key)}, which matters at the "
                    "start of a training. Leave it out, or start another one: "
                    f"config={file} checkpoint={resume} train.resume=weights"
                )


def _sweep(argv: Sequence[str], flags: argparse.Namespace, words: Sequence[str], saved: SavedConfigs) -> Sweep:
    """One job for each combination of the given values; the last key changes fastest. All are checked here."""
    for what, value in (("resume", flags.resume), ("--cfg", flags.cfg)):
        if value is not None:
            raise ConfigError(f"--multirun and {what} exclude each other: one is about many runs, the other about one")
    others = [word for word in argv if word not in words and word not in ("-m", "--multirun")]
    values = [*expand(words, flags.config_dir)]
    if math.prod(map(len, values)) > MOST_JOBS:
        raise ConfigError(f"--multirun: these words give more than {MOST_JOBS} jobs. Give fewer values")
    return Sweep(tuple(_invocation([*others, *job], flags, job, saved) for job in itertools.product(*values)))
