"""Settings and their origins: files, the run whose policy a test plays, and the command line."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from dexhand.config.aliases import canonical_key, canonical_value, spelling_warnings
from dexhand.config.overrides import SEARCHPATH, Overrides, choices
from dexhand.config.schema import TrainConfig
from dexhand.config.sources import CFG, Sources, leaves, names_of, read_run_file, shown
from dexhand.files.digest import is_changed

BODY_KEYS = ("env.hand", "env.actuators.", "env.initialHandPos", "env.controlDecimation")
POLICY_KEYS = ("task.", "sim.dt", *BODY_KEYS, "env.factory", "train.algorithm")
"""Settings that a policy depends on: observations, actions, control rate, hand, and the learner's network."""


@dataclass(frozen=True)
class SavedConfig:
    """The configuration that a checkpoint was trained with."""

    path: Path
    """The ``config.yaml`` of its run, or the checkpoint itself."""
    text: str | None = None
    """What the checkpoint holds, YAML; ``None`` if ``path`` is a ``config.yaml``."""

    @property
    def subject(self) -> str:
        """What was trained, for messages: the name of the run, or of the file."""
        return self.path.parent.name if self.text is None else self.path.name


FindConfig = Callable[[str, str], SavedConfig | None]
"""Finds the configuration behind a ``train.checkpoint`` in a ``train.runsDir``."""


@dataclass(frozen=True)
class Setting:
    """A value from a file or the command line."""

    value: Any
    shown: str
    """As the user wrote it, for messages: ``train/MinePPO: train.ppo.gamma=0.5``."""
    run_file: Path | None = None
    """The ``config.yaml`` that gives the value, if it is a run's."""


Settings = dict[str, Setting]
"""Settings by canonical key: ``train.ppo.gamma``."""


def read_settings(
    overrides: Overrides, sources: Sources, find_trained: FindConfig | None = None
) -> tuple[Settings, list[str]]:
    """Return the settings of ``sources`` and ``overrides``, and warnings; the command line wins.

    With ``find_trained``, those that its policy depends on come from the run that a test plays, unless the command line
    names another task or a file of the user gives one. Raises ``ConfigError``.
    """
    given, changed = _from_command_line(overrides), _changes(sources.primary)
    settings, warnings = _composed(overrides, sources, given, find_trained)
    settings |= given
    spellings = spelling_warnings({override.alias: key for key, override in overrides.items()})
    return settings, [*changed, *spellings, *warnings]


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of ``key``; ``None`` if it is not set."""
    return settings[key].value if key in settings else None


def _from_command_line(overrides: Overrides) -> Settings:
    return {
        canonical_key(name): Setting(value, override.shown)
        for override in overrides.values()
        if not override.is_choice and override.key != SEARCHPATH
        for name, value in leaves({override.key: override.value})  # task.reward_weights={alive:1}
    }


def _from_files(choices: Sequence[str], sources: Sources) -> tuple[Settings, list[str]]:
    """Settings from files, and warnings about old spellings."""
    settings: Settings = {}
    renamed: dict[str, str] = {}
    run_file = sources.primary if sources.is_of_run else None
    for file, name, value in sources.values(choices):
        key = canonical_key(name)
        settings[key] = Setting(canonical_value(name, value), f"{file}: {key}={shown(value)}", run_file)
        if key != name:
            renamed[name] = key
    if run_file is not None:
        _drop_machine_settings(settings, run_file)
    return settings, spelling_warnings(renamed)


def _changes(file: Path) -> list[str]:
    """A warning where a run's ``config.yaml`` is not as the run wrote it."""
    changed = is_changed(file.read_text(encoding="utf-8", errors="replace"))
    return [f"{file} was changed since the run wrote it: its digest does not fit"] if changed else []


def _drop_machine_settings(settings: Settings, run_file: Path) -> None:
    """Remove what a run's file does not decide: trust, who may watch, and ``runsDir`` if the run is not there."""
    for key in ("train.trustCheckpoint", "env.videoStreamBindAll"):
        settings.pop(key, None)
    links = os.path.realpath(str(value_of(settings, "train.runsDir")))
    if os.path.realpath(run_file.parent.parent) not in (links, f"{links}_all"):
        settings.pop("train.runsDir", None)


def _config_of_played_run(settings: Settings, find_trained: FindConfig) -> SavedConfig | None:
    """The configuration behind the policy that a test plays, if that is known."""
    checkpoint = value_of(settings, "train.checkpoint")
    if value_of(settings, "train.test") is not True or checkpoint is None:
        return None
    runs_dir = settings["train.runsDir"].value if "train.runsDir" in settings else TrainConfig.runsDir
    saved = find_trained(*OmegaConf.create([str(checkpoint), str(runs_dir)]))  # which resolves ${...}
    return saved if saved and "name" in (read_run_file(saved.path, saved.text).get("task") or {}) else None


def _composed(
    overrides: Overrides, sources: Sources, given: Settings, find_trained: FindConfig | None
) -> tuple[Settings, list[str]]:
    """Settings from files; task, hand and control rate from the training whose policy a test plays, if that is known.

    A task on the command line may be the one that was trained, which needs no file then.
    """
    chosen, task = choices(overrides), overrides["task"].value if "task" in overrides else None
    others = [word for word in chosen if not word.startswith("task=")]
    is_known = task is None or task in names_of("task", sources.folders)
    settings, warnings = _from_files(chosen if is_known else others, sources)
    saved = None
    if find_trained is not None and sources.folders[0] == CFG:
        saved = _config_of_played_run(settings | given, find_trained)
    if saved is not None:
        trained = dict(leaves(read_run_file(saved.path, saved.text)))
        name, factory = trained["task.name"], trained.get("env.factory")
        of_users = {*names_of("task", sources.folders)} - {*names_of("task")}
        if task is None or (factory is None and task == name not in of_users):
            return _compose_like(saved, trained, others, sources)
        subject = f"task={name}" if factory is None else f"env.factory={factory}"
        dropped = f"drops the task, hand and control rate of {saved.subject}, {subject}"
        warnings = [*warnings, f"{overrides['task'].shown} {dropped}"]
    return (settings, warnings) if is_known else _from_files(chosen, sources)  # which raises


def _compose_like(
    saved: SavedConfig, trained: dict[str, Any], choices: Sequence[str], sources: Sources
) -> tuple[Settings, list[str]]:
    """Settings from files, but task, hand and control rate from those of a training."""
    name = trained["task.name"]
    settings, warnings = _from_files([f"task={name}", *choices] if name in names_of("task") else choices, sources)
    if any(choice.startswith("actuators=") for choice in choices):
        trained = {key: value for key, value in trained.items() if not key.startswith("env.actuators.")}
    for key, value in trained.items():
        if key.startswith(POLICY_KEYS):
            settings[key] = Setting(value, f"{saved.path}: {key}={shown(value)}", saved.path)
    factory = value_of(settings, "env.factory")
    played = f"task={name}" if factory is None else f"env.factory={factory}"
    changes = _changes(saved.path) if saved.text is None else []
    return settings, [*changes, *warnings, f"{played}, which {saved.subject} was trained for"]
