"""Plots as SVG, readable on light and on dark pages. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

_STYLE = """<style>
svg{font:13px system-ui,-apple-system,"Segoe UI",sans-serif}
.page{fill:#fff}text{fill:#1f2328}.dim{fill:#59636e}.title{font-size:16px;font-weight:600}
.grid{stroke:#d1d9e0;stroke-width:1}.line{fill:none;stroke-width:2.5}
.c0{stroke:#0969da;fill:#0969da}.c1{stroke:#bc4c00;fill:#bc4c00}.c2{stroke:#8250df;fill:#8250df}
.c3{stroke:#57606a;fill:#57606a}.good{fill:#dafbe1}.bad{fill:#ffd8d3}text.c0,text.c1,text.c2,text.c3{stroke:none}
.line.c0,.line.c1,.line.c2,.line.c3{fill:none}
@media (prefers-color-scheme:dark){.page{fill:#0d1117}text{fill:#e6edf3}.dim{fill:#9198a1}.grid{stroke:#3d444d}
.c0{stroke:#58a6ff;fill:#58a6ff}.c1{stroke:#f0883e;fill:#f0883e}.c2{stroke:#bc8cff;fill:#bc8cff}
.c3{stroke:#9198a1;fill:#9198a1}.good{fill:#12341f}.bad{fill:#5a1e1b}}
</style>"""
_LEFT, _TOP, _WIDTH, _HEIGHT, _LABELS = 64, 52, 460, 260, 230  # of the plane of a line plot, in px
_LINE_PX = 17


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
    page = f'<rect class="page" width="{width:.0f}" height="{height:.0f}" rx="6"/>'
    return "\n".join(
        [head, f"<title>{escape(title)}</title>", _STYLE, page, _text(16, 28, title, "title"), *parts, "</svg>\n"]
    )


def lines(title: str, unit: str, series: Mapping[str, Mapping[float, float]], *, log: bool) -> str:
    """A line for each series of points; x is logarithmic, y too if ``log``, or begins at 0."""
    xs = sorted({x for points in series.values() for x in points})
    ys = [y for points in series.values() for y in points.values()]
    low = math.floor(math.log10(min(ys))) if log else 0.0
    high = math.ceil(math.log10(max(ys))) if log else max(ys) * 1.1
    span = math.log10(xs[-1] / xs[0])

    def place(x: float, y: float) -> tuple[float, float]:
        up = ((math.log10(y) if log else y) - low) / (high - low)
        return _LEFT + _WIDTH * math.log10(x / xs[0]) / span, _TOP + _HEIGHT * (1 - up)

    ticks = [10.0**power for power in range(int(low), int(high) + 1)] if log else _even_ticks(high)
    parts = []
    for tick in ticks:
        y = place(xs[0], tick)[1]
        parts += [
            f'<path class="grid" d="M{_LEFT} {y:.1f}h{_WIDTH}"/>',
            _text(_LEFT - 8, y + 4, f"{tick:,g}", "dim", "end"),
        ]
    parts += [_text(place(x, ticks[-1])[0], _TOP + _HEIGHT + 20, f"{x:,.0f}", "dim", "middle") for x in xs]
    parts += [_text(_LEFT + _WIDTH / 2, _TOP + _HEIGHT + 40, "images", "dim", "middle"), _text(16, 44, unit, "dim")]
    ends = []
    for number, (name, points) in enumerate(series.items()):
        places = [place(x, y) for x, y in sorted(points.items())]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="line c{number}" d="M{path}"/>')
        parts += [f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
        ends.append((places[-1][1], number, f"{name}: {points[max(points)]:,.4g}"))
    below = 0.0
    for y, number, words in sorted(ends):
        below = max(y + 4, below + _LINE_PX)
        parts.append(_text(_LEFT + _WIDTH + 12, below, words, f"c{number}"))
    return _svg(_LEFT + _WIDTH + _LABELS, _TOP + _HEIGHT + 54, title, parts)


def _even_ticks(high: float) -> list[float]:
    step = 10 ** math.floor(math.log10(high))
    step = step if high / step > 2.5 else step / 4
    return [step * number for number in range(int(high / step) + 1)]


def matrix(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[int]], note: str) -> str:
    """A table of numbers of images: 0 is good."""
    first, wide, high = 260, 118, 30
    width, top = first + wide * len(columns) + 16, 84
    parts = [_text(16, 48, note, "dim")]
    for column, name in enumerate(columns):
        parts.append(_text(first + wide * (column + 0.5), top - 10, name, "dim", "middle"))
    for row, (name, numbers) in enumerate(rows.items()):
        y = top + high * row
        parts.append(_text(16, y + 20, name))
        for column, number in enumerate(numbers):
            x = first + wide * column
            kind = "bad" if number else "good"
            parts.append(
                f'<rect class="{kind}" x="{x + 2}" y="{y + 2}" width="{wide - 4}" height="{high - 4}" rx="4"/>'
            )
            parts.append(_text(x + wide / 2, y + 20, f"{number:,} left" if number else "empty", "", "middle"))
    return _svg(width, top + high * len(rows) + 16, title, parts)
