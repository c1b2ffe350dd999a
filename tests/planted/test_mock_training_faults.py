"""Faults planted into the training machinery, each of which the mock training must find, by the check that is named."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dexhand.checkpoints.store import CheckpointStore
from dexhand.core.train_loop import TrainLoop
from dexhand.hard_examples.reports import HardExample, HardExampleReport, merge_reports
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.mock.algorithm import MockAlgorithm
from dexhand.mock.dataset import MockDataset
from dexhand.mock.model import MockLoss, MockModel
from dexhand.mock_training import hard_example_run, training_run
from dexhand.mock_training.command_line import hard_example_settings, training_settings
from dexhand.mock_training.hard_example_checks import ExpectedHardExamples, check_report
from dexhand.mock_training.memory_checks import MemoryChecks
from dexhand.mock_training.problems import Problems
from dexhand.sinks.hard_example_file import HardExampleFile

Plant = Callable[[pytest.MonkeyPatch], Any]


def swap(place: Any, name: str, faulty: Any) -> Plant:
    """A plant that puts something faulty where ``place`` looks for ``name``."""
    return lambda patch: patch.setattr(place, name, faulty)


def forget(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The state without one of its members."""
    return {key: value for key, value in state.items() if key != name}


# --- checkpoints and continuation -------------------------------------------------------------------------------------


class DropsTheOptimizer(CheckpointStore):
    """Saves everything else."""

    def save(self, state: Mapping[str, Any], **more: Any) -> Path:
        """Without the optimizer."""
        return super().save(forget(state, "optimizer"), **more)


class Rounds(CheckpointStore):
    """Saves weights as bfloat16, to save space."""

    def save(self, state: Mapping[str, Any], **more: Any) -> Path:
        """Rounded."""
        weights = {name: value.bfloat16().float() for name, value in state["model"].items()}
        return super().save({**state, "model": weights}, **more)


class SavesOnce(CheckpointStore):
    """Thinks that one checkpoint is enough."""

    def save(self, state: Mapping[str, Any], **more: Any) -> Path:
        """Nothing, after the first time."""
        return self.latest() or super().save(state, **more)


class CannotSave(CheckpointStore):
    """Has no room."""

    def save(self, state: Mapping[str, Any], **more: Any) -> Path:
        """Fails."""
        raise OSError(28, "No space left on device")


def starts_with(name: str) -> Plant:
    """An algorithm that, when it continues, keeps its own ``name`` as it was at the beginning."""

    class Forgetful(MockAlgorithm):
        def load_state_dict(self, state: Mapping[str, Any]) -> None:
            super().load_state_dict({**state, name: self.state_dict()[name]})

    return swap(training_run, "MockAlgorithm", Forgetful)


def never_saves(name: str) -> Plant:
    """An algorithm whose state lacks ``name``."""

    class Silent(MockAlgorithm):
        def state_dict(self) -> dict[str, Any]:
            return forget(super().state_dict(), name)

    return swap(training_run, "MockAlgorithm", Silent)


# --- the loop and the optimizer ---------------------------------------------------------------------------------------


class SkipsAStep(TrainLoop):
    """Reports every second step only."""

    def _report(self, iteration: Any) -> None:
        if iteration.iterations_done != 5:
            super()._report(iteration)


class StopsEarly(TrainLoop):
    """Off by one."""

    def __init__(self, *parts: Any, max_iterations: int, **more: Any) -> None:
        super().__init__(*parts, max_iterations=max_iterations - 1, **more)


class SeesABatchTwice(MockAlgorithm):
    """Repeats the first batch."""

    def iterate(self) -> Any:
        """Goes back after the first step."""
        if self._iterations_done == 1:
            self._position = 0
        return super().iterate()


class Keeps(MockAlgorithm):
    """Never lets go of a batch."""

    hoard: "list[Tensor]" = []  # noqa: RUF012

    def iterate(self) -> Any:
        """Keeps what it has seen."""
        self.hoard.append(self.dataset.batch(self._position, 1).images)
        return super().iterate()


def nan_loss(self: MockLoss, state: Tensor) -> Tensor:
    """NaN for the hardest."""
    losses = MockLoss_call(self, state)
    return torch.where(losses > 8.0, torch.full_like(losses, float("nan")), losses)


MockLoss_call = MockLoss.__call__


def diverge(self: MockAlgorithm) -> Any:
    """Weights become infinite at step 5."""
    if self.iterations_done == 5:
        with torch.no_grad():
            self.model.head += float("inf")
    return iterate(self)


iterate = MockAlgorithm.iterate


def flatter(self: MockModel, *arguments: Any) -> Any:
    """Reports half of the loss."""
    losses, predictions = compute_loss(self, *arguments)
    return losses / 2, predictions


compute_loss = MockModel.compute_loss


def no_op(*arguments: Any, **more: Any) -> None:
    """Does nothing."""


# --- hard examples ----------------------------------------------------------------------------------------------------


class Unsorted(HardExampleTracker):
    """Appends."""

    def _insert(self, candidates: list[HardExample]) -> None:
        super()._insert(candidates)
        self._buffer.reverse()

    def _floor(self) -> float:
        return min((entry.loss for entry in self._buffer), default=-1.0) if len(self._buffer) >= 20 else -1.0


class Hoards(HardExampleTracker):
    """Forgets its limit."""

    def _insert(self, candidates: list[HardExample]) -> None:
        self.max_hard_examples = 13
        super()._insert(candidates)
        self.max_hard_examples = 12


class KeepsDoubles(HardExampleTracker):
    """Does not look at keys."""

    def _entering(self, keys: Any, values: Any) -> list[int]:
        return list(range(len(keys)))

    def _insert(self, candidates: list[HardExample]) -> None:
        self._buffer = sorted([*self._buffer, *candidates], key=lambda entry: -entry.loss)[: self.max_hard_examples]


class KeepsTheLatest(HardExampleTracker):
    """A sample seen again replaces what it was."""

    def _insert(self, candidates: list[HardExample]) -> None:
        keys = {entry.key for entry in candidates}
        self._buffer = [entry for entry in self._buffer if entry.key not in keys]
        super()._insert(candidates)

    def _entering(self, keys: Any, values: Any) -> list[int]:
        return list(range(len(keys)))


class ForgetsKeys(HardExampleTracker):
    """Keys of samples that have left stay."""

    seen: "frozenset[Any]" = frozenset()

    def _insert(self, candidates: list[HardExample]) -> None:
        super()._insert(candidates)
        self.seen = self.seen | {entry.key for entry in self._buffer}

    @property
    def keys(self) -> "frozenset[Any]":
        """Of all that were ever there."""
        return self.seen


class Takes(HardExampleTracker):
    """Takes the picture of the neighbour."""

    def _example(self, step: int, keys: Any, values: Any, place: int, image: Any, details: Any) -> HardExample:
        return super()._example(step, keys, values, place, image and (lambda place: image(place - 1)), details)


class FirstCome(HardExampleTracker):
    """Nobody enters a full buffer."""

    def _floor(self) -> float:
        return float("inf") if len(self._buffer) == self.max_hard_examples else super()._floor()


class CountsTwice(HardExampleTracker):
    """Its interval never ends."""

    @property
    def unreported_samples(self) -> int:
        """All of them."""
        return self.total_samples


class ForgetsEasyLosses(HardExampleTracker):
    """Reports 0 for what is not hard."""

    def report(self, step: int) -> HardExampleReport:
        """Its quantile is right."""
        report = super().report(step)
        losses = report.interval_losses
        return dataclasses.replace(report, interval_losses=np.where(losses < report.threshold, 0.0, losses))


class SilentFile(HardExampleFile):
    """Writes nothing."""

    hard_examples = no_op


FAULTS = [
    ("checkpoint", swap(training_run, "CheckpointStore", DropsTheOptimizer)),
    ("checkpoint", swap(training_run, "CheckpointStore", Rounds)),
    ("checkpoint", swap(training_run, "CheckpointStore", SavesOnce)),
    ("checkpoint", swap(training_run, "CheckpointStore", CannotSave)),
    ("checkpoint", never_saves("random")),
    ("resume", starts_with("random")),
    ("resume", starts_with("schedule")),
    ("resume", starts_with("position")),
    ("resume", starts_with("model")),
    ("resume", starts_with("hard_examples")),
    ("resume", swap(MockAlgorithm, "_load_optimizer", no_op)),
    ("steps counted", swap(training_run, "TrainLoop", SkipsAStep)),
    ("steps counted", swap(training_run, "TrainLoop", StopsEarly)),
    ("loss", swap(training_run, "MockAlgorithm", SeesABatchTwice)),
    ("loss", swap(MockModel, "compute_loss", flatter)),
    ("finite values", swap(MockLoss, "__call__", nan_loss)),
    ("finite values", swap(MockAlgorithm, "iterate", diverge)),
    ("memory", swap(training_run, "MockAlgorithm", Keeps)),
    ("gradient clipping", swap(torch.nn.utils, "clip_grad_norm_", lambda parameters, limit: torch.tensor(2.0))),
    ("schedule", swap(torch.optim.lr_scheduler.LambdaLR, "step", no_op)),
    ("optimizer step", swap(torch.optim.AdamW, "zero_grad", no_op)),
    ("optimizer", swap(torch.optim.AdamW, "step", no_op)),
    ("buffer order", swap(training_run, "HardExampleTracker", Unsorted)),
    ("buffer size", swap(training_run, "HardExampleTracker", Hoards)),
    ("buffer duplicates", swap(training_run, "HardExampleTracker", KeepsDoubles)),
    ("highest loss", swap(training_run, "HardExampleTracker", KeepsTheLatest)),
    ("buffer keys", swap(training_run, "HardExampleTracker", ForgetsKeys)),
    ("images", swap(training_run, "HardExampleTracker", Takes)),
    ("buffer content", swap(training_run, "HardExampleTracker", FirstCome)),
    ("threshold", swap(HardExampleReport, "threshold", property(lambda report: np.median(report.interval_losses)))),
    ("interval losses", swap(training_run, "HardExampleTracker", ForgetsEasyLosses)),
    ("report samples", swap(training_run, "HardExampleTracker", CountsTwice)),
    ("logging", swap(training_run, "HardExampleFile", SilentFile)),
]


class Run:
    """A small training, in this process."""

    def __init__(self, folder: Path) -> None:
        flags = "--num_train_steps 24 --batch_size 4 --hard_example_log_interval 8 --max_hard_examples_buffer 12"
        self.settings = training_settings([*flags.split(), "--checkpoint_dir", str(folder)])
        self.lines: list[str] = []
        self.exit_code = training_run.run(self.settings, self.lines.append)

    @property
    def found(self) -> list[str]:
        """The names of the checks that complained."""
        return [line[4:].split(":")[0] for line in self.lines if line.startswith("  - ")]


@pytest.fixture(autouse=True)
def _few_small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty samples, so that each is seen again, with pictures of 16 x 16."""
    monkeypatch.setattr(training_run, "MockDataset", functools.partial(MockDataset, 20, image_size=16))


def test_a_sound_training_passes(tmp_path: Path) -> None:
    """No check complains of nothing."""
    run = Run(tmp_path)
    assert (run.exit_code, run.found) == (0, [])
    assert "Training complete!" in run.lines


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*")
@pytest.mark.parametrize(
    ("check", "plant"), FAULTS, ids=[f"{number}-{name}" for number, (name, _) in enumerate(FAULTS)]
)
def test_a_planted_fault_is_found(check: str, plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check that is named complains, and the exit code is 1."""
    if check != "memory":
        monkeypatch.setattr(MemoryChecks, "check", no_op)  # it looks at every object of a large test process
    plant(monkeypatch)
    run = Run(tmp_path)
    assert check in run.found
    assert run.exit_code == 1
    assert "Training complete!" not in run.lines


def test_losses_that_are_nan_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the samples that they belong to."""
    monkeypatch.setattr(MockLoss, "__call__", nan_loss)
    run = Run(tmp_path)
    assert any("Losses that are not finite: " in line and "sample" in line for line in run.lines)


# --- many processes ---------------------------------------------------------------------------------------------------


def reports_of(processes: int, dataset: MockDataset) -> "tuple[list[HardExampleReport], list[ExpectedHardExamples]]":
    """Each process has seen samples of its own; process 0 the hardest."""
    reports, expectations = [], []
    for process in range(processes):
        tracker, expected = HardExampleTracker(20, process=process), ExpectedHardExamples()
        keys = dataset.keys(30 * process, 30)
        losses = torch.linspace(1.0, 9.0, 30) / (1 + process)
        images = dataset.batch(30 * process, 30).images
        tracker.update(0, keys, losses, images.__getitem__)
        expected.observe(0, keys, losses)
        reports.append(tracker.report(0))
        expectations.append(expected)
    return reports, expectations


def merge_by_loss(reports: Sequence[HardExampleReport], size: int) -> HardExampleReport:
    """Whoever shouts loudest is heard."""
    merged = merge_reports(reports, size)
    entries = sorted((entry for report in reports for entry in report.entries), key=lambda entry: -entry.loss)
    return dataclasses.replace(merged, entries=tuple(entries[:size]))


def merge_without_the_last(reports: Sequence[HardExampleReport], size: int) -> HardExampleReport:
    """Off by one."""
    return merge_reports(reports[:-1], size)


@pytest.mark.parametrize(
    ("merge", "complaint"),
    [(merge_reports, None), (merge_by_loss, "fairness"), (merge_without_the_last, "report samples")],
)
def test_an_unfair_merge_is_found(merge: Any, complaint: str | None) -> None:
    """Three processes; the sound one is fair."""
    dataset, problems = MockDataset(90, image_size=8), Problems()
    reports, expectations = reports_of(3, dataset)
    check_report(merge(reports, 10), 10, expectations, dataset, problems)
    assert (complaint in problems.checks) if complaint else problems.checks == []


# --- the focused script -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faulty", "claim"),
    [
        (None, None),
        (Unsorted, "Buffer correctly sorted by loss"),
        (Hoards, "Buffer size constraint satisfied"),
        (ForgetsKeys, "Keys match buffer entries"),
        (Takes, "All buffer entries have valid images"),
        (FirstCome, "Buffer holds the highest losses seen, each sample's highest"),
    ],
)
def test_the_focused_script_claims_only_what_holds(
    faulty: Any, claim: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of what is broken is missing, and the test fails."""
    monkeypatch.setattr(MemoryChecks, "check", no_op)
    if faulty is not None:
        monkeypatch.setattr(hard_example_run, "HardExampleTracker", faulty)
    lines: list[str] = []
    code = hard_example_run.run(hard_example_settings(["--steps", "40", "--buffer_size", "12"]), lines.append)
    claims = {line[2:] for line in lines if line.startswith("✓")}
    assert code == (0 if faulty is None else 1)
    assert lines[-1].endswith("PASSED" if faulty is None else "FAILED")
    assert claim not in claims
    assert len(claims) == 5 if faulty is None else len(claims) < 5
