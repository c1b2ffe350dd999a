"""The test of the hard-example tracker on batches of fake data."""

import math

import torch

from dexhand.core.process_state import process_state_restored
from dexhand.hard_examples.reports import HardExampleReport
from dexhand.hard_examples.tracker import HardExampleTracker
from dexhand.mock.dataset import MockDataset
from dexhand.mock.model import MockLoss
from dexhand.mock_training.command_line import HardExampleSettings
from dexhand.mock_training.differences import differences
from dexhand.mock_training.hard_example_checks import ExpectedHardExamples, check_report, check_tracker
from dexhand.mock_training.memory_checks import MemoryChecks
from dexhand.mock_training.problems import Problems
from dexhand.mock_training.training_console import RULE, Say, banner

HIGH_LOSS = 4.0
"""Only samples with a higher loss may enter the buffer."""
IMAGE_SIZE = 64
_THIN_RULE = "-" * 80


@process_state_restored()
def run(settings: HardExampleSettings, say: Say) -> int:
    """Run the test and print its report. Returns the exit code: 0, or 1 with a list of problems."""
    torch.set_num_threads(1)  # a second thread slows down tensors this small
    banner(say, "HARD EXAMPLE TRACKING INTEGRATION TEST")
    for line in (
        "Config:",
        f"  Steps: {settings.steps}",
        f"  Batch size: {settings.batch_size}",
        f"  Buffer size: {settings.buffer_size}",
        f"  Log interval: {settings.log_interval}",
        "  Process index: 0",
        "  Process count: 1",
        RULE,
    ):
        say(line)
    test = _Test(settings, say)
    test.memory.begin()
    for step in range(settings.steps):
        test.step(step)
    return test.conclude()


class _Test:
    def __init__(self, settings: HardExampleSettings, say: Say) -> None:
        self.settings = settings
        self.say = say
        self.problems = Problems()
        self.tracker = HardExampleTracker(settings.buffer_size, min_loss=HIGH_LOSS)
        self.dataset = MockDataset(image_size=IMAGE_SIZE, seed=settings.seed)
        self.expected = ExpectedHardExamples(min_loss=HIGH_LOSS)
        self.memory = MemoryChecks(self.problems)
        self.loss = MockLoss()
        self.high_losses = 0
        self.max_loss = -math.inf

    def step(self, step: int) -> None:
        """Process a batch."""
        batch = self.dataset.batch(step * self.settings.batch_size, self.settings.batch_size)
        losses = self.loss(batch.state)
        self.tracker.update(step, batch.keys, losses, batch.images.__getitem__)
        self.expected.observe(step, batch.keys, losses)
        high = int((losses > HIGH_LOSS).sum())
        self.high_losses += high
        self.max_loss = max(self.max_loss, float(losses.max()))
        if step % self.settings.log_interval == 0:
            self.say(
                f"Step {step:3d}: loss_range=[{float(losses.min()):.2f}, {float(losses.max()):.2f}], "
                f"high_loss_count={high}, buffer_size={len(self.tracker.buffer)}"
            )
            check_tracker(self.tracker, [self.expected], self.dataset, self.problems)
        if step == self.settings.steps // 2:
            self.memory.check(len(self.tracker.buffer))

    def conclude(self) -> int:
        """Make the last report, check it and print the results; returns the exit code."""
        self.memory.check(len(self.tracker.buffer))
        check_tracker(self.tracker, [self.expected], self.dataset, self.problems)
        self._check_restored()
        report = self.tracker.report(self.settings.steps)
        size = min(self.tracker.report_size, self.settings.buffer_size)
        check_report(report, size, [self.expected], self.dataset, self.problems)
        self._say_report(report)
        self._say_statistics()
        lines = self.problems.lines()
        for line in lines:
            self.say(f"✗ {line}")
        self.say(RULE)
        self.say("❌ TEST FAILED" if lines else "✅ TEST PASSED")
        return 1 if lines else 0

    def _check_restored(self) -> None:
        """Check that a tracker restored from a saved state equals the original."""
        copy = HardExampleTracker(self.settings.buffer_size, min_loss=HIGH_LOSS)
        copy.load_state_dict(self.tracker.state_dict())
        check_tracker(copy, [self.expected], self.dataset, self.problems)
        self.problems.extend("resume", differences(self.tracker.state_dict(), copy.state_dict(), "tracker"))

    def _say_report(self, report: HardExampleReport) -> None:
        for line in (
            _THIN_RULE,
            f"HARD EXAMPLES AT STEP {report.step}:",
            f"  Total entries: {len(report.entries)}",
            f"  Quantile threshold: {report.threshold:.4f}",
            f"  Interval samples: {report.interval_samples}",
        ):
            self.say(line)
        for rank, entry in enumerate(report.entries, start=1):
            shape = None if entry.image is None else tuple(entry.image.shape)
            self.say(
                f"    #{rank}: loss={entry.loss:.4f}, process={entry.process}, global_idx={entry.key}, "
                f"image_shape={shape}"
            )
        self.say(_THIN_RULE)

    def _say_statistics(self) -> None:
        samples, tracker = self.tracker.total_samples, self.tracker
        banner(self.say, "TEST COMPLETE")
        for line in (
            "Statistics:",
            f"  Total samples seen: {samples}",
            f"  Total high-loss samples (>{HIGH_LOSS}): {self.high_losses}",
            f"  High-loss percentage: {100 * self.high_losses / samples:.2f}%",
            f"  Max loss seen: {self.max_loss:.4f}",
            f"  Final buffer size: {len(tracker.buffer)}",
            f"  Final keys tracked: {len(tracker.keys)}",
        ):
            self.say(line)
        found = set(self.problems.checks)
        for line, checks in _PROVEN:
            if not found & checks:
                self.say(f"✓ {line}")


_PROVEN = (
    ("Buffer size constraint satisfied", {"buffer size"}),
    ("Buffer correctly sorted by loss", {"buffer order"}),
    ("Keys match buffer entries", {"buffer keys", "buffer duplicates"}),
    ("All buffer entries have valid images", {"images"}),
    ("Buffer holds the highest losses seen, each sample's highest", {"buffer content", "highest loss"}),
)
"""Lines to print if none of these checks found a problem."""
