"""Where metrics and reports go."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.interfaces import MetricSink
from dexhand.hard_examples.reports import HardExampleSink
from dexhand.workspace.workspace import Run

if TYPE_CHECKING:
    from dexhand.sinks.wandb import WandbSink


@dataclass(frozen=True)
class TrainingSinks:
    """Where a training's reports go."""

    metrics: list[MetricSink]
    hard_examples: list[HardExampleSink]


def build_training_sinks(config: Config, run: Run, first_step: int | None = None) -> TrainingSinks:
    """Sinks in the folder of ``run``, and elsewhere if asked for; what TensorBoard has of ``first_step`` is replaced.

    Raises ``ConfigError`` where Weights & Biases refuses.
    """
    from dexhand.sinks.hard_example_folder import HardExampleFolder
    from dexhand.sinks.tensorboard import TensorBoardSink

    tensorboard = TensorBoardSink(run.summaries, first_step=first_step)
    sinks = TrainingSinks([tensorboard], [tensorboard, HardExampleFolder(run.hard_examples)])
    if config.train.wandb.enabled:
        wandb = _wandb(config, run)
        sinks.metrics.append(wandb)
        sinks.hard_examples.append(wandb)
    return sinks


def _wandb(config: Config, run: Run) -> "WandbSink":
    from dexhand.sinks.wandb import WandbRefused, WandbSink

    settings = config.train.wandb
    try:
        return WandbSink(
            run.path,
            run.wandb_id_file,
            project=settings.project,
            entity=settings.entity,
            name=settings.name or run.name,
            config=asdict(config),
        )
    except WandbRefused as error:
        raise ConfigError(f"train.wandb.enabled=true: {error} Or keep it on this machine: WANDB_MODE=offline") from None


def build_sinks(summaries: Path) -> list[MetricSink]:
    """Sinks of a test that write into its run folder."""
    from dexhand.sinks.tensorboard import TensorBoardSink

    return [TensorBoardSink(summaries)]
