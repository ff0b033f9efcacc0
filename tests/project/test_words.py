"""Words that readers stop at are nowhere: not in names, messages, docstrings, comments and guides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.support.project_copy import PACKAGE, ROOT

# What to write instead: fix, have, again or recreated, manually, checked against.
UNCLEAR = re.compile(r"\b(mend(s|ed|ing)?|bears?|bearing|anew|by hand|held against)\b", re.IGNORECASE)
FOLDERS = (
    "src",
    "cli",
    "sandbox",
    "tests",
    "probes",
    "demo",
    "benchmarks",
    "scripts",
    "examples",
    "guides",
    ".github",
    ".ci",
)
SUFFIXES = {"", ".py", ".md", ".json", ".yaml", ".yml", ".toml", ".sh", ".ts", ".html"}  # scripts have none
NOT_OURS = {ROOT / "src" / PACKAGE / "models.py", Path(__file__)}  # the first is generated


def files() -> Iterator[Path]:
    found = chain(ROOT.iterdir(), *((ROOT / folder).rglob("*") for folder in FOLDERS))
    yield from (path for path in found if path.suffix in SUFFIXES and path.is_file())


def unclear(text: str) -> list[str]:
    """The unclear words, also those in names."""
    return [match[0] for match in UNCLEAR.finditer(re.sub("[_-]|(?<=[a-z])(?=[A-Z])", " ", text))]


def test_no_unclear_word_is_left() -> None:
    read = {str(each.relative_to(ROOT)): each.read_text(errors="replace") for each in {*files()} - NOT_OURS}
    found = {path: unclear(text) for path, text in read.items()}
    assert len(found) > 400
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "text",
    [
        "def made_by_hand()",
        "Mended.",
        "an image that bears a tag",
        "made-by-hand",
        "it is read anew",
        "WhatBearsTheMark",
    ],
)
def test_an_unclear_word_is_found(text: str) -> None:
    assert unclear(text)


@pytest.mark.parametrize("text", ["an amendment", "bearer", "a handler", "at hand"])
def test_other_words_are_not(text: str) -> None:
    assert not unclear(text)
