"""The mock training: real loop, optimizer, checkpoints, sinks and hard examples, checked while it runs."""

import json
import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dexhand.checkpoints.store import CheckpointStore, load_checkpoint
from dexhand.core.clock import SystemClock
from dexhand.core.interfaces import Metrics, MetricSink
from dexhand.core.process_state import process_state_restored
from dexhand.core.saved_state import best_return_of
from dexhand.core.stop import StopRequest
from dexhand.core.train_loop import TrainLoop, TrainResult
from dexhand.distributed.launch import is_launched, launch
from dexhand.distributed.place import CannotJoin
from dexhand.distributed.process_group import (
    DistributedAlgorithm,
    LostProcess,
    ProcessGroup,
    join_process_group,
    run_worker,
)
from dexhand.hard_examples.reports import HardExampleReport
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.mock.algorithm import MockAlgorithm
from dexhand.mock.dataset import MockDataset
from dexhand.mock_training.checkpoint_checks import CheckedStore, check_resume
from dexhand.mock_training.command_line import TrainingSettings
from dexhand.mock_training.memory_checks import MemoryChecks
from dexhand.mock_training.problems import Problems
from dexhand.mock_training.step_check import check_step
from dexhand.mock_training.training_checks import KEPT_STEPS, TrainingChecks
from dexhand.mock_training.training_console import Say, TrainingConsole
from dexhand.mock_training.training_folder import HARD_EXAMPLES, SUMMARIES, SettingsError, training_folder
from dexhand.sinks.hard_example_file import HardExampleFile
from dexhand.sinks.tensorboard import TensorBoardSink

REPORT_SIZE = 10
"""Largest number of hard examples in a report."""
_REPEATED_STEPS = KEPT_STEPS // 2
"""About how many steps are repeated from a checkpoint; at most twice as many."""


@process_state_restored()
def run(settings: TrainingSettings, say: Say) -> int:
    """Train and check, in ``fsdp_devices`` processes, which are started unless ``torchrun`` has done so.

    Returns the exit code: 0; 1 if checks failed, with a list of problems; 2 for invalid settings.
    """
    try:
        if settings.fsdp_devices > 1 and not is_launched():
            _check(settings, settings.fsdp_devices)
            return launch(run, (settings, say), settings.fsdp_devices)
        return _run_process(settings, say)
    except (SettingsError, CannotJoin, LostProcess) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1 if isinstance(error, LostProcess) else 2


def _run_process(settings: TrainingSettings, say: Say) -> int:
    torch.set_num_threads(1)  # a second thread slows down tensors this small
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    shared = {f"--{name}": str(value) for name, value in asdict(settings).items()}
    with join_process_group(settings.device, settings=shared) as processes:
        _check(settings, processes.size)
        return _lead(settings, processes, say) if processes.is_leader else _follow(settings, processes)


def _check(settings: TrainingSettings, processes: int) -> None:
    """Raise ``SettingsError`` for an unsuitable number of processes."""
    batch_size, shards = settings.batch_size, settings.fsdp_devices
    if batch_size % processes:
        raise SettingsError(f"--batch_size={batch_size} must be a multiple of {processes}, the number of processes")
    if shards not in (1, processes):
        raise SettingsError(f"--fsdp_devices={shards} must be 1 or {processes}, the number of processes started")


def _follow(settings: TrainingSettings, processes: ProcessGroup) -> int:
    """Work for process 0 until it broadcasts that there is no further training."""
    while processes.broadcast(False):
        run_worker(_algorithm(settings, processes), processes)
    return 0


def _lead(settings: TrainingSettings, processes: ProcessGroup, say: Say) -> int:
    """Train in process 0, and tell the others whether there is a training to join."""
    try:
        with training_folder(settings.checkpoint_dir, settings.resume) as state:
            code = _Training(settings, processes, say).run(state)
    except SettingsError:
        processes.broadcast(False)
        raise
    processes.broadcast(False)
    return code


def _algorithm(settings: TrainingSettings, processes: ProcessGroup, **more: Any) -> MockAlgorithm:
    """Create an algorithm; all processes must do so at the same time."""
    tracker = HardExampleTracker(settings.max_hard_examples_buffer, report_size=REPORT_SIZE, process=processes.rank)
    return MockAlgorithm(
        MockDataset(seed=settings.seed),
        batch_size=settings.batch_size,
        seed=settings.seed,
        tracker=None if settings.no_hard_examples else tracker,
        report_interval=settings.hard_example_log_interval,
        group=processes,
        sharded=settings.fsdp_devices > 1,
        **more,
    )


class _Training:
    """The training of process 0 and its checks."""

    def __init__(self, settings: TrainingSettings, processes: ProcessGroup, say: Say) -> None:
        self.settings = settings
        self.processes = processes
        self.say = say
        self.problems = Problems()
        self.console = TrainingConsole(settings, _nothing if settings.json else say)
        self.store = CheckedStore(CheckpointStore(settings.checkpoint_dir, keep=2), self.problems)
        self.file = HardExampleFile(settings.checkpoint_dir / HARD_EXAMPLES)
        self.memory = MemoryChecks(self.problems)
        data = MockDataset(seed=settings.seed)
        self.checks = TrainingChecks(
            data,
            settings.batch_size,
            self.problems,
            report_size=min(REPORT_SIZE, settings.max_hard_examples_buffer),
            processes=processes.size,
        )
        self.reports: list[HardExampleReport] = []

    def run(self, state: dict[str, Any] | None) -> int:
        """Train to the end, from ``state`` if given, check, and print the result. Raises ``SettingsError``."""
        self.console.begin()
        lines_before = _lines(self.file.path)
        result, metrics = self._train(state)
        self._check_files(lines_before)
        self._check_trackers()
        repeated = self._repeat_last_steps()
        self.checks.check_end(result, self.settings.num_train_steps)
        problems = self.problems.lines()
        validated = (
            f"steps {result.iterations_done}, of them repeated bit for bit from a checkpoint {repeated}, "
            f"checkpoints read back {self.store.saved}, reports of hard examples {self.checks.reports}"
        )
        stopped = result.reason if result.iterations_done < self.settings.num_train_steps else ""
        self.console.end(problems, validated, stopped)
        if self.settings.json:
            self.say(json.dumps(self._summary(result, metrics, repeated, problems), allow_nan=False))
        return 1 if problems else 0

    def _train(self, state: dict[str, Any] | None) -> tuple[TrainResult, Metrics]:
        """Train; returns the result and the metrics of the last step."""
        self.processes.broadcast(True)
        algorithm = _algorithm(self.settings, self.processes, on_report=self._publish)
        self.tracker = algorithm.tracker
        with StopRequest() as stop:  # before the other processes stop handling signals
            return self._run_loop(DistributedAlgorithm(algorithm, self.processes), state, stop)

    def _run_loop(
        self, led: DistributedAlgorithm, state: dict[str, Any] | None, stop: StopRequest
    ) -> tuple[TrainResult, Metrics]:
        try:
            best_return = None if state is None else self._resume(led, state)
            state = None  # frees memory
            self.tensorboard = TensorBoardSink(self.settings.checkpoint_dir / SUMMARIES, first_step=led.frames_done + 1)
            self.console.start()
            self.memory.begin()
            last = _LastMetrics(self._half_time(led.iterations_done), self._check_memory)
            result = self._loop(led, [self.console, self.tensorboard, self.checks, last], best_return).run(stop)
            self._check_memory()
        finally:
            led.close()
        for sink in (self.console, self.tensorboard):
            sink.close()
        return result, last.metrics

    def _half_time(self, steps_done: int) -> int:
        return steps_done + max(1, (self.settings.num_train_steps - steps_done) // 2)

    def _resume(self, led: DistributedAlgorithm, state: dict[str, Any]) -> float | None:
        """Load ``state``; returns the best mean return so far."""
        done, steps = state["epoch"], self.settings.num_train_steps
        if done >= steps:
            raise SettingsError(
                f"--num_train_steps={steps}: {self.settings.checkpoint_dir} has already done {done}. The number "
                "includes steps before a resume: give a larger one"
            )
        try:
            led.load_state_dict(state)
        except ValueError as error:
            raise SettingsError(f"--resume: {error}. Give the same flags as before") from None
        self.checks.resume_after(done, self._trackers(state["hard_examples"]))
        return best_return_of(state)

    def _loop(self, led: DistributedAlgorithm, sinks: list[MetricSink], best_return: float | None) -> TrainLoop:
        steps = self.settings.num_train_steps
        return TrainLoop(
            led,
            self.store,
            sinks,
            clock=SystemClock(),
            max_iterations=steps,
            save_frequency=max(1, min(steps // 2, _REPEATED_STEPS)),
            save_interval=math.inf,
            best_return=best_return,
        )

    def _publish(self, report: HardExampleReport) -> None:
        """Pass a report to the sinks and checks."""
        for sink in (self.console, self.file, self.checks):
            sink.hard_examples(report)
        self.tensorboard.images((report.step + 1) * self.settings.batch_size, report.images())
        if self.tracker is not None:
            self.checks.tracker(self.tracker)
        self.reports = [report]

    def _check_memory(self) -> None:
        self.memory.check(0 if self.tracker is None else len(self.tracker.buffer))

    def _trackers(self, states: Sequence[Mapping[str, Any]]) -> list[HardExampleTracker]:
        """Restore the trackers of all processes from ``states``."""
        trackers = []
        for rank in range(self.processes.size if states else 0):
            tracker = HardExampleTracker(self.settings.max_hard_examples_buffer, process=rank)
            tracker.load_state_dict(*states[rank :: self.processes.size])
            trackers.append(tracker)
        return trackers

    def _check_trackers(self) -> None:
        """Check the trackers of all processes in the last checkpoint."""
        path = self.store.latest()
        for tracker in self._trackers(load_checkpoint(path)["hard_examples"]) if path is not None else ():
            self.checks.tracker(tracker)

    def _repeat_last_steps(self) -> int:
        """Repeat the last steps from a checkpoint and compare; returns their number."""
        latest, numbered = self.store.latest(), self.store.numbered()
        if latest is None or not numbered:
            return 0
        final, start = load_checkpoint(latest), load_checkpoint(numbered[0])
        steps: int = final["epoch"] - start["epoch"]
        self.processes.broadcast(True)
        led = DistributedAlgorithm(_algorithm(self.settings, self.processes), self.processes)
        try:
            check_resume(led, numbered[0], self.checks.rows, final, self.problems)
        finally:
            led.close()
        if steps:
            check_step(numbered[0], self.checks.rows, self.checks.dataset, self.settings.batch_size, self.problems)
        return steps

    def _check_files(self, lines_before: int) -> None:
        """Check the files that the sinks wrote."""
        folder = self.settings.checkpoint_dir / SUMMARIES
        events = list(folder.glob("events.*"))
        self.problems.expect(any(path.stat().st_size > 100 for path in events), "logging", f"no events in {folder}")
        lines = _lines(self.file.path) - lines_before
        self.problems.expect(
            lines == self.checks.reports,
            "logging",
            f"{self.file.path} has {lines} new reports of hard examples; {self.checks.reports} were made",
        )

    def _summary(self, result: TrainResult, metrics: Metrics, repeated: int, problems: list[str]) -> dict[str, Any]:
        return {
            "passed": not problems,
            "problems": problems,
            "reason": result.reason,
            "steps": result.iterations_done,
            "batch_size": self.settings.batch_size,
            "processes": self.processes.size,
            "sharded": self.settings.fsdp_devices > 1,
            "metrics": {name: value if math.isfinite(value) else repr(value) for name, value in metrics.items()},
            "checkpoint": None if result.checkpoint is None else str(result.checkpoint),
            "checkpoints_read_back": self.store.saved,
            "steps_repeated": repeated,
            "hard_examples": self.reports[0].to_json() if self.reports else None,
        }


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


class _LastMetrics:
    """``MetricSink`` that keeps the latest metrics, and calls a function after a given step."""

    def __init__(self, step: int, when_done: Callable[[], None]) -> None:
        self.metrics: Metrics = {}
        self._step = step
        self._when_done = when_done

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        self.metrics = dict(values)
        if values["info/iteration"] == self._step:
            self._when_done()

    def close(self) -> None:
        """Nothing is pending."""


def _nothing(line: str) -> None:
    """Print nothing."""
