"""Checks of what the mock training reports at every step.

The loss of a sample depends only on its position in the data (``MockLoss``), so it can be computed independently.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from dexhand.core.train_loop import TrainResult
from dexhand.hard_examples.reports import HardExampleReport
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.mock.algorithm import LARGEST_GRAD_NORM, learning_rate
from dexhand.mock.dataset import MockDataset
from dexhand.mock.model import MockLoss
from dexhand.mock_training.hard_example_checks import ExpectedHardExamples, check_report, check_tracker
from dexhand.mock_training.problems import Problems

LEARNING_STEPS = 50
"""Steps after which predictions must have improved."""
KEPT_STEPS = 500
"""Steps whose curves are kept for comparison with a resumed training."""

_TINY = 1e-5
_CURVES = (
    *("losses/loss", "losses/max_per_sample", "losses/token_entropy", "info/token_accuracy"),
    *("info/grad_norm", "info/clipped_grad_norm", "info/param_norm", "info/learning_rate"),
)


class TrainingChecks:
    """``MetricSink`` and ``HardExampleSink`` that compares reports with expectations."""

    def __init__(
        self,
        dataset: MockDataset,
        batch_size: int,
        problems: Problems,
        *,
        report_size: int = 10,
        processes: int = 1,
    ) -> None:
        """``report_size``: number of hard examples in a report."""
        self.dataset = dataset
        self.batch_size = batch_size
        self.problems = problems
        self._report_size = report_size
        self.steps_done = 0
        self.rows: dict[int, dict[str, float]] = {}
        """Curves of the last ``KEPT_STEPS`` steps, by number of steps done."""
        self.reports = 0
        self.expected = [ExpectedHardExamples() for _ in range(processes)]
        self._observed = 0
        self._is_from_beginning = True
        self._loss = MockLoss()
        self._first_entropies: list[float] = []
        self._last_entropies: deque[float] = deque(maxlen=10)
        self._param_norm = math.nan

    def resume_after(self, steps_done: int, trackers: Sequence[HardExampleTracker]) -> None:
        """Start after ``steps_done`` steps with the restored trackers of all processes."""
        self.steps_done = self._observed = steps_done
        self._is_from_beginning = False
        for expected, tracker in zip(self.expected, trackers):
            expected.begin_with(tracker)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        done = self.steps_done + 1
        self.problems.expect(
            values["info/iteration"] == done and step == done * self.batch_size,
            "steps counted",
            f"iteration {values['info/iteration']:.0f} at sample {step} was reported instead of {done} at sample "
            f"{done * self.batch_size}",
        )
        row = {name: values.get(name, math.nan) for name in _CURVES}
        for name, value in row.items():
            self.problems.expect(math.isfinite(value), "finite values", f"step {done - 1}: {name}={value}")
        self._check_loss(done - 1, row)
        self._check_optimizer(done - 1, row)
        self.rows[done] = row
        self.rows.pop(done - KEPT_STEPS, None)
        self.steps_done = done
        self._observe(done)

    def hard_examples(self, report: HardExampleReport) -> None:
        """See ``HardExampleSink``."""
        self._observe(report.step + 1)
        check_report(report, self._report_size, self.expected, self.dataset, self.problems)
        self.reports += 1
        for expected in self.expected:
            expected.end_interval()

    def close(self) -> None:
        """Nothing is pending."""

    def tracker(self, tracker: HardExampleTracker) -> None:
        """Check the tracker of one process."""
        check_tracker(tracker, self.expected, self.dataset, self.problems)

    def check_end(self, result: TrainResult, steps: int) -> None:
        """Check that all steps were done and saved, and that predictions have improved."""
        self.problems.expect(
            result.iterations_done == self.steps_done,
            "steps counted",
            f"the loop counts {result.iterations_done} steps; {self.steps_done} were reported",
        )
        self.problems.expect(
            self.steps_done == steps or result.reason == "stop requested",
            "steps counted",
            f"{self.steps_done} steps were done instead of {steps}; the reason is {result.reason!r}",
        )
        self.problems.expect(
            result.unsaved is None, "checkpoint", f"the last step is in no checkpoint: {result.unsaved}"
        )
        if self._is_from_beginning and self.steps_done >= LEARNING_STEPS:
            before, after = np.mean(self._first_entropies), np.mean(self._last_entropies)
            self.problems.expect(
                bool(after < before), "learning", f"the mean entropy of a word was {before:.3f}, at the end {after:.3f}"
            )

    def _losses(self, step: int) -> Tensor:
        """Losses of step ``step``. Shape (processes, samples per process)."""
        state = self.dataset.state(step * self.batch_size, self.batch_size)
        return self._loss(state).reshape(len(self.expected), -1)

    def _observe(self, steps: int) -> None:
        """Add all steps before ``steps`` to the reference."""
        while self._observed < steps:
            step = self._observed
            keys = self.dataset.keys(step * self.batch_size, self.batch_size)
            losses = self._losses(step)
            share = losses.shape[1]
            for number, expected in enumerate(self.expected):
                expected.observe(step, keys[number * share : (number + 1) * share], losses[number])
            self._observed += 1

    def _check_loss(self, step: int, row: Mapping[str, float]) -> None:
        losses = self._losses(step)
        for name, known in (("losses/loss", losses.mean()), ("losses/max_per_sample", losses.max())):
            self.problems.expect(
                math.isclose(row[name], float(known), rel_tol=_TINY),
                "loss",
                f"step {step}: {name}={row[name]:.4f}, but its samples have {float(known):.4f}",
            )

    def _check_optimizer(self, step: int, row: Mapping[str, float]) -> None:
        norm, clipped = row["info/grad_norm"], row["info/clipped_grad_norm"]
        self.problems.expect(norm > 0, "gradient", f"step {step}: grad_norm={norm}")
        self.problems.expect(
            math.isclose(clipped, min(norm, LARGEST_GRAD_NORM), rel_tol=1e-3),
            "gradient clipping",
            f"step {step}: a gradient of norm {norm:.4f} was clipped to {clipped:.4f}; limit {LARGEST_GRAD_NORM}",
        )
        rate = row["info/learning_rate"]
        self.problems.expect(
            math.isclose(rate, learning_rate(step), rel_tol=_TINY),
            "schedule",
            f"step {step}: learning rate {rate:.6f} instead of {learning_rate(step):.6f}",
        )
        self.problems.expect(
            row["info/param_norm"] != self._param_norm, "optimizer", f"step {step}: the parameters have not changed"
        )
        self._param_norm = row["info/param_norm"]
        if len(self._first_entropies) < 10:
            self._first_entropies.append(row["losses/token_entropy"])
        self._last_entropies.append(row["losses/token_entropy"])
