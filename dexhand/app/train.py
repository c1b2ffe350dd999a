"""Training, from a validated configuration to an exit code."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from dexhand.app import build
from dexhand.app.run_folder import new_run, resume_run
from dexhand.checkpoints.folder import checkpoints_in, preferred_checkpoint
from dexhand.checkpoints.format import config_digest_of
from dexhand.checkpoints.store import CheckpointError, CheckpointStore, load_checkpoint
from dexhand.config.cli import Invocation
from dexhand.config.compose import to_yaml
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.config.sources import leaves
from dexhand.core.clock import SystemClock
from dexhand.core.finite import non_finite_place
from dexhand.core.interfaces import Algorithm, Clock, EnvironmentFault, MetricSink, VecEnv
from dexhand.core.process_state import process_state_restored
from dexhand.core.saved_state import best_return_of, has_state
from dexhand.core.stop import StopRequest
from dexhand.core.train_loop import TrainLoop, TrainResult
from dexhand.distributed.place import CannotJoin
from dexhand.distributed.process_group import (
    DistributedAlgorithm,
    LostProcess,
    NoSuchDevice,
    ProcessGroup,
    join_process_group,
    run_worker,
)
from dexhand.files.digest import digest_of
from dexhand.hard_examples.reports import HardExampleSink
from dexhand.sinks.console import ConsoleSink
from dexhand.view.watched_env import StepListener
from dexhand.workspace.workspace import Run, lock_run

log = logging.getLogger(__name__)


PROCESS_TIMEOUT = 600.0
"""Seconds that processes of one training wait for each other: one may be compiling kernels or saving."""


@process_state_restored()
def train(invocation: Invocation, checkpoint: Path | None, resumed: Run | None, console: Console) -> int:
    """Train from scratch or from ``checkpoint`` in a new run, or resume the run ``resumed`` from its ``checkpoint``.

    Processes started by ``torchrun`` train together; only the leader, process 0, logs and writes files. Returns the
    exit code: 0, or 1 if the end could not be saved or another process was lost. Raises ``ConfigError``.
    """
    config = invocation.config
    build.check_machine(config)
    device, settings = str(build.device_of(config)), _shared_settings(config)
    try:
        with join_process_group(device, PROCESS_TIMEOUT, settings) as group, ExitStack() as stack:
            config.train.seed = group.broadcast(config.train.seed)
            if group.is_leader:
                return _lead(invocation, checkpoint, resumed, console, group, stack)
            run_worker(_algorithm(config, group, stack)[0], group)
    except NoSuchDevice as error:
        raise ConfigError(f"env.device={config.env.device}: {error}") from None
    except CannotJoin as error:
        raise ConfigError(str(error)) from None
    except LostProcess as error:
        log.error("Training ends: %s. Use resume= to continue from the last checkpoint", error)
        return 1
    return 0


def _shared_settings(config: Config) -> dict[str, str]:
    """Return the settings that all processes must share: all but the seed, which process 0 may have drawn."""
    return {key: str(value) for key, value in leaves(asdict(config)) if key != "train.seed"}


def _algorithm(
    config: Config,
    group: ProcessGroup,
    stack: ExitStack,
    hard_example_sinks: Sequence[HardExampleSink] = (),
    step_listeners: Sequence[StepListener] = (),
) -> tuple[Algorithm, VecEnv]:
    """Build the learner of one process and its environments, with a device and seed of their own.

    ``stack`` closes the environments.
    """
    own = deepcopy(config)
    own.train.seed += group.rank
    own.train.hardExamples.enabled &= group.is_leader
    if group.size > 1:
        own.env.device = str(group.device)
    build.set_up_process(own)
    env = build.build_env(own)
    stack.callback(env.close)
    seen, critic = env.single_observation_space, env.single_critic_observation_space
    log.info("The policy sees %d numbers, the critic %d", seen.shape[0], (critic or seen).shape[0])
    if not has_state(env):
        log.info(
            "These environments have no state_dict: resume= will be refused, a checkpoint's weights can be taken over"
        )
    return build.build_algorithm(own, env, group, hard_example_sinks, step_listeners), env


def _lead(
    invocation: Invocation,
    checkpoint: Path | None,
    resumed: Run | None,
    console: Console,
    group: ProcessGroup,
    stack: ExitStack,
) -> int:
    config, clock = invocation.config, SystemClock()
    exact = resumed is not None or config.train.resume == "exact"
    if resumed is not None:  # before its checkpoint is read: another process may still be saving its last one
        stack.enter_context(lock_run(resumed))
    start = None if checkpoint is None else _Start(checkpoint, _read(checkpoint, config, exact))
    if resumed is not None and checkpoint is not None:
        _warn_of_other_configuration(resumed, checkpoint)
    hard_example_sinks: list[HardExampleSink] = []  # filled once the run has a folder
    step_listeners: list[StepListener] = []  # filled later as well
    algorithm, env = _algorithm(config, group, stack, hard_example_sinks, step_listeners)
    stop = stack.enter_context(StopRequest())  # before other processes stop handling signals, and before a run exists
    if group.size > 1:
        algorithm = DistributedAlgorithm(algorithm, group)
        log.info("%d processes train together, each in %d environments", group.size, config.env.numEnvs)
    screens = build.build_screens(config, env, clock)
    stack.callback(screens.close)
    step_listeners.extend(screens.viewers)
    best_return = None if start is None else _load(start, algorithm, exact)
    first_step = None if resumed is None else algorithm.frames_done + 1

    def console_sink() -> MetricSink:
        done, last, episodes = algorithm.iterations_done, config.train.maxIterations, config.train.logInterval
        return ConsoleSink(console, clock, iterations_done=done, max_iterations=last, episodes_between=episodes)

    def sinks_in(run: Run) -> list[MetricSink]:
        sinks = build.build_sinks(config, run, console_sink if log.isEnabledFor(logging.INFO) else None, first_step)
        hard_example_sinks.extend(build.hard_example_sinks(sinks, run))
        recording = build.build_recording(config, env, run.videos, sinks)
        if recording is not None:
            step_listeners.append(recording)
        return [*sinks, *screens.viewers, *(viewer for viewer in [recording] if viewer is not None)]

    if resumed is None:
        run, sinks = stack.enter_context(new_run("train", invocation, clock, sinks_in))
    else:
        run, sinks = resumed, sinks_in(resumed)
        resume_run(run, invocation)
    screens.show_run(run.name)
    try:
        result = _run_loop(config, algorithm, run, clock, best_return, sinks, stop)
    except EnvironmentFault as error:
        error.add_note(_advice_after_fault(run, invocation))
        raise
    return _report_result(result, run, invocation, is_exact=has_state(env))


def _run_loop(
    config: Config,
    algorithm: Algorithm,
    run: Run,
    clock: Clock,
    best_return: float | None,
    sinks: Sequence[MetricSink],
    stop: StopRequest,
) -> TrainResult:
    store = CheckpointStore(run.checkpoints, keep=config.train.keepCheckpoints, config=to_yaml(config))
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
    with ExitStack() as closing:
        for sink in sinks:
            closing.callback(sink.close)
        closing.callback(algorithm.close)  # called first: it may still write to the sinks
        return loop.run(stop)


@dataclass(frozen=True)
class _Start:
    """A checkpoint to start from, and its content."""

    checkpoint: Path
    state: dict[str, Any]


def _read(checkpoint: Path, config: Config, exact: bool) -> dict[str, Any]:
    """Read and check the checkpoint before anything is built. Raises ``ConfigError``."""
    try:
        state = build.read_state(config, checkpoint)
    except CheckpointError as error:
        raise ConfigError(f"train.checkpoint: {error}") from None
    _refuse_diverged(checkpoint, state if exact else {"model": state["model"]})
    if not exact:
        _warn_of_other_contract(config, checkpoint, state)
        return state
    if "train_loop" not in state:
        raise ConfigError(
            f"train.checkpoint={checkpoint} was written by rl_games itself and lacks what an exact continuation needs. "
            "Give train.resume=weights to start with its weights and everything else fresh"
        )
    build.check_contract(config, checkpoint, state)
    if state["epoch"] >= config.train.maxIterations:
        raise ConfigError(
            f"train.maxIterations={config.train.maxIterations}: {checkpoint} has already done {state['epoch']}. "
            "The number includes iterations before a resume: give a larger one"
        )
    return state


def _warn_of_other_configuration(run: Run, checkpoint: Path) -> None:
    """Warn if a run's ``config.yaml`` is not the one that its checkpoint was saved under."""
    try:
        saved = config_digest_of(checkpoint)
    except ValueError as error:  # it was read a moment ago
        raise ConfigError(f"train.checkpoint: {error}") from None
    if saved not in (None, digest_of(run.config_file.read_text(encoding="utf-8"))):
        log.warning("%s was saved under another configuration than %s holds", checkpoint, run.config_file)


def _refuse_diverged(checkpoint: Path, state: dict[str, Any]) -> None:
    """Raise ``ConfigError`` if ``state`` is not finite, naming the newest checkpoint of its folder that is."""
    place = non_finite_place(state)
    if place is None:
        return
    newest_first = sorted(checkpoints_in(checkpoint.parent), key=lambda path: path.stat().st_mtime, reverse=True)
    finite = next((path for path in newest_first if _is_finite(path)), None)
    instead = "no checkpoint in its folder is" if finite is None else f"give the newest one that is, {finite}"
    raise ConfigError(f"train.checkpoint={checkpoint}: training had diverged, {place} is not finite; {instead}")


def _is_finite(path: Path) -> bool:
    """Tell whether ``path`` is a checkpoint that can be read and is finite."""
    try:
        return non_finite_place(load_checkpoint(path)) is None
    except CheckpointError:
        return False


def _warn_of_other_contract(config: Config, checkpoint: Path, state: dict[str, Any]) -> None:
    """Warn if the weights were trained for another task or hand, which fine-tuning may intend."""
    try:
        build.check_contract(config, checkpoint, state)
    except ConfigError as error:
        log.warning("The weights were trained for something else: %s", error)


def _load(start: _Start, algorithm: Algorithm, exact: bool) -> float | None:
    """Load the complete state or only the weights; returns the best mean return so far."""
    try:
        if not exact:
            algorithm.load_weights(start.state)
            log.info("Starting with the weights of %s, everything else fresh", start.checkpoint)
            return None
        algorithm.load_state_dict(start.state)
    except ValueError as error:
        raise ConfigError(f"train.checkpoint={start.checkpoint}: {error}") from None
    except Exception as error:  # a state with other contents than a training saves may lead to anything
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError(
            f"train.checkpoint={start.checkpoint}: its state cannot be continued from ({problem}). "
            "Give train.resume=weights to start with its weights and everything else fresh"
        ) from error
    log.info("Continuing from %s at iteration %d", start.checkpoint, algorithm.iterations_done)
    return best_return_of(start.state)


def _report_result(result: TrainResult, run: Run, invocation: Invocation, *, is_exact: bool) -> int:
    program, config = invocation.program, invocation.config
    best = "no best checkpoint yet" if result.best_return is None else f"best mean return {result.best_return:.2f}"
    log.info("Stopped after %d iterations: %s; %s", result.iterations_done, result.reason, best)
    if result.reason == "diverged":
        _report_divergence(result, run, invocation)
        return 1
    if result.checkpoint is not None:
        log.info("Saved %s", result.checkpoint)
        backend = "" if config.sim.backend == "auto" else f"sim.backend={config.sim.backend} "
        log.info("Play it: %s", program.play.format(words=backend, run=run.name))
        if config.env.factory is None and config.task.outlook:
            log.info("What to expect: %s", config.task.outlook)
        if result.reason == "stop requested":
            words = f"resume={run.name}" if is_exact else _weights_of(result.checkpoint, run)
            log.info("Resume it: %s %s", program.command, words)
    if result.unsaved is not None:
        log.error("The last iteration, %d, is in no checkpoint: %s", result.iterations_done, result.unsaved)
        return 1
    return 0


def _weights_of(checkpoint: Path, run: Run) -> str:
    """Words that start another training like ``run`` with the weights of ``checkpoint``."""
    return f"config={run.config_file} checkpoint={checkpoint} train.resume=weights"


def _advice_after_fault(run: Run, invocation: Invocation) -> str:
    last = preferred_checkpoint(run.checkpoints)
    kept = "No checkpoint was saved before"
    if last is not None:
        kept = f"To go on from the last checkpoint: {invocation.program.command} {_weights_of(last, run)}"
    return f"{run.log_file} has the traceback. {kept}"


def _report_divergence(result: TrainResult, run: Run, invocation: Invocation) -> None:
    last = preferred_checkpoint(run.checkpoints)
    advice, changes = _advice(result.unsaved or "", invocation.config)
    arguments = [f"config={run.config_file}", *changes]
    if last is not None:
        arguments += [f"checkpoint={last}", "train.resume=weights"]
    log.error(
        "Training diverged at iteration %d: %s. %s. %s: %s %s",
        result.iterations_done,
        result.unsaved,
        "No checkpoint was saved before" if last is None else f"The last finite checkpoint is {last}",
        advice,
        invocation.program.command,
        " ".join(arguments),
    )


def _advice(cause: str, config: Config) -> tuple[str, list[str]]:
    """Return what to change about a training in which ``cause`` was the first that was not finite, and overrides."""
    if cause.startswith(("rewards/", "a reward", "an observation")):
        return "Correct the environment that returned it", []
    if "running_mean_std" in cause:
        return "Correct the environment, whose observations were not finite or too large", []
    ppo = config.train.ppo
    if config.train.algorithm != "rl_games":
        return f"Try other settings of train.algorithm={config.train.algorithm}", []
    if cause.startswith("losses/critic") or "value_mean_std" in cause:
        return "Try smaller rewards", [f"train.ppo.reward_scale={ppo.reward_scale / 10:g}"]
    return "Try a smaller learning rate", [f"train.ppo.learning_rate={ppo.learning_rate / 10:g}"]
