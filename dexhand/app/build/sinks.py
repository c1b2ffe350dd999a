"""Builders of the sinks that receive metrics and reports."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dexhand.app.build.plugins import build_plugin
from dexhand.config.errors import ConfigError
from dexhand.config.schema import Config
from dexhand.core.interfaces import MetricSink
from dexhand.hard_examples.reports import HardExampleSink
from dexhand.workspace.workspace import Run

if TYPE_CHECKING:
    from dexhand.sinks.wandb import WandbSink


def build_sinks(
    config: Config, run: Run, console: Callable[[], MetricSink] | None, first_step: int | None = None
) -> list[MetricSink]:
    """Build the sinks of a training or a test; ``console`` builds the console sink, ``None`` = no console sink.

    TensorBoard's existing records from ``first_step`` on are replaced. Raises ``ConfigError``.
    """
    sinks: list[MetricSink] = []
    for name in config.train.sinks:
        if name == "console":
            sinks += [] if console is None else [console()]
        elif name == "tensorboard":
            from dexhand.sinks.tensorboard import TensorBoardSink

            sinks.append(TensorBoardSink(run.summaries, first_step=first_step))
        else:
            from dexhand.sinks.guarded import GuardedSink

            sinks.append(GuardedSink(name, build_plugin("train.sinks", name, MetricSink, run.path)))
    if config.train.wandb.enabled:
        sinks.append(_wandb(config, run))
    return sinks


def hard_example_sinks(sinks: Sequence[MetricSink], run: Run) -> list[HardExampleSink]:
    """Return the ``sinks`` that accept reports of hard examples, and the run's folder for them."""
    from dexhand.sinks.hard_example_folder import HardExampleFolder

    accepting = [sink for sink in sinks if isinstance(sink, HardExampleSink)]
    return [*accepting, HardExampleFolder(run.hard_examples)]


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
