"""Metric sinks with one fault each, and the checks of the conformance suite that must find it."""

import math
from collections.abc import Mapping

from planted import Faults

from dexhand.sinks.memory import MemorySink

FAULTS = Faults()
found_by = FAULTS.found_by


@found_by("scalars_are_recorded_at_their_steps")
class CountsCalls(MemorySink):
    """Takes the number of the call for the step."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        super().scalars(len(self.rows), values)


@found_by("scalars_are_recorded_at_their_steps")
class FixedColumns(MemorySink):
    """Those of the first call, as a CSV file has them."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        columns = self.rows[0][1] if self.rows else values
        super().scalars(step, {name: value for name, value in values.items() if name in columns})


@found_by("scalars_are_recorded_at_their_steps")
class LosesTheLast(MemorySink):
    """Writes when the next comes, and forgets what is pending when closed."""

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[tuple[int, dict[str, float]]] = []

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for row in self.pending:
            super().scalars(*row)
        self.pending = [(step, dict(values))]


@found_by("values_are_copied")
class KeepsTheDictionary(MemorySink):
    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.rows.append((step, values))  # type: ignore[arg-type]


@found_by("values_are_copied")
class AddsTheStep(MemorySink):
    """To the caller's own dictionary."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        values["step"] = step  # type: ignore[index]
        super().scalars(step, values)


@found_by("what_is_not_finite_is_taken")
class StopsAtNaN(MemorySink):
    is_broken = False

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.is_broken |= any(math.isnan(value) for value in values.values())
        if not self.is_broken:
            super().scalars(step, values)


@found_by("names_of_every_kind_are_taken")
class CutsNames(MemorySink):
    """What comes after a slash or a colon names one column."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        super().scalars(step, {name.split("/")[0]: value for name, value in values.items() if ":" not in name})


@found_by("closing_twice_is_fine")
class ClosesOnce(MemorySink):
    def close(self) -> None:
        assert not self.closed, "the file is closed already"
        super().close()
