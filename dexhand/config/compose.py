"""From a command line to a typed, complete and checked ``Config``. Hydra composes; nothing here imports torch."""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, make_dataclass
from operator import attrgetter
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dexhand.config.aliases import canonical_key, no_such_key
from dexhand.config.errors import ConfigError, first_line
from dexhand.config.keys import Key, all_keys, is_section, is_unused
from dexhand.config.overrides import SEARCHPATH, Overrides, read_overrides, two_spellings
from dexhand.config.plugins import settled
from dexhand.config.schema import Config
from dexhand.config.settings import BODY_KEYS, FindConfig, Setting, Settings, read_settings, value_of
from dexhand.config.sources import LOADER, find_sources
from dexhand.config.task_class import task_config
from dexhand.config.trust import check_code_exists, refuse_foreign
from dexhand.config.validate import check_values, validate
from dexhand.core.option import option
from dexhand.hands.spec import known_hands
from dexhand.tasks import BaseTaskConfig, TaskConfig

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
    refuse_foreign(settings)
    missing = [entry.name for entry in fields(Config) if not is_section(entry.name, settings)]
    if missing:
        raise ConfigError(f"config={config} lacks {', '.join(missing)}. Begin it with defaults: [config, _self_]")
    module = value_of(settings, "task.module")
    if module is None or imports:
        schema = task_config(str(value_of(settings, "task.name")), None if module is None else str(module))
    else:
        schema = _schema_without_import(settings)
        warnings.append(
            f"task.module={module} is not imported in a dry run: keys that only its task has are not checked"
        )
    typed = _typed(settings, schema)
    check_values(typed)
    if not imports:
        check_code_exists(settings)
    _refuse_unused(typed, overrides)
    _fill_in(typed)
    validate(typed)
    return Composed(typed, (*warnings, *_warnings(typed, overrides)))


def to_yaml(config: Config, section: str = "") -> str:
    """The complete configuration as YAML that ``config=<file>`` can read, or one section or value (``train.ppo``).

    Keys without effect on the task are left out. Raises ``ConfigError``.
    """
    task_schema: Any = type(config.task)
    name, keys = canonical_key(section), all_keys(task_schema)
    if section and name not in keys and not is_section(name, keys):
        raise ConfigError(f"{section} is no section. Known: sim, env, task, train and those below, such as train.ppo")
    if name in keys:
        return yaml.safe_dump(attrgetter(name)(config)).removesuffix("...\n")
    tree: dict[str, Any] = {}
    for key in keys:
        if (not section or key.startswith(f"{name}.")) and not is_unused(key, config):
            node, (*sections, last) = tree, key.removeprefix(f"{name}.").split(".")
            for part in sections:
                node = node.setdefault(part, {})
            node[last] = deepcopy(attrgetter(key)(config))
    return yaml.dump(tree, Dumper=_Dumper, allow_unicode=True, sort_keys=False)


class _Dumper(yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper):  # type: ignore[misc]
    """Quotes texts that the loader would take for numbers, such as 1e3."""

    yaml_implicit_resolvers = LOADER.yaml_implicit_resolvers


# --- types ------------------------------------------------------------------------------------------------------------


def _typed(settings: Settings, task_schema: type[TaskConfig]) -> Config:
    task: Any = task_schema  # mypy takes no ``type`` for hashable, which @cache asks for
    config, keys = Config(task=task_schema()), all_keys(task)
    open_sections = tuple(f"{name}." for name, key in keys.items() if key.is_open)
    for name, setting in [*settings.items()]:
        if setting.value == {} and is_section(name, keys):
            del settings[name]  # a section of a file that is left at its defaults
        elif name not in keys and not name.startswith(open_sections):
            raise no_such_key(name, setting.shown, keys)
    _resolve(settings, keys)
    _gather(settings, keys)
    for name, key in keys.items():
        section, _, last = name.rpartition(".")
        try:
            value = key.convert(settings[name].value) if name in settings else deepcopy(key.default)
        except OmegaConfBaseException:
            raise ConfigError(f"{settings[name].shown}: expected {key.allowed()}") from None
        setattr(attrgetter(section)(config), last, value)
    return config


def _resolve(settings: Settings, keys: Mapping[str, Key]) -> None:
    """Replace references, such as ``${sim.dt}``, by the values that they name."""
    references = [name for name, setting in settings.items() if "${" in str(setting.value)]
    tree = OmegaConf.create()
    defaults = {name: Setting(key.default, "") for name, key in keys.items()} if references else {}
    name = ""
    try:
        for name, setting in (defaults | settings).items() if references else ():
            OmegaConf.update(tree, name, setting.value)
        for name in references:
            value = OmegaConf.select(tree, name)
            if OmegaConf.is_config(value):
                value = OmegaConf.to_container(value, resolve=True)
            settings[name] = Setting(value, f"{settings[name].shown} ({value})")
    except OmegaConfBaseException as error:
        raise ConfigError(f"{settings[name].shown}: {first_line(error)}") from None


def _gather(settings: Settings, keys: Mapping[str, Key]) -> None:
    """Make one setting, a mapping, of those below a key that takes any: ``task.kwargs.g=9.8``."""
    for section in [name for name, key in keys.items() if key.is_open]:
        default = keys[section].default
        mapping = OmegaConf.create(default if isinstance(default, dict) else {})
        for name in [name for name in settings if name.startswith(f"{section}.")]:
            setting = settings.pop(name)
            OmegaConf.update(mapping, name.removeprefix(f"{section}."), setting.value)
            settings[section] = Setting(OmegaConf.to_container(mapping), setting.shown)


def _schema_without_import(settings: Settings) -> type[TaskConfig]:
    """The keys that tasks of hands have, and those that ``settings`` give."""
    known = {entry.name for entry in fields(BaseTaskConfig)}
    given = dict.fromkeys(name.split(".")[1] for name in settings if name.startswith("task."))
    own: list[Any] = [(name, Any, option({}, "a key of the task")) for name in given if name not in known]
    return make_dataclass("TaskConfig", own, bases=(BaseTaskConfig,))


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
            setattr(attrgetter(section)(config), last, settled(attrgetter(name)(config)))
    if env.hand and env.hand not in known_hands():
        env.hand = os.path.realpath(env.hand)


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


def _warnings(config: Config, overrides: Overrides) -> Iterator[str]:
    """Yield a line for each key that has no effect, but does no harm."""
    task = config.task
    if isinstance(task, BaseTaskConfig) and task.name == "BaseTask" and task.module is None:
        weight = task.reward_weights.object_height
        if weight != 0.0:
            yield f"task.reward_weights.object_height={weight} has no effect: task=BaseTask has no object"
    for key, override in overrides.items():
        if config.env.factory is not None and key.startswith(_OF_TASKS):
            yield f"{override.shown} has no effect: env.factory={config.env.factory} makes the environments"
        if override.sim_device is not None:
            yield f"{override.sim_device} has no effect on task={task.subject}, whose physics run on the CPU"
