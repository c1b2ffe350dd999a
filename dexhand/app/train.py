"""A training, from a validated configuration to an exit code."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from dexhand.app import build
from dexhand.app.run_folder import go_on, new_run
from dexhand.checkpoints.store import CheckpointError, CheckpointStore
from dexhand.config.cli import Invocation
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config, TrainConfig
from dexhand.core.clock import SystemClock
from dexhand.core.interfaces import Algorithm, Clock, MetricSink
from dexhand.core.process_state import process_state_restored
from dexhand.core.stop import StopRequest
from dexhand.core.train_loop import TrainLoop, TrainResult, best_return_of
from dexhand.distributed.process_group import (
    DistributedAlgorithm,
    LostProcess,
    NoSuchDevice,
    ProcessGroup,
    join_process_group,
    run_worker,
)
from dexhand.hard_examples.reports import HardExampleSink
from dexhand.sinks.console import ConsoleSink
from dexhand.workspace.workspace import Run, lock_run

log = logging.getLogger(__name__)


PROCESS_TIMEOUT = 600.0
"""Seconds that processes that train together wait for each other: one may be compiling kernels, or saving."""


@process_state_restored()
def train(invocation: Invocation, checkpoint: Path | None, continued: Run | None, console: Console) -> int:
    """Train, from scratch, from ``checkpoint`` in a new run, or in the run ``continued`` from its checkpoint.

    Started by ``torchrun``, several processes train together: the first one leads, writes and says everything.
    Returns the exit code: 0, or 1 where the end could not be saved or another process was lost. Raises ``ConfigError``.
    """
    build.check_machine(invocation.config)
    try:
        with join_process_group(str(build.device_of(invocation.config)), PROCESS_TIMEOUT) as group, ExitStack() as held:
            if group.is_leader:
                return _lead(invocation, checkpoint, continued, console, group, held)
            run_worker(_algorithm(invocation.config, group, held), group)
    except NoSuchDevice as error:
        raise ConfigError(f"env.device={invocation.config.env.device}: {error}") from None
    except LostProcess as error:
        log.error("Training ends: %s. resume= goes on from the last checkpoint", error)
        return 1
    return 0


def _algorithm(
    config: Config, group: ProcessGroup, held: ExitStack, hard_example_sinks: Sequence[HardExampleSink] = ()
) -> Algorithm:
    """The learner of one process, with its own device and random numbers. ``held`` closes its environments."""
    own = deepcopy(config)
    own.train.seed += group.rank
    own.train.hardExamples.enabled &= group.is_leader
    if group.size > 1:
        own.env.device = str(group.device)
    build.set_up_process(own)
    env = build.build_env(own)
    held.callback(env.close)
    return build.build_algorithm(own, env, group, hard_example_sinks)


def _lead(
    invocation: Invocation,
    checkpoint: Path | None,
    continued: Run | None,
    console: Console,
    group: ProcessGroup,
    held: ExitStack,
) -> int:
    config, clock = invocation.config, SystemClock()
    takes_all = continued is not None or config.train.resume == "exact"
    if continued is not None:  # before its checkpoint is read: another process may just be saving its last one
        held.enter_context(lock_run(continued))
    start = None if checkpoint is None else _Start(checkpoint, _read(checkpoint, config, takes_all))
    hard_example_sinks: list[HardExampleSink] = []  # filled when the run has a folder
    algorithm = _algorithm(config, group, held, hard_example_sinks)
    if group.size > 1:
        algorithm = DistributedAlgorithm(algorithm, group)
        log.info("%d processes train together, each in %d environments", group.size, config.env.numEnvs)
    best_return = None if start is None else _take_over(start, algorithm, takes_all)
    first_step = None
    if continued is None:
        run = held.enter_context(new_run("train", invocation, clock))
    else:
        run, first_step = continued, algorithm.frames_done + 1
        go_on(run, invocation)

    def progress() -> MetricSink:
        done, last, episodes = algorithm.iterations_done, config.train.maxIterations, config.train.logInterval
        return ConsoleSink(console, clock, iterations_done=done, max_iterations=last, episodes_between=episodes)

    sinks = build.build_sinks(config, run, progress if log.isEnabledFor(logging.INFO) else None, first_step)
    hard_example_sinks += build.hard_example_sinks(sinks, run)
    return _conclude(_run_loop(config, algorithm, run, clock, best_return, sinks), run, config)


def _run_loop(
    config: Config,
    algorithm: Algorithm,
    run: Run,
    clock: Clock,
    best_return: float | None,
    sinks: Sequence[MetricSink],
) -> TrainResult:
    store = CheckpointStore(run.checkpoints, keep=config.train.keepCheckpoints)
    store.remove_leftovers()
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
        contract=build.contract_of(config),
    )
    with StopRequest() as stop, ExitStack() as closing:
        for sink in sinks:
            closing.callback(sink.close)
        closing.callback(algorithm.close)  # first of all: it may have something left to tell
        return loop.run(stop)


@dataclass(frozen=True)
class _Start:
    """Where a training begins."""

    checkpoint: Path
    state: dict[str, Any]


def _read(checkpoint: Path, config: Config, takes_all: bool) -> dict[str, Any]:
    """What the checkpoint holds; whatever can be wrong with it is said before anything is built."""
    try:
        state = build.read_state(config, checkpoint)
    except CheckpointError as error:
        raise ConfigError(f"train.checkpoint: {error}") from None
    if not takes_all:
        _warn_of_other_meaning(config, checkpoint, state)
        return state
    if "train_loop" not in state:
        raise ConfigError(
            f"train.checkpoint={checkpoint} was written by rl_games itself and lacks what an exact continuation needs. "
            "Give train.resume=weights to begin with its weights and everything else fresh"
        )
    build.check_contract(config, checkpoint, state)
    if state["epoch"] >= config.train.maxIterations:
        raise ConfigError(
            f"train.maxIterations={config.train.maxIterations}: {checkpoint} has already done {state['epoch']}. "
            "The number counts from the very beginning: give a larger one"
        )
    return state


def _warn_of_other_meaning(config: Config, checkpoint: Path, state: dict[str, Any]) -> None:
    """Warn where the weights were trained for another task, hand or network: fine-tuning may want that."""
    try:
        build.check_contract(config, checkpoint, state)
    except ConfigError as error:
        log.warning("The weights were trained for something else: %s", error)


def _take_over(start: _Start, algorithm: Algorithm, takes_all: bool) -> float | None:
    """Take over everything or the weights alone; returns the best mean return so far."""
    try:
        if not takes_all:
            algorithm.load_weights(start.state)
            log.info("Beginning with the weights of %s, everything else fresh", start.checkpoint)
            return None
        algorithm.load_state_dict(start.state)
    except ValueError as error:
        raise ConfigError(f"train.checkpoint={start.checkpoint}: {error}") from None
    log.info("Continuing from %s at iteration %d", start.checkpoint, algorithm.iterations_done)
    return best_return_of(start.state)


def _conclude(result: TrainResult, run: Run, config: Config) -> int:
    best = "no best checkpoint yet" if result.best_return is None else f"best mean return {result.best_return:.2f}"
    log.info("Stopped after %d iterations: %s; %s", result.iterations_done, result.reason, best)
    if result.checkpoint is not None:
        log.info("Saved %s", result.checkpoint)
        log.info("Play it: python scripts/train.py %s test=true checkpoint=%s", _what(config), run.name)
        if result.reason == "stop requested":
            log.info("Go on in this run: python scripts/train.py resume=%s", run.name)
    if result.unsaved is not None:
        log.error("The last iteration, %d, is in no checkpoint: %s", result.iterations_done, result.unsaved)
        return 1
    return 0


def _what(config: Config) -> str:
    """The words that say what a policy of this training plays, and how it is computed."""
    factory, algorithm = config.env.factory, config.train.algorithm
    words = [f"task={config.task.name}" if factory is None else f"env.factory={factory}"]
    return " ".join(words if algorithm == TrainConfig.algorithm else [*words, f"train.algorithm={algorithm}"])
