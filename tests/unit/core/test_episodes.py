"""Statistics of finished episodes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexhand.core.episodes import Episode, Statistics, Summary


def episode(episode_return: float, length: int = 10, outcome: str = "timeout", mixed: bool = False) -> Episode:
    """An episode of which only this matters."""
    return Episode(1, 0, episode_return, length, outcome, iteration=1, mixed=mixed)


def test_the_summary_is_what_one_computes_by_hand() -> None:
    """Returns 1 and 3: mean 2, standard deviation 1; one success in two, one mixed."""
    summary = Summary.of([episode(1.0, 10, "success:even", mixed=True), episode(3.0, 30)])
    assert summary.to_dict() == {
        "games": 2,
        "mixed": 1,
        "mean_return": 2.0,
        "std_return": 1.0,
        "mean_length": 20.0,
        "success_rate": 0.5,
        "outcomes": {"success:even": 1, "timeout": 1},
    }


def test_no_episodes_have_no_mean() -> None:
    """Rather than a zero that looks like a result."""
    assert Summary.of([]).mean_return is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_running_statistics_equal_those_of_the_whole_list(returns: list[float]) -> None:
    """One episode at a time, without keeping them."""
    running = Statistics()
    for value in returns:
        running.add(episode(value))
    summary = running.summary()
    assert summary.mean_return == pytest.approx(np.mean(returns), abs=1e-6)
    assert summary.std_return == pytest.approx(np.std(returns), abs=1e-3)
