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
_WATCHED = "Two checkpoints can be watched in a browser: against=... videoStream=true"
MOST_COMPARED = 100_000
"""Episodes of each policy in a comparison, which all are kept: 200 MB while they are written."""
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
    _check_comparison(config)


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
    if train.algorithm == "rl_games" and not train.test and batch < 2:
        raise ConfigError(
            f"train.ppo.horizon_length={ppo.horizon_length}: a rollout of one sample has no deviation by which its "
            "advantages could be normalised. Give a longer horizon or more env.numEnvs"
        )
    if train.algorithm == "rl_games" and not train.test and batch % ppo.minibatch_size:
        raise ConfigError(
            f"train.ppo.minibatch_size={ppo.minibatch_size} does not divide the rollout of {batch} samples "
            f"(train.ppo.horizon_length={ppo.horizon_length} x env.numEnvs={config.env.numEnvs}). "
            "Choose a divisor, or 0 for a quarter of the rollout"
        )


def _check_comparison(config: Config) -> None:
    """Check what ``train.against`` and ``train.testEvery`` can be combined with."""
    env, train = config.env, config.train
    if train.against is None and not train.testEvery:
        return
    given = "train.testEvery=true" if train.against is None else f"train.against={train.against}"
    if train.against is not None and train.testEvery:
        raise ConfigError(f"{given} and train.testEvery=true exclude each other. Give one of them")
    if not train.test:
        raise ConfigError(f"{given} needs train.test=true")
    if train.reloadOn == "event":
        raise ConfigError(f"{given} plays the checkpoints that there are when it starts. Leave out reloadOn=event")
    for key in ("viewer", "videoRecord", *(["videoStream"] if train.testEvery else [])):
        if getattr(env, key):
            raise ConfigError(f"{given} cannot be combined with env.{key}=true: set env.{key}=false. {_WATCHED}")
    if train.testEvery and train.testGamesNum == 0:
        raise ConfigError("train.testEvery=true needs a number of episodes: train.testGamesNum=200")
    if train.testGamesNum > MOST_COMPARED:
        raise ConfigError(
            f"train.testGamesNum={train.testGamesNum}: {given} keeps all episodes, so {MOST_COMPARED} are the most"
        )
    if train.against is not None and (env.numEnvs or 0) % 2:
        raise ConfigError(f"env.numEnvs={env.numEnvs}: each of the two checkpoints plays half. Give an even number")
