"""The smallest possible real training."""

import math
from pathlib import Path

import torch

from dexhand.app.build import build_algorithm, build_env, contract_of
from dexhand.checkpoints.store import CheckpointStore
from dexhand.config.compose import compose
from dexhand.core.clock import SystemClock
from dexhand.core.stop import StopRequest
from dexhand.core.train_loop import TrainLoop
from dexhand.testing.random_states import random_states_put_back

SETTINGS = (
    "task=BaseTask",
    "sim.backend=mock",
    "numEnvs=4",
    "task.episodeLength=10",
    "train.network.units=[16]",
    "train.ppo.horizon_length=8",
    "maxIter=2",
)


def train_a_checkpoint(folder: Path) -> Path:
    """Train for two iterations, save as a run does, and return the checkpoint; global random states are restored."""
    config = compose(list(SETTINGS))
    with random_states_put_back():
        torch.manual_seed(config.train.seed)
        algorithm = build_algorithm(config, build_env(config))
        loop = TrainLoop(
            algorithm,
            CheckpointStore(folder),
            [],
            clock=SystemClock(),
            max_iterations=config.train.maxIterations,
            save_frequency=config.train.maxIterations,
            save_interval=math.inf,
            contract=contract_of(config),
        )
        result = loop.run(StopRequest())
        algorithm.close()
    assert result.checkpoint is not None, f"the tiny training could not be saved: {result.unsaved}"
    return result.checkpoint
