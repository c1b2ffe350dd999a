"""Metrics, hard examples, videos and replays on Weights & Biases. Read for wandb 0.31; needs dexhand[wandb]."""

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
    """Weights & Biases does not accept the run; the message is one line."""


class WandbSink:
    """``MetricSink`` and ``HardExampleSink`` that sends everything to one Weights & Biases run.

    The run's id is saved in the run folder, so that a resumed training continues the same run. The x-axis is a metric
    of its own, environment frames, because Weights & Biases drops values behind its internal step counter, and a
    training may resume from an older checkpoint. After a failure it logs an error and sends nothing more.
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

    def video(self, path: Path) -> None:
        """See ``VideoSink``."""
        self._try(lambda run: run.log({f"videos/{path.stem}": wandb.Video(str(path), format="mp4")}))

    def replay(self, path: Path) -> None:
        """See ``ReplaySink``."""
        self._try(lambda run: run.log({"replay": wandb.Html(path.read_text(encoding="utf-8"), inject=False)}))

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
        except Exception as error:  # no failure of the service may end a training
            log.error("Weights & Biases failed: %s. Training continues without it", error)
            self._run = None


def _table(report: HardExampleReport) -> "wandb.Table":
    names = list(dict.fromkeys(name for entry in report.entries for name in entry.details))
    rows = [[rank, *_cells(entry, names)] for rank, entry in enumerate(report.entries, start=1)]
    return wandb.Table(columns=["rank", "key", "loss", "picture", *names], data=rows)


def _cells(entry: HardExample, names: list[str]) -> list[Any]:
    picture = None if entry.image is None else wandb.Image(entry.image.numpy())
    return [str(entry.key), entry.loss, picture, *(entry.details.get(name) for name in names)]
