"""From a command line to a typed, complete and checked ``Config``. Hydra composes; nothing here imports torch."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose as hydra_compose
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dexhand.config.aliases import NOT_YET, canonical_key, canonical_value, spelling_warnings
from dexhand.config.errors import ConfigError
from dexhand.config.explain import COMPOSITION_ERRORS, about_key, explain
from dexhand.config.keys import all_keys
from dexhand.config.overrides import SEARCHPATH, Overrides, choices, key_values, read_overrides
from dexhand.config.plugins import settled
from dexhand.config.schema import Config, TrainConfig
from dexhand.config.sources import CFG, Sources, find_sources, leaves, names_of, read_yaml
from dexhand.config.task_class import task_class
from dexhand.config.validate import check_values, validate
from dexhand.files.digest import is_changed
from dexhand.hands.spec import known_hands
from dexhand.tasks.terms import config_class_of

TRAIN_ENVS, TEST_ENVS = 1024, 4
"""Values for env.numEnvs=null in trainings and tests."""

Values = dict[str, Any]
"""Values from files and the command line, by full name (``train.ppo.gamma``)."""

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
    overrides: Overrides, config: str = "config", config_dir: str | None = None, find_trained: FindConfig | None = None
) -> Composed:
    """Compose like ``compose``, with warnings about old spellings and keys without effect.

    With ``find_trained``, a test uses the task that its policy was trained for, unless the command line or a file of
    the user names a task.
    """
    given = {canonical_key(name): value for name, value in leaves(key_values(overrides))}  # task.reward={alive:1}
    sources = find_sources(config, config_dir, overrides[SEARCHPATH].value if SEARCHPATH in overrides else ())
    changed = _changes(sources.primary)
    try:
        values, warnings = _compose(choices(overrides), sources)
        if find_trained is not None and sources.folders[0] == CFG and "task" not in overrides:
            trained = _config_of_played_run(values | given, find_trained)
            if trained is not None:
                values, warnings = _compose_like(trained, choices(overrides), sources)
    except COMPOSITION_ERRORS as error:
        raise explain(error, overrides, sources) from None
    values |= given
    _drop_missing_features(values)
    _refuse_incomplete(values, sources)
    schema = _task_schema(values)
    keys = all_keys(schema)
    for key, value in [*values.items()]:
        if value == {} and _is_section(key, keys):
            del values[key]  # a section of a file that is left at its defaults
        elif key not in keys:
            raise about_key(key, None, overrides, sources, keys)
    try:
        typed = _typed(values, schema)
    except OmegaConfBaseException as error:
        raise explain(error, overrides, sources, keys) from None
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


# --- values, from files and the command line --------------------------------------------------------------------------


def _compose(choices: Sequence[str], sources: Sources) -> tuple[Values, list[str]]:
    """Values from files in canonical spelling, and warnings about old spellings."""
    read = _values_of_ours if sources.are_ours else _values_of
    values = deepcopy(read(tuple(choices), sources))
    renamed = {name: canonical_key(name) for name in values if canonical_key(name) != name}
    for alias, key in renamed.items():
        values[key] = canonical_value(alias, values.pop(alias))  # wins: our files, which come first, have no aliases
    return values, spelling_warnings(renamed)


def _values_of(choices: tuple[str, ...], sources: Sources) -> Values:
    """Values from files, spelled as there."""
    with sources.in_hydra() as (_, searchpath):
        tree = hydra_compose(sources.name, overrides=[*choices, searchpath])
    return dict(leaves(cast(dict[str, Any], OmegaConf.to_container(tree))))


_values_of_ours = cache(_values_of)
"""Of files that do not change: a sweep composes them once, not for each job."""


def _changes(file: Path) -> list[str]:
    """A warning where a run's ``config.yaml`` is not as the run wrote it."""
    changed = is_changed(file.read_text(encoding="utf-8", errors="replace"))
    return [f"{file} was changed since the run wrote it: its digest does not fit"] if changed else []


def _drop_missing_features(values: Values) -> None:
    """Remove the keys of features that do not exist yet. Raises ``ConfigError`` if one is switched on."""
    for key, answer in NOT_YET.items():
        value = values.pop(key, None)
        if answer and str(value).lower() in ("true", "yes", "on", "1"):
            raise ConfigError(f"{key}=true: {answer}")


# --- the run that a test plays ----------------------------------------------------------------------------------------

_BODY = ("env.hand", "env.actuators.", "env.initialHandPos", "env.controlDecimation")
_WORLD = ("task.", "sim.dt", *_BODY, "env.factory", "train.algorithm")
"""Settings that a policy depends on: observations, actions, control rate, hand, and the learner's network."""

_OF_TASKS = ("task", "physics", "actuators", "sim.", "env.viewer", *_BODY)
"""Keys and presets without effect if ``env.factory`` makes the environments."""


def _config_of_played_run(values: Values, find_trained: FindConfig) -> Path | None:
    """The ``config.yaml`` of the run whose policy a test plays, if that is known."""
    if values.get("train.test") is not True or values.get("train.checkpoint") is None:
        return None
    places = (values["train.checkpoint"], values.get("train.runsDir", TrainConfig.runsDir))
    checkpoint, runs_dir = OmegaConf.create([str(place) for place in places])  # which resolves ${...}
    path = find_trained(checkpoint, runs_dir)
    if path is None:
        return None
    content = read_yaml(path)
    if not content:
        raise ConfigError(f"{path} holds nothing that can be read. Restore it, or give task=")
    return path if "name" in (content.get("task") or {}) else None


def _compose_like(config_file: Path, choices: Sequence[str], sources: Sources) -> tuple[Values, list[str]]:
    """Compose with the task, hand and control rate of the run whose ``config.yaml`` is given."""
    trained = dict(leaves(read_yaml(config_file)))
    name = trained["task.name"]
    values, warnings = _compose([f"task={name}", *choices] if name in names_of("task") else choices, sources)
    actuators_are_chosen = any(choice.startswith("actuators=") for choice in choices)
    for key, value in trained.items():
        if key.startswith(_WORLD) and not (actuators_are_chosen and key.startswith("env.actuators.")):
            values[key] = value
    factory = values.get("env.factory")
    played = f"task={name}" if factory is None else f"env.factory={factory}"
    return values, [*_changes(config_file), *warnings, f"{played}, which {config_file.parent.name} was trained for"]


# --- types ------------------------------------------------------------------------------------------------------------


def _refuse_incomplete(values: Values, sources: Sources) -> None:
    missing = [entry.name for entry in fields(Config) if not any(key.startswith(f"{entry.name}.") for key in values)]
    if missing:
        raise ConfigError(
            f"config={sources.config} lacks {', '.join(missing)}. Begin it with defaults: [config, _self_]"
        )
    for key, value in values.items():
        if value == "???":
            known = all_keys().get(key)
            raise ConfigError(f"{key}=??? is no value. " + (f"Expected {known.allowed()}" if known else "Give it one"))


def _is_section(name: str, keys: Iterable[str]) -> bool:
    return any(key.startswith(f"{name}.") for key in keys)


def _typed(values: Values, task_schema: type) -> Config:
    tree = deepcopy(_schema(task_schema))
    for key, value in values.items():
        OmegaConf.update(tree, key, value)
    return cast(Config, OmegaConf.to_object(tree))


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


def _task_schema(values: Values) -> type:
    """The class of the ``task`` section."""
    module = values.get("task.module")
    return config_class_of(task_class(str(values.get("task.name")), None if module is None else str(module)))


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
    weight = config.task.reward_weights.object_height
    if config.task.name == "BaseTask" and config.task.module is None and weight != 0.0:
        yield f"task.reward_weights.object_height={weight} has no effect: task=BaseTask has no object"


def _ignored(config: Config, overrides: Overrides) -> Iterator[str]:
    """Warnings for keys of tasks on the command line if ``env.factory`` makes the environments."""
    for key, override in overrides.items() if config.env.factory is not None else ():
        if key.startswith(_OF_TASKS):
            yield f"{override.shown} has no effect: env.factory={config.env.factory} makes the environments"
