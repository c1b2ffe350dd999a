"""One run, from a validated configuration to an exit code."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from rich.console import Console

from dexhand.config.cli import Invocation, fail
from dexhand.config.compose import to_yaml
from dexhand.config.errors import ConfigError
from dexhand.config.import_order import import_simulator_before_torch
from dexhand.config.schema import Config
from dexhand.core.clock import SystemClock
from dexhand.core.resolve import resolve_checkpoint
from dexhand.core.workspace import Run, RunKind, Workspace, WorkspaceError, record
from dexhand.logs import log_to_console, log_to_file

if TYPE_CHECKING:
    from dexhand.core.eval_loop import Game, Summary
    from dexhand.core.interfaces import Algorithm, MetricSink

log = logging.getLogger(__name__)


def run(invocation: Invocation) -> int:
    """Train, test or describe, as configured.

    Returns the exit code: 0, or 1 where the end of a training could not be saved. Exits with 2 where the configuration
    cannot work.
    """
    config = invocation.config
    console = Console(highlight=False)
    log_to_console(console, config.train.logLevel)
    for remark in invocation.remarks:
        log.info("%s", remark)
    try:
        checkpoint = _find_checkpoint(config)
        if invocation.dry_run:
            _describe(config, checkpoint, console)
            return 0
        import_simulator_before_torch(config)
        play = _test if config.train.test else _train
        return play(invocation, checkpoint, console)
    except (ConfigError, WorkspaceError) as error:
        fail(error)


def _find_checkpoint(config: Config) -> Optional[Path]:
    if config.train.checkpoint is None:
        if config.train.test:
            raise ConfigError("train.test=true needs train.checkpoint: latest, a run folder or a .pth file")
        return None
    return resolve_checkpoint(config.train.checkpoint, Path(config.train.runsDir))


def _describe(config: Config, checkpoint: Optional[Path], console: Console) -> None:
    """The plan of a dry run."""
    verb = f"Test {config.train.testGamesNum} games of" if config.train.test else "Train"
    limit = "" if config.train.test else f" for {config.train.maxIterations} iterations"
    console.print(f"# {verb} {config.task.name} in {config.env.numEnvs} environments{limit}", markup=False)
    console.print(f"# from {checkpoint if checkpoint else 'scratch'}; nothing was started: dry run", markup=False)
    console.print(to_yaml(config), markup=False, soft_wrap=True, end="")


def _train(invocation: Invocation, checkpoint: Optional[Path], console: Console) -> int:
    from dexhand import build
    from dexhand.core.checkpoints import CheckpointStore
    from dexhand.core.stop import StopRequest
    from dexhand.core.train_loop import TrainLoop, best_return_of
    from dexhand.sinks.console import ConsoleSink

    config, clock = invocation.config, SystemClock()
    build.check_machine(config)
    build.set_up_torch(config)
    state = _load(checkpoint) if checkpoint else None
    algorithm = build.build_algorithm(config, build.build_env(config))
    if state is not None:
        _continue_from(state, checkpoint, algorithm, config)
    begun = _begin("train", invocation)
    sinks: "List[MetricSink]" = [
        ConsoleSink(
            console, clock, iterations_done=algorithm.iterations_done, max_iterations=config.train.maxIterations
        ),
        *build.build_sinks(begun.summaries),
    ]
    loop = TrainLoop(
        algorithm,
        CheckpointStore(begun.checkpoints),
        sinks,
        clock=clock,
        max_iterations=config.train.maxIterations,
        save_frequency=config.train.saveFrequency,
        save_interval=config.train.saveInterval,
        target_score=config.train.targetScore,
        best_return=best_return_of(state) if state else None,
    )
    with StopRequest() as stop:
        try:
            result = loop.run(stop)
        finally:
            for sink in sinks:
                sink.close()
            algorithm.close()
    best = "no best checkpoint yet" if result.best_return is None else f"best mean return {result.best_return:.2f}"
    log.info("Stopped after %d iterations: %s; %s", result.iterations_done, result.reason, best)
    if result.checkpoint is not None:
        log.info("Saved %s", result.checkpoint)
        log.info("Play it: python scripts/train.py task=%s test=true checkpoint=%s", config.task.name, begun.name)
    if result.unsaved is not None:
        log.error("The last iteration, %d, is in no checkpoint: %s", result.iterations_done, result.unsaved)
        return 1
    return 0


def _continue_from(state: Dict[str, Any], checkpoint: Optional[Path], algorithm: "Algorithm", config: Config) -> None:
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


def _test(invocation: Invocation, checkpoint: Optional[Path], console: Console) -> int:
    from dexhand import build
    from dexhand.core.eval_loop import EvalLoop, Summary
    from dexhand.core.stop import StopRequest

    assert checkpoint is not None
    config = invocation.config
    build.check_machine(config)
    build.set_up_torch(config)
    state = _load(checkpoint)
    env = build.build_env(config)
    policy = build.build_policy(config, state, env)
    begun = _begin("test", invocation, played=checkpoint)
    total = config.train.testGamesNum
    loop = EvalLoop(env, policy, games=total, on_game=lambda game: console.print(_game_line(game, total)))
    with StopRequest() as stop:
        try:
            games = loop.run(stop, seed=config.train.seed)
        finally:
            env.close()
    summary = Summary.of(games)
    results = {
        "checkpoint": str(checkpoint.resolve()),
        "summary": summary.to_dict(),
        "games": [game.to_dict() for game in games],
    }
    begun.results_file.write_text(json.dumps(results, indent=2) + "\n")
    for line in _summary_lines(summary):
        console.print(line)
    log.info("Wrote %s", begun.results_file)
    return 0


def _load(checkpoint: Path) -> Dict[str, Any]:
    from dexhand.core.checkpoints import CheckpointError, load_checkpoint

    try:
        return load_checkpoint(checkpoint)
    except CheckpointError as error:
        raise ConfigError(f"train.checkpoint: {error}") from None


def _begin(kind: RunKind, invocation: Invocation, played: Optional[Path] = None) -> Run:
    """Make the run folder, write down how the run came about, and show it in the workspace."""
    workspace = Workspace(Path(invocation.config.train.runsDir))
    begun = workspace.create_run(invocation.config.task.name, kind, SystemClock())
    log_to_file(begun.log_file)
    record(begun, to_yaml(invocation.config), ["python", "scripts/train.py", *invocation.argv], played)
    workspace.publish(begun)
    log.info("%s run %s", kind.capitalize(), begun.path)
    return begun


def _game_line(game: "Game", total: int) -> str:
    width = len(str(total))
    return (
        f"game {game.number:{width}}/{total}  environment {game.env_id}  return {game.episode_return:9.2f}  "
        f"length {game.length:4d}  {game.outcome}"
    )


def _summary_lines(summary: "Summary") -> List[str]:
    if summary.games == 0:
        return ["No game was finished."]
    return [
        f"{summary.games} games: return {summary.mean_return:.2f} +- {summary.std_return:.2f}, "
        f"length {summary.mean_length:.1f}, success rate {summary.success_rate:.0%}",
        "ended by " + ", ".join(f"{name} {count}" for name, count in sorted(summary.outcomes.items())),
    ]
