"""From a command line to a typed, complete and checked ``Config``. Hydra composes; nothing here imports torch."""

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, make_dataclass
from functools import cache, reduce
from operator import attrgetter
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper  # which quotes what its loader would take for numbers
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from dexhand.config.aliases import canonical_key
from dexhand.config.errors import ConfigError, first_line
from dexhand.config.explain import no_such_key
from dexhand.config.keys import Key, all_keys, is_unused
from dexhand.config.overrides import SEARCHPATH, Overrides, read_overrides, two_spellings
from dexhand.config.plugins import settled
from dexhand.config.schema import Config
from dexhand.config.settings import BODY_KEYS, FindConfig, Setting, Settings, read_settings, value_of
from dexhand.config.sources import find_sources
from dexhand.config.task_class import task_config
from dexhand.config.trust import check_code_exists
from dexhand.config.validate import check_values, validate
from dexhand.core.option import option
from dexhand.hands.spec import known_hands
from dexhand.tasks import BaseTaskConfig

TEST_ENVS, COMPARISON_ENVS = 4, 64
"""Values for env.numEnvs=null in tests, and in tests that compare checkpoints."""


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
    settings, warnings = read_settings(overrides, sources, find_trained)
    _refuse_incomplete(settings, config)
    schema, unread = (_task_schema(settings), []) if imports else _schema_without_import(settings)
    keys = all_keys(schema)
    _refuse_unknown(settings, keys)
    typed = _typed(settings, schema, keys)
    check_values(typed)
    if not imports:
        check_code_exists({key: setting.value for key, setting in settings.items()})
    _refuse_unused(typed, overrides)
    _fill_in(typed)
    validate(typed)
    return Composed(typed, (*warnings, *unread, *_without_effect(typed), *_ignored(typed, overrides)))


def to_yaml(config: Config, section: str = "") -> str:
    """The complete configuration as YAML that ``config=<file>`` can read, or one section or value (``train.ppo``).

    Keys without effect on the task are left out. Raises ``ConfigError``.
    """
    task_schema: Any = type(config.task)
    name, keys = canonical_key(section), all_keys(task_schema)
    if section and name not in keys and not _is_section(name, keys):
        raise ConfigError(f"{section} is no section. Known: sim, env, task, train and those below, such as train.ppo")
    if name in keys:
        return yaml.safe_dump(attrgetter(name)(config)).removesuffix("...\n")
    tree: dict[str, Any] = {}
    for key in keys:
        if (not section or key.startswith(f"{name}.")) and not is_unused(key, config):
            *sections, last = key.removeprefix(f"{name}.").split(".")
            reduce(lambda node, part: node.setdefault(part, {}), sections, tree)[last] = deepcopy(
                attrgetter(key)(config)
            )
    return yaml.dump(tree, Dumper=_DUMPER, allow_unicode=True, sort_keys=False)


_OF_OMEGACONF = get_omega_conf_dumper()
_DUMPER = type("_Dumper", (yaml.CDumper, _OF_OMEGACONF), {}) if yaml.__with_libyaml__ else _OF_OMEGACONF
"""Writes what ``OmegaConf.to_yaml`` does, but in C, which is several times as fast."""


# --- checks -----------------------------------------------------------------------------------------------------------


def _refuse_incomplete(settings: Settings, config: str) -> None:
    missing = [entry.name for entry in fields(Config) if not _is_section(entry.name, settings)]
    if missing:
        raise ConfigError(f"config={config} lacks {', '.join(missing)}. Begin it with defaults: [config, _self_]")


def _refuse_unknown(settings: Settings, keys: Mapping[str, Key]) -> None:
    for key, setting in [*settings.items()]:
        if setting.value == {} and _is_section(key, keys):
            del settings[key]  # a section of a file that is left at its defaults
        elif key not in keys and not any(known.is_open and key.startswith(f"{name}.") for name, known in keys.items()):
            raise no_such_key(key, setting.shown, keys)


def _is_section(name: str, keys: Iterable[str]) -> bool:
    return any(key.startswith(f"{name}.") for key in keys)


# --- types ------------------------------------------------------------------------------------------------------------


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
    name, module = value_of(settings, "task.name"), value_of(settings, "task.module")
    return task_config(str(name), None if module is None else str(module))


def _schema_without_import(settings: Settings) -> tuple[type, list[str]]:
    """Like ``_task_schema``, but a module's task has the keys that ``settings`` give; with a warning that says so."""
    module = value_of(settings, "task.module")
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
        compares = train.against is not None or train.testEvery
        env.numEnvs = config.task.train_envs if not train.test else COMPARISON_ENVS if compares else TEST_ENVS
    if train.seed == -1:
        train.seed = random.SystemRandom().randrange(2**31)
    if ppo.minibatch_size == 0:
        batch = ppo.horizon_length * env.numEnvs
        ppo.minibatch_size = batch // 4 if batch % 4 == 0 else batch
    task_schema: Any = type(config.task)
    for name, key in all_keys(task_schema).items():  # the run may be continued from another folder
        section, _, last = name.rpartition(".")
        if key.names in ("code", "module"):
            setattr(attrgetter(section)(config), last, _settled(attrgetter(name)(config)))
    if env.hand and env.hand not in known_hands():
        env.hand = os.path.realpath(env.hand)


def _settled(value: Any) -> Any:
    if isinstance(value, list):
        return [settled(element) for element in value]
    return None if value is None else settled(value)


_OF_TASKS = ("task", "physics", "actuators", "sim.", "env.viewer", *BODY_KEYS)
"""Keys and presets without effect if ``env.factory`` makes the environments."""


def _refuse_unused(config: Config, overrides: Overrides) -> None:
    """Raise ``ConfigError`` for a key on the command line that the kind of task does not have."""
    for override in overrides.values() if config.task.kind == "hand" else ():
        if override.sim_device is not None:
            raise two_spellings(override.sim_device, override.given, override.key)
    for key, override in overrides.items() if config.env.factory is None else ():
        if is_unused(key, config):
            raise ConfigError(
                f"{override.shown} has no effect on task={config.task.subject}, which has no hand and Gymnasium's "
                "physics. Leave it out; --help task=NAME lists the keys of a task"
            )


def _without_effect(config: Config) -> Iterator[str]:
    if not isinstance(config.task, BaseTaskConfig) or config.task.name != "BaseTask" or config.task.module is not None:
        return
    weight = config.task.reward_weights.object_height
    if weight != 0.0:
        yield f"task.reward_weights.object_height={weight} has no effect: task=BaseTask has no object"


def _ignored(config: Config, overrides: Overrides) -> Iterator[str]:
    """Warnings for keys on the command line that have no effect on the environments, but do no harm."""
    for key, override in overrides.items():
        if config.env.factory is not None and key.startswith(_OF_TASKS):
            yield f"{override.shown} has no effect: env.factory={config.env.factory} makes the environments"
        if override.sim_device is not None:
            yield f"{override.sim_device} has no effect on task={config.task.subject}, whose physics run on the CPU"
