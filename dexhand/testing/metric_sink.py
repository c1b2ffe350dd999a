"""Conformance suite for ``MetricSink``: subclass it and say how to make the sink, and how to read it back.

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

ALWAYS = "info/iteration"
"""The one scalar that ``TrainLoop`` gives in every call."""


class MetricSinkConformance:
    """Every clause of ``MetricSink``. A closed sink has written out everything."""

    def make_sink(self, folder: Path) -> MetricSink:
        """A sink, which may write into ``folder``. The suite closes it."""
        raise NotImplementedError("A conformance suite needs make_sink(folder)")

    def recorded(self, sink: MetricSink, folder: Path) -> Series | None:
        """What a closed sink has recorded; ``None`` where it keeps no record, and the checks of it are skipped."""
        raise NotImplementedError("A conformance suite needs recorded(sink, folder); return None if there is no record")

    def _read(self, sink: MetricSink, folder: Path) -> Series:
        sink.close()
        recorded = self.recorded(sink, folder)
        if recorded is None:
            pytest.skip(f"{type(sink).__name__} keeps no record that could be read back")
        return recorded

    def test_scalars_are_recorded_at_their_steps(self, tmp_path: Path) -> None:
        """In order, every value at the step it was given for; not every call has the same names."""
        sink = self.make_sink(tmp_path)
        sink.scalars(64, {ALWAYS: 1.0, "losses/actor": 0.5})
        sink.scalars(128, {ALWAYS: 2.0, "losses/actor": 0.25, "episodes/return": -3.0})
        recorded = self._read(sink, tmp_path)
        expected = {ALWAYS: [(64, 1.0), (128, 2.0)], "losses/actor": [(64, 0.5), (128, 0.25)]}
        for name, series in {**expected, "episodes/return": [(128, -3.0)]}.items():
            assert recorded.get(name) == series, (
                f"{name} was given as {series} and is recorded as {recorded.get(name)}."
            )

    def test_values_are_copied(self, tmp_path: Path) -> None:
        """What the caller does with its dictionary later changes no record; the sink changes nothing in it."""
        sink, values = self.make_sink(tmp_path), {ALWAYS: 1.0, "losses/actor": 0.5}
        sink.scalars(64, values)
        assert values == {ALWAYS: 1.0, "losses/actor": 0.5}, f"The sink changed the values it was given to {values}."
        values.update({"losses/actor": 99.0, "another": 1.0})
        recorded = self._read(sink, tmp_path)
        assert recorded.get("losses/actor") == [(64, 0.5)], (
            f"The value given was 0.5, and the record says {recorded.get('losses/actor')} after the caller changed its "
            "own dictionary: copy it."
        )

    def test_what_is_not_finite_is_taken(self, tmp_path: Path) -> None:
        """A training that diverges must be seen to diverge, not die of its metrics."""
        sink = self.make_sink(tmp_path)
        for step, value in ((64, math.nan), (128, math.inf), (192, 1.0)):
            sink.scalars(step, {ALWAYS: 1.0, "losses/actor": value})
        recorded = self._read(sink, tmp_path)
        assert recorded.get("losses/actor", [])[-1:] == [(192, 1.0)], (
            "After NaN and infinity nothing is recorded any more."
        )

    def test_names_of_every_kind_are_taken(self, tmp_path: Path) -> None:
        """Outcomes have a colon, terms a slash; a name may be long."""
        sink = self.make_sink(tmp_path)
        names = ["episodes/failure:hitting_ground", "a name with spaces", "x" * 200]
        sink.scalars(64, {ALWAYS: 1.0, **dict.fromkeys(names, 2.0)})
        recorded = self._read(sink, tmp_path)
        lost = len(names) + 1 - len(recorded)
        assert lost == 0, f"Of the names {[ALWAYS, *names]} only {sorted(recorded)} are recorded."

    def test_closing_twice_is_fine(self, tmp_path: Path) -> None:
        """With and without anything recorded."""
        for values in ({}, {ALWAYS: 1.0}):
            sink = self.make_sink(tmp_path)
            if values:
                sink.scalars(64, values)
            sink.close()
            sink.close()
