"""The samples with the highest losses of a training, with their pictures."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dexhand.hard_examples.reports import HardExample, HardExampleReport, Key, Plain, hardness, time_of


class HardExampleTracker:
    """Keeps the ``max_hard_examples`` samples with the highest losses of one process.

    A sample seen again keeps its higher loss. Samples below ``min_loss`` are counted but never kept. NaN and infinite
    losses, which cannot be ranked, are counted and reported separately. The losses since the last report are in memory,
    eight bytes each.
    """

    def __init__(
        self,
        max_hard_examples: int = 50,
        *,
        min_loss: float = -math.inf,
        quantile: float = 0.9,
        image_side: int = 64,
        report_size: int = 10,
        process: int = 0,
        ranking: str = "",
    ) -> None:
        """Reports give the ``quantile`` of the losses as threshold, and ``report_size`` samples.

        Pictures are shrunk so that their longer side has at most ``image_side`` pixels. Raises ``ValueError``.
        """
        for name, value in (
            ("max_hard_examples", max_hard_examples),
            ("image_side", image_side),
            ("report_size", report_size),
        ):
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        if not 0 <= quantile <= 1:
            raise ValueError(f"quantile={quantile} must be between 0 and 1")
        self.max_hard_examples = max_hard_examples
        self.min_loss = min_loss
        self.quantile = quantile
        self.image_side = image_side
        self.report_size = report_size
        self.process = process
        self.ranking = ranking
        self._buffer: list[HardExample] = []
        self._interval = array("d")  # finite losses since the last report
        self._nonfinite: list[HardExample] = []
        self._total_samples = 0
        self._reported_samples = 0
        self._nan_losses = 0
        self._infinite_losses = 0

    @property
    def buffer(self) -> tuple[HardExample, ...]:
        """The hardest samples, hardest first; of equal losses, the earliest first."""
        return tuple(self._buffer)

    @property
    def keys(self) -> frozenset[Key]:
        """Keys of the samples in the buffer."""
        return frozenset(example.key for example in self._buffer)

    @property
    def total_samples(self) -> int:
        """Number of losses so far, finite or not."""
        return self._total_samples

    @property
    def nonfinite_losses(self) -> int:
        """Number of NaN and infinite losses so far."""
        return self._nan_losses + self._infinite_losses

    @property
    def unreported_samples(self) -> int:
        """Number of losses since the last report."""
        return self._total_samples - self._reported_samples

    def update(
        self,
        step: int,
        keys: Sequence[Key],
        losses: Tensor,
        image: Callable[[int], Tensor] | None = None,
        details: Callable[[int], Mapping[str, Plain]] | None = None,
    ) -> int:
        """Add one batch, ``losses`` (B,) of the samples ``keys``; returns how many entered the buffer.

        ``image`` maps an index in the batch to a picture, uint8 (H, W, 3), such as ``images.__getitem__`` of a tensor
        (B, H, W, 3); ``details`` maps it to values to keep. Both are called only for samples that enter the buffer,
        ``details`` also for losses that are not finite. Raises ``ValueError``, changing nothing, for wrong shapes.
        """
        if losses.shape != (len(keys),):
            raise ValueError(f"losses have shape {tuple(losses.shape)}; {len(keys)} keys need shape ({len(keys)},)")
        values: list[float] = losses.tolist()
        # fast path: most batches have only finite losses, and none that is high
        is_finite = math.isfinite(sum(values))
        numbers = values if is_finite else [value for value in values if math.isfinite(value)]
        entering: list[HardExample] = []
        if numbers and max(numbers) > self._floor():
            places = self._entering(keys, values)
            entering = [self._example(step, keys, values, place, image, details) for place in places]
        if len(numbers) < len(values):
            nonfinite = [place for place, value in enumerate(values) if not math.isfinite(value)]
            self._note_nonfinite([self._example(step, keys, values, place, None, details) for place in nonfinite])
        self._interval.extend(numbers)
        self._total_samples += len(keys)
        self._insert(entering)
        return len(entering)

    def report(self, step: int) -> HardExampleReport:
        """Report the state at ``step`` and start a new interval."""
        report = HardExampleReport(
            step=step,
            entries=tuple(self._buffer[: self.report_size]),
            nonfinite=tuple(self._nonfinite),
            interval_losses=np.array(self._interval),
            interval_samples=self.unreported_samples,
            quantile=self.quantile,
            total_samples=self._total_samples,
            nan_losses=self._nan_losses,
            infinite_losses=self._infinite_losses,
            buffer_size=len(self._buffer),
            ranking=self.ranking,
        )
        self._interval, self._nonfinite = array("d"), []
        self._reported_samples = self._total_samples
        return report

    def forget(self) -> None:
        """Empty the buffer; counts stay."""
        self._buffer = []

    def state_dict(self) -> dict[str, Any]:
        """Copy the state as plain values and tensors, for a checkpoint."""
        return {
            "buffer": _to_tables(self._buffer),
            "nonfinite": _to_tables(self._nonfinite),
            "interval": torch.tensor(self._interval, dtype=torch.float64),
            "total_samples": self._total_samples,
            "reported_samples": self._reported_samples,
            "nan_losses": self._nan_losses,
            "infinite_losses": self._infinite_losses,
        }

    def load_state_dict(self, *states: Mapping[str, Any]) -> None:
        """Restore the ``state_dict()`` of a tracker, or of several merged into this one.

        If this buffer is smaller, the hardest samples stay.
        """
        self._buffer, self._nonfinite, self._interval = [], [], array("d")
        for state in states:
            self._insert([replace(entry, process=self.process) for entry in _entries(state["buffer"])])
            self._nonfinite += [replace(entry, process=self.process) for entry in _entries(state["nonfinite"])]
            self._interval.extend(_interval_losses(state["interval"]))
        self._nonfinite = sorted(self._nonfinite, key=time_of)[: self.report_size]
        self._total_samples = sum(state["total_samples"] for state in states)
        self._reported_samples = sum(state["reported_samples"] for state in states)
        self._nan_losses = sum(state["nan_losses"] for state in states)
        self._infinite_losses = sum(state["infinite_losses"] for state in states)

    def _floor(self) -> float:
        """The loss that a sample must exceed to enter the buffer."""
        if len(self._buffer) == self.max_hard_examples:
            return self._buffer[-1].loss
        return float(np.nextafter(self.min_loss, -math.inf))

    def _entering(self, keys: Sequence[Key], values: Sequence[float]) -> list[int]:
        """Indices in the batch of the samples that enter the buffer, hardest first."""
        floor = self._floor()
        kept = {entry.key: entry.loss for entry in self._buffer}
        hard = [place for place, value in enumerate(values) if floor < value < math.inf]
        entering: dict[Key, int] = {}
        for place in sorted(hard, key=lambda place: -values[place]):
            if keys[place] not in entering and values[place] > kept.get(keys[place], -math.inf):
                entering[keys[place]] = place
        # entries that stay compete with the new ones
        rivals = [loss for key, loss in kept.items() if key not in entering]
        return [
            place
            for rank, place in enumerate(entering.values())
            if rank + sum(loss >= values[place] for loss in rivals) < self.max_hard_examples
        ]

    def _example(
        self,
        step: int,
        keys: Sequence[Key],
        values: Sequence[float],
        place: int,
        image: Callable[[int], Tensor] | None,
        details: Callable[[int], Mapping[str, Plain]] | None,
    ) -> HardExample:
        return HardExample(
            key=keys[place],
            loss=values[place],
            step=step,
            process=self.process,
            image=None if image is None else _shrunk(image(place), self.image_side),
            details={} if details is None else dict(details(place)),
        )

    def _insert(self, candidates: list[HardExample]) -> None:
        """Insert examples and drop the easiest beyond the buffer's size."""
        if not candidates:
            return
        hardest: dict[Key, HardExample] = {}
        for example in (*self._buffer, *candidates):
            if example.key not in hardest or example.loss > hardest[example.key].loss:
                hardest[example.key] = example
        self._buffer = sorted(hardest.values(), key=hardness)[: self.max_hard_examples]

    def _note_nonfinite(self, nonfinite: list[HardExample]) -> None:
        nan_losses = sum(math.isnan(example.loss) for example in nonfinite)
        self._nan_losses += nan_losses
        self._infinite_losses += len(nonfinite) - nan_losses
        self._nonfinite = (self._nonfinite + nonfinite)[: self.report_size]


def _shrunk(image: Tensor, side: int) -> Tensor:
    """Copy an image to the CPU, shrunk proportionally until its longer side is at most ``side``."""
    if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[2] != 3:
        raise ValueError(f"an image is {image.dtype} of shape {tuple(image.shape)}; it must be torch.uint8 (H, W, 3)")
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image.detach().cpu().clone()
    planes = image.detach().permute(2, 0, 1)[None].float()
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = torch.nn.functional.interpolate(planes, size=size, mode="bilinear", antialias=True)
    return small[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().contiguous()


def _to_tables(entries: Iterable[HardExample]) -> list[dict[str, Any]]:
    """Convert entries to tables of columns, one for each set of details; numbers are tensors, which parse quickly."""

    def names_of(entry: HardExample) -> tuple[str, ...]:
        return tuple(entry.details)

    groups = [(names, list(group)) for names, group in groupby(sorted(entries, key=names_of), key=names_of)]
    return [
        {
            "keys": [entry.key for entry in group],
            "loss": _column([entry.loss for entry in group]),
            "step": _column([entry.step for entry in group]),
            "image": [entry.image for entry in group],
            "details": {name: _column([entry.details[name] for entry in group]) for name in names},
        }
        for names, group in groups
    ]


def _column(values: list[Plain]) -> Tensor | list[Plain]:
    if all(type(value) is float for value in values):
        return torch.tensor(values, dtype=torch.float64)
    if all(type(value) is int and value.bit_length() < 64 for value in values):
        return torch.tensor(values, dtype=torch.int64)
    return values


def _entries(tables: Iterable[Mapping[str, Any]]) -> Iterator[HardExample]:
    """Entries of ``_to_tables``, all of process 0; checkpoints of earlier versions have them one by one."""
    for table in tables:
        if "keys" not in table:
            yield HardExample(**table)
            continue
        names, columns = list(table["details"]), [_values(column) for column in table["details"].values()]
        rows = zip(*columns) if columns else [()] * len(table["keys"])
        for key, loss, step, image, row in zip(
            table["keys"], _values(table["loss"]), _values(table["step"]), table["image"], rows, strict=True
        ):
            yield HardExample(key, loss, step, image=image, details=dict(zip(names, row)))


def _values(column: Tensor | list[Plain]) -> list[Any]:
    return column.tolist() if isinstance(column, Tensor) else column


def _interval_losses(state: Tensor | Mapping[str, Any]) -> list[float]:
    """The saved losses of an interval; checkpoints of earlier versions have logarithmic histograms instead."""
    if isinstance(state, Tensor):
        losses: list[float] = state.tolist()
        return losses
    edge = 1.01 / 0.99
    middles = [(sign * 2 * edge**power / (edge + 1), count) for sign, power, count in state["bins"]]
    return [middle for middle, count in middles for _ in range(count)]
