"""From a command line to a typed, complete and checked ``Config``. Hydra composes; nothing here imports torch."""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from dexhand.config.aliases import NEGATED, canonical_key, canonical_value, remark
from dexhand.config.custom_task import load_task_class
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.explain import Explainer, unreadable
from dexhand.config.files import CFG, Sources, find_sources, read_yaml
from dexhand.config.overrides import Overrides, read_overrides
from dexhand.config.schema import Config, EnvConfig, SimConfig, TrainConfig
from dexhand.config.task_schema import TASKS, BaseTaskConfig
from dexhand.config.validate import validate
from dexhand.hands.spec import known_hands

TRAIN_ENVS, TEST_ENVS = 1024, 4
"""What env.numEnvs=null means."""

_SECTIONS = {"sim": SimConfig, "env": EnvConfig, "train": TrainConfig}


@dataclass(frozen=True)
class Composed:
    """A configuration and what is to be said about how it was asked for."""

    config: Config
    warnings: tuple[str, ...]


def compose(overrides: Sequence[str] = (), config: str = "config", config_dir: str | None = None) -> Config:
    """The configuration that ``key=value`` overrides make of ``config`` (a name in ``cfg/`` or a YAML file).

    ``config_dir`` is a folder of the user's own, laid out like ``cfg/``. A whole configuration there wins over the one
    of the same name in ``cfg/``, so in a run's folder ``config`` is the run's own. Raises ``ConfigError``.
    """
    return compose_with_remarks(overrides, config, config_dir).config


FindRunConfig = Callable[[str, str], Path | None]
"""Finds the ``config.yaml`` of the run that a ``train.checkpoint`` in a ``train.runsDir`` comes from."""


def compose_with_remarks(
    words: Sequence[str], config: str, config_dir: str | None, behind: FindRunConfig | None = None
) -> Composed:
    """``compose``, with the remarks on old spellings and on what has no effect.

    With ``behind``, a test plays the task that its policy was trained for, where neither ``words`` nor a file of the
    user's own names a task.
    """
    overrides = read_overrides(words)
    sources = find_sources(config, config_dir, overrides.searchpath)
    explainer = Explainer(overrides, sources, config)
    composed = _composed(overrides, sources, explainer)
    warnings = _in_canonical_spelling(composed, overrides)
    played = _run_played(composed, behind) if sources.folder == CFG and "task" not in overrides else None
    if played is not None:
        trained = read_yaml(played)
        composed = _composed(overrides.with_task(str(trained["task"]["name"])), sources, explainer)
        _in_canonical_spelling(composed, overrides)
        _adopt(trained, composed, overrides)
        warnings.append(f"task={composed.task.name}, which {played.parent.name} was trained for")
    try:
        typed = _typed(composed, explainer)
    except OmegaConfBaseException as error:
        raise explainer.explained(error) from None
    _fill_in(typed)
    validate(typed)
    return Composed(typed, (*overrides.warnings, *warnings, *_without_effect(typed)))


def to_yaml(config: Config) -> str:
    """The complete configuration; ``config=<file>`` reads it back."""
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


def section_to_yaml(config: Config, section: str) -> str:
    """One section (``train.ppo``) or value. Raises ``ConfigError``."""
    found: Any = asdict(config)
    for name in canonical_key(section).split("."):
        if not isinstance(found, dict) or name not in found:
            raise ConfigError(
                f"{section} is no section. Known: sim, env, task, train and those below, such as train.ppo"
            )
        found = found[name]
    if isinstance(found, (dict, list)):
        return OmegaConf.to_yaml(OmegaConf.create(found))
    return f"{json.dumps(found) if found is None or isinstance(found, bool) else found}\n"


def _composed(overrides: Overrides, sources: Sources, explainer: Explainer) -> DictConfig:
    """What Hydra composes, of plain values; its errors become ``ConfigError``."""
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(sources.folder), version_base="1.3"):
            composed = hydra_compose(sources.name, overrides=[*overrides.for_hydra(), sources.override])
    except MissingConfigException as error:
        raise explainer.missing(error) from None
    except (HydraException, OmegaConfBaseException) as error:
        raise explainer.explained(error) from None
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise unreadable(error, explainer.config) from None
    except RecursionError:
        raise ConfigError(
            f"config={explainer.config} names itself in its defaults list. Name another file there"
        ) from None
    OmegaConf.set_struct(composed, False)
    return composed


_WORLD = (
    "task.",
    "sim.dt",
    "env.controlDecimation",
    "env.hand",
    "env.handAsset",
    "env.initialHandPos",
    "env.actuators.",
)
"""What a policy takes for granted: what it sees and does, how often, and with which hand."""


def _run_played(composed: DictConfig, behind: FindRunConfig | None) -> Path | None:
    """The configuration of the run whose policy a test plays, if that is known."""
    train = {"test": False, "checkpoint": None, "runsDir": TrainConfig.runsDir, **(composed.get("train") or {})}
    if behind is None or train["test"] is not True or train["checkpoint"] is None:
        return None
    path = behind(str(train["checkpoint"]), str(train["runsDir"]))
    return path if path is not None and "name" in (read_yaml(path).get("task") or {}) else None


def _adopt(trained: Mapping[str, Any], composed: DictConfig, overrides: Overrides) -> None:
    """Take over the world that a policy was trained in, except for what the command line gives."""
    given = [override.key for override in overrides.keys]
    known = OmegaConf.create(dict(trained))
    for name in _leaves(trained):
        is_given = name in given or ("actuators" in given and name.startswith("env.actuators."))
        if name.startswith(_WORLD) and not is_given:
            OmegaConf.update(composed, name, OmegaConf.select(known, name), force_add=True)


# --- old spellings in files -------------------------------------------------------------------------------------------


def _in_canonical_spelling(composed: DictConfig, overrides: Overrides) -> list[str]:
    """Rename the keys that files spell otherwise, in place; returns the remarks.

    Ours are all canonical, so another spelling is from a file of the user's, which comes after ours; it gives way to
    the command line alone.
    """
    given = {override.key for override in overrides.keys}
    warnings = []
    for alias in list(_leaves(OmegaConf.to_container(composed))):
        key = canonical_key(alias)
        if key == alias:
            continue
        value = OmegaConf.select(composed, alias, throw_on_missing=False)
        _remove(composed, alias)
        warnings.append(remark(alias, key))
        if alias in NEGATED and value is not None:
            value = canonical_value(alias, str(value)) == "true"
        if key not in given:
            OmegaConf.update(composed, key, value, force_add=True)
    return warnings


def _leaves(tree: Any, prefix: str = "") -> Iterator[str]:
    """The full names of all keys that hold no other keys."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _remove(composed: DictConfig, name: str) -> None:
    """Delete a key, and the sections above it that are empty then."""
    head, _, last = name.rpartition(".")
    section = OmegaConf.select(composed, head) if head else composed
    del section[last]
    if head and not section:
        _remove(composed, head)


# --- types ------------------------------------------------------------------------------------------------------------


def _typed(composed: DictConfig, explainer: Explainer) -> Config:
    """Dataclass instances of what Hydra composed. The task comes last: a user's own may import torch."""
    missing = [entry.name for entry in fields(Config) if composed.get(entry.name) is None]
    if missing:
        raise ConfigError(
            f"config={explainer.config} lacks {', '.join(missing)}. Begin it with defaults: [config, _self_]"
        )
    extra = [str(key) for key in composed if key not in {entry.name for entry in fields(Config)}]
    if extra:
        raise ConfigError(f"there is no section {', '.join(extra)}. Known: sim, env, task, train")
    for key in sorted(OmegaConf.missing_keys(composed)):
        raise explainer.without_value(key)
    names = list(_leaves(OmegaConf.to_container(composed)))
    explainer.refuse_unknown(name for name in names if not name.startswith("task."))
    tree = OmegaConf.create({name: _schema_of(section) for name, section in _SECTIONS.items()})
    tree.merge_with({name: composed[name] for name in _SECTIONS})
    schema = _task_schema(composed)
    explainer.know_task(schema)
    explainer.refuse_unknown(names)
    tree["task"] = _schema_of(schema)
    tree.merge_with({"task": composed.task})
    values: dict[str, Any] = {entry.name: OmegaConf.to_object(tree[entry.name]) for entry in fields(Config)}
    return Config(**values)


@cache
def _schema_of(section: type) -> DictConfig:
    """Types and defaults of a section, to be copied: making it anew takes a fifth of a composition."""
    schema: DictConfig = OmegaConf.structured(section)
    return schema


def _task_schema(composed: DictConfig) -> type:
    """The class of the ``task`` section."""
    name, module = (OmegaConf.select(composed, f"task.{key}") for key in ("name", "module"))
    if module is not None:
        schema: type = load_task_class(str(module), str(name)).config_class
        return schema
    if name not in TASKS:
        raise ConfigError(
            f"task.name={name} is unknown. Known: {', '.join(TASKS)}.{did_you_mean(str(name), TASKS)} "
            "A task of your own is found with task.module"
        )
    return TASKS[name]


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
    if config.task.module is not None and config.task.module.endswith(".py"):
        config.task.module = str(Path(config.task.module).resolve())  # the run may be continued from elsewhere
    if env.hand not in known_hands():
        env.hand = str(Path(env.hand).resolve())


def _without_effect(config: Config) -> Iterator[str]:
    weight = config.task.reward_weights.object_height
    if type(config.task) is BaseTaskConfig and config.task.module is None and weight != 0.0:
        yield f"task.reward_weights.object_height={weight} has no effect: task=BaseTask has no object"
