"""From a checkpoint to a policy that may act."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dexhand.app.build.learner import policy_maker
from dexhand.checkpoints.reload import Load
from dexhand.checkpoints.store import CheckpointError, ForeignCheckpointError, parse_checkpoint, read_checkpoint
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.interfaces import Policy, VecEnv
from dexhand.core.train_loop import contract_in
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
        return _foreign(config, path, content)
    if not {"model", "epoch"} <= state.keys():
        raise CheckpointError(path, "not the checkpoint of a training: it lacks the model or the epoch")
    if config.train.algorithm != "rl_games":
        return state
    from dexhand.rl.foreign import brought_up_to_date

    return brought_up_to_date(state)


def _foreign(config: Config, path: Path, content: bytes) -> dict[str, Any]:
    from dexhand.rl.foreign import UntrustedCheckpointError, parse_foreign

    train = config.train
    try:
        return parse_foreign(path, content, trust=train.trustCheckpoint, activation=train.network.activation)
    except UntrustedCheckpointError as error:
        raise ConfigError(f"train.trustCheckpoint=false: {error}") from None


def build_policy(config: Config, path: Path, state: dict[str, Any], env: VecEnv) -> Policy:
    """The policy of a checkpoint.

    Raises ``ConfigError`` where it was trained for another task, or for other observations or actions than ``config``
    has, and ``CheckpointError`` where it cannot act.
    """
    check_contract(config, path, state)
    num_observations, num_actions = env.single_observation_space.shape[0], env.single_action_space.shape[0]
    make_policy = policy_maker(config)
    try:
        policy = make_policy(state, num_observations=num_observations, num_actions=num_actions, device=env.device)
        actions = policy.act(torch.zeros(1, num_observations, device=env.device))
    except ValueError as error:
        raise ConfigError(
            f"train.checkpoint={path} does not fit {config.subject}: {error}. "
            "Give the task and the task.* settings it was trained with"
        ) from None
    except Exception as error:  # whatever a learner of the user's own may raise on a file that is not its own
        raise CheckpointError(path, f"no policy can be made of it: {type(error).__name__}: {error}") from error
    if not bool(torch.isfinite(actions).all()):
        raise CheckpointError(path, "its policy answers with numbers that are not finite; the training has diverged")
    return policy


def policy_loader(config: Config, env: VecEnv) -> Load:
    """What a ``ReloadWatcher`` needs to make policies for ``env`` of files."""

    def load(path: Path, content: bytes) -> tuple[Policy, int]:
        state = read_state(config, path, content)
        return build_policy(config, path, state, env), int(state["epoch"])

    return load


def check_contract(config: Config, path: Path, state: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` where the observations or actions of a checkpoint mean something else than ``config``'s.

    Files that do not say what theirs mean (rl_games's own) pass.
    """
    trained, needed = contract_in(state), contract_of(config)
    if "task.name" in trained:
        trained = {"env.hand": "dexhand021_right", **trained}  # the only hand of runs that do not name theirs
    for key, value in needed.items():
        if key in trained and trained[key] != value:
            key_given = "task" if key == "task.name" else key
            raise ConfigError(
                f"{key_given}={_shown(value)}: {path} was trained with {key_given}={_shown(trained[key])}. "
                "Give the hand, the task and the task.* settings it was trained with"
            )


def contract_of(config: Config) -> dict[str, Any]:
    """What observations and actions mean; a policy trained under another contract would act on nonsense."""
    if config.env.factory is not None:
        return {"env.factory": Path(config.env.factory).name}
    task = config.task
    return {
        "env.hand": load_hand(config.env.hand).name,
        "env.factory": None,
        "task.name": task.name,
        "task.policy_observation_keys": list(task.policy_observation_keys),
        "task.controlMode": task.controlMode,
        "task.policy_controls_hand_base": task.policy_controls_hand_base,
        "task.policy_controls_fingers": task.policy_controls_fingers,
    }


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return "[" + ",".join(value) + "]" if isinstance(value, list) else str(value)
