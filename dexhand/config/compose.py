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
from omegaconf.errors import OmegaConfBaseException, ValidationError

from dexhand.config.aliases import ALIASES, translate
from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.keys import all_keys, sections
from dexhand.config.schema import Config, EnvConfig, SimConfig, TrainConfig
from dexhand.config.task_schema import TASKS
from dexhand.config.validate import validate

CFG = Path(__file__).parent / "cfg"
TRAIN_ENVS, TEST_ENVS = 1024, 4
"""What env.numEnvs=null means."""

_SECTIONS = {"sim": SimConfig, "env": EnvConfig, "train": TrainConfig}
_GROUPS = ("task", "physics", "actuators", "train")


@dataclass(frozen=True)
class Composed:
    """A configuration and what is to be said about how it was asked for."""

    config: Config
    remarks: Tuple[str, ...]


def compose(overrides: Sequence[str] = (), config: str = "config", config_dir: Optional[str] = None) -> Config:
    """The configuration that ``key=value`` overrides make of ``config`` (a name in ``cfg/`` or a YAML file).

    ``config_dir`` is a folder of the user's own, laid out like ``cfg/``. Raises ``ConfigError``.
    """
    return compose_with_remarks(overrides, config, config_dir).config


def compose_with_remarks(overrides: Sequence[str], config: str, config_dir: Optional[str]) -> Composed:
    """``compose``, with the remarks on old spellings."""
    translation = translate([_without_plus(override) for override in _select_presets(overrides)])
    for override in translation.overrides:
        _check_override(override, config_dir)
    folder, name = _locate(config)
    searchpath = [CFG, *([Path(config_dir).resolve()] if config_dir else [])]
    composed = _hydra(folder, name, [*translation.overrides, _searchpath(searchpath)])
    typed = _typed(composed)
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
                yield f"{group}={choice}"


def _without_plus(override: str) -> str:
    """``+key=value`` and ``++key=value`` say in Hydra that the key may be new; here no key can be."""
    return override.lstrip("+")


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
    if key in _GROUPS and isinstance(parsed.value(), str):
        _check_choice(key, str(parsed.value()), config_dir)
        return
    if key.startswith("hydra.") or key in all_keys():
        return
    if key in sections():
        raise ConfigError(f"{override}: {key} is a section. Give its keys one by one, such as {_example(key)}=...")
    known = [*all_keys(), *ALIASES, *_GROUPS]
    raise ConfigError(f"{override}: there is no key {key}.{did_you_mean(key, known)} --help lists all keys")


def _check_choice(group: str, choice: str, config_dir: Optional[str]) -> None:
    own = [path.stem for path in (Path(config_dir) / group).glob("*.yaml")] if config_dir else []
    known = sorted({*names_of(group), *own})
    if choice not in known:
        raise ConfigError(f"{group}={choice} is unknown. Known: {', '.join(known)}.{did_you_mean(choice, known)}")


def _example(section: str) -> str:
    return next(name for name in all_keys() if name.startswith(f"{section}."))


def _locate(config: str) -> Tuple[Path, str]:
    """Folder and name of the primary configuration."""
    if config.endswith((".yaml", ".yml")):
        path = Path(config).resolve()
        if not path.is_file():
            raise ConfigError(f"config={config}: there is no such file")
        return path.parent, path.stem
    if config not in names_of(""):
        known = names_of("")
        raise ConfigError(
            f"config={config} is unknown. Known: {', '.join(known)}, or the path of a .yaml file."
            + did_you_mean(config, known)
        )
    return CFG, config


def _searchpath(folders: Sequence[Path]) -> str:
    return "hydra.searchpath=[" + ",".join(f"'file://{folder}'" for folder in folders) + "]"


# --- Hydra ------------------------------------------------------------------------------------------------------------


def _hydra(folder: Path, name: str, overrides: Sequence[str]) -> DictConfig:
    store = ConfigStore.instance()
    for node, schema in {**_SECTIONS, **TASKS}.items():
        store.store(group="schema", name=node, node=schema)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            return hydra_compose(name, overrides=list(overrides))
    except MissingConfigException as error:
        raise ConfigError(f"config={name}: {_first_line(error)}") from None
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(error, overrides) from None


def _explained(error: Exception, overrides: Sequence[str]) -> ConfigError:
    """One line about what lies at the bottom of a Hydra error."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    key = (getattr(cause, "full_key", None) or "").partition("[")[0]  # of a list, the list
    given = [override for override in overrides if override.partition("=")[0] == key]
    if isinstance(cause, ValidationError) and key in all_keys():
        return ConfigError(f"{given[-1] if given else key}: expected {all_keys()[key].allowed()}")
    return ConfigError(_first_line(cause) + (f" ({key})" if key else ""))


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]


def _typed(composed: DictConfig) -> Config:
    """Dataclass instances of what Hydra composed."""
    name = OmegaConf.select(composed, "task.name")
    if name not in TASKS:
        raise ConfigError(f"task.name={name} is unknown. Known: {', '.join(TASKS)}.{did_you_mean(str(name), TASKS)}")
    extra = [str(key) for key in composed if key not in {entry.name for entry in fields(Config)}]
    if extra:
        raise ConfigError(f"there is no section {', '.join(extra)}. Known: sim, env, task, train")
    values: Dict[str, Any] = {}
    for section, schema in {**_SECTIONS, "task": TASKS[name]}.items():
        try:
            merged = OmegaConf.merge(OmegaConf.structured(schema), composed[section])
            values[section] = OmegaConf.to_object(merged)
        except OmegaConfBaseException as error:
            key = f"{section}.{error.full_key}"
            detail = f": expected {all_keys()[key].allowed()}" if key in all_keys() else " does not exist"
            raise ConfigError(f"{key}{detail}.{did_you_mean(key, all_keys())}") from None
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
