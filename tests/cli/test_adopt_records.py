"""What is compared, what is put back, what the journal keeps, and what must hold before a release."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from autopurge.adopt.checks import unexpected, unretained
from autopurge.adopt.journal import Checked, Journal, JournalError, Reached, open_journal, read_journal
from autopurge.adopt.planning import Plan, Repository
from autopurge.adopt.snapshots import Repair, Snapshot, compare, is_on, mark_off, pack_images, repair
from autopurge.adopt.templates import from_answer

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}]}'
LIFECYCLE = '{"rules": []}'
IMAGES = {"a" * 16: ("latest", "v1"), "b" * 16: (), "c" * 16: ("v2",)}
BEFORE = Snapshot(
    POLICY, LIFECYCLE, {"team": "shop"}, {"imageTagMutability": "MUTABLE"}, {"scanOnPush": True}, {}, IMAGES
)
NO_TAGS: dict[str, str] = {}


# Before and after


def test_a_repository_that_is_as_before() -> None:
    marked = replace(BEFORE, tags={"team": "shop", "awstut:auto-purge": "off", "aws:cloudformation:stack-id": "x"})
    spelled = replace(marked, policy=json.dumps(json.loads(POLICY), indent=2))
    assert compare(BEFORE, spelled, NO_TAGS) == compare(BEFORE, BEFORE, NO_TAGS)
    assert compare(BEFORE, spelled, NO_TAGS).lost == ()
    assert repair(BEFORE, spelled).empty


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": {key: tags for key, tags in IMAGES.items() if tags}}, "1 images are missing"),
        ({"images": IMAGES | {"a" * 16: ("latest",)}}, "image tag v1 is no longer on"),
        ({"images": IMAGES | {"a" * 16: ("latest",), "b" * 16: ("v1",)}}, "image tag v1 is no longer on"),
        ({"tags": {}}, "the tag team was shop, and is None"),
        ({"tags": {"team": "shop", "new": "1"}}, "the tag new is new"),
        ({"policy": None}, "repository policy is another"),
        ({"lifecycle": None}, "lifecycle policy is another"),
        ({"mutability": {"imageTagMutability": "IMMUTABLE"}}, "mutability was"),
        ({"scanning": {"scanOnPush": False}}, "scanning was"),
    ],
)
def test_what_is_lost_or_changed_is_said(changes: dict[str, Any], said: str) -> None:
    [lost] = compare(BEFORE, replace(BEFORE, **changes), NO_TAGS).lost
    assert said in lost


def test_what_was_pushed_meanwhile_is_no_loss() -> None:
    pushed = IMAGES | {"a" * 16: ("v1",), "d" * 16: ("latest",)}
    found = compare(BEFORE, replace(BEFORE, images=pushed), NO_TAGS)
    assert found.lost == ()
    assert found.notes == ("1 images were pushed meanwhile", "the image tag latest was pushed again meanwhile")


def test_a_tag_of_the_stack_may_come_along() -> None:
    after = replace(BEFORE, tags={"team": "shop", "cost": "42"})
    assert compare(BEFORE, after, {"cost": "42"}).lost == ()
    assert compare(BEFORE, after, {"cost": "43"}).lost == ("the tag cost is new",)


def test_what_was_removed_is_put_back() -> None:
    bare = Snapshot(None, None, {}, {"imageTagMutability": "IMMUTABLE"}, {"scanOnPush": False}, {}, IMAGES)
    assert repair(BEFORE, bare) == Repair(POLICY, LIFECYCLE, {"team": "shop"}, {"imageTagMutability": "MUTABLE"}, True)


def test_the_mark_is_set_off_and_keeps_the_rules_that_it_names() -> None:
    assert mark_off({}) == {"awstut:auto-purge": "off"}
    assert mark_off({"awstut:auto-purge": "on protect-tags"}) == {"awstut:auto-purge": "off protect-tags"}
    assert is_on({"awstut:auto-purge": "on protect-tags"})
    assert not is_on({"awstut:auto-purge": "off"})
    assert not is_on({})


def test_images_are_told_apart_by_the_first_characters_of_their_digests() -> None:
    details: list[dict[str, Any]] = [
        {"imageDigest": "sha256:" + "e" * 64, "imageTags": ["b", "a"]},
        {"imageDigest": "sha256:" + "f" * 64},
    ]
    assert pack_images(details) == {"e" * 16: ("a", "b"), "f" * 16: ()}


# The journal


PLAN = Plan(
    stack_id="stack-id",
    name="shop",
    repositories=(Repository("App", "app", "arn:app", True), Repository("Web", "web", "arn:web", None)),
    custom=("Empty",),
    templates={"before": "Resources: {}"},
    parameters=("Stage",),
    capabilities=("CAPABILITY_IAM",),
    tags={"cost": "42"},
    outputs={"Uri": "x"},
    notes=("a note",),
)
UPDATED = "CREATE_COMPLETE 2026-01-01"


def test_the_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path) as journal:
        journal.plan(PLAN, {"App": BEFORE}, UPDATED)
        journal.step("stack-id", "retain")
    [entry] = read_journal(path).values()
    assert (entry.plan, entry.before, entry.steps, entry.unfinished) == (PLAN, {"App": BEFORE}, ["retain"], True)
    assert (entry.reached, entry.change_sets) == (Reached("before", UPDATED), {})
    with open_journal(path) as journal:
        journal.reach("stack-id", Reached("retained", "UPDATE_COMPLETE 2026-01-02"))
        journal.name_change_set("stack-id", "released", "autopurge-1")
        journal.check("stack-id", Checked("change-set-id", "UPDATE_COMPLETE 2026-01-02"))
    [entry] = read_journal(path).values()
    assert (entry.reached, entry.change_sets) == (
        Reached("retained", "UPDATE_COMPLETE 2026-01-02"),
        {"released": "autopurge-1"},
    )
    assert entry.checked == Checked("change-set-id", "UPDATE_COMPLETE 2026-01-02")
    with open_journal(path) as journal:
        journal.end("stack-id", "adopted", "at")
    [entry] = read_journal(path).values()
    assert (entry.ended, entry.updated) == ("adopted", "at")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_step_after_the_end_of_an_adoption_begins_it_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path) as journal:
        journal.plan(PLAN, {"App": BEFORE}, UPDATED)
        journal.end("stack-id", "adopted", "at")
        journal.step("stack-id", "mark")
        assert journal.entries["stack-id"].unfinished
    assert read_journal(path)["stack-id"].unfinished


def test_a_line_that_a_kill_cut_short_is_dropped_wherever_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path) as journal:
        journal.plan(PLAN, {"App": BEFORE}, UPDATED)
    whole = path.read_bytes()
    with open_journal(path) as journal:
        journal.step("stack-id", "retain")
    line = path.read_bytes()[len(whole) :]
    for length in range(len(line)):
        path.write_bytes(whole + line[:length])
        with open_journal(path) as journal:
            assert journal.entries["stack-id"].steps == []
            journal.step("stack-id", "release")
        assert read_journal(path)["stack-id"].steps == ["release"]
    path.write_bytes(whole[:100])
    assert read_journal(path) == {}


def test_a_journal_is_used_by_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with (
        open_journal(path) as journal,
        pytest.raises(JournalError, match="Another autopurge adopt uses"),
        open_journal(path),
    ):
        assert journal.entries == {}


# What AWS answered before there is a plan


def answers(path: Path, updated: str = UPDATED) -> dict[str, Any]:
    """What a run that begins now finds."""
    with open_journal(path) as journal:
        return dict(journal.answers("stack-id", updated))


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """The journal of a run that was killed while it planned."""
    path = tmp_path / "journal"
    with open_journal(path) as journal:
        kept = journal.answers("stack-id", UPDATED)
        kept["template"] = "Resources: {}"
        kept["stack policy"] = None
    return path


def test_the_answers_of_a_killed_run_are_not_asked_again(asked: Path) -> None:
    assert answers(asked) == {"template": "Resources: {}", "stack policy": None}
    lines = asked.read_text()
    with open_journal(asked) as journal:
        journal.answers("stack-id", UPDATED)["template"] = "Resources: {}"
    assert asked.read_text() == lines


def test_an_answer_does_not_outlive_an_update_of_its_stack(asked: Path) -> None:
    assert answers(asked, "UPDATE_COMPLETE 2026-01-02") == {}
    with open_journal(asked) as journal:
        assert dict(journal.answers("other-id", UPDATED)) == {}


@pytest.mark.parametrize(("age", "holds"), [(timedelta(minutes=59), True), (timedelta(minutes=61), False)])
def test_an_answer_holds_for_an_hour(asked: Path, age: timedelta, holds: bool) -> None:
    lines = [json.loads(line) for line in asked.read_text().splitlines()]
    for line in lines:
        line["at"] = (datetime.fromisoformat(line["at"]) - age).isoformat()
    asked.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert bool(answers(asked)) is holds


@pytest.mark.parametrize(
    "end",
    [
        lambda journal: journal.forget("stack-id"),
        lambda journal: journal.plan(PLAN, {"App": BEFORE}, UPDATED),
    ],
    ids=["forgotten", "planned"],
)
def test_an_answer_serves_one_plan_alone(asked: Path, end: Callable[[Journal], None]) -> None:
    """A user who was refused may have repaired what the answers showed."""
    with open_journal(asked) as journal:
        end(journal)
        assert dict(journal.answers("stack-id", UPDATED)) == {}
    assert answers(asked) == {}


UNREADABLE = [
    "nonsense",
    "{}",
    '{"version": 2, "stack": "x", "record": "step", "step": "y"}',
    '{"version": 1, "stack": "x", "record": "leap"}',
]


@pytest.mark.parametrize("line", UNREADABLE)
def test_a_journal_that_can_not_be_read_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal"
    path.write_text(line + "\n")
    with pytest.raises(JournalError, match=r"Line 1 of the journal can't be read: .* Name another file"):
        read_journal(path)


def test_a_journal_in_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="can't be opened: No such file"), open_journal(tmp_path / "no" / "journal"):
        pass


# Before a release


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"DeletionPolicy": "Retain"}, None),
        ({}, "The DeletionPolicy of App in the stack's template is None, not Retain."),
        ({"DeletionPolicy": "Delete"}, "is Delete, not Retain."),
        ({"DeletionPolicy": "RetainExceptOnCreate"}, "not Retain."),
        ({"DeletionPolicy": {"Ref": "Policy"}}, "not Retain."),
    ],
)
def test_only_what_has_a_literal_retain_in_the_processed_template_is_released(
    policy: dict[str, Any], why: str | None
) -> None:
    template = from_answer({"Resources": {"App": {"Type": "T", **policy}, "Other": {"Type": "T"}}})
    found = unretained(template, ["App"])
    assert found is None if why is None else found is not None and why in found


def test_what_is_not_in_the_processed_template_is_not_released() -> None:
    found = unretained(from_answer({"Resources": {}}), ["App"])
    assert found == "App is not in the stack's template any more."


def change(action: str, logical_id: str, **more: str) -> dict[str, Any]:
    return {"Type": "Resource", "ResourceChange": {"Action": action, "LogicalResourceId": logical_id, **more}}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([change("Remove", "App", PolicyAction="Retain"), change("Modify", "Topic")], None),
        ([change("Remove", "App")], None),
        ([change("Remove", "App", PolicyAction="Retain"), change("Add", "AutopurgeAdoptPlaceholder")], None),
        ([change("Remove", "App", PolicyAction="Delete")], "would delete App"),
        ([change("Remove", "App"), change("Remove", "Topic")], "does not remove just what was planned: Topic"),
        ([], "does not remove just what was planned: App"),
        ([change("Remove", "App"), change("Add", "New")], "Add of New"),
    ],
)
def test_a_change_set_that_does_anything_else_is_not_executed(changes: list[Any], why: str | None) -> None:
    found = unexpected(changes, ["App"])
    assert found is None if why is None else found is not None and why in found
