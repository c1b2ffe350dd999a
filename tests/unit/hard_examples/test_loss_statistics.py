"""Streaming statistics against exact ones."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexhand.hard_examples.loss_statistics import RELATIVE_ERROR, LossStatistics

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=60)


def of(numbers: list[float], batch: int = 7) -> LossStatistics:
    """What a stream of small batches leads to."""
    statistics = LossStatistics()
    for start in range(0, len(numbers), batch):
        statistics.add(numbers[start : start + batch])
    return statistics


@given(NUMBERS, st.floats(0, 1))
def test_quantiles_are_within_the_stated_error_of_exact_ones(numbers: list[float], q: float) -> None:
    """Whatever the numbers: negative, zero, tiny, huge."""
    exact = sorted(numbers)[math.floor(q * (len(numbers) - 1))]
    assert of(numbers).quantile(q) == pytest.approx(exact, rel=RELATIVE_ERROR * (1 + 1e-6), abs=0)


@given(NUMBERS)
def test_count_mean_and_extremes_are_exact(numbers: list[float]) -> None:
    """Up to rounding of the mean."""
    statistics = of(numbers)
    assert statistics.count == len(numbers)
    assert (statistics.minimum, statistics.maximum) == (min(numbers), max(numbers))
    assert statistics.mean == pytest.approx(math.fsum(numbers) / len(numbers), rel=1e-9)


@given(NUMBERS, NUMBERS)
def test_merged_statistics_are_those_of_one_stream(one: list[float], other: list[float]) -> None:
    """Bins and counts; the sum is the same up to rounding."""
    merged = of(one)
    merged.merge(of(other))
    together, state = of(one + other).state_dict(), merged.state_dict()
    rounding = 1e-12 * math.fsum(map(abs, one + other))
    assert state.pop("sum") == pytest.approx(together.pop("sum"), abs=rounding)
    assert state == together


@given(NUMBERS)
def test_statistics_continue_from_a_saved_state(numbers: list[float]) -> None:
    """Saved, and sent to another process."""
    statistics = of(numbers)
    for copy in (LossStatistics.from_state(statistics.state_dict()), pickle.loads(pickle.dumps(statistics))):
        assert copy.state_dict() == statistics.state_dict()


def test_without_numbers_there_is_nothing_to_say() -> None:
    """NaN, not 0."""
    empty = LossStatistics()
    assert empty.count == 0
    assert all(math.isnan(value) for value in (empty.mean, empty.minimum, empty.maximum, empty.quantile(0.5)))


def test_memory_does_not_grow_with_the_stream() -> None:
    """Twenty times the numbers, the same bins."""
    numbers = np.random.default_rng(0).uniform(0.5, 10.0, 5_000).tolist()
    statistics = LossStatistics()
    statistics.add(numbers)
    size = len(statistics.state_dict()["bins"])
    for _ in range(20):
        statistics.add(numbers)
    assert len(statistics.state_dict()["bins"]) == size < 200


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_what_is_no_quantile_is_refused(q: float) -> None:
    """Beyond 0 and 1."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        LossStatistics().quantile(q)
