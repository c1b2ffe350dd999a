"""Confidence intervals and paired tests that assume little about the distribution of returns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

CONFIDENCE = 0.95
"""Level of every interval."""
Z = 1.959963984540054
"""Two-sided quantile of the normal distribution at ``CONFIDENCE``."""
FLIPS = 10_000
"""Random sign flips of ``sign_flip_p``, unless all can be enumerated."""
ENUMERATED = 13
"""Up to so many differences other than 0, ``sign_flip_p`` is exact: 2 ** 13 < ``FLIPS``."""
_CHUNK = 4_000_000
"""Random values that are drawn at a time."""


@dataclass(frozen=True)
class Estimate:
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def estimate_rate(successes: int, trials: int) -> Estimate:
    """Estimate a success rate, with Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212)."""
    rate, shrinkage = successes / trials, 1.0 / (1.0 + Z**2 / trials)
    centre = (rate + Z**2 / (2 * trials)) * shrinkage
    half = Z * math.sqrt(rate * (1 - rate) / trials + Z**2 / (4 * trials**2)) * shrinkage
    return Estimate(rate, min(max(centre - half, 0.0), rate), max(min(centre + half, 1.0), rate))


def estimate_mean(values: Sequence[float]) -> Estimate:
    """Estimate a mean, with Student's t interval (Student 1908, Biometrika 6, 1-25); unbounded for a single value.

    It needs means to be nearly normal, which those of some thirty values are, even of values with two peaks.
    """
    numbers = np.asarray(values, dtype=np.float64)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Estimate(mean, -math.inf, math.inf)
    half = _student_t(len(numbers) - 1) * float(numbers.std(ddof=1)) / math.sqrt(len(numbers))
    return Estimate(mean, mean - half, mean + half)


def estimate_rate_difference(only_a: int, only_b: int, pairs: int) -> Estimate:
    """Estimate by how much B's success rate is above A's in ``pairs``, of which one of the two succeeds in some.

    The interval is Bonett and Price's adjusted Wald interval (2012, J. Educ. Behav. Stat. 37, 479-488).
    """
    a, b = (only_a + 1) / (pairs + 2), (only_b + 1) / (pairs + 2)
    half = Z * math.sqrt((a + b - (b - a) ** 2) / (pairs + 2))
    return Estimate((only_b - only_a) / pairs, max(b - a - half, -1.0), min(b - a + half, 1.0))


def estimate_mean_difference(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Estimate by how much the mean of ``b`` is above that of ``a``, which have no pairs.

    The interval is Welch's (1947, Biometrika 34, 28-35), with whole degrees of freedom; unbounded for single values.
    """
    (mean_a, error_a), (mean_b, error_b) = (
        (float(np.mean(values)), float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else math.inf)
        for values in (a, b)
    )
    difference, error = mean_b - mean_a, error_a + error_b
    if error in (0.0, math.inf):
        return Estimate(difference, difference - error, difference + error)
    degrees = error**2 / (error_a**2 / (len(a) - 1) + error_b**2 / (len(b) - 1))
    half = _student_t(max(int(degrees), 1)) * math.sqrt(error)
    return Estimate(difference, difference - half, difference + half)


def estimate_unpaired_rate_difference(a: int, trials_a: int, b: int, trials_b: int) -> Estimate:
    """Estimate by how much a rate of ``b`` successes is above one of ``a``, in trials that have no pairs.

    The interval joins both of ``estimate_rate`` (Newcombe 1998, Stat. Med. 17, 873-890, method 10).
    """
    first, second = estimate_rate(a, trials_a), estimate_rate(b, trials_b)
    difference = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Estimate(difference, difference - below, difference + above)


def relabelling_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p-value of the hypothesis that each value could as well have been among the others.

    A permutation test of the difference of means (Pitman 1937, J. R. Stat. Soc. Suppl. 4, 119-130) with the observed
    permutation and ``FLIPS`` random ones, which are always the same.
    """
    values = np.concatenate((np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)))
    values -= values.mean()
    least = abs(values[: len(a)].sum()) - 1e-12 * abs(values).sum()  # equal sums may differ in their last bits
    generator = np.random.default_rng(0)
    extreme, left = 1, FLIPS
    while left:
        count = min(left, max(_CHUNK // len(values), 1))
        drawn = generator.permuted(np.broadcast_to(values, (count, len(values))), axis=1)
        extreme += int((abs(drawn[:, : len(a)].sum(axis=1)) >= least).sum())
        left -= count
    return extreme / (FLIPS + 1)


def fisher_p(a: int, trials_a: int, b: int, trials_b: int) -> float:
    """Two-sided p-value of the hypothesis that both succeed equally often: Fisher's exact test.

    Sums the probabilities of all tables with these margins that are no more likely than this one (Fisher 1935, J. R.
    Stat. Soc. 98, 39-82).
    """
    successes, trials = a + b, trials_a + trials_b

    def log_comb(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    def log_p(k: int) -> float:
        return log_comb(trials_a, k) + log_comb(trials_b, successes - k) - log_comb(trials, successes)

    tables = range(max(0, successes - trials_b), min(trials_a, successes) + 1)
    most = log_p(a) + 1e-9  # equal probabilities may differ in their last bits
    return min(math.fsum(math.exp(each) for each in map(log_p, tables) if each <= most), 1.0)


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of the hypothesis that each paired difference could as well have had the other sign.

    Fisher's randomisation test of the mean (1935, The Design of Experiments, section 21): exact for any distribution of
    returns. With many pairs it draws ``FLIPS`` of the flips, always the same ones, and counts the observed one among
    them, so that it is never 0 (Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9, 39).
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0.0]
    if len(values) == 0:
        return 1.0
    least = abs(values.sum()) - 1e-12 * abs(values).sum()  # equal sums may differ in their last bits
    if len(values) <= ENUMERATED:
        bits = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float((abs((2 * bits - 1) @ values) >= least).mean())
    generator = np.random.default_rng(0)
    extreme, left = 1, FLIPS
    while left:
        count = min(left, max(_CHUNK // len(values), 1))
        signs = 2.0 * generator.integers(0, 2, (count, len(values)), dtype=np.int8) - 1.0
        extreme += int((abs(signs @ values) >= least).sum())
        left -= count
    return extreme / (FLIPS + 1)


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Two-sided p-value of the hypothesis that A and B succeed equally often: McNemar's exact test.

    A binomial test of the pairs in which only one of them succeeds (McNemar 1947, Psychometrika 12, 153-157).
    """
    n, term, total = only_a + only_b, 1, 0
    for k in range(min(only_a, only_b) + 1):
        total += term
        term = term * (n - k) // (k + 1)
    return min(2 * total / (1 << n), 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several tests for their number (Holm 1979, Scand. J. Stat. 6, 65-70)."""
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min((len(p_values) - rank) * p_values[index], 1.0))
        adjusted[index] = largest
    return adjusted


@cache
def _student_t(degrees: int) -> float:
    """Two-sided quantile of Student's t distribution at ``CONFIDENCE``.

    With t = sqrt(degrees) tan(angle), the angle has a density proportional to cos(angle) ** (degrees - 1).
    """
    angles = np.linspace(0.0, math.pi / 2, 100_001)
    density = np.cos(angles) ** (degrees - 1)
    share = np.concatenate(([0.0], np.cumsum(density[1:] + density[:-1])))
    return math.sqrt(degrees) * math.tan(float(np.interp(CONFIDENCE * share[-1], share, angles)))
