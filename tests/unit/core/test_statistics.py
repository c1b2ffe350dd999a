"""Intervals cover what they estimate, and tests find as many differences that are not there as they say."""

import math

import numpy as np
import pytest

from dexhand.core.statistics import (
    Estimate,
    estimate_mean,
    estimate_mean_difference,
    estimate_rate,
    estimate_rate_difference,
    estimate_unpaired_rate_difference,
    fisher_p,
    holm,
    mcnemar_p,
    relabelling_p,
    sign_flip_p,
)


def covers(estimate: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth."""
    return estimate.low <= truth <= estimate.high


class TestRates:
    @pytest.mark.parametrize(
        ("successes", "trials", "low", "high"),
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_published_intervals_are_reproduced(self, successes: int, trials: int, low: float, high: float) -> None:
        """Newcombe's examples of Wilson's interval (1998, Statistics in Medicine 17, table I)."""
        estimate = estimate_rate(successes, trials)
        assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)

    def test_a_rate_lies_in_its_interval_also_at_the_ends(self) -> None:
        """Rounding errors put neither 0 nor 1 outside."""
        for trials in range(1, 200):
            assert covers(estimate_rate(0, trials), 0.0)
            assert covers(estimate_rate(trials, trials), 1.0)

    @pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
    def test_the_interval_covers_the_truth_as_often_as_it_says(self, rate: float) -> None:
        """In 4,000 tests of 50 episodes; coverage varies with the rate, because counts are whole numbers."""
        successes = np.random.default_rng(1).binomial(50, rate, 4000)
        share = np.mean([covers(estimate_rate(int(number), 50), rate) for number in successes])
        assert 0.93 < share < 0.98

    def test_the_interval_of_a_paired_difference_covers_the_truth(self) -> None:
        """A succeeds alone in 10 % of 60 pairs, B alone in 25 %."""
        counts = np.random.default_rng(2).multinomial(60, [0.10, 0.25, 0.65], 4000)
        share = np.mean([covers(estimate_rate_difference(int(a), int(b), 60), 0.15) for a, b, _ in counts])
        assert 0.94 < share < 0.98


class TestMeans:
    @pytest.mark.parametrize(("count", "quantile"), [(2, 12.7062), (5, 2.7764), (30, 2.0452), (1001, 1.9623)])
    def test_the_interval_is_students(self, count: int, quantile: float) -> None:
        """As printed tables of the t distribution have it, for 95 %."""
        values = np.arange(count) % 2.0
        half = quantile * values.std(ddof=1) / math.sqrt(count)
        estimate = estimate_mean(values.tolist())
        assert (estimate.high - estimate.low) / 2 == pytest.approx(half, rel=1e-4)

    def test_one_value_has_no_interval(self) -> None:
        """It says nothing about the others."""
        assert estimate_mean([3.0]) == Estimate(3.0, -math.inf, math.inf)

    def test_the_interval_covers_the_mean_of_returns_with_two_peaks(self) -> None:
        """Forty episodes, of which 30 % succeed and earn 100 more."""
        generator = np.random.default_rng(3)
        returns = 100.0 * (generator.random((2000, 40)) < 0.3) + generator.normal(size=(2000, 40))
        share = np.mean([covers(estimate_mean(row), 30.0) for row in returns])
        assert 0.93 < share < 0.97


class TestSignFlips:
    @pytest.mark.parametrize(
        ("differences", "p"),
        [
            ([1.0, 2.0, 3.0], 2 / 8),
            ([1.0, 2.0, -3.0], 1.0),
            ([5.0, 4.0, 3.0, -1.0], 4 / 16),
            ([0.0, 1.0, 0.0], 1.0),
            ([0.0, 0.0], 1.0),
            ([0.1] * 6, 2 / 64),
        ],
    )
    def test_few_differences_are_enumerated(self, differences: list[float], p: float) -> None:
        """All flips whose sum is at least as far from 0 as the observed one count."""
        assert sign_flip_p(differences) == p

    def test_random_flips_agree_with_all_of_them(self) -> None:
        """Zeros do not matter, so the same thirteen differences can be tested both ways, if a fourteenth is tiny."""
        differences = np.random.default_rng(4).normal(0.5, 1.0, 13).tolist()
        exact = sign_flip_p(differences)
        assert sign_flip_p([*differences, 1e-9]) == pytest.approx(exact, abs=0.01)

    def test_it_is_never_zero(self) -> None:
        """However clear the difference, the observed flip is one of them."""
        assert sign_flip_p([1.0] * 500) == pytest.approx(1e-4, rel=1e-3)

    @pytest.mark.parametrize("pairs", [10, 40])
    def test_alike_policies_are_rarely_called_different(self, pairs: int) -> None:
        """In 5 % of the comparisons, also with returns of two peaks."""
        generator = np.random.default_rng(5)
        returns = 50.0 * (generator.random((2, 400, pairs)) < 0.2) + generator.exponential(size=(2, 400, pairs))
        share = np.mean([sign_flip_p(row) < 0.05 for row in returns[1] - returns[0]])
        assert 0.02 < share < 0.08


class TestMcNemar:
    @pytest.mark.parametrize(
        ("only_a", "only_b", "p"), [(1, 9, 22 / 1024), (9, 1, 22 / 1024), (0, 6, 2 / 64), (0, 0, 1.0), (5, 5, 1.0)]
    )
    def test_small_counts_are_exact(self, only_a: int, only_b: int, p: float) -> None:
        """Twice the tail of a binomial distribution."""
        assert mcnemar_p(only_a, only_b) == p

    def test_large_counts_are_no_problem(self) -> None:
        """Numbers with thousands of digits; the normal distribution gives nearly the same."""
        z = (5200 - 4800 - 1) / math.sqrt(10_000)
        assert mcnemar_p(4800, 5200) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.01)

    def test_alike_policies_are_rarely_called_different(self) -> None:
        """In at most 5 % of the comparisons."""
        counts = np.random.default_rng(6).binomial(40, 0.5, 4000)
        share = np.mean([mcnemar_p(int(number), 40 - int(number)) < 0.05 for number in counts])
        assert 0.03 < share < 0.05


def test_several_tests_are_adjusted_for_their_number() -> None:
    """Holm's steps: the smallest times 3, the next times 2, and no step below the one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


class TestWithoutPairs:
    @pytest.mark.parametrize(
        ("a", "trials_a", "b", "trials_b", "low", "high"),
        [(48, 80, 56, 70, 0.0524, 0.3339), (3, 10, 9, 10, 0.1705, 0.8090), (0, 29, 5, 56, -0.0381, 0.1926)],
    )
    def test_published_intervals_of_rates_are_reproduced(
        self, a: int, trials_a: int, b: int, trials_b: int, low: float, high: float
    ) -> None:
        """Newcombe's examples (1998, Statistics in Medicine 17, 873-890, table II, method 10)."""
        estimate = estimate_unpaired_rate_difference(a, trials_a, b, trials_b)
        assert estimate.value == pytest.approx(b / trials_b - a / trials_a)
        assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=6e-5)

    def test_fishers_test_of_the_lady_who_tasted_tea(self) -> None:
        """She named three of four cups rightly in each of two groups."""
        assert fisher_p(3, 4, 1, 4) == pytest.approx(34 / 70)
        assert fisher_p(0, 4, 4, 4) == pytest.approx(2 / 70)
        assert fisher_p(5, 50, 5, 50) == 1.0

    def test_fishers_test_of_very_many_trials(self) -> None:
        """Whose number of tables no integer type holds."""
        assert fisher_p(40_000, 100_000, 40_100, 100_000) > 0.5
        assert fisher_p(40_000, 100_000, 42_000, 100_000) < 1e-6

    def test_the_interval_of_a_difference_of_means_covers_the_truth(self) -> None:
        """Of 12 and 30 values with unlike spreads."""
        generator = np.random.default_rng(5)
        samples = zip(generator.normal(1.0, 3.0, (2000, 12)), generator.normal(2.5, 1.0, (2000, 30)))
        share = np.mean([covers(estimate_mean_difference(a, b), 1.5) for a, b in samples])
        assert 0.935 < share < 0.97

    def test_single_values_and_constant_ones(self) -> None:
        assert estimate_mean_difference([1.0], [2.0, 3.0]) == Estimate(1.5, -math.inf, math.inf)
        assert estimate_mean_difference([1.0, 1.0], [2.0, 2.0]) == Estimate(1.0, 1.0, 1.0)

    def test_relabelling_finds_what_is_there_and_rarely_what_is_not(self) -> None:
        generator = np.random.default_rng(6)
        assert relabelling_p(generator.normal(0, 1, 30), generator.normal(2, 1, 20)) < 0.001
        assert relabelling_p([1.0, 2.0], [1.0, 2.0]) == 1.0
        found = [relabelling_p(*generator.exponential(1, (2, 15))) < 0.05 for _ in range(40)]
        assert np.mean(found) < 0.12
