"""Plots as SVG for a page of HTML. They take their colours from the page, and run no script. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from xml.etree import ElementTree

import pygal
from pygal.style import Style

# pygal adds an importer for plug-ins that has no find_spec: Python warns of it at each import that comes later.
sys.meta_path[:] = [each for each in sys.meta_path if hasattr(each, "find_spec")]

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="var(--text)",
    foreground_strong="var(--text)",
    foreground_subtle="var(--dim)",
    colors=("var(--bar)",),
    value_colors=("var(--text)",),
    opacity="1",
    opacity_hover="1",
    font_family="inherit",
    label_font_size=15,
    major_label_font_size=15,
    value_font_size=14,
)
_WIDTH, _BAR, _AXES = 560, 34, 70  # px


def bars(name: str, counts: Mapping[str, int]) -> str:
    """One horizontal bar for each entry, the first one on top. ``name`` is said to who cannot see the plot."""
    height = _AXES + _BAR * max(2, len(counts))
    chart = pygal.HorizontalBar(
        style=_STYLE,
        js=(),
        width=_WIDTH,
        height=height,
        show_legend=False,
        print_values=True,
        print_values_position="center",
        formatter=lambda value: f"{value:,.0f}" if value else "",
        show_y_guides=False,
        include_x_axis=True,
        truncate_label=24,
        min_scale=2,
        max_scale=5,
        margin=8,
        spacing=8,
    )
    chart.uuid = "plot-" + "-".join(name.lower().split())
    entries = list(counts.items())[::-1]
    chart.x_labels = [label for label, _ in entries]
    chart.add("images", [count for _, count in entries])
    svg = chart.render_tree()
    svg.set("role", "img")
    svg.set("aria-label", f"{name}: " + ", ".join(f"{label} {count:,}" for label, count in counts.items()))
    for parent in list(svg.iter()):
        for script in [each for each in parent if str(each.tag).endswith("script")]:
            parent.remove(script)
    return ElementTree.tostring(svg, encoding="unicode", method="xml")
