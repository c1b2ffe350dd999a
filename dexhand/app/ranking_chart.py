"""A drawing of estimates over iterations, with their confidence bands, as SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from dexhand.core.statistics import Estimate

_WIDTH, _HEIGHT = 640, 220
"""Of one curve's panel, pixels."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 28, 24
_COLOURS = ("#2f9e44", "#1971c2")


def ranking_chart(iterations: Sequence[int], curves: Mapping[str, Sequence[Estimate]]) -> str:
    """Draw each of ``curves``, which have one estimate per iteration, in a panel of its own."""
    panels = [
        f'<g transform="translate(0 {index * _HEIGHT})">{_panel(name, iterations, estimates, colour)}</g>'
        for index, ((name, estimates), colour) in enumerate(zip(curves.items(), _COLOURS))
    ]
    size = f'width="{_WIDTH}" height="{len(panels) * _HEIGHT}"'
    style = 'style="background:#fff;font:12px sans-serif"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(panels)}</svg>\n'


def _panel(name: str, iterations: Sequence[int], estimates: Sequence[Estimate], colour: str) -> str:
    value = np.array([estimate.value for estimate in estimates])
    low, high = (
        np.where(np.isfinite(bound), bound, value)
        for bound in np.array([(estimate.low, estimate.high) for estimate in estimates]).T
    )
    x_ticks, y_ticks = _ticks(min(iterations), max(iterations)), _ticks(low.min(), high.max())
    x = _scaled(np.array(iterations, float), x_ticks, _LEFT, _WIDTH - _RIGHT)

    def y(values: np.ndarray) -> np.ndarray:
        return _scaled(values, y_ticks, _HEIGHT - _BOTTOM, _TOP)

    grid = "".join(
        f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>'
        f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick, at in zip(y_ticks, y(np.array(y_ticks)))
    )
    places = _scaled(np.array(x_ticks), x_ticks, _LEFT, _WIDTH - _RIGHT)
    labels = "".join(
        f'<text x="{at:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{tick:g}</text>'
        for tick, at in zip(x_ticks, places)
    )
    band = _points([*x, *x[::-1]], [*y(low), *y(high)[::-1]])
    dots = "".join(
        f'<circle cx="{at:.1f}" cy="{height:.1f}" r="2.5" fill="{colour}"/>' for at, height in zip(x, y(value))
    )
    title = f'<text x="{_LEFT}" y="16" font-weight="bold">{escape(name)} over iterations, 95 % intervals</text>'
    curve = f'<polyline points="{_points(x, y(value))}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return f'{title}{grid}{labels}<polygon points="{band}" fill="{colour}" opacity=".2"/>{curve}{dots}'


def _ticks(low: float, high: float) -> list[float]:
    """Four to nine round numbers whose first and last enclose ``low`` and ``high``."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    step *= next(factor for factor in (0.2, 0.5, 1.0, 2.0) if span / (step * factor) <= 6)
    return [index * step for index in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _scaled(values: np.ndarray, ticks: Sequence[float], start: float, end: float) -> np.ndarray:
    return start + (values - ticks[0]) / ((ticks[-1] - ticks[0]) or 1.0) * (end - start)


def _points(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> str:
    return " ".join(f"{at:.1f},{height:.1f}" for at, height in zip(x, y))
