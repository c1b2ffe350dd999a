"""Metrics kept in memory, for tests and notebooks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class MemorySink:
    """``MetricSink`` that remembers everything."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.pictures: list[tuple[int, str, np.ndarray]] = []
        self.closed = False

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        self.rows.append((step, dict(values)))

    def images(self, step: int, images: "Mapping[str, np.ndarray]") -> None:
        """See ``MetricSink.images``."""
        self.pictures.extend((step, name, image.copy()) for name, image in images.items())

    def close(self) -> None:
        """See ``MetricSink.close``."""
        self.closed = True

    def series(self, name: str) -> list[float]:
        """All values of one scalar, in order."""
        return [values[name] for _, values in self.rows if name in values]
