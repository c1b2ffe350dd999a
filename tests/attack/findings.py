"""What a part of the attack counts and finds."""

import random
from collections.abc import Callable

import pytest

FIGURE = "attack figure "
"""Begins the names of figures among the properties of a test."""
MOST_FINDINGS = 20
"""As many end a part early."""


class Attack:
    """What one part draws from, counts and finds."""

    def __init__(self, seed: str, scale: float, record: Callable[[str, object], None]) -> None:
        self.draw = random.Random(seed)
        self.share = scale
        self._record = record
        self._findings: list[str] = []

    def times(self, full: int) -> int:
        """How often something is done, of ``full`` at scale 1."""
        return max(1, round(full * self.share))

    def report(self, what: str, figure: float | str) -> None:
        """Add a line to the table that is printed at the end."""
        self._record(FIGURE + what, f"{figure:,}" if isinstance(figure, int | float) else figure)

    def found(self, problem: str) -> None:
        """Keep what was broken; the part fails when it is done, or now if that is plenty."""
        self._findings.append(problem)
        if len(self._findings) >= MOST_FINDINGS:
            self.conclude()

    def conclude(self) -> None:
        """Fail where something was broken."""
        if self._findings:
            pytest.fail(f"{len(self._findings)} findings:\n" + "\n".join(self._findings), pytrace=False)
