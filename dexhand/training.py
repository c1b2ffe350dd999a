"""A training, from a validated configuration to an exit code."""

import logging
from pathlib import Path
from typing import Any, Dict, List, Optional

from rich.console import Console

from dexhand import build
from dexhand.config.cli import Invocation
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.checkpoints import CheckpointError, CheckpointStore
from dexhand.core.clock import SystemClock
from dexhand.core.interfaces import Algorithm, MetricSink
from dexhand.core.stop import StopRequest
from dexhand.core.train_loop import TrainLoop, TrainResult, best_return_of
from dexhand.core.workspace import Run, hold
from dexhand.run_folder import begin, go_on
from dexhand.sinks.console import ConsoleSink

log = logging.getLogger(__name__)


def train(invocation: Invocation, checkpoint: Optional[Path], continued: Optional[Run], console: Console) -> int:
    """Train, from scratch, from ``checkpoint`` in a new run, or in the run ``continued`` from its checkpoint.

    Returns the exit code: 0, or 1 where the end could not be saved. Raises ``ConfigError``.
    """
    config, clock = invocation.config, SystemClock()
    build.check_machine(config)
    build.set_up_process(config)
    algorithm = build.build_algorithm(config, build.build_env(config))
    takes_all = continued is not None or config.train.resume == "exact"
    best_return = None if checkpoint is None else _start_from(checkpoint, algorithm, config, takes_all)
    run = begin("train", invocation, clock) if continued is None else continued
    with hold(run):
        store = CheckpointStore(run.checkpoints, keep=config.train.keepCheckpoints)
        if continued is not None:
            go_on(run, invocation)
            store.remove_leftovers()
        first_step = algorithm.frames_done + 1 if continued is not None else None
        sinks: List[MetricSink] = [
            ConsoleSink(
                console, clock, iterations_done=algorithm.iterations_done, max_iterations=config.train.maxIterations
            ),
            *build.build_sinks(run.summaries, first_step),
        ]
        loop = TrainLoop(
            algorithm,
            store,
            sinks,
            clock=clock,
            max_iterations=config.train.maxIterations,
            save_frequency=config.train.saveFrequency,
            save_interval=config.train.saveInterval,
            target_score=config.train.targetScore,
            best_return=best_return,
        )
        with StopRequest() as stop:
            try:
                result = loop.run(stop)
            finally:
                for sink in sinks:
                    sink.close()
                algorithm.close()
    return _conclude(result, run, config)


def _start_from(checkpoint: Path, algorithm: Algorithm, config: Config, takes_all: bool) -> Optional[float]:
    """Take over everything or the weights alone; returns the best mean return so far."""
    try:
        state = build.read_state(config, checkpoint)
        if not takes_all:
            algorithm.load_weights(state["model"])
            log.info("Beginning with the weights of %s, everything else fresh", checkpoint)
            return None
        return _continue_exactly(state, checkpoint, algorithm, config)
    except CheckpointError as error:
        raise ConfigError(f"train.checkpoint: {error}") from None


def _continue_exactly(state: Dict[str, Any], checkpoint: Path, algorithm: Algorithm, config: Config) -> Optional[float]:
    if "train_loop" not in state:
        raise ConfigError(
            f"train.checkpoint={checkpoint} was written by rl_games itself and lacks what an exact continuation needs. "
            "Give train.resume=weights to begin with its weights and everything else fresh"
        )
    build.check_contract(config, checkpoint, state)
    try:
        algorithm.load_state_dict(state)
    except ValueError as error:
        raise ConfigError(f"train.checkpoint={checkpoint}: {error}") from None
    if algorithm.iterations_done >= config.train.maxIterations:
        raise ConfigError(
            f"train.maxIterations={config.train.maxIterations}: {checkpoint} has already done "
            f"{algorithm.iterations_done}. The number counts from the very beginning: give a larger one"
        )
    log.info("Continuing from %s at iteration %d", checkpoint, algorithm.iterations_done)
    return best_return_of(state)


def _conclude(result: TrainResult, run: Run, config: Config) -> int:
    best = "no best checkpoint yet" if result.best_return is None else f"best mean return {result.best_return:.2f}"
    log.info("Stopped after %d iterations: %s; %s", result.iterations_done, result.reason, best)
    if result.checkpoint is not None:
        log.info("Saved %s", result.checkpoint)
        log.info("Play it: python scripts/train.py task=%s test=true checkpoint=%s", config.task.name, run.name)
        if result.reason == "stop requested":
            log.info("Go on in this run: python scripts/train.py resume=%s", run.name)
    if result.unsaved is not None:
        log.error("The last iteration, %d, is in no checkpoint: %s", result.iterations_done, result.unsaved)
        return 1
    return 0
