"""`autopurge adopt` as it is typed: what it refuses to do at all. What it does is in tests/stack/test_adopt.py."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from autopurge.adopt.account import Clients
from autopurge.adopt.run import Result, Selection, of_no_native_type
from autopurge.adopt.templates import Template
from tests.support.command_line import Autopurge
from tests.support.project_copy import TYPE_NAME


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name stacks, or say --from-file or --all-stacks."),
        (["shop", "--all-stacks"], "Name stacks, or say --from-file or --all-stacks."),
        (["shop", "--tag", "a=b"], "--tag goes with --all-stacks."),
        (["--all-stacks", "--tag", "a"], "A tag is KEY=VALUE."),
        (["shop", "--yes", "--dry-run"], "--yes and --dry-run exclude each other."),
        (["shop", "--undo", "--finish"], "--undo and --finish exclude each other."),
        (["--from-file", "missing.txt"], "File 'missing.txt' does not exist."),
    ],
)
def test_a_wrong_usage_is_named(autopurge: Autopurge, arguments: list[str], said: str) -> None:
    result = autopurge("adopt", *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_a_journal_that_can_not_be_used_is_an_error_in_words(autopurge: Autopurge, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.write_text("nonsense\n")
    result = autopurge("adopt", "shop", "--journal", str(journal))
    assert result.exit_code == 1
    assert result.output.startswith("Error: Line 1 of the journal can't be read: ")


class Stacks:
    """Answers DescribeStacks for all stacks, and counts."""

    def __init__(self, *stacks: dict[str, Any]) -> None:
        self._stacks = stacks
        self.calls: Counter[str] = Counter()

    def get_paginator(self, operation: str) -> Stacks:
        self.calls[operation] += 1
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [{"Stacks": [each]} for each in self._stacks]


def stack(name: str, **tags: str) -> dict[str, Any]:
    return {
        "StackName": name,
        "StackId": f"id-{name}",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def test_all_stacks_with_these_tags_are_chosen_and_those_that_were_begun_come_first() -> None:
    stacks: Any = Stacks(stack("a", team="x"), stack("b", team="y"), stack("c", team="x", other="1"), stack("d"))
    clients = Clients(stacks, None)  # type: ignore[arg-type]
    found = Selection(tags={"team": "x"}).stacks(clients, ["id-c"])
    assert [None if isinstance(each, Result) else each["StackName"] for each in found] == ["c", "a"]
    assert stacks.calls == {"describe_stacks": 1}


@pytest.mark.parametrize(
    ("count", "said"), [(0, "It has 0 repositories of"), (1, "It has 1 repository of"), (2, "It has 2 repositories of")]
)
def test_a_stack_without_native_repositories_is_told_what_it_has(count: int, said: str) -> None:
    resources = {"Topic": "AWS::SNS::Topic"} | {f"R{each}": TYPE_NAME for each in range(count)}
    template = Template(json.dumps({"Resources": {name: {"Type": kind} for name, kind in resources.items()}}))
    assert of_no_native_type(template) == f"{said} this type, and none of AWS::ECR::Repository."
