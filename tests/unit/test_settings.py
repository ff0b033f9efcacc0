"""Settings and the tags that hold them."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, strategies

from awstut_ecr_autopurgerepository.rules import reserved_tags
from awstut_ecr_autopurgerepository.rules.settings import Owner, ReportPlace, Settings
from tests.support.any_settings import ANY_SETTINGS
from tests.support.strict import STACK


@given(ANY_SETTINGS)
def test_what_is_written_reads_back(chosen: Settings) -> None:
    stored = reserved_tags.read_tags(reserved_tags.write_tags(chosen))
    assert stored.marked
    assert stored.settings == chosen
    assert stored.unreadable == ()


@given(ANY_SETTINGS, strategies.data())
def test_no_tag_that_is_taken_away_opens_a_repository(chosen: Settings, data: strategies.DataObject) -> None:
    tags = reserved_tags.write_tags(chosen)
    key = data.draw(strategies.sampled_from(sorted(tags)))
    del tags[key]
    stored = reserved_tags.read_tags(tags)
    if key == reserved_tags.REPLICATED_DELETES:  # the mark does not name it: without it, less is allowed
        assert (stored.settings.replicated_deletes, stored.unreadable) == (False, ())
        return
    assert not stored.marked or stored.unreadable == (key,)


@given(ANY_SETTINGS, strategies.data(), strategies.text(alphabet="onf -x@", max_size=8))
def test_no_nonsense_in_a_tag_opens_a_repository(chosen: Settings, data: strategies.DataObject, nonsense: str) -> None:
    tags = reserved_tags.write_tags(chosen)
    key = data.draw(strategies.sampled_from(sorted(tags)))
    if key == reserved_tags.MARK and (nonsense.split() or [""])[0] in ("on", "off"):
        return
    if nonsense in ("on", "off"):
        return
    if key in reserved_tags.PROTECT_TAGS and nonsense.strip():
        nonsense += "+"  # without it, most words are patterns of image tags
    if key == reserved_tags.REPLICATED_DELETES:
        stored = reserved_tags.read_tags({**tags, key: nonsense})
        assert (stored.settings.replicated_deletes, stored.unreadable) == (False, ())
        return
    assert reserved_tags.read_tags({**tags, key: nonsense}).unreadable == (key,)


@given(ANY_SETTINGS)
def test_the_tags_of_users_and_ours_fit_with_two_places_to_spare(chosen: Settings) -> None:
    ours = {
        **reserved_tags.write_tags(chosen),
        reserved_tags.REQUEST: "x",
        **reserved_tags.owner_tags(Owner(STACK, "Repository")),
    }
    assert len(ours) + reserved_tags.tags_left(chosen) + reserved_tags.SPARE_TAGS == reserved_tags.MOST_TAGS


def test_an_unmarked_repository_has_no_settings() -> None:
    stored = reserved_tags.read_tags({"team": "shop"})
    assert not stored.marked
    assert stored.owner == Owner()


def test_the_longest_stack_id_fits_into_a_tag() -> None:
    longest = STACK.replace("/shop/", f"/{'s' * 128}/").replace("eu-west-1", "ap-southeast-4")
    assert len(reserved_tags.owner_tags(Owner(longest, "L" * 255))[reserved_tags.STACK_ID]) <= 256


def test_a_command_survives_the_shell() -> None:
    arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app"
    command = reserved_tags.tag_command(arn, {"awstut:auto-purge": "on deletion-protection", "a": "b"})
    assert shlex.split(command) == [
        "aws", "ecr", "tag-resource", "--region", "eu-west-1", "--resource-arn", arn, "--tags",
        "Key=awstut:auto-purge,Value=on deletion-protection", "Key=a,Value=b",
    ]  # fmt: skip


def test_the_longest_place_of_a_report_fits_into_a_tag() -> None:
    longest = ReportPlace("b" * 63, "p" * 128, "123456789012")
    assert len(str(longest)) <= reserved_tags.LONGEST_VALUE
    assert reserved_tags.read_tags(reserved_tags.write_tags(Settings(report=longest))).settings.report == longest


@pytest.mark.parametrize(
    "value",
    ["on", "s3://", "s3://Bucket", "s3://bucket/", "s3://bucket//a", "s3://bucket/a b", "s3://bucket/a 12345",
     "bucket/a", f"s3://bucket/{'p' * 129}", "s3://bucket/a 123456789012 more"],
)  # fmt: skip
def test_a_place_that_is_none_is_unreadable(value: str) -> None:
    assert reserved_tags.read_tags({reserved_tags.MARK: "on", reserved_tags.PURGE_REPORT: value}).unreadable == (
        reserved_tags.PURGE_REPORT,
    )
