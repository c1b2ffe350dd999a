"""The command line of ``scripts/train.py``."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dexhand.config.aliases import canonical_key
from dexhand.config.completion import complete
from dexhand.config.compose import Composed, compose_with_remarks, section_to_yaml, to_yaml
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.help import help_text
from dexhand.config.overrides import GROUPS, expand
from dexhand.config.schema import Config, TrainConfig

_VALUE_FLAGS = {
    "config": "config",
    "-cn": "config",
    "--config-name": "config",
    "-cd": "--config-dir",
    "--config-dir": "--config-dir",
    "resume": "resume",
    "-c": "--cfg",
    "--cfg": "--cfg",
    "-p": "--package",
    "--package": "--package",
    "-sc": "--shell-completion",
    "--shell-completion": "--shell-completion",
}
_SWITCHES = {
    "--dry-run": "--dry-run",
    "--resolve": "--resolve",
    "-m": "--multirun",
    "--multirun": "--multirun",
}
_LAUNCHER = ("--local-rank", "--local_rank")
"""What ``python -m torch.distributed.launch`` adds to the command line."""
_FLAGS = (*(flag for flag in _VALUE_FLAGS if flag.startswith("-")), *_SWITCHES, "--help", "-h")


@dataclass(frozen=True)
class Invocation:
    """What was asked for."""

    config: Config
    dry_run: bool
    argv: tuple[str, ...]
    """The command line as it was given."""
    warnings: tuple[str, ...]
    """What is to be said about old spellings."""
    resume: str | None = None
    """The run to go on in, as the user named it."""


@dataclass(frozen=True)
class Sweep:
    """Several runs, asked for with ``--multirun``."""

    jobs: tuple[Invocation, ...]


@dataclass(frozen=True)
class Page:
    """Text to print, asked for with ``--help``, ``--cfg`` or ``--shell-completion``."""

    text: str


class SavedConfigs(Protocol):
    """Finds the ``config.yaml`` of runs in a ``train.runsDir``."""

    def to_resume(self, spec: str, runs_dir: str) -> Path:
        """Of the run that ``resume=`` names. Raises ``ConfigError`` where there is none."""

    def behind(self, checkpoint: str, runs_dir: str) -> Path | None:
        """Of the run that ``checkpoint=`` comes from; ``None`` where that is not known."""


def parse(argv: Sequence[str], saved: SavedConfigs) -> Invocation | Sweep | Page:
    """Read a command line. Raises ``ConfigError``."""
    if "--help" in argv or "-h" in argv:
        return Page(help_text())
    words = _sorted_words(argv)
    if "--shell-completion" in words.chosen:
        return Page(complete(words.chosen["--shell-completion"]))
    if "--multirun" in words.switches:
        return _sweep(argv, words, saved)
    invocation = _invocation(argv, words, saved)
    if "--cfg" in words.chosen:
        return Page(_page_of(invocation.config, words.chosen["--cfg"], words.chosen.get("--package", "_global_")))
    return invocation


@dataclass(frozen=True)
class _Words:
    """A command line, sorted."""

    overrides: list[str]
    chosen: dict[str, str]
    """What ``config=``, ``--config-dir``, ``resume=`` ... name."""
    switches: list[str]


def _sorted_words(argv: Sequence[str]) -> _Words:
    chosen: dict[str, str] = {}
    switches: list[str] = []
    overrides: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word in _SWITCHES:
            switches.append(_SWITCHES[word])
        elif flag in _VALUE_FLAGS:
            value = value if equals or not flag.startswith("-") else _next(rest, flag)
            _choose(chosen, _VALUE_FLAGS[flag], value)
        elif flag in _LAUNCHER:
            continue  # LOCAL_RANK says the same
        elif word.startswith("-"):
            raise ConfigError(f"{word} is unknown. Known: {', '.join(_FLAGS)}, key=value.{did_you_mean(word, _FLAGS)}")
        else:
            overrides.append(word)
    return _Words(overrides, chosen, switches)


def _choose(chosen: dict[str, str], what: str, value: str) -> None:
    if chosen.setdefault(what, value) != value:
        raise ConfigError(f"{what}={chosen[what]} and {what}={value} exclude each other. Give one of them")


def _next(rest: list[str], flag: str) -> str:
    if not rest:
        raise ConfigError(f"{flag} needs a value")
    return rest.pop(0)


# --- one run ----------------------------------------------------------------------------------------------------------


def _invocation(argv: Sequence[str], words: _Words, saved: SavedConfigs) -> Invocation:
    folder = _checked_folder(words.chosen.get("--config-dir"))
    resume = words.chosen.get("resume")
    if resume is None:
        composed = compose_with_remarks(words.overrides, words.chosen.get("config", "config"), folder, saved.behind)
    else:
        composed = _compose_to_resume(resume, words, folder, saved)
    return Invocation(composed.config, "--dry-run" in words.switches, tuple(argv), composed.warnings, resume)


def _keys_of(words: _Words) -> dict[str, str]:
    """Value of each key of a command line, in canonical spelling."""
    pairs = (word.partition("=") for word in words.overrides)
    return {canonical_key(key.lstrip("+")): value for key, _, value in pairs}


def _checked_folder(folder: str | None) -> str | None:
    if folder is not None and not (folder and Path(folder).is_dir()):
        raise ConfigError(f"--config-dir={folder}: there is no such folder")
    return folder


def _compose_to_resume(resume: str, words: _Words, folder: str | None, saved: SavedConfigs) -> Composed:
    """The configuration of the run that goes on; the command line changes it key by key, and may name its task."""
    given = _keys_of(words)
    if "config" in words.chosen:
        raise ConfigError(f"resume={resume} and config={words.chosen['config']} exclude each other. Give one of them")
    if resume in ("exact", "weights"):
        raise ConfigError(f"resume={resume} names a run; what to take over from a checkpoint is train.resume={resume}")
    for key in ("train.checkpoint", "train.test", *GROUPS):
        if key in given and key != "task":
            raise ConfigError(
                f"resume={resume} goes on in a run with that run's own configuration; {key}= cannot be given with it"
            )
    config_file = saved.to_resume(resume, given.get("train.runsDir", TrainConfig.runsDir).strip("\"'"))
    overrides = [word for word in words.overrides if not word.startswith("task=")]
    composed = compose_with_remarks(overrides, str(config_file), folder)
    task = composed.config.task.name
    if given.get("task", task) != task:
        raise ConfigError(f"resume={resume} is a run of task={task}, not task={given['task']}")
    return composed


def _page_of(config: Config, what: str, section: str) -> str:
    """The configuration, or a section of it, as YAML."""
    if what != "job":
        raise ConfigError(f"--cfg {what}: Hydra only composes here. --cfg job shows the configuration")
    return to_yaml(config) if section == "_global_" else section_to_yaml(config, section)


# --- several runs -----------------------------------------------------------------------------------------------------


def _sweep(argv: Sequence[str], words: _Words, saved: SavedConfigs) -> Sweep:
    """One job for each combination of the values given; the last key changes fastest. All are checked at once."""
    for what in ("resume", "--cfg"):
        if what in words.chosen:
            raise ConfigError(f"--multirun and {what} exclude each other: one is about many runs, the other about one")
    jobs = []
    for overrides in itertools.product(*(expand(word) for word in words.overrides)):
        others = [word for word in argv if word not in words.overrides and _SWITCHES.get(word) != "--multirun"]
        job = _Words(list(overrides), words.chosen, words.switches)
        jobs.append(_invocation([*others, *overrides], job, saved))
    return Sweep(tuple(jobs))
