"""A trained policy by the name of its checkpoint, as tests find and check it."""

import contextlib
from pathlib import Path

from dexhand.adapters.policy import ArrayPolicy
from dexhand.app import build
from dexhand.app.main import Workspaces
from dexhand.checkpoints.store import CheckpointError, read_checkpoint
from dexhand.config.cli import Invocation, parse
from dexhand.config.errors import ConfigError
from dexhand.workspace.checkpoint_names import resolve_checkpoint
from dexhand.workspace.workspace import WorkspaceError


def load_policy(checkpoint: str, *overrides: str) -> ArrayPolicy:
    """Load the policy of ``checkpoint`` for the environments that it was trained in. Raises ``ConfigError``."""
    quoted = "'" + checkpoint.replace("'", "\\'") + "'"  # a path may have characters of Hydra's grammar
    words = ["test=true", f"checkpoint={quoted}", "numEnvs=1", "env.device=cpu", *overrides]
    invocation = parse(words, Workspaces())
    assert isinstance(invocation, Invocation)
    config = invocation.config
    try:
        path = resolve_checkpoint(checkpoint, Path(config.train.runsDir))
    except WorkspaceError as error:
        raise ConfigError(str(error)) from None
    with contextlib.closing(build.build_env(config)) as env:
        try:
            policy, iteration = build.policy_loader(config, env)(path, read_checkpoint(path))
        except CheckpointError as error:
            raise ConfigError(f"train.checkpoint: {error}") from None
        sizes = env.single_observation_space.shape[0], env.single_action_space.shape[0]
    return ArrayPolicy(
        policy, task=config.task.subject, iteration=iteration, num_observations=sizes[0], num_actions=sizes[1]
    )
