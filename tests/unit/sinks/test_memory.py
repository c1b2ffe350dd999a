"""Metrics in memory."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from dexhand.core.interfaces import MetricSink
from dexhand.sinks.memory import MemorySink
from dexhand.testing.metric_sink import MetricSinkConformance, Series


class TestContract(MetricSinkConformance):
    def make_sink(self, folder: Path) -> MetricSink:
        return MemorySink()

    def recorded(self, sink: Any, folder: Path) -> Series:
        series: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for step, values in sink.rows:
            for name, value in values.items():
                series[name].append((step, value))
        return series


def test_a_series_is_all_values_of_one_scalar() -> None:
    """In order; calls without it are passed over."""
    sink = MemorySink()
    for step, values in enumerate(({"a": 1.0}, {"b": 5.0}, {"a": 2.0, "b": 6.0})):
        sink.scalars(step, values)
    assert sink.series("a") == [1.0, 2.0]
    assert sink.series("c") == []
