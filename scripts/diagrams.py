"""Draw the diagrams of the guides: an SVG beside each TOML file in guides/images.

Boxes stand on a grid, ``at = [column, row]``; arrows go straight from one to the next. The same text makes the same
bytes, on every machine.
"""

from __future__ import annotations

import sys
import tomllib
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "guides" / "images"

WIDTH, HEIGHT = 230, 60  # of a box
ACROSS, DOWN = 350, 110  # from one box to the next
MARGIN, TOP = 20, 50
STYLE = """
  .card { fill: #ffffff; } text { font: 13px sans-serif; fill: #1f2328; text-anchor: middle; }
  .title { font-size: 16px; font-weight: bold; text-anchor: start; } .label { font-size: 12px; fill: #57606a; }
  .first { font-weight: bold; } .line { stroke: #57606a; stroke-width: 1.5; } .head { fill: #57606a; }
  rect.box { fill: #ddf4ff; stroke: #0969da; } rect.outside { fill: #f6f8fa; stroke: #6e7781; }
  rect.pure { fill: #fff8c5; stroke: #9a6700; } rect.bad { fill: #ffebe9; stroke: #cf222e; }
  rect.good { fill: #dafbe1; stroke: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; } text { fill: #e6edf3; } .label { fill: #9198a1; } .line { stroke: #9198a1; }
    .head { fill: #9198a1; } rect.box { fill: #0c2d6b; } rect.outside { fill: #21262d; } rect.pure { fill: #4b2900; }
    rect.bad { fill: #67060c; } rect.good { fill: #033a16; }
  }
"""

Place = tuple[float, float]


def corner(box: dict[str, Any]) -> Place:
    column, row = box["at"]
    return MARGIN + column * ACROSS, TOP + row * DOWN


def drawn_box(box: dict[str, Any]) -> list[str]:
    x, y = corner(box)
    first, second = (escape(text) for text in box["text"])
    middle = x + WIDTH / 2
    return [
        f'<rect class="box {box.get("kind", "")}" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        f'<text class="first" x="{middle:g}" y="{y + 25}">{first}</text>',
        f'<text x="{middle:g}" y="{y + 44}">{second}</text>',
    ]


def ends(start: dict[str, Any], end: dict[str, Any]) -> tuple[Place, Place]:
    """Where an arrow leaves one box, and where it meets the other: to the side, or up and down."""
    (x, y), (to_x, to_y) = corner(start), corner(end)
    if x == to_x:
        down = to_y > y
        return (x + WIDTH / 2, y + HEIGHT * down), (to_x + WIDTH / 2, to_y + HEIGHT * (not down))
    right = to_x > x
    return (x + WIDTH * right, y + HEIGHT / 2), (to_x + WIDTH * (not right), to_y + HEIGHT / 2)


def drawn_arrow(arrow: dict[str, str], boxes: dict[str, dict[str, Any]]) -> list[str]:
    (x, y), (to_x, to_y) = ends(boxes[arrow["from"]], boxes[arrow["to"]])
    parts = [f'<line class="line" x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" marker-end="url(#head)"/>']
    if "text" in arrow:
        beside = x == to_x
        place = f'x="{(x + to_x) / 2 + 6 * beside:g}" y="{(y + to_y) / 2 + (4 if beside else -6):g}"'
        anchor = ' style="text-anchor: start"' if beside else ""
        parts.append(f'<text class="label" {place}{anchor}>{escape(arrow["text"])}</text>')
    return parts


def drawn(text: str) -> str:
    """The SVG of a diagram, from its TOML."""
    diagram = tomllib.loads(text)
    boxes: dict[str, dict[str, Any]] = diagram["boxes"]
    width = max(corner(box)[0] for box in boxes.values()) + WIDTH + MARGIN
    height = max(corner(box)[1] for box in boxes.values()) + HEIGHT + MARGIN
    title = escape(diagram["title"])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>',
        f'<rect class="card" width="{width}" height="{height}" rx="8"/>',
        f'<text class="title" x="{MARGIN}" y="30">{title}</text>',
        *(line for arrow in diagram["arrows"] for line in drawn_arrow(arrow, boxes)),
        *(line for box in boxes.values() for line in drawn_box(box)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    for source in sorted(FOLDER.glob("*.toml")):
        source.with_suffix(".svg").write_text(drawn(source.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
