"""Other spellings of configuration keys, for the command line, YAML files and ``--help``."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.keys import GROUPS, all_keys, example_key, sections, tasks_with

SHORT_FORMS: dict[str, str] = {
    "render": "env.viewer",
    "headless": "env.viewer",
    "streamBindAll": "env.videoStreamBindAll",
    "maxIter": "train.maxIterations",
    "checkpoint_save_freq": "train.saveFrequency",
    "checkpoint_reload_interval": "train.reloadInterval",
    "sim_device": "env.device",
    "rl_device": "env.device",
    "graphics_device_id": "sim.isaacgym.graphicsDevice",
    "wandb_activate": "train.wandb.enabled",
    "wandb_entity": "train.wandb.entity",
    "wandb_project": "train.wandb.project",
    "wandb_name": "train.wandb.name",
}
"""Other spellings, which cause no warning. Beside these, keys of ``env`` and ``train`` need no section: ``numEnvs``."""

OLD_SECTIONS: dict[str, str] = {
    "training": "train",
    "testing": "train",
    "logging": "train",
    "experiment": "train",
    "task.reward": "task.reward_weights",
}
"""Sections of older versions and documents: ``training.seed`` is ``train.seed``."""

OLD_KEYS: dict[str, str] = {
    "experiment.name": "train.experimentName",
    "train.maxIter": "train.maxIterations",
    "recordVideo": "env.videoRecord",
    "env.recordVideo": "env.videoRecord",
    "env.render": "env.viewer",
    "env.headless": "env.viewer",
    "env.streamBindAll": "env.videoStreamBindAll",
    "env.graphicsDeviceId": "sim.isaacgym.graphicsDevice",
    "env.box": "task.box",
}
"""Keys of older versions and documents; each use causes a warning with the current name."""

OTHER_NAMES: dict[str, str] = {
    "lr": "train.ppo.learning_rate",
    "batch_size": "train.ppo.minibatch_size",
    "clip_range": "train.ppo.e_clip",
    "clip_coef": "train.ppo.e_clip",
    "clip_param": "train.ppo.e_clip",
    "ent_coef": "train.ppo.entropy_coef",
    "vf_coef": "train.ppo.critic_coef",
    "gae_lambda": "train.ppo.tau",
    "lam": "train.ppo.tau",
    "n_steps": "train.ppo.horizon_length",
    "num_steps": "train.ppo.horizon_length",
    "horizon": "train.ppo.horizon_length",
    "n_epochs": "train.ppo.mini_epochs",
    "update_epochs": "train.ppo.mini_epochs",
    "target_kl": "train.ppo.kl_threshold",
    "max_grad_norm": "train.ppo.grad_norm",
    "n_envs": "env.numEnvs",
    "total_timesteps": "train.maxIterations",
    "max_epochs": "train.maxIterations",
    "backend": "sim.backend",
}
"""Names of other libraries, which errors translate: they are no spellings, because units or meanings may differ."""

ALIASES: dict[str, str] = {**SHORT_FORMS, **OLD_KEYS, **OLD_SECTIONS}
"""Other spelling: the key or section it means.

Camel case and snake case are the same: ``task.rewardWeights`` is ``task.reward_weights``.
"""

NEGATED = ("headless", "env.headless")
"""Aliases whose value is the opposite of their key's."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def canonical_key(key: str) -> str:
    """Replace the alias that ``key`` begins with; a key without one is returned unchanged."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        head = ".".join(parts[:length])
        if head == key and key in OLD_SECTIONS:
            continue  # experiment=NAME does not mean train=NAME, which chooses a learner
        name = _keys_by_spelling().get(_snake(head))
        if name is not None:
            found = ".".join([name, *parts[length:]])
            return found if found == key else canonical_key(found)
    return key


def canonical_value(key: str, value: Any) -> Any:
    """Convert the value of the alias ``key`` to that of its canonical key. Raises ``ConfigError``."""
    if key not in NEGATED or value is None:
        return value
    if not isinstance(value, bool):
        raise ConfigError(f"{key}={value}: expected true, false or null")
    return not value


def spelling_warnings(keys: Mapping[str, str]) -> list[str]:
    """A line for each old spelling that was used; ``keys`` maps used spellings to canonical keys."""
    return [
        f"{alias} is an old spelling of {key}" + (", with the opposite meaning" if alias in NEGATED else "")
        for alias, key in keys.items()
        if alias not in (key, *SHORT_FORMS) and _snake(alias) != _snake(key.rpartition(".")[2])
    ]


def no_such_key(key: str, shown: str, keys: Iterable[str]) -> ConfigError:
    """The error for a ``key`` that is not one of ``keys``; ``shown`` is the user's spelling of it."""
    if key in sections():
        return ConfigError(
            f"{shown}: {key} is a section. Give its keys one by one, such as {example_key(key)}=..., or leave it out "
            "for the defaults"
        )
    tasks = tasks_with(key)
    if tasks:
        return ConfigError(f"{shown}: the chosen task has no {key}. It belongs to task={' or task='.join(tasks)}")
    same = [name for name in keys if name.endswith(f".{key}")]
    if same:
        return ConfigError(f"{shown}: there is no key {key}. Write {' or '.join(same[:3])}")
    if key in OTHER_NAMES:
        return ConfigError(f"{shown}: there is no key {key}. It is called {OTHER_NAMES[key]} here")
    known = [*keys, *SHORT_FORMS, *without_section(), *OLD_KEYS, *GROUPS, "config", "resume"]
    return ConfigError(f"{shown}: there is no key {key}.{did_you_mean(key, known)} --help lists all keys")


@cache
def without_section() -> dict[str, str]:
    """The keys of ``env`` and ``train`` by their names without the section."""
    split = ((name, name.split(".")) for name in all_keys())
    return {parts[1]: name for name, parts in split if parts[0] in ("env", "train") and len(parts) == 2}


@cache
def _keys_by_spelling() -> dict[str, str]:
    """The canonical name of each alias, key and section, by its snake_case form."""
    names = {name: name for name in (*sections(), *all_keys())}
    return {_snake(alias): key for alias, key in (names | without_section() | ALIASES).items()}


def _snake(key: str) -> str:
    return _HUMP.sub("_", key).lower()
