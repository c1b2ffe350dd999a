"""Checks of a hard-example tracker against a simple reference that keeps and sorts everything."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dexhand.hard_examples.reports import HardExample, HardExampleReport, Key
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.mock.dataset import MockDataset
from dexhand.mock_training.problems import Problems

_TINY = 1e-6
"""Relative tolerance for float32 rounding."""


class ExpectedHardExamples:
    """Reference for one process: the highest loss of every sample, and all losses since the last report."""

    def __init__(self, min_loss: float = -math.inf) -> None:
        self.min_loss = min_loss
        self.total_samples = 0
        self.nonfinite = 0
        self.interval: list[float] = []
        self.interval_samples = 0
        self._highest: dict[Key, tuple[float, int]] = {}

    def begin_with(self, tracker: HardExampleTracker) -> None:
        """Start from a restored tracker; its losses since the last report are unknown."""
        self.total_samples = tracker.total_samples
        self.interval_samples = tracker.unreported_samples
        self.nonfinite = tracker.nonfinite_losses
        self._highest = {example.key: (example.loss, example.step) for example in tracker.buffer}

    def observe(self, step: int, keys: Sequence[Key], losses: Tensor) -> None:
        """Add a batch of losses (B,)."""
        for key, loss in zip(keys, losses.tolist()):
            self.total_samples += 1
            self.interval_samples += 1
            if not math.isfinite(loss):
                self.nonfinite += 1
                continue
            self.interval.append(loss)
            if loss >= self.min_loss and loss > self._highest.get(key, (-math.inf, 0))[0]:
                self._highest[key] = (loss, step)

    def end_interval(self) -> None:
        """Start a new interval, after a report."""
        self.interval, self.interval_samples = [], 0

    def highest(self, key: Key) -> tuple[float, int]:
        """Return the highest loss of a sample and its step; NaN and -1 if it was never seen."""
        return self._highest.get(key, (math.nan, -1))

    def hardest(self, count: int) -> list[float]:
        """Return the ``count`` highest losses of different samples, highest first."""
        return sorted((loss for loss, _ in self._highest.values()), reverse=True)[:count]


def check_tracker(
    tracker: HardExampleTracker,
    by_process: Sequence[ExpectedHardExamples],
    dataset: MockDataset,
    problems: Problems,
) -> None:
    """Compare a tracker's buffer and counts with the reference for its process."""
    expected = by_process[tracker.process]
    buffer, limit = tracker.buffer, tracker.max_hard_examples
    losses = [example.loss for example in buffer]
    problems.expect(len(buffer) <= limit, "buffer size", f"{len(buffer)} hard examples, {limit} allowed")
    problems.expect(_is_sorted(losses), "buffer order", f"losses are not sorted from high to low: {_few(losses)}")
    problems.expect(
        tracker.keys == {example.key for example in buffer},
        "buffer keys",
        f"{len(tracker.keys)} keys are tracked, which are not those of the {len(buffer)} entries",
    )
    check_entries(buffer, by_process, dataset, problems)
    _check_losses("buffer content", losses, expected.hardest(limit), problems)
    problems.expect(
        tracker.total_samples == expected.total_samples,
        "sample count",
        f"the tracker has seen {tracker.total_samples} samples instead of {expected.total_samples}",
    )
    problems.expect(
        tracker.nonfinite_losses == expected.nonfinite,
        "losses that are not finite",
        f"the tracker has counted {tracker.nonfinite_losses} instead of {expected.nonfinite}",
    )


def check_entries(
    entries: Sequence[HardExample],
    by_process: Sequence[ExpectedHardExamples],
    dataset: MockDataset,
    problems: Problems,
) -> None:
    """Check that each entry has its sample's highest loss, picture and prompt."""
    keys = [entry.key for entry in entries]
    problems.expect(len(set(keys)) == len(keys), "buffer duplicates", f"a sample is listed twice: {_few(keys)}")
    for entry in entries:
        loss, step = by_process[entry.process].highest(entry.key)
        problems.expect(
            _close(entry.loss, loss) and entry.step == step,
            "highest loss",
            f"sample {entry.key} has loss {entry.loss:.4f} of step {entry.step}; its highest was {loss:.4f} in {step}",
        )
        problems.extend("images", _image_problems(entry, dataset))
        if "lang_action" in entry.details:
            said, known = entry.details["lang_action"], dataset.prompt(int(entry.key))
            problems.expect(said == known, "details", f"sample {entry.key} says {said!r} instead of {known!r}")


def check_report(
    report: HardExampleReport,
    size: int,
    by_process: Sequence[ExpectedHardExamples],
    dataset: MockDataset,
    problems: Problems,
) -> None:
    """Compare a report of all processes, with at most ``size`` entries, with the reference."""
    losses = [entry.loss for entry in report.entries]
    problems.expect(_is_sorted(losses), "report order", f"step {report.step}: losses are not sorted: {_few(losses)}")
    check_entries(report.entries, by_process, dataset, problems)
    if len(by_process) == 1:
        _check_losses("report content", losses, by_process[0].hardest(size), problems)
    else:
        _check_fairness(report, size, len(by_process), problems)
    samples = sum(one.interval_samples for one in by_process)
    problems.expect(
        report.interval_samples == samples,
        "report samples",
        f"step {report.step}: {report.interval_samples} samples in the interval instead of {samples}",
    )
    interval = sorted(loss for one in by_process for loss in one.interval)
    if len(interval) == report.interval_losses.size:  # after a resume, the reference lacks some losses
        _check_statistics(report, interval, problems)
    total = sum(one.total_samples for one in by_process)
    problems.expect(
        report.total_samples == total, "report samples", f"{report.total_samples} samples in total instead of {total}"
    )


def _check_statistics(report: HardExampleReport, interval: list[float], problems: Problems) -> None:
    if not interval:
        return
    exact = interval[math.floor(report.quantile * (len(interval) - 1))]
    problems.expect(
        _close(report.threshold, exact),
        "threshold",
        f"step {report.step}: threshold {report.threshold:.4f}; the {report.quantile} quantile is {exact:.4f}",
    )
    found = sorted(report.interval_losses)
    problems.expect(
        all(map(_close, found, interval)),
        "interval losses",
        f"step {report.step}: {_few(found)} instead of {_few(interval)}",
    )


def _check_fairness(report: HardExampleReport, size: int, processes: int, problems: Problems) -> None:
    """Check that the entries are divided evenly if every process has enough."""
    counts = [sum(entry.process == process for entry in report.entries) for process in range(processes)]
    if len(report.entries) == size and report.buffer_size >= processes * size:
        problems.expect(
            max(counts) - min(counts) <= 1, "fairness", f"step {report.step}: entries by process are {counts}"
        )
    problems.expect(report.processes == processes, "fairness", f"{report.processes} of {processes} processes reported")


def _check_losses(check: str, found: list[float], known: list[float], problems: Problems) -> None:
    same = len(found) == len(known) and all(_close(one, other) for one, other in zip(sorted(found)[::-1], known))
    problems.expect(
        same, check, f"the highest losses are {_few(known)} ({len(known)}), found {_few(found)} ({len(found)})"
    )


def _image_problems(entry: HardExample, dataset: MockDataset) -> list[str]:
    image: Tensor | None = entry.image
    if image is None:
        return [f"sample {entry.key} has no image"]
    if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[2] != 3 or min(image.shape) < 1:
        return [f"sample {entry.key} has an image of {image.dtype} and shape {tuple(image.shape)}"]
    if image.untyped_storage().nbytes() != image.numel():
        return [f"the image of sample {entry.key} keeps {image.untyped_storage().nbytes()} bytes for {image.numel()}"]
    shown = dataset.key_of(image)
    return [] if shown == entry.key else [f"the image of sample {entry.key} shows sample {shown}"]


def _is_sorted(losses: Sequence[float]) -> bool:
    return all(one >= other for one, other in itertools.pairwise(losses))


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_TINY, abs_tol=1e-9)


def _few(values: Sequence[object]) -> str:
    shown = [f"{value:.4f}" if isinstance(value, float) else str(value) for value in values[:5]]
    return f"[{', '.join(shown + ['...'] * (len(values) > 5))}]"
