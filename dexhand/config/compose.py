"""From a command line to a typed, complete and checked ``Config``. Hydra composes; nothing here imports torch."""

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, is_dataclass, make_dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from dexhand.config.aliases import canonical_key, canonical_value, spelling_warnings
from dexhand.config.errors import ConfigError, first_line
from dexhand.config.explain import COMPOSITION_ERRORS, explain, no_such_key
from dexhand.config.keys import Key, all_keys
from dexhand.config.overrides import SEARCHPATH, Overrides, choices, read_overrides
from dexhand.config.plugins import settled
from dexhand.config.schema import Config, TrainConfig
from dexhand.config.sources import CFG, Sources, find_sources, leaves, names_of, read_run_file, shown
from dexhand.config.task_class import task_class
from dexhand.config.trust import check_code_exists, refuse_foreign
from dexhand.config.validate import check_values, validate
from dexhand.core.option import option
from dexhand.files.digest import is_changed
from dexhand.hands.spec import known_hands
from dexhand.tasks import BaseTaskConfig
from dexhand.tasks.terms import config_class_of

TRAIN_ENVS, TEST_ENVS = 1024, 4
"""Values for env.numEnvs=null in trainings and tests."""


@dataclass(frozen=True)
class Setting:
    """A value from a file or the command line."""

    value: Any
    shown: str
    """How the user wrote it: ``train/MinePPO: train.ppo.gamma=0.5``."""


Settings = dict[str, Setting]
"""By canonical key: ``train.ppo.gamma``."""

FindConfig = Callable[[str, str], Path | None]
"""Finds the ``config.yaml`` of the run that a ``train.checkpoint`` in a ``train.runsDir`` comes from."""


@dataclass(frozen=True)
class Composed:
    """A configuration, and warnings about old spellings and keys without effect."""

    config: Config
    warnings: tuple[str, ...]


def compose(words: Sequence[str] = (), config: str = "config", config_dir: str | None = None) -> Config:
    """Compose ``config`` (a name in ``cfg/`` or a YAML file), changed by ``key=value`` words.

    ``config_dir`` is the user's own folder, laid out like ``cfg/``. A whole configuration in it takes precedence over
    the one of the same name in ``cfg/``, so with a run's folder ``config`` is that of the run. Raises ``ConfigError``.
    """
    return compose_with_warnings(read_overrides(words), config, config_dir).config


def compose_with_warnings(
    overrides: Overrides,
    config: str = "config",
    config_dir: str | None = None,
    find_trained: FindConfig | None = None,
    imports: bool = True,
) -> Composed:
    """Compose like ``compose``, with warnings about old spellings and keys without effect.

    With ``find_trained``, a test uses the task that its policy was trained for, unless the command line or a file of
    the user names a task. Without ``imports`` a module of the user's is not imported and the keys of its task are not
    checked.
    """
    sources = find_sources(config, config_dir, overrides[SEARCHPATH].value if SEARCHPATH in overrides else ())
    given = _from_command_line(overrides)
    changed = _changes(sources.primary)
    run_file = sources.primary if sources.is_of_run else None
    try:
        settings, warnings = _from_files(choices(overrides), sources)
        if run_file is not None:
            _drop_machine_settings(settings, run_file)
        of_run = settings
        if find_trained is not None and sources.folders[0] == CFG and "task" not in overrides:
            run_file = _config_of_played_run(settings | given, find_trained)
            if run_file is not None:
                settings, of_run, warnings = _compose_like(run_file, choices(overrides), sources)
    except COMPOSITION_ERRORS as error:
        raise explain(error, overrides, config) from None
    settings = settings | given
    if run_file is not None and _value(settings, "train.trustCheckpoint") is not True:
        only_there = {key: setting.value for key, setting in of_run.items() if key not in given}
        refuse_foreign(run_file, only_there, str(_value(settings, "train.runsDir") or TrainConfig.runsDir))
    _refuse_incomplete(settings, config)
    if imports:
        schema = _task_schema(settings)
    else:
        check_code_exists({key: setting.value for key, setting in settings.items()})
        schema, unread = _schema_without_import(settings)
        warnings += unread
    keys = all_keys(schema)
    for key, setting in [*settings.items()]:
        if setting.value == {} and _is_section(key, keys):
            del settings[key]  # a section of a file that is left at its defaults
        elif key not in keys:
            raise no_such_key(key, setting.shown, keys)
    typed = _typed(settings, schema, keys)
    check_values(typed)
    _fill_in(typed)
    validate(typed)
    spellings = spelling_warnings({override.alias: key for key, override in overrides.items()})
    return Composed(typed, (*changed, *spellings, *warnings, *_without_effect(typed), *_ignored(typed, overrides)))


def to_yaml(config: Config, section: str = "") -> str:
    """The complete configuration as YAML that ``config=<file>`` can read, or one section or value (``train.ppo``).

    Raises ``ConfigError``.
    """
    task_schema: Any = type(config.task)
    name, keys = canonical_key(section), all_keys(task_schema)
    if section and name not in keys and not _is_section(name, keys):
        raise ConfigError(f"{section} is no section. Known: sim, env, task, train and those below, such as train.ppo")
    found = attrgetter(name)(config) if section else config
    if is_dataclass(found) and not isinstance(found, type):
        return OmegaConf.to_yaml(OmegaConf.create(asdict(found)))
    return yaml.safe_dump(found).removesuffix("...\n")


def _value(settings: Settings, key: str) -> Any:
    return settings[key].value if key in settings else None


# --- settings, from files and the command line ------------------------------------------------------------------------


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
    for file, name, value in sources.values(choices):
        key = canonical_key(name)
        settings[key] = Setting(canonical_value(name, value), f"{file}: {key}={shown(value)}")
        if key != name:
            renamed[name] = key
    return settings, spelling_warnings(renamed)


def _changes(file: Path) -> list[str]:
    """A warning where a run's ``config.yaml`` is not as the run wrote it."""
    changed = is_changed(file.read_text(encoding="utf-8", errors="replace"))
    return [f"{file} was changed since the run wrote it: its digest does not fit"] if changed else []


# --- the run that a test plays ----------------------------------------------------------------------------------------

_BODY = ("env.hand", "env.actuators.", "env.initialHandPos", "env.controlDecimation")
_WORLD = ("task.", "sim.dt", *_BODY, "env.factory", "train.algorithm")
"""Settings that a policy depends on: observations, actions, control rate, hand, and the learner's network."""

_OF_TASKS = ("task", "physics", "actuators", "sim.", "env.viewer", *_BODY)
"""Keys and presets without effect if ``env.factory`` makes the environments."""


def _drop_machine_settings(settings: Settings, run_file: Path) -> None:
    """Remove what a run's file does not decide: trust, who may watch, and ``runsDir`` if the run is not there."""
    for key in ("train.trustCheckpoint", "env.videoStreamBindAll"):
        settings.pop(key, None)
    links = os.path.realpath(str(_value(settings, "train.runsDir")))
    if os.path.realpath(run_file.parent.parent) not in (links, f"{links}_all"):
        settings.pop("train.runsDir", None)


def _config_of_played_run(settings: Settings, find_trained: FindConfig) -> Path | None:
    """The ``config.yaml`` of the run whose policy a test plays, if that is known."""
    values = {key: setting.value for key, setting in settings.items()}
    if values.get("train.test") is not True or values.get("train.checkpoint") is None:
        return None
    places = (values["train.checkpoint"], values.get("train.runsDir", TrainConfig.runsDir))
    checkpoint, runs_dir = OmegaConf.create([str(place) for place in places])  # which resolves ${...}
    path = find_trained(checkpoint, runs_dir)
    if path is None:
        return None
    return path if "name" in (read_run_file(path).get("task") or {}) else None


def _compose_like(config_file: Path, choices: Sequence[str], sources: Sources) -> tuple[Settings, Settings, list[str]]:
    """Compose with the task, hand and control rate of the run whose ``config.yaml`` is given; returns these, too."""
    trained = dict(leaves(read_run_file(config_file)))
    name = trained["task.name"]
    settings, warnings = _from_files([f"task={name}", *choices] if name in names_of("task") else choices, sources)
    if any(choice.startswith("actuators=") for choice in choices):
        trained = {key: value for key, value in trained.items() if not key.startswith("env.actuators.")}
    of_run = {
        key: Setting(value, f"{config_file}: {key}={shown(value)}")
        for key, value in trained.items()
        if key.startswith(_WORLD)
    }
    settings |= of_run
    factory = _value(settings, "env.factory")
    played = f"task={name}" if factory is None else f"env.factory={factory}"
    warnings = [*_changes(config_file), *warnings, f"{played}, which {config_file.parent.name} was trained for"]
    return settings, of_run, warnings


# --- types ------------------------------------------------------------------------------------------------------------


def _refuse_incomplete(settings: Settings, config: str) -> None:
    missing = [entry.name for entry in fields(Config) if not _is_section(entry.name, settings)]
    if missing:
        raise ConfigError(f"config={config} lacks {', '.join(missing)}. Begin it with defaults: [config, _self_]")


def _is_section(name: str, keys: Iterable[str]) -> bool:
    return any(key.startswith(f"{name}.") for key in keys)


def _typed(settings: Settings, task_schema: type, keys: Mapping[str, Key]) -> Config:
    tree = deepcopy(_schema(task_schema))
    key = ""
    try:
        for key, setting in settings.items():
            OmegaConf.update(tree, key, setting.value)
        return cast(Config, OmegaConf.to_object(tree))
    except OmegaConfBaseException as error:
        key = (error.full_key or key).partition("[")[0]  # of a list, the list
        is_reference = isinstance(error, InterpolationResolutionError)
        problem = first_line(error) if is_reference else f"expected {keys[key].allowed()}"
        raise ConfigError(f"{settings[key].shown}: {problem}") from None


@cache
def _schema(task_schema: type) -> DictConfig:
    """Types and defaults; cached, because creating them takes a fifth of a composition."""
    schema: DictConfig = OmegaConf.structured(Config)
    try:
        schema.task = OmegaConf.structured(task_schema)
    except OmegaConfBaseException as error:
        problem = str(error).splitlines()[0]
        raise ConfigError(f"task.{error.full_key}: its default does not fit its type: {problem}") from None
    return schema


def _task_schema(settings: Settings) -> type:
    """The class of the ``task`` section."""
    name, module = _value(settings, "task.name"), _value(settings, "task.module")
    return config_class_of(task_class(str(name), None if module is None else str(module)))


def _schema_without_import(settings: Settings) -> tuple[type, list[str]]:
    """Like ``_task_schema``, but a module's task has the keys that ``settings`` give; with a warning that says so."""
    module = _value(settings, "task.module")
    if module is None:
        return _task_schema(settings), []
    section, own = OmegaConf.create(), {}
    for key in [key for key in settings if key.startswith("task.")]:
        name, setting = key.removeprefix("task."), settings.pop(key)
        OmegaConf.update(section, name, setting.value)
        own[name.partition(".")[0]] = setting.shown
    values = cast(dict[str, Any], OmegaConf.to_container(section))
    settings |= {f"task.{name}": Setting(values[name], shown) for name, shown in own.items()}
    known = {entry.name for entry in fields(BaseTaskConfig)}
    added: list[Any] = [(name, Any, option(None, "a key of the task")) for name in own if name not in known]
    schema = make_dataclass("TaskConfig", added, bases=(BaseTaskConfig,))
    return schema, [f"task.module={module} is not imported in a dry run: keys that only its task has are not checked"]


def _fill_in(config: Config) -> None:
    """Replace the values that mean "choose for me"."""
    env, train, ppo = config.env, config.train, config.train.ppo
    if env.numEnvs is None:
        env.numEnvs = TEST_ENVS if train.test else TRAIN_ENVS
    if train.seed == -1:
        train.seed = random.SystemRandom().randrange(2**31)
    if ppo.minibatch_size == 0:
        batch = ppo.horizon_length * env.numEnvs
        ppo.minibatch_size = batch // 4 if batch % 4 == 0 else batch
    # the run may be continued from another folder
    config.task.module = None if config.task.module is None else settled(config.task.module)
    config.sim.backend = settled(config.sim.backend)
    env.factory = None if env.factory is None else settled(env.factory)
    train.algorithm, train.sinks = settled(train.algorithm), [settled(sink) for sink in train.sinks]
    if env.hand and env.hand not in known_hands():
        env.hand = str(Path(env.hand).resolve())


def _without_effect(config: Config) -> Iterator[str]:
    if config.task.name != "BaseTask" or config.task.module is not None:
        return
    weight = config.task.reward_weights.object_height
    if weight != 0.0:
        yield f"task.reward_weights.object_height={weight} has no effect: task=BaseTask has no object"


def _ignored(config: Config, overrides: Overrides) -> Iterator[str]:
    """Warnings for keys of tasks on the command line if ``env.factory`` makes the environments."""
    for key, override in overrides.items() if config.env.factory is not None else ():
        if key.startswith(_OF_TASKS):
            yield f"{override.shown} has no effect: env.factory={config.env.factory} makes the environments"
