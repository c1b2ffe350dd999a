"""A test: play checkpoints, the newest as they come, from a validated configuration to an exit code."""

import logging
from typing import Optional

from rich.console import Console

from dexhand import parts
from dexhand.config.cli import Invocation
from dexhand.config.errors import ConfigError
from dexhand.core.checkpoints import CheckpointError
from dexhand.core.clock import SystemClock
from dexhand.core.eval_loop import EvalLoop
from dexhand.core.folder_changes import FolderChanges
from dexhand.core.interfaces import Clock
from dexhand.core.reload import LoadedPolicy, ReloadWatcher
from dexhand.core.resolve import CheckpointSource
from dexhand.core.stop import StopRequest
from dexhand.core.task_env import TaskEnv
from dexhand.core.workspace import Run
from dexhand.report import Report
from dexhand.run_folder import begun
from dexhand.sinks.console import GamesConsoleSink

log = logging.getLogger(__name__)


def play(invocation: Invocation, source: CheckpointSource, console: Console) -> int:
    """Play what ``source`` holds, now and later, until the games are done or a signal comes. Returns the exit code.

    Raises ``ConfigError`` where the first checkpoint cannot be played and no other is worth waiting for.
    """
    config, clock = invocation.config, SystemClock()
    parts.check_machine(config)
    parts.set_up_process(config)
    env = parts.build_env(config)
    watcher = _watcher(invocation, source, env, clock)
    with StopRequest() as stop:
        try:
            first = _first(watcher, source, invocation, stop)
            if first is None:
                log.info("Stopped before there was a checkpoint to play")
                return 0
            with begun("test", invocation, clock, played=first.path) as run:
                _play(invocation, first, run, watcher, env, console, clock, stop)
        finally:
            watcher.close()
            env.close()
    return 0


def _watcher(invocation: Invocation, source: CheckpointSource, env: TaskEnv, clock: Clock) -> ReloadWatcher:
    config, train = invocation.config, invocation.config.train
    changes = FolderChanges() if train.reloadOn == "event" else None
    load = parts.policy_loader(config, env)
    return ReloadWatcher(source, load, clock=clock, interval=train.reloadInterval, changes=changes)


def _first(
    watcher: ReloadWatcher, source: CheckpointSource, invocation: Invocation, stop: StopRequest
) -> Optional[LoadedPolicy]:
    """The checkpoint to begin with. One of another task is an error at once; a damaged or missing one may be followed
    by a good one where a training writes them.
    """
    train = invocation.config.train
    follows = train.reloadInterval > 0 or train.reloadOn == "event"
    if follows and source.is_experiment:
        return watcher.wait(stop, fatal=(ConfigError,))
    try:
        first = watcher.look(fatal=(Exception,))
    except CheckpointError as error:
        raise ConfigError(f"train.checkpoint: {error}") from None
    if first is None:
        raise ConfigError(f"train.checkpoint={source.spec}: there is no checkpoint in {source}")
    return first


def _play(
    invocation: Invocation,
    first: LoadedPolicy,
    run: Run,
    watcher: ReloadWatcher,
    env: TaskEnv,
    console: Console,
    clock: Clock,
    stop: StopRequest,
) -> None:
    train = invocation.config.train
    log.info("Playing %s, iteration %d, saved %.0f s ago", first.path, first.iteration, max(first.age, 0.0))
    sinks = parts.build_sinks(run.summaries)
    if train.testGamesNum == 0 and log.isEnabledFor(logging.INFO):
        sinks.append(GamesConsoleSink(console, clock))
    report = Report(
        first,
        games=train.testGamesNum,
        run=run,
        sinks=sinks,
        clock=clock,
        say=log.info,
    )
    loop = EvalLoop(
        env,
        first,
        games=train.testGamesNum,
        listener=report,
        newer_policy=watcher.poll,
    )
    try:
        loop.run(stop, seed=train.seed)
    finally:
        report.close()
