"""Run the demo, and make a picture of its decisive parts: the refusal, the delete, and the tutorial's failure."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from demo.__main__ import run  # noqa: E402

TARGET = ROOT / "guides" / "images" / "demo.svg"
WIDTH = 110  # characters
WANTED = ("Protect", "Delete the stack", "The same images")  # the chapters, by the beginnings of their headings
END = "What is left to do manually"
_HEADING = re.compile(r"^\d+\. (.*) ─{3}")
# Without a font from elsewhere: the picture is shown as it is, and asks nobody.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>A delete that is refused, one that succeeds, and one that the usual custom resource cannot finish</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px;
line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix" xml:space="preserve">{matrix}</g></g>
</svg>
"""


def decisive(recorded: str) -> str:
    """The wanted chapters of all that the demo printed, as ANSI text."""
    shown, wanted = [], False
    for line in recorded.splitlines():
        plain = Text.from_ansi(line).plain
        heading = _HEADING.match(plain)
        if heading:
            wanted = heading[1].startswith(WANTED)
        if plain.startswith(END):
            wanted = False
        if wanted:
            shown.append(line.rstrip())
    return "\n".join(shown).strip("\n")


def picture(recorded: str) -> str:
    """An SVG of text with ANSI colours."""
    canvas = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    canvas.print(Text.from_ansi(recorded), no_wrap=False)
    return canvas.export_svg(title="make demo", theme=MONOKAI, code_format=_FORMAT, unique_id="demo")


def main() -> int:
    console = Console(highlight=False, width=WIDTH, record=True)
    code = run(console)
    if code == 0:
        TARGET.write_text(picture(decisive(console.export_text(styles=True))), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
