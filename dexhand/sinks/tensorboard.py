"""Metrics as TensorBoard event files."""

from pathlib import Path
from typing import TYPE_CHECKING, Mapping

from torch.utils.tensorboard import SummaryWriter

if TYPE_CHECKING:
    import numpy as np


class TensorBoardSink:
    """``MetricSink`` that writes event files into a folder."""

    def __init__(self, folder: Path, flush_seconds: int = 10) -> None:
        self._writer = SummaryWriter(str(folder), flush_secs=flush_seconds)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        for name, value in values.items():
            self._writer.add_scalar(name.replace(":", "_"), value, step)

    def images(self, step: int, images: "Mapping[str, np.ndarray]") -> None:
        """See ``MetricSink.images``."""
        for name, image in images.items():
            self._writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """See ``MetricSink.close``."""
        self._writer.close()
