"""From a command line to a typed, complete and checked ``Config``. Hydra composes; nothing here imports torch."""

import random
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from dexhand.config.aliases import ALIASES, translate
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.explain import explained, first_line, unreadable
from dexhand.config.keys import all_keys, sections
from dexhand.config.schema import Config, EnvConfig, SimConfig, TrainConfig
from dexhand.config.task_schema import TASKS
from dexhand.config.validate import validate

CFG = Path(__file__).parent / "cfg"
TRAIN_ENVS, TEST_ENVS = 1024, 4
"""What env.numEnvs=null means."""

_SECTIONS = {"sim": SimConfig, "env": EnvConfig, "train": TrainConfig}
GROUPS = ("task", "physics", "actuators", "train")


@dataclass(frozen=True)
class Composed:
    """A configuration and what is to be said about how it was asked for."""

    config: Config
    remarks: Tuple[str, ...]


def compose(overrides: Sequence[str] = (), config: str = "config", config_dir: Optional[str] = None) -> Config:
    """The configuration that ``key=value`` overrides make of ``config`` (a name in ``cfg/`` or a YAML file).

    ``config_dir`` is a folder of the user's own, laid out like ``cfg/``. A whole configuration there wins over the one
    of the same name in ``cfg/``, so in a run's folder ``config`` is the run's own. Raises ``ConfigError``.
    """
    return compose_with_remarks(overrides, config, config_dir).config


def compose_with_remarks(overrides: Sequence[str], config: str, config_dir: Optional[str]) -> Composed:
    """``compose``, with the remarks on old spellings."""
    translation = translate(list(_select_presets(overrides)))
    for override in translation.overrides:
        _check_override(override, config_dir)
    composed = _composed(translation.overrides, config, config_dir)
    typed = _typed(composed, translation.overrides, config)
    _fill_in(typed)
    validate(typed)
    return Composed(typed, translation.remarks)


def to_yaml(config: Config) -> str:
    """The complete configuration; ``config=<file>`` reads it back."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def names_of(group: str) -> List[str]:
    """The choices of a group (``task``, ``physics`` ...), or the whole configurations for ``""``."""
    return sorted(path.stem for path in (CFG / group).glob("*.yaml"))


# --- the command line -------------------------------------------------------------------------------------------------


def _select_presets(overrides: Sequence[str]) -> Iterator[str]:
    """Turn ``+defaults=[config,/physics/fast]``, which in Hydra would only add a key, into what it is meant to do."""
    for override in overrides:
        key, _, value = override.partition("=")
        if key.lstrip("+") != "defaults":
            yield override
            continue
        for entry in value.strip("[]").split(","):
            group, _, choice = entry.strip().lstrip("/").rpartition("/")
            if group:
                yield f"+{group}={choice}"
            elif choice != "config":
                raise ConfigError(
                    f"{override}: {choice!r} names no preset. Write +defaults=[config,/physics/fast], or config=NAME "
                    "for a whole configuration"
                )


def _check_override(override: str, config_dir: Optional[str]) -> None:
    """Refuse what Hydra would refuse in many lines, in one."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        raise ConfigError(
            f"{override!r} cannot be read. Write key=value without spaces; quote values with special characters"
        ) from None
    key = parsed.key_or_group
    if not key:
        raise ConfigError(f"{override!r} names no key. Write key=value")
    if parsed.is_delete():
        raise ConfigError(f"{override}: keys cannot be removed. Give {key} another value")
    value = override.partition("=")[2]
    if key in GROUPS:
        _check_choice(key, value.strip("\"'"), config_dir)
        return
    if key == "task.name":
        raise ConfigError(f"{override}: choose a task with task={value}")
    if key in all_keys():
        return
    if key in sections():
        raise ConfigError(f"{override}: {key} is a section. Give its keys one by one, such as {_example(key)}=...")
    known = [*all_keys(), *ALIASES, *GROUPS]
    raise ConfigError(f"{override}: there is no key {key}.{did_you_mean(key, known)} --help lists all keys")


def _check_choice(group: str, choice: str, config_dir: Optional[str]) -> None:
    known = _known(group, config_dir)
    if choice not in known:
        example = f" Keys of the section are given one by one, such as {_example(group)}=..." if "{" in choice else ""
        raise ConfigError(
            f"{group}={choice} is unknown. Known: {', '.join(known)}.{did_you_mean(choice, known)}{example}"
        )


def _known(group: str, config_dir: Optional[str]) -> List[str]:
    """``names_of`` and what the user's own folder adds."""
    own = [path.stem for path in (Path(config_dir) / group).glob("*.yaml")] if config_dir else []
    return sorted({*names_of(group), *own})


def _example(section: str) -> str:
    prefix = {"physics": "sim.", "actuators": "env.actuators."}.get(section, f"{section}.")
    return next(name for name in all_keys() if name.startswith(prefix) and name != "task.name")


def _locate(config: str, config_dir: Optional[str]) -> Tuple[Path, str]:
    """Folder and name of the primary configuration."""
    if config.endswith(".yaml"):
        path = Path(config).resolve()
        if not path.is_file():
            raise ConfigError(f"config={config}: there is no such file")
        return path.parent, path.name
    known = _known("", config_dir)
    if config not in known:
        raise ConfigError(
            f"config={config} is unknown. Known: {', '.join(known)}, or the path of a .yaml file."
            + did_you_mean(config, known)
        )
    if config_dir and (Path(config_dir) / f"{config}.yaml").is_file():
        return Path(config_dir).resolve(), config
    if config_dir:
        _refuse_shadowed(Path(config_dir))
    return CFG, config


def _refuse_shadowed(folder: Path) -> None:
    """Hydra would prefer our file to the user's of the same name, and say nothing."""
    for group in GROUPS:
        for path in sorted((folder / group).glob("*.yaml")):
            if path.stem in names_of(group):
                raise ConfigError(f"{path}: {group}={path.stem} is one of ours. Give your file a name of its own")


def _searchpath(folders: Sequence[Path]) -> str:
    quoted = [str(folder).replace("'", "\\'") for folder in folders]
    return "hydra.searchpath=[" + ",".join(f"'file://{folder}'" for folder in quoted) + "]"


# --- Hydra ------------------------------------------------------------------------------------------------------------


def _composed(overrides: Sequence[str], config: str, config_dir: Optional[str]) -> DictConfig:
    """What Hydra composes; its errors become ``ConfigError``."""
    folder, name = _locate(config, config_dir)
    searchpath = [*([Path(config_dir).resolve()] if config_dir else []), CFG]
    try:
        return _hydra(folder, name, [*overrides, _searchpath(searchpath)])
    except MissingConfigException as error:
        raise ConfigError(f"config={config}: {first_line(error)}") from None
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides, config) from None
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise unreadable(error, config) from None
    except RecursionError:
        raise ConfigError(f"config={config} names itself in its defaults list. Name another file there") from None


def _hydra(folder: Path, name: str, overrides: Sequence[str]) -> DictConfig:
    store = ConfigStore.instance()
    for node, schema in {**_SECTIONS, **TASKS}.items():
        store.store(group="schema", name=node, node=schema)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder), version_base="1.3"):
        return hydra_compose(name, overrides=list(overrides))


def _typed(composed: DictConfig, overrides: Sequence[str], config: str) -> Config:
    """Dataclass instances of what Hydra composed."""
    missing = [entry.name for entry in fields(Config) if composed.get(entry.name) is None]
    if missing:
        raise ConfigError(f"config={config} lacks {', '.join(missing)}. Begin it with defaults: [config, _self_]")
    name = OmegaConf.select(composed, "task.name")
    if name not in TASKS:
        raise ConfigError(f"task.name={name} is unknown. Known: {', '.join(TASKS)}.{did_you_mean(str(name), TASKS)}")
    extra = [str(key) for key in composed if key not in {entry.name for entry in fields(Config)}]
    if extra:
        raise ConfigError(f"there is no section {', '.join(extra)}. Known: sim, env, task, train")
    schemas = {**_SECTIONS, "task": TASKS[name]}
    try:
        for key in sorted(OmegaConf.missing_keys(composed)):
            raise ConfigError(f"{key}=??? is no value. Expected {all_keys()[key].allowed()}")
        structured = OmegaConf.create({node: OmegaConf.structured(schema) for node, schema in schemas.items()})
        structured.merge_with(composed)
        values: Dict[str, Any] = {entry.name: OmegaConf.to_object(structured[entry.name]) for entry in fields(Config)}
    except OmegaConfBaseException as error:
        raise explained(error, overrides, config) from None
    return Config(**values)


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
