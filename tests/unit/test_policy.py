"""Repository policies with and without the statement of the freeze."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, strategies

from awstut_ecr_autopurgerepository.rules import push_block
from tests.support.samples import OURS, POLICY

TEXT = strategies.text(strategies.characters(exclude_categories=["Cs"]), max_size=12)
SIDS = strategies.sampled_from(["AwstutFreezeOnDelete2", "awstutfreezeondelete", "StopPushes", ""]) | TEXT
STATEMENTS = strategies.fixed_dictionaries(
    {
        "Effect": strategies.sampled_from(["Allow", "Deny"]),
        "Principal": strategies.sampled_from(["*", {"AWS": "*"}, {"AWS": ["111122223333", "444455556666"]}]),
        "Action": strategies.sampled_from(["ecr:*", ["ecr:PutImage"], OURS["Action"]]),
    },
    optional={
        "Sid": SIDS.filter(lambda sid: sid != push_block.SID),
        "Condition": strategies.dictionaries(
            TEXT, strategies.dictionaries(TEXT, strategies.lists(TEXT | strategies.integers(), max_size=3), max_size=2)
        ),
    },
)
POLICIES = strategies.fixed_dictionaries(
    {"Statement": STATEMENTS | strategies.lists(STATEMENTS, min_size=1, max_size=4)},
    optional={"Version": strategies.sampled_from(["2012-10-17", "2008-10-17"]), "Id": TEXT},
)


@strategies.composite
def texts(draw: strategies.DrawFn) -> str:
    """Policies as people write them: in one line or many, characters escaped or not, with room for the push block."""
    indent, ascii_only = draw(strategies.sampled_from([None, 2, "\t"])), draw(strategies.booleans())
    text = json.dumps(draw(POLICIES), indent=indent, ensure_ascii=ascii_only)
    assume(len(json.dumps(json.loads(text), ensure_ascii=True)) < push_block.LONGEST_POLICY // 2)
    return text


@given(texts())
def test_a_policy_is_what_it_was_when_the_freeze_is_over(text: str) -> None:
    assert json.loads(push_block.remove_from(push_block.add_to(text)) or "") == json.loads(text)


@given(texts())
def test_a_frozen_policy_has_the_statement_beside_all_others(text: str) -> None:
    before, after = json.loads(text), json.loads(push_block.add_to(text))
    others = before["Statement"] if isinstance(before["Statement"], list) else [before["Statement"]]
    assert [each for each in after["Statement"] if each != OURS] == others
    assert after["Statement"].count(OURS) == 1
    assert {**after, "Statement": None} == {**before, "Statement": None}
    assert push_block.is_in(push_block.add_to(text))


@given(texts())
def test_a_policy_without_the_statement_stays_to_the_letter(text: str) -> None:
    assert push_block.remove_from(text) == text
    assert not push_block.is_in(text)


@given(texts())
def test_freezing_twice_changes_nothing_more(text: str) -> None:
    assert push_block.add_to(push_block.add_to(text)) == push_block.add_to(text)


@given(texts())
def test_other_characters_are_written_as_they_were(text: str) -> None:
    assert push_block.add_to(text).isascii() == text.isascii()


@given(POLICIES, strategies.lists(strategies.integers(0, 5), max_size=3))
def test_doubles_of_the_statement_are_removed_too(written: dict[str, Any], places: list[int]) -> None:
    others = written["Statement"] if isinstance(written["Statement"], list) else [written["Statement"]]
    statements = list(others)
    for place in [*places, 0]:
        statements.insert(place, {**OURS, "Effect": "Allow"} if place % 2 else OURS)
    text = json.dumps({**written, "Statement": statements})
    assert json.loads(push_block.add_to(text))["Statement"].count(OURS) == 1
    left = json.loads(push_block.remove_from(text) or "")["Statement"]
    assert (left if isinstance(left, list) else [left]) == others


@given(texts(), STATEMENTS, strategies.integers(0, 5))
def test_what_somebody_adds_to_a_frozen_policy_stays(text: str, added: dict[str, Any], place: int) -> None:
    changed = json.loads(push_block.add_to(text))
    changed["Statement"].insert(place, added)
    others = [each for each in changed["Statement"] if each != OURS]
    left = json.loads(push_block.remove_from(json.dumps(changed)) or "")["Statement"]
    assert left == others


def test_a_policy_that_holds_nothing_else_is_removed() -> None:
    frozen = push_block.add_to(None)
    assert json.loads(frozen) == {"Version": "2012-10-17", "Statement": [OURS]}
    assert push_block.is_in(frozen)
    assert push_block.remove_from(frozen) is None
    assert push_block.remove_from(json.dumps({"Version": "2012-10-17", "Statement": OURS})) is None
    assert push_block.remove_from(None) is None
    assert not push_block.is_in(None)


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["*"]}])
def test_a_statement_that_is_written_in_another_way_is_the_same(principal: object) -> None:
    written = {**OURS, "Principal": principal, "Action": OURS["Action"][::-1]}
    assert push_block.is_in(json.dumps({**POLICY, "Statement": [*POLICY["Statement"], written]}))


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Action": OURS["Action"][:3]},
        {"Action": "ecr:PutImage"},
        {"Principal": {"AWS": "111122223333"}},
        {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}},
    ],
)
def test_a_statement_that_somebody_weakened_is_put_right(change: dict[str, object]) -> None:
    text = json.dumps({**POLICY, "Statement": [*POLICY["Statement"], {**OURS, **change}]})
    assert not push_block.is_in(text)
    assert push_block.is_in(push_block.add_to(text))
    assert json.loads(push_block.remove_from(push_block.add_to(text)) or "") == POLICY


def of_length(length: int) -> str:
    """A policy that has so many characters when it is frozen."""
    made = {**POLICY, "Id": ""}
    return json.dumps({**made, "Id": "x" * (length - len(push_block.add_to(json.dumps(made))))}, indent=4)


def test_a_policy_may_grow_up_to_the_limit_of_ecr() -> None:
    assert len(push_block.add_to(of_length(10_240))) == 10_240
    with pytest.raises(ValueError, match="would be 10,241 characters long, and ECR allows 10,240"):
        push_block.add_to(of_length(10_241))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '"text"',
        '{"Statement": 1}',
        '{"Statement": null}',
        '{"Statement": ["text"]}',
        '{"Statement": [], "Statement": []}',
        '{"Statement": [], "Id": 1e999}',
        '{"Statement": [], "Id": "\\ud800"}',
        "[" * 100_000,
    ],
)
def test_a_policy_that_cannot_be_read_is_never_written(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        push_block.add_to(text)
    assert push_block.remove_from(text) == text
    assert not push_block.is_in(text)
