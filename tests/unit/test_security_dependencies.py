"""What goes to Lambda, and what builds it, is the same everywhere: pinned, and for Lambda by hash as well."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?= |$)")


def entries(name: str) -> list[str]:
    """The requirements of a file, one a line, without options, comments and references to other files."""
    text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text())
    lines = [re.sub(r"(^|\s+)#.*", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("-")]


def requirement(entry: str) -> Requirement:
    return Requirement(entry.partition(" --hash")[0])


@pytest.mark.parametrize(
    "name",
    ["requirements.in", "requirements.txt", "requirements-development.in", "requirements-development.txt"],
)
def test_every_requirement_is_pinned_to_one_version(name: str) -> None:
    found = [requirement(entry) for entry in entries(name)]
    assert found
    assert [str(each) for each in found if not re.fullmatch(r"==[0-9][0-9a-z.]*", str(each.specifier))] == []


def test_every_requirement_of_the_package_has_hashes() -> None:
    """With one hash pip refuses all that has none, or another."""
    assert [entry for entry in entries("requirements.txt") if not HASH.search(entry)] == []


def test_what_is_chosen_for_the_package_is_what_is_locked() -> None:
    locked = {requirement(entry).name: str(requirement(entry).specifier) for entry in entries("requirements.txt")}
    chosen = {requirement(entry).name: str(requirement(entry).specifier) for entry in entries("requirements.in")}
    assert chosen.items() <= locked.items()


def test_packages_come_from_the_usual_index_only() -> None:
    for name in ("requirements.in", "requirements.txt", "requirements-development.in", "requirements-development.txt"):
        text = (ROOT / name).read_text()
        assert not re.search(r"index-url|find-links|trusted-host|https?://|git\+|^-e", text, re.MULTILINE), name
