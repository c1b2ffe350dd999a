"""A test: play checkpoints, the newest as they come, from a validated configuration to an exit code."""

import logging

from rich.console import Console

from dexhand.app import build
from dexhand.app.evaluation_report import Report
from dexhand.app.run_folder import new_run
from dexhand.checkpoints.folder_changes import FolderChanges
from dexhand.checkpoints.reload import ReloadWatcher
from dexhand.checkpoints.store import CheckpointError
from dexhand.config.cli import Invocation
from dexhand.config.errors import ConfigError
from dexhand.core.clock import SystemClock
from dexhand.core.eval_loop import EvalLoop, LoadedPolicy
from dexhand.core.interfaces import Clock, VecEnv
from dexhand.core.process_state import process_state_restored
from dexhand.core.stop import StopRequest
from dexhand.sinks.console import EvaluationConsoleSink
from dexhand.workspace.checkpoint_names import CheckpointSource
from dexhand.workspace.workspace import Run

log = logging.getLogger(__name__)


@process_state_restored()
def play(invocation: Invocation, source: CheckpointSource, console: Console) -> int:
    """Play what ``source`` holds, now and later, until all episodes are played or a signal comes.

    Returns the exit code. Raises ``ConfigError`` where the first checkpoint cannot be played and no other is worth
    waiting for.
    """
    config, clock = invocation.config, SystemClock()
    build.check_machine(config)
    build.set_up_process(config)
    env = build.build_env(config)
    watcher = _watcher(invocation, source, env, clock)
    with StopRequest() as stop:
        try:
            first = _first(watcher, source, invocation, stop)
            if first is None:
                log.info("Stopped before there was a checkpoint to play")
                return 0
            with new_run("test", invocation, clock, played=first.path) as run:
                _play(invocation, first, run, watcher, env, console, clock, stop)
        finally:
            watcher.close()
            env.close()
    return 0


def _watcher(invocation: Invocation, source: CheckpointSource, env: VecEnv, clock: Clock) -> ReloadWatcher:
    config, train = invocation.config, invocation.config.train
    changes = FolderChanges() if train.reloadOn == "event" else None
    load = build.policy_loader(config, env)
    return ReloadWatcher(source, load, clock=clock, interval=train.reloadInterval, changes=changes)


def _first(
    watcher: ReloadWatcher, source: CheckpointSource, invocation: Invocation, stop: StopRequest
) -> LoadedPolicy | None:
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
    env: VecEnv,
    console: Console,
    clock: Clock,
    stop: StopRequest,
) -> None:
    train = invocation.config.train
    log.info("Playing %s, iteration %d, saved %.0f s ago", first.path, first.iteration, max(first.age, 0.0))
    shows = train.testGamesNum == 0 and log.isEnabledFor(logging.INFO)
    sinks = build.build_sinks(
        invocation.config, run, (lambda: EvaluationConsoleSink(console, clock)) if shows else None
    )
    report = Report(
        first,
        episodes=train.testGamesNum,
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
