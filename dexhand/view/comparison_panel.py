"""How two policies compare that the live view shows side by side."""

from collections import deque
from html import escape
from typing import Any

import numpy as np
import viser
from viser import uplot

from dexhand.view.messages import Comparison

KEPT_POINTS = 1000
"""Newest points of a curve that are kept."""
COLOURS = ("#1971c2", "#e8590c")
"""Of A and B."""


class ComparisonPanel:
    """Results of A and B, and curves of their estimates with 95 % confidence bands."""

    def __init__(self, gui: viser.GuiApi, folder: viser.GuiFolderHandle) -> None:
        """Add its elements to ``folder``."""
        self._gui = gui
        self._folder = folder
        with folder:
            self._table = gui.add_html("")
        self._curves: dict[str, tuple[deque[tuple[float, ...]], Any]] = {}

    def show(self, comparison: Comparison) -> None:
        """Show the state of the comparison."""
        self._table.content = _table_html(comparison)
        for name, sides in comparison.curves.items():
            if name not in self._curves:
                self._curves[name] = deque(maxlen=KEPT_POINTS), self._add_plot(name)
            points, plot = self._curves[name]
            bounds = (bound for side in sides for bound in (side.low, side.value, side.high))
            values = np.array([comparison.pairs, *bounds])
            if np.isfinite(values).all():
                points.append(tuple(values.tolist()))
                plot.data = tuple(np.array(column) for column in zip(*points))

    def _add_plot(self, name: str) -> Any:
        series, bands = [uplot.Series(label="pairs")], []
        for side, colour in zip("AB", COLOURS):
            low = uplot.Series(label=f"{side} low", stroke=colour, width=0.3)
            high = uplot.Series(label=f"{side} high", stroke=colour, width=0.3)
            bands.append(uplot.Band(series=(len(series) + 2, len(series)), fill=f"{colour}33"))
            series += [low, uplot.Series(label=f"{name} of {side}", stroke=colour, width=2), high]
        with self._folder:
            return self._gui.add_uplot(
                tuple(np.zeros(0) for _ in series),
                tuple(series),
                bands=tuple(bands),
                scales={"x": uplot.Scale(time=False)},
                legend=uplot.Legend(show=False),
                title=f"{name}, over pairs",
                padding=(12, 12, 0, 0),
                height=150,
            )


def _table_html(comparison: Comparison) -> str:
    heads = "".join(
        f'<th style="color:{colour};opacity:1">{escape(name)}</th>' for name, colour in zip(comparison.names, COLOURS)
    )
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{_cell_html(cell)}</td>' for cell in cells)}</tr>"
        for name, cells in comparison.rows.items()
    )
    verdicts = "".join(f"<div>{escape(verdict)}</div>" for verdict in comparison.verdicts)
    return (
        f'<div class="dx"><table><tr><th>{comparison.pairs} pairs</th>{heads}</tr>{rows}</table>{verdicts}'
        '<div class="dim">95 % intervals; the same starts for both</div></div>'
    )


def _cell_html(cell: str) -> str:
    """Put the interval below the value, since the panel is narrow."""
    value, bracket, interval = cell.partition("[")
    return f'{escape(value)}<br><span class="dim">{bracket}{escape(interval)}</span>'
