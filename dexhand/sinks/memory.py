"""Metrics kept in memory, for tests and notebooks."""

from collections.abc import Mapping


class MemorySink:
    """``MetricSink`` that keeps everything."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.closed = False

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See ``MetricSink.scalars``."""
        self.rows.append((step, dict(values)))

    def close(self) -> None:
        """See ``MetricSink.close``."""
        self.closed = True

    def series(self, name: str) -> list[float]:
        """All values of one scalar, in order."""
        return [values[name] for _, values in self.rows if name in values]
