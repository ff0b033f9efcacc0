"""What goes to Lambda, and what builds it, is the same everywhere: pinned, and for Lambda by hash as well."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

from tests.support.project_copy import ROOT

CHOSEN = ("requirements.in", "requirements-development.in", "requirements-sandbox.in")
LOCKED = ("requirements.txt", "requirements-development.txt", "requirements-sandbox.txt")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?= |$)")


def entries(name: str) -> list[str]:
    """The requirements of a file, one a line, without options, comments and references to other files."""
    text = re.sub(r"\\\n\s*", "", (ROOT / name).read_text())
    lines = [re.sub(r"(^|\s+)#.*", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("-")]


def requirement(entry: str) -> Requirement:
    return Requirement(entry.partition(" --hash")[0])


def versions(name: str) -> dict[str, str]:
    """The version of each requirement of a file, such as ==1.0, by name."""
    return {each.name: str(each.specifier) for each in map(requirement, entries(name))}


@pytest.mark.parametrize("name", [*CHOSEN, *LOCKED])
def test_every_requirement_is_pinned_to_one_version(name: str) -> None:
    found = [requirement(entry) for entry in entries(name)]
    assert found
    assert [str(each) for each in found if not re.fullmatch(r"==[0-9][0-9a-z.]*", str(each.specifier))] == []


def test_every_requirement_of_the_package_has_hashes() -> None:
    """With one hash pip refuses all that has none, or another."""
    assert [entry for entry in entries("requirements.txt") if not HASH.search(entry)] == []


@pytest.mark.parametrize(("chosen", "locked"), list(zip(CHOSEN, LOCKED, strict=True)))
def test_what_is_chosen_is_what_is_locked(chosen: str, locked: str) -> None:
    assert versions(chosen).items() <= versions(locked).items()


@pytest.mark.parametrize("name", CHOSEN)
def test_every_chosen_requirement_has_a_reason(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if "==" in line]
    assert [line for line in lines if not re.search(r" # \w", line)] == []


def test_what_is_tested_is_what_is_packaged() -> None:
    assert versions("requirements.txt").items() <= versions("requirements-development.txt").items()


def test_the_environments_differ_only_in_what_ministack_pins() -> None:
    ours, sandbox = versions("requirements-development.txt"), versions("requirements-sandbox.txt")
    assert {name for name in ours.keys() & sandbox.keys() if ours[name] != sandbox[name]} <= {"boto3", "botocore"}


def test_packages_come_from_the_usual_index_only() -> None:
    for name in (*CHOSEN, *LOCKED):
        text = (ROOT / name).read_text()
        assert not re.search(r"index-url|find-links|trusted-host|https?://|git\+|^-e", text, re.MULTILINE), name
