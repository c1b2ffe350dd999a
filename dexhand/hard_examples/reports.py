"""Hard examples, reports of them, and merging the reports of several processes.

A sample can be anything with a key and a loss, such as an episode; a picture and plain values may describe it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from dexhand.core.interfaces import Metrics

Key = int | str
"""Identifies a sample, however often it is seen."""
Plain = str | int | float | bool | None


@dataclass(frozen=True)
class HardExample:
    """A sample when its loss was highest."""

    key: Key
    loss: float
    """Finite in a buffer; NaN or infinite in ``HardExampleReport.nonfinite``."""
    step: int
    """The training step that measured the loss."""
    process: int = 0
    """Rank of the process that has it."""
    image: Tensor | None = None
    """uint8 (h, w, 3), the longer side at most ``HardExampleTracker.image_side``."""
    details: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class HardExampleReport:
    """Hard examples and loss statistics at one step, of one process or several."""

    step: int
    entries: tuple[HardExample, ...]
    """The hardest samples in the buffer, hardest first."""
    nonfinite: tuple[HardExample, ...]
    """The first samples since the previous report with a NaN or infinite loss, by time; without pictures."""
    interval_losses: np.ndarray
    """Finite losses since the previous report. Shape (n,), float64."""
    interval_samples: int
    """Samples since the previous report, including those with NaN and infinite losses."""
    quantile: float
    total_samples: int
    """Samples so far, including those with NaN and infinite losses."""
    nan_losses: int
    """So far."""
    infinite_losses: int
    """So far."""
    buffer_size: int
    processes: int = 1
    ranking: str = ""
    """Name of the ranking, if samples are ranked in several ways."""

    @property
    def place(self) -> str:
        """Prefix of the names of scalars and pictures."""
        return f"hard_examples/{self.ranking}" if self.ranking else "hard_examples"

    @property
    def threshold(self) -> float:
        """The ``quantile`` of the interval's losses, rounded down to one of them; NaN if there are none."""
        losses = self.interval_losses
        return float(np.quantile(losses, self.quantile, method="lower")) if losses.size else math.nan

    def scalars(self) -> Metrics:
        """Scalars for ``MetricSink.scalars``."""
        values = {
            f"{self.place}/buffer_size": float(self.buffer_size),
            f"{self.place}/total_samples": float(self.total_samples),
            f"{self.place}/interval_samples": float(self.interval_samples),
            f"{self.place}/nan_losses": float(self.nan_losses),
            f"{self.place}/infinite_losses": float(self.infinite_losses),
        }
        if self.interval_losses.size:
            values[f"{self.place}/threshold"] = self.threshold
            values[f"{self.place}/interval_mean"] = float(self.interval_losses.mean())
            values[f"{self.place}/interval_max"] = float(self.interval_losses.max())
        return values

    def images(self) -> dict[str, np.ndarray]:
        """Pictures by name, hardest first."""
        return {
            f"{self.place}/{rank:02d}": entry.image.numpy()
            for rank, entry in enumerate(self.entries, start=1)
            if entry.image is not None
        }

    def to_json(self) -> dict[str, Any]:
        """Convert to valid JSON values: NaN and infinity become text, pictures their shape."""
        losses = self.interval_losses if self.interval_losses.size else np.array([math.nan])
        return {
            "ranking": self.ranking,
            "step": self.step,
            "entries": [_entry_to_json(entry) for entry in self.entries],
            "nonfinite": [_entry_to_json(entry) for entry in self.nonfinite],
            "quantile": self.quantile,
            "threshold": _finite_or_text(self.threshold),
            "interval_samples": self.interval_samples,
            "interval_mean": _finite_or_text(float(losses.mean())),
            "interval_min": _finite_or_text(float(losses.min())),
            "interval_max": _finite_or_text(float(losses.max())),
            "total_samples": self.total_samples,
            "nan_losses": self.nan_losses,
            "infinite_losses": self.infinite_losses,
            "buffer_size": self.buffer_size,
            "processes": self.processes,
        }


@runtime_checkable
class HardExampleSink(Protocol):
    """Receives reports of hard examples."""

    def hard_examples(self, report: HardExampleReport) -> None:
        """Record one report."""


def merge_reports(reports: Sequence[HardExampleReport], size: int) -> HardExampleReport:
    """Merge the reports of several processes into one with at most ``size`` samples.

    Each turn takes the hardest remaining entry of every process, so that no process crowds out the others; the last
    turn takes the hardest of these. A sample seen by several processes counts once, with its highest loss. Raises
    ``ValueError`` without reports.
    """
    if not reports:
        raise ValueError("there are no reports to merge")
    nonfinite = sorted((example for report in reports for example in report.nonfinite), key=time_of)
    return HardExampleReport(
        step=reports[0].step,
        entries=tuple(sorted(_in_turns(_without_duplicates(reports), size), key=hardness)),
        nonfinite=tuple(nonfinite[:size]),
        interval_losses=np.concatenate([report.interval_losses for report in reports]),
        interval_samples=sum(report.interval_samples for report in reports),
        quantile=reports[0].quantile,
        total_samples=sum(report.total_samples for report in reports),
        nan_losses=sum(report.nan_losses for report in reports),
        infinite_losses=sum(report.infinite_losses for report in reports),
        buffer_size=sum(report.buffer_size for report in reports),
        processes=len(reports),
        ranking=reports[0].ranking,
    )


def _without_duplicates(reports: Sequence[HardExampleReport]) -> list[list[HardExample]]:
    """The entries of each report without those that another report has with a higher loss."""
    owner: dict[Key, tuple[float, int]] = {}
    for number, report in enumerate(reports):
        for entry in report.entries:
            owner[entry.key] = min(owner.get(entry.key, (math.inf, number)), (-entry.loss, number))
    return [
        [entry for entry in report.entries if owner[entry.key][1] == number] for number, report in enumerate(reports)
    ]


def _in_turns(queues: list[list[HardExample]], size: int) -> list[HardExample]:
    taken: list[HardExample] = []
    for turn in range(max(len(queue) for queue in queues)):
        offered = [queue[turn] for queue in queues if turn < len(queue)]
        taken += sorted(offered, key=hardness)[: size - len(taken)]
    return taken


def hardness(example: HardExample) -> tuple[float, int, int]:
    """Sort key: hardest first, then earliest."""
    return -example.loss, example.step, example.process


def time_of(example: HardExample) -> tuple[int, int]:
    """Sort key by time."""
    return example.step, example.process


def _entry_to_json(entry: HardExample) -> dict[str, Any]:
    shape = None if entry.image is None else list(entry.image.shape)
    plain: dict[str, Any] = {name: _finite_or_text(value) for name, value in entry.details.items()}
    return {
        "key": entry.key,
        "loss": _finite_or_text(entry.loss),
        "step": entry.step,
        "process": entry.process,
        "image_shape": shape,
        "details": plain,
    }


def _finite_or_text(value: Plain) -> Plain:
    """Replace NaN and infinity, which JSON lacks, by text."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value
