"""Plots as SVG, drawn by matplotlib, readable on light and on dark pages. Pure: the same figures give the same bytes.

matplotlib writes one colour for each element. A style sheet in the picture replaces these colours where the reader's
page is dark, and works in a picture within a page: https://developer.mozilla.org/docs/Web/CSS/@media/prefers-color-scheme
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from matplotlib.transforms import Bbox

_INK, _DIM, _GRID, _PAGE, _GOOD, _BAD = "#1f2328", "#59636e", "#d1d9e0", "#ffffff", "#dafbe1", "#ffd8d3"
# One colour for one contender, in all plots.
_CONTENDERS = {"this type": "#0969da", "in hundreds": "#bc4c00", "CDK": "#8250df", "force": "#1a7f37"}
# The colour of each of these on a dark page.
DARK = {
    _INK: "#e6edf3",
    _DIM: "#9198a1",
    _GRID: "#3d444d",
    _PAGE: "#0d1117",
    _GOOD: "#12341f",
    _BAD: "#5a1e1b",
    "#0969da": "#58a6ff",
    "#bc4c00": "#f0883e",
    "#8250df": "#bc8cff",
    "#1a7f37": "#3fb950",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, so that it can be searched and read aloud
    "svg.hashsalt": "autopurge",  # the same ids each time
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _DIM,
    "axes.edgecolor": _GRID,
    "xtick.color": _DIM,
    "ytick.color": _DIM,
    "grid.color": _GRID,
    "figure.facecolor": _PAGE,
    "axes.facecolor": _PAGE,
}
_LABEL_SPACE = 0.065  # the least distance of two labels, as a part of the height of the plot


def lines(title: str, unit: str, series: Mapping[str, Mapping[float, float]], *, log: bool) -> str:
    """A line for each contender's points; x is logarithmic, y too if ``log``, or begins at 0."""
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _page(title, width=7.6, height=3.9)
        axes.set_xscale("log")
        if log:
            axes.set_yscale("log")
        for name, points in series.items():
            xs = sorted(points)
            axes.plot(xs, [points[x] for x in xs], color=_CONTENDERS[name], linewidth=2, marker="o", markersize=4)
        if not log:
            axes.set_ylim(bottom=0)
        axes.set_xticks(sorted({x for points in series.values() for x in points}))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_xlabel("images")
        axes.set_ylabel(unit)
        axes.grid(axis="y")
        axes.spines[["top", "right"]].set_visible(False)
        _label_ends(axes, series)
        return _svg(figure)


def _label_ends(axes: Axes, series: Mapping[str, Mapping[float, float]]) -> None:
    """Name each line at its right end, with its last value; labels keep a distance from each other."""
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = sorted((to_axes.transform((max(points), points[max(points)]))[1], name) for name, points in series.items())
    lowest = 0.0
    for height, name in ends:
        y = max(height, lowest)
        lowest = y + _LABEL_SPACE
        words = f"{name}: {series[name][max(series[name])]:,.4g}"
        axes.text(1.03, y, words, color=_CONTENDERS[name], transform=axes.transAxes, verticalalignment="center")


def matrix(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[int]]) -> str:
    """A table of numbers of images: 0 is good."""
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _page(title, width=1.9 + 1.15 * len(columns), height=1.1 + 0.32 * len(rows))
        cells = [[f"{number:,} left" if number else "empty" for number in numbers] for numbers in rows.values()]
        colours = [[_BAD if number else _GOOD for number in numbers] for numbers in rows.values()]
        table = axes.table(
            cells,
            cellColours=colours,
            cellLoc="center",
            rowLabels=list(rows),
            colLabels=list(columns),
            bbox=Bbox.unit(),
        )
        table.auto_set_font_size(False)
        for cell in table.get_celld().values():
            cell.set_edgecolor(_PAGE)
            cell.set_linewidth(2)
        axes.set_axis_off()
        return _svg(figure)


def _page(title: str, width: float, height: float) -> tuple[Figure, Axes]:
    """An empty plot of so many inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    figure.suptitle(title, x=0.02, horizontalalignment="left", fontsize=13, fontweight="bold")
    axes = figure.add_subplot()
    return figure, axes


def _svg(figure: Figure) -> str:
    """The picture, with the style sheet for dark pages."""
    written = io.StringIO()
    figure.savefig(
        written, format="svg", bbox_inches="tight", pad_inches=0.15, metadata={"Date": None, "Creator": None}
    )
    rules = "".join(
        f'[style*="fill: {light}"]{{fill:{dark}!important}}[style*="stroke: {light}"]{{stroke:{dark}!important}}'
        for light, dark in DARK.items()
    )
    style = f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"
    head, defs, rest = written.getvalue().partition(" <defs>")
    return f"{head} {style}\n{defs}{rest}"
