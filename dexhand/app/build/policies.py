"""From a checkpoint to a policy that may act."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dexhand.checkpoints.reload import Load
from dexhand.checkpoints.store import CheckpointError, ForeignCheckpointError, parse_checkpoint, read_checkpoint
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.interfaces import Policy
from dexhand.core.task_env import TaskEnv
from dexhand.hands.spec import load_hand


def read_state(config: Config, path: Path, content: bytes | None = None) -> dict[str, Any]:
    """What a checkpoint holds: an ``Algorithm.state_dict()``, or the parts of one where rl_games itself wrote the file.

    ``content`` is what has been read of it already. Raises ``CheckpointError``, and ``ConfigError`` where the file
    could run code and ``train.trustCheckpoint`` is not set.
    """
    content = read_checkpoint(path) if content is None else content
    try:
        state = parse_checkpoint(path, content)
    except ForeignCheckpointError:
        from dexhand.rl.foreign import UntrustedCheckpointError, parse_foreign

        train = config.train
        try:
            return parse_foreign(path, content, trust=train.trustCheckpoint, activation=train.network.activation)
        except UntrustedCheckpointError as error:
            raise ConfigError(f"train.trustCheckpoint=false: {error}") from None
    if not {"model", "epoch", "dexhand"} <= state.keys():
        raise CheckpointError(path, "not the checkpoint of a training: it lacks the model, epoch or network sizes")
    return state


def build_policy(config: Config, path: Path, state: Mapping[str, Any], env: TaskEnv) -> Policy:
    """The policy of a checkpoint.

    Raises ``ConfigError`` where it was trained for another task, or for other observations or actions than ``config``
    has, and ``CheckpointError`` where it cannot act.
    """
    from dexhand.rl.policy import RlGamesPolicy

    check_contract(config, path, state)
    try:
        policy = RlGamesPolicy.from_state(state, env.device)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(path, f"its network cannot be built: {error}") from error
    if not bool(torch.isfinite(policy.act(torch.zeros(1, policy.spec.num_observations, device=env.device))).all()):
        raise CheckpointError(path, "its policy answers with numbers that are not finite; the training has diverged")
    trained = (policy.spec.num_observations, policy.spec.num_actions)
    needed = (env.single_observation_space.shape[0], env.single_action_space.shape[0])
    if trained != needed:
        raise ConfigError(
            f"train.checkpoint={path} was trained with {trained[0]} observations and {trained[1]} actions; "
            f"task={config.task.name} has {needed[0]} and {needed[1]}. "
            "Give the task and the task.* settings it was trained with"
        )
    return policy


def policy_loader(config: Config, env: TaskEnv) -> Load:
    """What a ``ReloadWatcher`` needs to make policies for ``env`` of files."""

    def load(path: Path, content: bytes) -> tuple[Policy, int]:
        state = read_state(config, path, content)
        return build_policy(config, path, state, env), int(state["epoch"])

    return load


def check_contract(config: Config, path: Path, state: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` where the observations or actions of a checkpoint mean something else than ``config``'s.

    Files that do not say what theirs mean (rl_games's own) pass.
    """
    trained, needed = state["dexhand"].get("contract", {}), contract_of(config)
    if trained:
        trained = {"env.hand": "dexhand021_right", **trained}  # contracts were once without it
    for key, value in needed.items():
        if key in trained and trained[key] != value:
            key_given = "task" if key == "task.name" else key
            raise ConfigError(
                f"{key_given}={_shown(value)}: {path} was trained with {key_given}={_shown(trained[key])}. "
                "Give the hand, the task and the task.* settings it was trained with"
            )


def contract_of(config: Config) -> dict[str, Any]:
    """What observations and actions mean; a policy trained under another contract would act on nonsense."""
    task = config.task
    return {
        "env.hand": load_hand(config.env.hand).name,
        "task.name": task.name,
        "task.policy_observation_keys": list(task.policy_observation_keys),
        "task.controlMode": task.controlMode,
        "task.policy_controls_hand_base": task.policy_controls_hand_base,
        "task.policy_controls_fingers": task.policy_controls_fingers,
    }


def _shown(value: Any) -> str:
    return "[" + ",".join(value) + "]" if isinstance(value, list) else str(value)
