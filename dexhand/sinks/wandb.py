"""Metrics, pictures and hard examples on Weights & Biases. Read for wandb 0.31; needs the extra ``dexhand[wandb]``."""

import logging
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import wandb

from dexhand.files.atomic import write_atomically
from dexhand.hard_examples.reports import HardExample, HardExampleReport

log = logging.getLogger(__name__)

STEP = "frames"
"""Name of the x-axis: environment frames."""


class WandbRefused(RuntimeError):
    """Weights & Biases does not accept the run; one line for the user."""


class WandbSink:
    """``MetricSink`` and ``HardExampleSink`` that sends everything to one Weights & Biases run.

    The run's id is written into the run folder, so that a training that goes on there continues the same one. Its own
    step is always the environment frame, because Weights & Biases drops what lies behind its internal counter, and a
    training may go back to an older checkpoint. After a failure it warns once and sends nothing more; the other sinks
    still write everything to disk.
    """

    def __init__(
        self,
        folder: Path,
        id_file: Path,
        *,
        project: str,
        entity: str | None,
        name: str,
        config: Mapping[str, Any],
    ) -> None:
        """Its own files go into ``folder``/wandb. Raises ``WandbRefused``."""
        known = id_file.read_text().strip() if id_file.exists() else secrets.token_hex(4)
        settings: dict[str, Any] = {
            "dir": str(folder),
            "id": known,
            "resume": "allow",
            "project": project,
            "entity": entity,
            "name": name,
            "config": dict(config),
            "settings": wandb.Settings(console="off"),
        }
        try:
            self._run: Any | None = wandb.init(**settings)
        except wandb.errors.CommError as error:
            log.error("Weights & Biases cannot be reached: %s. Later: wandb sync %s/wandb/offline-*", error, folder)
            self._run = wandb.init(**settings, mode="offline")
        except wandb.errors.UsageError as error:
            raise WandbRefused(" ".join(str(error).split())) from error
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)
        write_atomically(id_file, lambda file: file.write(f"{known}\n".encode()))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        self._send(step, {name.replace(":", "_"): value for name, value in values.items()})

    def hard_examples(self, report: HardExampleReport) -> None:
        """See ``HardExampleSink``: scalars, and a table with a row for each sample, hardest first."""
        self._send(report.step, {**report.scalars(), f"{report.place}/table": _table(report)})

    def close(self) -> None:
        """See ``MetricSink.close``."""
        self._try(lambda run: run.finish())
        self._run = None

    def _send(self, step: int, values: Mapping[str, Any]) -> None:
        self._try(lambda run: run.log({**values, STEP: step}))

    def _try(self, tell: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            tell(self._run)
        except Exception as error:  # its service fails in many ways, and none is worth a training
            log.error("Weights & Biases is lost: %s. The training goes on without it", error)
            self._run = None


def _table(report: HardExampleReport) -> "wandb.Table":
    names = list(dict.fromkeys(name for entry in report.entries for name in entry.details))
    rows = [[rank, *_cells(entry, names)] for rank, entry in enumerate(report.entries, start=1)]
    return wandb.Table(columns=["rank", "key", "loss", "picture", *names], data=rows)


def _cells(entry: HardExample, names: list[str]) -> list[Any]:
    picture = None if entry.image is None else wandb.Image(entry.image.numpy())
    return [str(entry.key), entry.loss, picture, *(entry.details.get(name) for name in names)]
