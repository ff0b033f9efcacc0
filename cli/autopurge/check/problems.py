"""A problem of a template: what it is, where, and how bad. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

Path = tuple[str | int, ...]

PROPERTIES = "E9411"
ATTRIBUTES = "E9412"
POLICIES = "W9413"  # what is allowed, and surprises
TITLES = {
    PROPERTIES: "Properties of Awstut::ECR::AutoPurgeRepository",
    ATTRIBUTES: "Attributes and type name of Awstut::ECR::AutoPurgeRepository",
    POLICIES: "DeletionPolicy and UpdateReplacePolicy of Awstut::ECR::AutoPurgeRepository",
}
NO_VALUE = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True)
class Problem:
    """``path`` leads from the top of the template to what is wrong; ``rule`` is the id of a rule of cfn-lint, too."""

    rule: str
    path: Path
    message: str

    @property
    def level(self) -> str:
        """``error`` for what fails, ``warning`` for what surprises."""
        return "error" if self.rule.startswith("E") else "warning"


def intrinsic(value: object) -> str | None:
    """The name of the intrinsic function that a value is, such as Ref or Fn::If; None if it is no such function."""
    if isinstance(value, Mapping) and len(value) == 1:
        name = str(next(iter(value)))
        if name in ("Ref", "Condition") or name.startswith("Fn::"):
            return name
    return None


def has_intrinsic(value: object) -> bool:
    """Whether a value, or a part of it, is only known in a deployment."""
    if intrinsic(value):
        return True
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(has_intrinsic(each) for each in parts)


def alternatives(value: Any, path: Path) -> Iterator[tuple[Any, Path]]:
    """What a value can be: the branches of Fn::If, or itself; nothing for AWS::NoValue and for other functions."""
    name = intrinsic(value)
    if name is None:
        yield value, path
    elif name == "Fn::If" and isinstance(value[name], list):
        for number, branch in enumerate(value[name][1:], start=1):
            yield from alternatives(branch, (*path, name, number))


def did_you_mean(given: str, known: list[str]) -> str:
    """A sentence that names what is nearest; empty if nothing is near."""
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(given.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[found[0]]}?" if found else ""
