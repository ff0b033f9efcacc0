"""What counts after an update: the table of guides/protection.md, and what holds for any settings."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given

from awstut_ecr_autopurgerepository.rules.merge import settings_after_update
from awstut_ecr_autopurgerepository.rules.settings import ReportPlace, Settings
from sandbox.ecr import StrictEcr
from tests.support.any_settings import ANY_SETTINGS
from tests.support.project_copy import ROOT
from tests.support.samples import NAME, put_tag, tags_of
from tests.support.strict import Wire

ONE, TWO = ReportPlace("one"), ReportPlace("two")
TEN = tuple(f"a{n}" for n in range(10))
# name: setting, previous template, live, template, what counts. The first column is that of the guide's table.
CASES: dict[str, tuple[str, Any, Any, Any, Any]] = {
    "the template switches protection on": ("deletion_protection", False, False, True, True),
    "the template switches protection off": ("deletion_protection", True, True, False, False),
    "an operator locked the repository": ("deletion_protection", False, True, False, True),
    "an operator unlocked the repository": ("deletion_protection", True, False, True, True),
    "an operator unlocked it, and the template switches protection off": (
        "deletion_protection", True, False, False, False,
    ),
    "an operator set a longer period": ("pulled_within_days", 30, 90, 30, 90),
    "an operator set a longer period, and the template a longer one still": ("pulled_within_days", 30, 90, 120, 120),
    "an operator set a shorter period": ("pulled_within_days", 30, 7, 30, 30),
    "an operator switched a period off": ("pushed_within_days", 30, None, 30, 30),
    "an operator added a pattern": ("patterns", ("v*",), ("v*", "hot-*"), ("v*",), ("v*", "hot-*")),
    "an operator added a pattern, and the template replaces its own": (
        "patterns", ("v*",), ("v*", "hot-*"), ("release-*",), ("release-*", "hot-*"),
    ),
    "an operator switched the patterns off": ("patterns", ("v*",), (), ("v*",), ("v*",)),
    "the template removes a pattern": ("patterns", ("v*", "w*"), ("v*", "w*"), ("v*",), ("v*",)),
    "the patterns would be too many": ("patterns", TEN, (*TEN[:9], "hot-*"), (*TEN[:9], "b"), (*TEN[:9], "hot-*")),
    "an operator asked one more service": ("in_use_by", ("LAMBDA",), ("LAMBDA", "ECS"), ("LAMBDA",), ("LAMBDA", "ECS")),
    "an operator switched the services off": ("in_use_by", ("LAMBDA",), (), ("LAMBDA",), ("LAMBDA",)),
    "an operator turned EmptyOnDelete off": ("empty_on_delete", True, False, True, False),
    "an operator allowed the purge for one delete": ("empty_on_delete", False, True, False, False),
    "an operator switched the report off": ("report", ONE, None, ONE, ONE),
    "an operator set another report": ("report", ONE, TWO, ONE, TWO),
    "an operator set a report, and the template another": ("report", None, TWO, ONE, ONE),
    "an operator switched the freeze off": ("freeze", True, False, True, True),
    "an operator allowed replicated deletes": ("replicated_deletes", False, True, False, False),
    "the tag that allows replicated deletes was removed": ("replicated_deletes", True, False, True, False),
    "the template allows replicated deletes": ("replicated_deletes", False, False, True, True),
    # A failed update that rolls back: previous and template change places.
    "a rollback after the tags were written": ("deletion_protection", False, False, True, True),
    "a rollback before the tags were written": ("deletion_protection", False, True, True, True),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_counts_after_an_update(case: str) -> None:
    setting, previous, live, desired, counts = CASES[case]
    found = settings_after_update(
        replace(Settings(), **{setting: live}),
        replace(Settings(), **{setting: previous}),
        replace(Settings(), **{setting: desired}),
        told_to_empty=False,
    )
    assert found == replace(Settings(), **{setting: counts})


def test_the_guide_has_the_same_cases() -> None:
    guide = (ROOT / "guides" / "protection.md").read_text(encoding="utf-8")
    table = guide.partition("## What counts after an update")[2].partition("\n## ")[0]
    found = {line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")} - {"what happened"}
    assert found == CASES.keys()


@given(ANY_SETTINGS, ANY_SETTINGS)
def test_an_update_of_what_nobody_else_changed_follows_the_template(previous: Settings, desired: Settings) -> None:
    found = settings_after_update(previous, previous, desired, told_to_empty=False)
    assert replace(found, patterns=(), in_use_by=()) == replace(desired, patterns=(), in_use_by=())
    assert set(found.patterns) == set(desired.patterns)
    assert set(found.in_use_by) == set(desired.in_use_by)


@given(ANY_SETTINGS, ANY_SETTINGS, ANY_SETTINGS)
def test_an_update_never_opens_what_the_template_closes(live: Settings, previous: Settings, desired: Settings) -> None:
    found = settings_after_update(live, previous, desired, told_to_empty=False)
    assert found.deletion_protection or not desired.deletion_protection
    assert desired.empty_on_delete or not found.empty_on_delete
    assert desired.replicated_deletes or not found.replicated_deletes
    assert set(found.patterns) >= set(desired.patterns) or found.patterns == live.patterns
    assert set(found.in_use_by) >= set(desired.in_use_by)
    for name in ("pulled_within_days", "pushed_within_days"):
        assert (getattr(found, name) or 0) >= (getattr(desired, name) or 0)


@given(ANY_SETTINGS, ANY_SETTINGS, ANY_SETTINGS)
def test_an_update_that_is_repeated_changes_nothing_more(live: Settings, previous: Settings, desired: Settings) -> None:
    """So a call that continues an update may begin by a new look, and does not take its own work for another's."""
    once = settings_after_update(live, previous, desired, told_to_empty=False)
    again = settings_after_update(once, previous, desired, told_to_empty=False)
    for each in fields(Settings):
        assert getattr(again, each.name) == getattr(once, each.name), each.name


# Over the wire

LOCKED = NAME | {"DeletionProtection": True, "PurgeProtection": {"TagPatterns": ["v*"], "PulledWithinDays": 30}}


def test_an_unlock_lasts_until_the_next_update(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", LOCKED)
    for key in ("awstut:deletion-protection", "awstut:protect-tags", "awstut:protect-pulled-days"):
        put_tag(ecr, key, "off")
    model = wire.succeed("UPDATE", LOCKED | {"ImageTagMutability": "IMMUTABLE"}, previous=LOCKED)
    assert model["DeletionProtection"] is True
    assert model["PurgeProtection"] == LOCKED["PurgeProtection"]


def test_a_failed_update_that_rolls_back_keeps_an_operator_s_lock(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    put_tag(ecr, "awstut:deletion-protection", "on")
    ecr.faults.fail_next("PutImageTagMutability", "InvalidParameterException", "refused")
    changed = NAME | {"ImageTagMutability": "IMMUTABLE", "EmptyOnDelete": False}
    wire.fail("UPDATE", changed, previous=NAME, token="update")
    wire.succeed("UPDATE", NAME, previous=changed, token="rollback")
    assert tags_of(ecr)["awstut:deletion-protection"] == "on"
    assert tags_of(ecr)["awstut:auto-purge"] == "on deletion-protection"


def test_saying_empty_on_delete_in_words_is_a_change(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    put_tag(ecr, "awstut:auto-purge", "off")
    assert wire.succeed("UPDATE", NAME | {"ImageTagMutability": "IMMUTABLE"}, previous=NAME)["EmptyOnDelete"] is False
    assert wire.succeed("UPDATE", NAME | {"EmptyOnDelete": True}, previous=NAME)["EmptyOnDelete"] is True


def test_patterns_that_leave_no_room_for_the_user_s_tags_stay_as_they_are(wire: Wire, ecr: StrictEcr) -> None:
    long = [f"{n}{'a' * 62}" for n in range(8)]
    old = NAME | {
        "PurgeProtection": {"TagPatterns": long[:4]},
        "Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(43)],
    }
    wire.succeed("CREATE", old)
    put_tag(ecr, "awstut:protect-tags", "hot-@")
    wanted = old | {"PurgeProtection": {"TagPatterns": long[:4]}, "ImageTagMutability": "IMMUTABLE"}
    found = wire.succeed("UPDATE", wanted, previous=old)["PurgeProtection"]["TagPatterns"]
    assert found == ["hot-*"]
