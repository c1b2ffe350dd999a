"""From a checkpoint to a policy that is safe to run."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dexhand.app.build.learner import policy_builder
from dexhand.checkpoints.reload import Load
from dexhand.checkpoints.store import CheckpointError, ForeignCheckpointError, parse_checkpoint, read_checkpoint
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.interfaces import Policy, VecEnv
from dexhand.core.saved_state import check_state, contract_in
from dexhand.hands.spec import known_hands, load_hand

_LAYOUT = "env.hand.layout"
_GIVEN_AS = {"task.name": "task", _LAYOUT: "layout of env.hand"}

_CRITIC_KEYS = "task.critic_observation_keys"


def read_state(config: Config, path: Path, content: bytes | None = None) -> dict[str, Any]:
    """Read an ``Algorithm.state_dict()`` from a checkpoint, or the parts of one if rl_games itself wrote the file.

    ``content`` is the file's content if already read. Raises ``CheckpointError``, and ``ConfigError`` if the file could
    run code and ``train.trustCheckpoint`` is not set.
    """
    content = read_checkpoint(path) if content is None else content
    try:
        state = parse_checkpoint(path, content)
    except ForeignCheckpointError:
        state = _foreign(config, path, content)
    if config.train.algorithm == "rl_games":
        from dexhand.rl.foreign import migrate_state

        state = migrate_state(state)
    try:
        check_state(state)
    except ValueError as error:
        raise CheckpointError(path, f"not the checkpoint of a training: {error}") from None
    return state


def _foreign(config: Config, path: Path, content: bytes) -> dict[str, Any]:
    from dexhand.rl.foreign import UntrustedCheckpointError, parse_foreign

    train = config.train
    try:
        return parse_foreign(path, content, trust=train.trustCheckpoint, activation=train.network.activation)
    except UntrustedCheckpointError as error:
        raise ConfigError(f"train.trustCheckpoint=false: {error}") from None


def build_policy(config: Config, path: Path, state: dict[str, Any], env: VecEnv) -> Policy:
    """Build the policy of a checkpoint.

    Raises ``ConfigError`` if it was trained for another task or for other observations or actions than those of
    ``config``, or if the learner makes no policy of it, and ``CheckpointError`` if it produces no valid actions.
    """
    check_contract(config, path, state, policy_only=True)
    num_observations, num_actions = env.single_observation_space.shape[0], env.single_action_space.shape[0]
    builder = policy_builder(config)
    try:
        policy = builder(state, num_observations=num_observations, num_actions=num_actions, device=env.device)
        actions = policy.act(torch.zeros(1, num_observations, device=env.device))
    except ValueError as error:
        raise ConfigError(
            f"train.checkpoint={path} does not fit {config.subject}: {error}. "
            "Give the task and the task.* settings it was trained with"
        ) from None
    except Exception as error:  # a user's learner may raise anything
        raise ConfigError(
            f"train.checkpoint={path}: train.algorithm={config.train.algorithm} makes no policy of it: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    if not bool(torch.isfinite(actions).all()):
        raise CheckpointError(path, "its policy returns actions that are not finite; the training has diverged")
    return policy


def policy_loader(config: Config, env: VecEnv) -> Load:
    """Return the function with which a ``ReloadWatcher`` loads policies for ``env`` from files."""

    def load(path: Path, content: bytes) -> tuple[Policy, int]:
        state = read_state(config, path, content)
        return build_policy(config, path, state, env), int(state["epoch"])

    return load


def check_contract(config: Config, path: Path, state: Mapping[str, Any], *, policy_only: bool = False) -> None:
    """Raise ``ConfigError`` if a checkpoint's observations or actions have another meaning than those of ``config``.

    Critic observations matter unless ``policy_only``, and only if both have some: otherwise the value estimate starts
    over. Files without this information (rl_games's own) pass.
    """
    trained, needed = contract_in(state), contract_of(config)
    if policy_only or not trained.get(_CRITIC_KEYS) or not needed.get(_CRITIC_KEYS):
        needed.pop(_CRITIC_KEYS, None)
    if "task.name" in trained:
        trained = _with_hand(trained, needed)
    for key, value in needed.items():
        if key in trained and trained[key] != value:
            given, hand = _GIVEN_AS.get(key, key), f" ({needed['env.hand']})" if key == _LAYOUT else ""
            raise ConfigError(
                f"{given}={_formatted(value)}{hand}: {path} was trained with {given}={_formatted(trained[key])}. "
                "Give the hand, the task and the task.* settings it was trained with"
            )


def _with_hand(trained: dict[str, Any], needed: Mapping[str, Any]) -> dict[str, Any]:
    """Add the hand's layout where an older run did not record it; hands of the same layout pass under any name."""
    trained = {"env.hand": "dexhand021_right", **trained}  # the only hand when runs did not record theirs
    if trained["env.hand"] in known_hands():
        trained = {_LAYOUT: load_hand(trained["env.hand"]).layout, **trained}
    if _LAYOUT in needed and trained.get(_LAYOUT) == needed[_LAYOUT]:
        trained["env.hand"] = needed["env.hand"]
    return trained


def contract_of(config: Config) -> dict[str, Any]:
    """Describe the meaning of observations and actions; a learner's state is only valid under that of its training."""
    if config.env.factory is not None:
        return {"env.factory": Path(config.env.factory).name}
    task = config.task
    values = {f"task.{key}": getattr(task, key) for key in ("name", *task.policy_keys)}
    return {**_HANDS[task.kind](config), "env.factory": None, **copy.deepcopy(values)}


def _hand(config: Config) -> dict[str, Any]:
    hand = load_hand(config.env.hand)
    return {"env.hand": hand.name, _LAYOUT: hand.layout}


_HANDS: dict[str, Callable[[Config], dict[str, Any]]] = {"hand": _hand, "gymnasium": lambda config: {}}
"""What the hand adds to the contract, by ``TaskConfig.kind``."""


def _formatted(value: Any) -> str:
    if value is None:
        return "null"
    return "[" + ",".join(value) + "]" if isinstance(value, list) else str(value)
