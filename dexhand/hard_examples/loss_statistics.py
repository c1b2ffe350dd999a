"""Statistics of a stream of numbers in bounded memory, which several processes can add together.

Quantiles come from a DDSketch: Masson, Rim and Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", VLDB 2019. Numbers fall into bins whose edges are powers of gamma = (1 + e) / (1 - e); the
middle of a bin is then within the relative error e of everything in it, whatever the distribution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

RELATIVE_ERROR = 0.01
"""Of every quantile, as a part of the exact one."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PENDING = 4096
"""Numbers that wait for their bins, so that adding a few costs next to nothing."""


class LossStatistics:
    """Count, mean, extremes and quantiles of all finite numbers added so far.

    Holds one integer for each bin that is not empty. There are at most 2 x 8,750 for float32 numbers of any size, and
    about 200 for losses between 0.1 and 10.
    """

    def __init__(self) -> None:
        self._bins: dict[tuple[int, int], int] = {}  # (sign, power of gamma): how many
        self._count = 0
        self._sum = 0.0
        self._minimum = math.inf
        self._maximum = -math.inf
        self._pending: list[float] = []

    def add(self, values: Sequence[float]) -> None:
        """Take note of finite numbers."""
        self._pending.extend(values)
        if len(self._pending) >= _PENDING:
            self._flush()

    def merge(self, other: LossStatistics) -> None:
        """Add what ``other`` has seen: the result is that of one stream."""
        self._flush()
        other._flush()
        for bin_, count in other._bins.items():
            self._bins[bin_] = self._bins.get(bin_, 0) + count
        self._count += other._count
        self._sum += other._sum
        self._minimum = min(self._minimum, other._minimum)
        self._maximum = max(self._maximum, other._maximum)

    @property
    def count(self) -> int:
        """How many numbers there were."""
        return self._count + len(self._pending)

    @property
    def mean(self) -> float:
        """NaN where there was none."""
        self._flush()
        return self._sum / self._count if self._count else math.nan

    @property
    def minimum(self) -> float:
        """NaN where there was none."""
        self._flush()
        return self._minimum if self._count else math.nan

    @property
    def maximum(self) -> float:
        """NaN where there was none."""
        self._flush()
        return self._maximum if self._count else math.nan

    def quantile(self, q: float) -> float:
        """The number of rank floor(q (n - 1)) among n, within ``RELATIVE_ERROR`` of it; NaN where there was none.

        Raises ``ValueError`` for a ``q`` outside [0, 1].
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q={q} is no quantile. It must be between 0 and 1")
        self._flush()
        if not self._count:
            return math.nan
        left = math.floor(q * (self._count - 1))
        for sign, power in sorted(self._bins, key=lambda bin_: bin_[0] * (bin_[1] + _LIFT)):
            left -= self._bins[sign, power]
            if left < 0:
                break
        middle = sign * 2 * _GAMMA**power / (_GAMMA + 1)
        return min(max(middle, self._minimum), self._maximum)

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        self._flush()
        return {
            "bins": [[sign, power, count] for (sign, power), count in sorted(self._bins.items())],
            "count": self._count,
            "sum": self._sum,
            "minimum": self._minimum,
            "maximum": self._maximum,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> LossStatistics:
        """What ``state_dict`` described."""
        statistics = cls()
        statistics._bins = {(sign, power): count for sign, power, count in state["bins"]}
        statistics._count, statistics._sum = state["count"], state["sum"]
        statistics._minimum, statistics._maximum = state["minimum"], state["maximum"]
        return statistics

    def _flush(self) -> None:
        """Put what is pending into its bins."""
        if not self._pending:
            return
        values = np.array(self._pending, dtype=np.float64)
        self._pending = []
        self._count += len(values)
        self._sum += math.fsum(values)
        self._minimum = min(self._minimum, float(values.min()))
        self._maximum = max(self._maximum, float(values.max()))
        for sign in (-1, 0, 1):
            magnitudes = np.abs(values[np.sign(values) == sign])
            powers = np.ceil(np.log(magnitudes) / math.log(_GAMMA)) if sign else np.zeros(len(magnitudes))
            for power, count in zip(*np.unique(powers.astype(np.int64), return_counts=True)):
                bin_ = (sign, int(power))
                self._bins[bin_] = self._bins.get(bin_, 0) + int(count)


_LIFT = 100_000
"""More than any power of gamma that a float64 can need, so that sign x (power + lift) orders the bins by value."""
