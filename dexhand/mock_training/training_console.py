"""Console output of the mock training."""

from collections.abc import Callable, Mapping

from dexhand.hard_examples.reports import HardExampleReport
from dexhand.mock_training.command_line import TrainingSettings

Say = Callable[[str], None]
"""Prints one line."""
RULE = "=" * 80
_SHOWN_EXAMPLES = 3
_SHOWN_CHARACTERS = 60


def banner(say: Say, title: str) -> None:
    """Print a title between two rules."""
    for line in (RULE, title, RULE):
        say(line)


class TrainingConsole:
    """``MetricSink`` and ``HardExampleSink`` that prints progress at an interval."""

    def __init__(self, settings: TrainingSettings, say: Say) -> None:
        self._settings = settings
        self._say = say
        self._report: HardExampleReport | None = None
        self._pending = ""

    def begin(self) -> None:
        """Print the settings."""
        settings = self._settings
        banner(self._say, "MOCK TRAINING TEST")
        for line in (
            "Configuration:",
            f"  Steps: {settings.num_train_steps}",
            f"  Batch size: {settings.batch_size}",
            f"  Log interval: {settings.log_interval}",
            f"  Track hard examples: {not settings.no_hard_examples}",
            f"  Checkpoint dir: {settings.checkpoint_dir}",
            RULE,
            "Initializing mock model and training state...",
            *([] if settings.no_hard_examples else ["Initializing hard example tracker..."]),
        ):
            self._say(line)

    def start(self) -> None:
        """Print that training starts."""
        self._say("Starting training loop...")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``. Steps are shown counted from 0."""
        number = int(values["info/iteration"]) - 1
        self._pending = (
            f"Step {number:4d}: loss={values['losses/loss']:.4f}, grad_norm={values['info/grad_norm']:.4f}, "
            f"param_norm={values['info/param_norm']:.4f}, token_acc={values['info/token_accuracy']:.4f}, "
            f"max_per_sample_loss={values['losses/max_per_sample']:.4f}"
        )
        if number % self._settings.log_interval == 0:
            self._say_step()
        self._say_report()

    def hard_examples(self, report: HardExampleReport) -> None:
        """See ``HardExampleSink``. The report of a step comes before its scalars and is shown after them."""
        self._report = report

    def close(self) -> None:
        """Show the last report."""
        self._say_report()

    def end(self, problems: list[str], validated: str, stopped: str) -> None:
        """Print the result; ``stopped`` is the reason if it ended before its last step."""
        if not problems:
            self._say(f"Validated: {validated}")
            banner(self._say, f"Training stopped: {stopped}; --resume continues" if stopped else "Training complete!")
            return
        banner(self._say, f"VALIDATION FAILED: {len(problems)} problem{'s' * (len(problems) > 1)}")
        for line in problems:
            self._say(f"  - {line}")

    def _say_step(self) -> None:
        if self._pending:
            self._say(self._pending)
            self._pending = ""

    def _say_report(self) -> None:
        report, self._report = self._report, None
        if report is None:
            return
        self._say_step()
        self._say(
            f"  Hard examples: {len(report.entries)} entries, threshold={report.threshold:.4f}, "
            f"total_samples={report.total_samples}"
        )
        for rank, entry in enumerate(report.entries[:_SHOWN_EXAMPLES], start=1):
            text = str(entry.details.get("lang_action", ""))
            self._say(
                f"    #{rank}: loss={entry.loss:.4f}, step={entry.step}, "
                f"lang_action={text[:_SHOWN_CHARACTERS]} (len={len(text)})..."
            )
        if report.nan_losses or report.infinite_losses:
            where = ", ".join(f"sample {entry.key} in step {entry.step}" for entry in report.nonfinite)
            self._say(
                f"  Losses that are not finite: {report.nan_losses} NaN, {report.infinite_losses} infinite"
                + (f"; in this interval {where}" if where else "")
            )
