"""The numbers in the sentences of a page, each with its unit: `10 second`, `1,000 image`, `0.06 USD`, `40`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.project_copy import ROOT

_WORDS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twenty": 20,
}
_UNITS = {"s": "second", "passes": "pass"}
_UNIT = (
    "seconds?|s|minutes?|hours?|days?|times|attempts?|requests?|calls?|passes|pages?|images?|tags?|reports?|objects?|"
    "characters?|bytes|KB|MiB|USD"
)
_DIGITS = r"(?<![\w.,:/#-])(?P<digits>\d[\d,.]*\d|\d)(?![\w-]*\w)"
_NUMBER = re.compile(
    rf"(?:{_DIGITS}|\b(?P<word>{'|'.join(_WORDS)})\b)(?: (?:more )?(?P<unit>{_UNIT})\b)?", re.IGNORECASE
)


def figures(begins: str) -> list[str]:
    """The cells of the row of guides/reliability.md that begins so: first of 100,000 images, then of 33,000 builds."""
    text = (ROOT / "guides" / "reliability.md").read_text(encoding="utf-8")
    [line] = [each for each in text.splitlines() if each.startswith(f"| {begins}")]
    return [cell.strip() for cell in line.strip("| ").split("|")[1:]]


def prose(page: Path) -> str:
    """A page without code, addresses, tables that a command writes, and the numbers of its steps."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<!-- (figures|beliefs): .*?<!-- end of \1 -->", "", text, flags=re.DOTALL)
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(`+).*?\1", "code", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"^ *\d+\. ", "", text, flags=re.MULTILINE)
    return " ".join(text.split())


def numbers(page: Path) -> set[str]:
    """Numbers in words count where a unit follows them."""
    found = set()
    for each in _NUMBER.finditer(prose(page)):
        if each["digits"] or each["unit"]:
            number = each["digits"] or str(_WORDS[each["word"].lower()])
            unit = each["unit"] or ""
            found.add(f"{number} {_UNITS.get(unit, unit.removesuffix('s'))}".strip())
    return found
