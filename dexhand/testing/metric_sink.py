"""Conformance suite for ``MetricSink``: subclass it and define how to make the sink and how to read it back.

class TestMySink(MetricSinkConformance):
    def make_sink(self, folder):
        return MySink(folder / "metrics")

    def recorded(self, sink, folder):
        return {"losses/actor": [(64, 0.5), (128, 0.25)]}  # read from the file
"""

import math
from pathlib import Path

import pytest

from dexhand.core.interfaces import MetricSink

Series = dict[str, list[tuple[int, float]]]
"""Steps and values of each scalar, by name."""

ITERATION = "info/iteration"
"""The one scalar that ``TrainLoop`` passes in every call."""


class MetricSinkConformance:
    """Every clause of ``MetricSink``. A sink must have written everything once it is closed."""

    def make_sink(self, folder: Path) -> MetricSink:
        """Make a sink, which may write to ``folder``. The suite closes it."""
        raise NotImplementedError("A conformance suite needs make_sink(folder)")

    def recorded(self, sink: MetricSink, folder: Path) -> Series | None:
        """Read what a closed sink recorded; ``None`` if it keeps no record, which skips the checks of it."""
        raise NotImplementedError("A conformance suite needs recorded(sink, folder); return None if there is no record")

    def _read(self, sink: MetricSink, folder: Path) -> Series:
        sink.close()
        recorded = self.recorded(sink, folder)
        if recorded is None:
            pytest.skip(f"{type(sink).__name__} keeps no record that can be read back")
        return recorded

    def test_scalars_are_recorded_at_their_steps(self, tmp_path: Path) -> None:
        """Every value is recorded at its step, in order; calls may have different names."""
        sink = self.make_sink(tmp_path)
        sink.scalars(64, {ITERATION: 1.0, "losses/actor": 0.5})
        sink.scalars(128, {ITERATION: 2.0, "losses/actor": 0.25, "episodes/return": -3.0})
        recorded = self._read(sink, tmp_path)
        expected = {ITERATION: [(64, 1.0), (128, 2.0)], "losses/actor": [(64, 0.5), (128, 0.25)]}
        for name, series in {**expected, "episodes/return": [(128, -3.0)]}.items():
            assert recorded.get(name) == series, (
                f"{name} was given as (step, value) pairs {series}, but recorded as {recorded.get(name)}."
            )

    def test_values_are_copied(self, tmp_path: Path) -> None:
        """Later changes of the caller's dictionary change no record, and the sink does not change the dictionary."""
        sink, values = self.make_sink(tmp_path), {ITERATION: 1.0, "losses/actor": 0.5}
        sink.scalars(64, values)
        assert values == {ITERATION: 1.0, "losses/actor": 0.5}, (
            f"The sink changed the caller's dictionary to {values}; it must not."
        )
        values.update({"losses/actor": 99.0, "another": 1.0})
        recorded = self._read(sink, tmp_path)
        assert recorded.get("losses/actor") == [(64, 0.5)], (
            f"losses/actor was given as 0.5, but is recorded as {recorded.get('losses/actor')} after the caller "
            "changed its own dictionary: copy the values."
        )

    def test_what_is_not_finite_is_taken(self, tmp_path: Path) -> None:
        """NaN and infinity are accepted, so that the metrics of a diverging training are visible."""
        sink = self.make_sink(tmp_path)
        for step, value in ((64, math.nan), (128, math.inf), (192, 1.0)):
            sink.scalars(step, {ITERATION: 1.0, "losses/actor": value})
        recorded = self._read(sink, tmp_path)
        assert recorded.get("losses/actor", [])[-1:] == [(192, 1.0)], (
            "After NaN and infinity, the value 1.0 at step 192 was not recorded."
        )

    def test_names_of_every_kind_are_taken(self, tmp_path: Path) -> None:
        """Names may contain a colon, a slash or spaces, and may be long."""
        sink = self.make_sink(tmp_path)
        names = ["episodes/failure:hitting_ground", "a name with spaces", "x" * 200]
        sink.scalars(64, {ITERATION: 1.0, **dict.fromkeys(names, 2.0)})
        recorded = self._read(sink, tmp_path)
        lost = len(names) + 1 - len(recorded)
        assert lost == 0, f"Of the names {[ITERATION, *names]}, only {sorted(recorded)} were recorded."

    def test_closing_twice_is_fine(self, tmp_path: Path) -> None:
        """A second close does nothing, whether or not anything was recorded."""
        for values in ({}, {ITERATION: 1.0}):
            sink = self.make_sink(tmp_path)
            if values:
                sink.scalars(64, values)
            sink.close()
            sink.close()
