"""Checks beyond types: ranges, choices, and settings that must fit together."""

import os
import re
from operator import attrgetter
from typing import Any

from dexhand.config.errors import ConfigError
from dexhand.config.keys import all_keys
from dexhand.config.schema import MOST_LAYERS, Config
from dexhand.hands.spec import HandError, load_hand

_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def check_values(config: Config) -> None:
    """Raise ``ConfigError`` for the first value that is wrong by itself, or that the task refuses."""
    try:
        config.task.check()
    except ValueError as error:
        raise ConfigError(str(error)) from None
    task_schema: Any = type(config.task)
    for name, key in all_keys(task_schema).items():
        key.check(attrgetter(name)(config))


def validate(config: Config) -> None:
    """Raise ``ConfigError`` for the first value that cannot work with the others or with the files it names."""
    _check_env(config)
    _check_train(config)


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
    if env.handAsset is not None and not os.path.isfile(env.handAsset):
        raise ConfigError(f"env.handAsset={env.handAsset}: there is no such file. Give the path of an MJCF, or null")


def _check_train(config: Config) -> None:
    train, ppo, name = config.train, config.train.ppo, config.train.experimentName
    if name is not None and not _RUN_NAME.fullmatch(name):
        raise ConfigError(
            f"train.experimentName={name} cannot begin a folder's name: letters, digits, _ and - are allowed, "
            "beginning with a letter or digit"
        )
    units = train.network.units
    if not 0 < len(units) <= MOST_LAYERS or min(units) < 1:
        raise ConfigError(
            f"train.network.units={units!s:.100} must be sizes of 1 to {MOST_LAYERS} layers, such as [256,128]"
        )
    batch = ppo.horizon_length * (config.env.numEnvs or 0)
    if train.algorithm == "rl_games" and not train.test and batch % ppo.minibatch_size:
        raise ConfigError(
            f"train.ppo.minibatch_size={ppo.minibatch_size} does not divide the rollout of {batch} samples "
            f"(train.ppo.horizon_length={ppo.horizon_length} x env.numEnvs={config.env.numEnvs}). "
            "Choose a divisor, or 0 for a quarter of the rollout"
        )
