"""Checks that types alone do not make: ranges, choices, and what must fit together."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dexhand.config.errors import ConfigError, did_you_mean
from dexhand.config.keys import Key, keys_of
from dexhand.config.schema import Config
from dexhand.hands.spec import HandError, load_hand

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def validate(config: Config) -> None:
    """Raise ``ConfigError`` for the first value that cannot work."""
    for section in ("sim", "env", "task", "train"):
        values = getattr(config, section)
        for key in keys_of(type(values), f"{section}."):
            _check(key, _value_of(config, key.name))
    _check_env(config)
    _check_train(config)
    _check_names(config)


def missing_features(config: Config) -> Iterator[str]:
    """What is asked for and may well come, but is not in this version; a line for each."""
    env = config.env
    if env.viewer and config.sim.backend != "isaacgym":
        yield (
            f"env.viewer=true: this version has no window yet for sim.backend={config.sim.backend}, only for isaacgym. "
            "Go on without one: env.viewer=false"
        )
    if env.videoRecord:
        yield "env.videoRecord=true: this version does not record videos yet. Go on without: env.videoRecord=false"
    if env.videoStream:
        yield "env.videoStream=true: this version has no live stream yet. Go on without: env.videoStream=false"


def _value_of(config: Config, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _check(key: Key, value: Any) -> None:
    if value is None:
        return
    for element in value if key.is_list else [value]:
        if key.choices and element not in key.choices:
            choices = ", ".join(str(choice) for choice in key.choices)
            raise ConfigError(
                f"{key.name}={element} is unknown. Known: {choices}."
                + did_you_mean(str(element), [str(choice) for choice in key.choices])
            )
        if isinstance(element, (int, float)) and not isinstance(element, bool):
            _check_number(key, element, value)


def _check_number(key: Key, number: float, value: Any) -> None:
    """Check ``number``, which is ``value`` or an element of it."""
    if isinstance(number, float) and not math.isfinite(number):
        raise ConfigError(f"{key.name}={value} is not finite: expected {key.allowed()} ({key.help})")
    too_low = (key.low is not None and number < key.low) or (key.above is not None and number <= key.above)
    too_high = key.high is not None and number > key.high
    if too_low or too_high:
        unit = f", {key.unit}" if key.unit else ""
        raise ConfigError(f"{key.name}={value} is out of range: {key.allowed()}{unit} ({key.help})")


def _check_env(config: Config) -> None:
    env = config.env
    if not _DEVICE.fullmatch(env.device):
        raise ConfigError(f"env.device={env.device} is unknown. Allowed: auto, cpu, cuda, cuda:<index>")
    if len(env.initialHandPos) != 3:
        raise ConfigError(f"env.initialHandPos={env.initialHandPos} must be three numbers x, y, z in metres")
    try:
        load_hand(env.hand)
    except HandError as error:
        raise ConfigError(str(error)) from None
    if env.handAsset is not None and not Path(env.handAsset).is_file():
        raise ConfigError(f"env.handAsset={env.handAsset}: there is no such file. Give the path of an MJCF, or null")


def _check_names(config: Config) -> None:
    name = config.train.experimentName
    if name is not None and not RUN_NAME.fullmatch(name):
        raise ConfigError(
            f"train.experimentName={name} cannot begin a folder's name: letters, digits, _ and - are allowed, "
            "beginning with a letter or digit"
        )


def _check_train(config: Config) -> None:
    train, ppo = config.train, config.train.ppo
    if not train.network.units or min(train.network.units) < 1:
        raise ConfigError(
            f"train.network.units={train.network.units} must be sizes of at least one layer, such as [256,128]"
        )
    if not config.task.policy_observation_keys:
        raise ConfigError("task.policy_observation_keys=[] leaves the policy nothing to see. Name at least one key")
    if not (config.task.policy_controls_hand_base or config.task.policy_controls_fingers):
        raise ConfigError(
            "task.policy_controls_hand_base=false and task.policy_controls_fingers=false leave the policy nothing to "
            "do. Set one of them to true"
        )
    batch = ppo.horizon_length * (config.env.numEnvs or 0)
    if not train.test and batch % ppo.minibatch_size:
        raise ConfigError(
            f"train.ppo.minibatch_size={ppo.minibatch_size} does not divide the rollout of {batch} samples "
            f"(train.ppo.horizon_length={ppo.horizon_length} x env.numEnvs={config.env.numEnvs}). "
            "Choose a divisor, or 0 for a quarter of the rollout"
        )
