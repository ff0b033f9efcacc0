"""The strict decoder of JSON: what is not of a dataclass's types is refused, with its place and what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, strategies

from awstut_ecr_autopurgerepository.typed_json import Strictness, check, decode


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Leaf:
    name: str
    size: int = 0


@dataclass
class Tree:
    leaves: Sequence[Leaf]
    colour: Colour
    root: Leaf | None = None
    counts: dict[str, int] = field(default_factory=dict)
    ripe: bool = False
    words: list[str] | None = None
    anything: Any = None


GOOD: dict[str, Any] = {
    "leaves": [{"name": "a", "size": 1}],
    "colour": "red",
    "root": None,
    "counts": {"x": 1},
    "ripe": True,
    "words": ["w"],
    "anything": {"x": [None]},
}

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a string for a list": ({"words": "abc"}, "words must be a list, but is 'abc'"),
    "a string for an object": ({"root": "abc"}, "root must be an object, but is 'abc'"),
    "true for a number": ({"counts": {"x": True}}, "counts.x must be a whole number, without quotes, but is True"),
    "a number for true": ({"ripe": 1}, "ripe must be true or false, without quotes, but is 1"),
    "a string for a number": (
        {"root": {"name": "a", "size": "1"}},
        "root.size must be a whole number, without quotes, but is '1'",
    ),
    "a fraction": ({"counts": {"x": 1.0}}, "counts.x must be a whole number, without quotes, but is 1.0"),
    "a number in a list of strings": ({"words": ["a", 3]}, "words[1] must be a string, but is 3"),
    "an unknown key": ({"rot": 1}, "the tree has rot, and only anything, colour, counts,"),
    "an unknown key below": ({"root": {"name": "a", "x": 1}}, "root has x, and only name, size are known"),
    "an unknown choice": ({"colour": "green"}, "colour must be one of red, blue"),
    "a null in a list": ({"words": [None]}, "words[0] is null. Give it a value, or leave it out"),
    "an empty object in a list": ({"leaves": [{}]}, "leaves[0] is an empty object"),
    "a missing key": ({"root": {"size": 1}}, "root has no name"),
}


def test_what_is_of_the_types_is_decoded() -> None:
    assert decode(Tree, GOOD, "the tree") == Tree(
        [Leaf("a", 1)], Colour.RED, None, {"x": 1}, True, ["w"], {"x": [None]}
    )


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_is_refused_with_its_place(case: str) -> None:
    change, reason = BAD[case]
    with pytest.raises(ValueError) as refused:
        decode(Tree, GOOD | change, "the tree")
    assert reason in str(refused.value)


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="the tree must be an object, but is"):
        check(Tree, value, "the tree")


def test_unknown_keys_can_be_allowed() -> None:
    assert decode(Leaf, {"name": "a", "size": 0, "x": 1}, "it", Strictness(unknown_keys=True)) == Leaf("a")


def test_nulls_can_be_refused_wherever_they_are() -> None:
    with pytest.raises(ValueError, match=r"^root is null"):
        check(Tree, GOOD, "the tree", Strictness(nulls=False))
    with pytest.raises(ValueError, match=r"^anything.x\[0\] is null"):
        check(Tree, {**GOOD, "root": {"name": "a", "size": 1}}, "the tree", Strictness(nulls=False))


def test_scalars_may_be_strings_as_cloudformation_sends_them() -> None:
    lenient = Strictness(any_scalar=True)
    check(Tree, GOOD | {"ripe": "true", "counts": {"x": "1"}}, "the tree", lenient)
    with pytest.raises(ValueError, match="ripe must be a string, a number, true or false, but is "):
        check(Tree, GOOD | {"ripe": ["true"]}, "the tree", lenient)


def test_a_secret_is_not_shown() -> None:
    with pytest.raises(ValueError) as refused:
        check(Tree, GOOD | {"root": "wJalrXUtnFEMI"}, "the tree", Strictness(secrets=frozenset({"root"})))
    assert str(refused.value) == "root must be an object"


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(ValueError) as refused:
        check(Tree, GOOD | {"words": "w" * 1_000}, "the tree")
    assert len(str(refused.value)) < 100


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=5),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=5), inner),
    max_leaves=8,
)


@given(strategies.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, JSON) | {"surprise": JSON}))
def test_any_json_is_either_decoded_or_refused(value: dict[str, Any]) -> None:
    try:
        tree = decode(Tree, {**GOOD, **value}, "the tree")
    except ValueError:
        return
    assert isinstance(tree.leaves, list)
    assert all(isinstance(each, Leaf) for each in tree.leaves)
    assert type(tree.ripe) is bool
