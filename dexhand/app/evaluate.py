"""A test: evaluate a checkpoint, and newer ones as they appear, from a validated configuration to an exit code."""

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from dexhand.app import build
from dexhand.app.evaluation_report import Report
from dexhand.app.run_folder import new_run
from dexhand.checkpoints.choice import PanelLink
from dexhand.checkpoints.folder_changes import FolderChanges
from dexhand.checkpoints.reload import ReloadWatcher
from dexhand.checkpoints.store import CheckpointError
from dexhand.config.cli import Invocation
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.clock import SystemClock
from dexhand.core.eval_loop import EvalLoop, LoadedPolicy
from dexhand.core.finite import refuse_non_finite
from dexhand.core.interfaces import Clock, MetricSink, StepInfo, VecEnv
from dexhand.core.play_control import PlayControl
from dexhand.core.process_state import process_state_restored
from dexhand.core.stop import StopRequest
from dexhand.sinks.console import EvaluationConsoleSink
from dexhand.view.watched_env import Viewer, watched
from dexhand.workspace.checkpoint_names import CheckpointSource
from dexhand.workspace.workspace import Run

if TYPE_CHECKING:
    from dexhand.view.replay import Replay

log = logging.getLogger(__name__)


@process_state_restored()
def evaluate(invocation: Invocation, source: CheckpointSource, console: Console) -> int:
    """Evaluate the newest checkpoint of ``source`` until all episodes are done or a signal arrives.

    Returns the exit code. Raises ``ConfigError`` if the first checkpoint cannot be used and no other can be expected,
    and ``Diverged`` if the environments do.
    """
    config, clock = invocation.config, SystemClock()
    build.check_machine(config)
    build.set_up_process(config)
    env = build.build_env(config)
    panels = _panel_link(config, source, clock)
    watcher = _watcher(invocation, source, env, clock, panels)
    with StopRequest() as stop, contextlib.ExitStack() as stack:
        try:
            first = _first_policy(watcher, source, invocation, stop)
            if first is None:
                log.info("Stopped before there was a checkpoint to play")
                return 0

            screens = build.build_screens(config, env, clock, stop)
            stack.callback(screens.close)
            if panels is not None:
                screens.offer_checkpoints()
            if screens.control is not None:
                screens.control.while_waiting.append(watcher.keep_looking)

            def prepare(run: Run) -> tuple[list[MetricSink], list[Viewer]]:
                has_console = config.train.testGamesNum == 0 and log.isEnabledFor(logging.INFO)
                console_sink = (lambda: EvaluationConsoleSink(console, clock)) if has_console else None
                sinks = build.build_sinks(config, run, console_sink)
                recording = build.build_recording(config, env, run.videos, sinks)
                replay = build.build_replay(config, env, run.replay_file, sinks)
                return sinks, [*screens.viewers, *(viewer for viewer in (recording, replay) if viewer is not None)]

            with new_run("test", invocation, clock, prepare, played=first.path) as (run, (sinks, viewers)):
                screens.show_run(run.name)
                _run(invocation, first, run, sinks, watcher, env, clock, stop, viewers, screens.control)
        finally:
            watcher.close()
            env.close()
    return 0


@process_state_restored()
def write_replay(invocation: Invocation, source: CheckpointSource, file: Path) -> bool:
    """Play the newest checkpoint of ``source`` just long enough to write its replay to ``file``.

    Returns whether it was written. Raises ``ConfigError``.
    """
    config = invocation.config
    build.check_machine(config)
    build.set_up_process(config)
    env = build.build_env(config)
    watcher = _watcher(invocation, source, env, SystemClock())
    try:
        replay = build.build_replay(config, env, file)
        if replay is None:
            raise build.cannot_be_drawn("replayDuration", config)
        with StopRequest() as stop:
            first = _first_policy(watcher, source, invocation, stop)
            if first is not None:
                viewers = [replay, _StopWhenComplete(replay, stop)]
                EvalLoop(watched(env, viewers), first, episodes=0, listeners=[]).run(stop, seed=config.train.seed)
                replay.close()
        return replay.is_written
    finally:
        watcher.close()
        env.close()


class _StopWhenComplete(Viewer):
    """Stops an evaluation when its replay needs no more steps."""

    def __init__(self, replay: "Replay", stop: StopRequest) -> None:
        self._replay = replay
        self._stop = stop

    def on_env_step(self, info: StepInfo | None) -> None:
        """See ``StepListener``."""
        self._stop.requested |= self._replay.is_complete


def _panel_link(config: Config, source: CheckpointSource, clock: Clock) -> PanelLink | None:
    """Return what connects a test without end of a run or folder with checkpoint panels; ``None`` for other tests.

    A number of episodes is played with what the command line names, whatever was chosen in a panel, as is a file.
    """
    if config.train.testGamesNum > 0 or source.is_file or not _reloads(config):
        return None
    return PanelLink(clock)


def _reloads(config: Config) -> bool:
    return config.train.reloadInterval > 0 or config.train.reloadOn == "event"


def _watcher(
    invocation: Invocation, source: CheckpointSource, env: VecEnv, clock: Clock, panels: PanelLink | None = None
) -> ReloadWatcher:
    config, train = invocation.config, invocation.config.train
    changes = FolderChanges() if train.reloadOn == "event" else None
    load = build.policy_loader(config, env)
    return ReloadWatcher(source, load, clock=clock, interval=train.reloadInterval, changes=changes, panels=panels)


def _first_policy(
    watcher: ReloadWatcher, source: CheckpointSource, invocation: Invocation, stop: StopRequest
) -> LoadedPolicy | None:
    """Load the first policy, ``None`` if stopped before.

    A checkpoint of another task is an error. While a training writes to the folder, a damaged or missing checkpoint is
    not: a good one may follow.
    """
    train, reloads = invocation.config.train, _reloads(invocation.config)
    if reloads and source.is_experiment and (train.testGamesNum == 0 or source.is_training or source.checkpoints()):
        return watcher.wait(stop, fatal=(ConfigError,))
    try:
        first = watcher.look_once(stop, fatal=(Exception,))
    except CheckpointError as error:
        raise ConfigError(f"train.checkpoint: {error}") from None
    if first is None and not stop.requested:
        problem = f"train.checkpoint={source.spec}: there is no checkpoint in {source}"
        if not (reloads and source.is_experiment):
            raise ConfigError(problem)
        raise ConfigError(f"{problem}, and no training is running there. testGamesNum=0 waits for one")
    return first


def _run(
    invocation: Invocation,
    first: LoadedPolicy,
    run: Run,
    sinks: Sequence[MetricSink],
    watcher: ReloadWatcher,
    env: VecEnv,
    clock: Clock,
    stop: StopRequest,
    viewers: Sequence[Viewer],
    control: PlayControl | None,
) -> None:
    train = invocation.config.train
    log.info("Playing %s, iteration %d, saved %.0f s ago", first.path, first.iteration, max(first.age, 0.0))
    report = Report(
        first,
        episodes=train.testGamesNum,
        has_success=any(name.startswith("success") for name in env.outcome_names),
        run=run,
        sinks=sinks,
        clock=clock,
        print_line=log.info,
    )
    for viewer in viewers:
        viewer.on_reload(first)
    loop = EvalLoop(
        watched(refuse_non_finite(env), viewers),
        first,
        episodes=train.testGamesNum,
        listeners=[report, *viewers],
        newer_policy=watcher.poll,
        control=control,
    )
    with contextlib.ExitStack() as closing:
        for closed in [*sinks, *viewers]:  # sinks last: viewers send them videos and replays
            closing.callback(closed.close)
        closing.callback(report.close)  # called first
        loop.run(stop, seed=train.seed)
