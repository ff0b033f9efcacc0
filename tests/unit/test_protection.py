"""Which images may not go, and the messages that say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest

from awstut_ecr_autopurgerepository import protection, settings
from awstut_ecr_autopurgerepository.configuration import Configuration
from awstut_ecr_autopurgerepository.protection import LONGEST_MESSAGE, Protected, Rules
from awstut_ecr_autopurgerepository.settings import Owner, Settings, Stored

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ARN = "arn:aws:ecr:eu-west-1:123456789012:repository/app"
NONE = Configuration()
STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/6f2c1a50-c8a1-11f0-9e1b-0a58a9feac02"


def image(*tags: str, pushed: float = 400, pulled: float | None = None) -> Any:
    """An image, pushed and pulled so many days ago."""
    detail: dict[str, Any] = {
        "imageDigest": "sha256:" + "0123456789ab" * 5 + "cdef",
        "imagePushedAt": NOW - timedelta(pushed),
    }
    if tags:
        detail["imageTags"] = list(tags)
    if pulled is not None:
        detail["lastRecordedPullTime"] = NOW - timedelta(pulled)
    return detail


def rules(configuration: Configuration = NONE, **chosen: Any) -> Rules:
    stored = settings.read(settings.write(Settings(**chosen)))
    return protection.rules(stored, configuration, NOW)


@pytest.mark.parametrize(
    ("pattern", "tag", "protects"),
    [
        ("v*", "v1.0", True),
        ("v*", "v", True),
        ("v*", "rev1", False),
        ("*-prod", "eu-prod", True),
        ("*-prod", "-prod", True),
        ("*-prod", "eu-prod-old", False),
        ("v1.*", "v1.0", True),
        ("v1.*", "v10", False),
        ("*", "anything", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "acb", False),
        ("V*", "v1", False),
        ("latest", "latest", True),
        ("latest", "latest2", False),
    ],
)
def test_a_pattern_protects_the_whole_tag(pattern: str, tag: str, protects: bool) -> None:
    assert bool(rules(patterns=(pattern,)).protecting(image(tag))) is protects


def test_a_pattern_of_many_wildcards_is_judged_at_once() -> None:
    assert rules(patterns=("*a" * 32,)).protecting(image("a" * 31 + "b" * 97)) is None


def test_a_pattern_never_protects_an_image_without_tags() -> None:
    assert rules(patterns=("*",)).protecting(image()) is None


def test_one_of_many_tags_is_enough() -> None:
    assert rules(patterns=("v*",)).protecting(image("latest", "v1"))


@pytest.mark.parametrize(
    ("pulled", "pushed", "protects"),
    [
        (29, 400, True),
        (30.9, 400, True),  # pulls are recorded up to 24 hours late
        (31.1, 400, False),
        (None, 400, False),
        (None, 0.9, True),  # pushed so lately that a pull may not be recorded yet
        (None, 1.1, False),
        (400, 400, False),
    ],
)
def test_a_pull_protects_for_so_many_days_and_one(pulled: float | None, pushed: float, protects: bool) -> None:
    assert bool(rules(pulled_within_days=30).protecting(image("a", pushed=pushed, pulled=pulled))) is protects


def test_an_image_of_unknown_age_counts_as_new() -> None:
    unknown = image("a")
    del unknown["imagePushedAt"]
    assert rules(pulled_within_days=30).protecting(unknown)
    assert rules(patterns=("v*",)).protecting(unknown) is None


def test_without_rules_nothing_is_protected() -> None:
    assert rules().protecting(image("v1", pushed=0, pulled=0)) is None


def test_the_account_adds_to_the_repository_and_never_weakens_it() -> None:
    both = rules(Configuration(patterns=("b*",), pulled_within_days=5), patterns=("a*",), pulled_within_days=90)
    assert "tag pattern a*" in str(both.protecting(image("a1")))
    assert "account" in str(both.protecting(image("b1")))
    assert "90 days" in str(both.protecting(image("c", pulled=60)))


def test_a_rule_says_where_it_comes_from() -> None:
    by_hand = settings.read({"awstut:auto-purge": "on", "awstut:protect-tags": "v@"})
    words = protection.rules(by_hand, Configuration(), NOW).protecting(image("v1"))
    assert words == "tag pattern v* (tag awstut:protect-tags of the repository)"
    assert rules(patterns=("v*",)).protecting(image("v1")) == "tag pattern v* (PurgeProtection in its template)"


def refusal(
    stored: Stored, images: list[Any], configuration: Configuration = NONE, deleted: int = 0, arn: str = ARN
) -> str:
    found = Protected()
    chosen = protection.rules(stored, configuration, NOW)
    for each in images:
        found.add(each, str(chosen.protecting(each)))
    return protection.protected_refusal(stored, ARN, found, deleted, 2_000)


def test_a_refusal_names_rule_source_number_first_images_and_command() -> None:
    stored = settings.read(settings.write(Settings(patterns=("v*",))))
    message = refusal(stored, [image(f"v{n}", pulled=n or None) for n in range(12)])
    assert message == (
        "The repository app was not deleted, and no image was deleted: 12 images protected by tag pattern v* "
        "(PurgeProtection in its template). They are v0 (sha256:0123456789ab, no pull recorded), "
        + ", ".join(f"v{n} (sha256:0123456789ab, last pull {NOW - timedelta(n):%Y-%m-%d})" for n in range(1, 10))
        + " and 2 more. To let them go, switch the rules off and delete again: aws ecr tag-resource --region eu-west-1 "
        f"--resource-arn {ARN} --tags Key=awstut:protect-tags,Value=off"
    )


def test_a_refusal_by_the_account_names_who_can_change_it_and_no_tag() -> None:
    stored = settings.read(settings.write(Settings()))
    message = refusal(stored, [image("v1")], Configuration(patterns=("v*",)))
    assert "aws cloudformation set-type-configuration" in message
    assert "tag-resource" not in message


def test_a_refusal_in_the_middle_says_what_was_deleted() -> None:
    stored = settings.read(settings.write(Settings(patterns=("v*",))))
    assert "and 1,200 of about 2,000 images had been deleted before: 1 image protected" in refusal(
        stored, [image("v1")], deleted=1_200
    )


LONGEST_NAME = "n" * 256
LONGEST_ARN = f"arn:aws-us-gov:ecr:ap-southeast-4:123456789012:repository/{LONGEST_NAME}"
LONGEST_STACK = (
    f"arn:aws-us-gov:cloudformation:ap-southeast-4:123456789012:stack/{'s' * 128}/6f2c1a50-c8a1-11f0-9e1b-0a58a9feac02"
)


def longest_messages() -> list[str]:
    patterns = tuple(f"{n}{'*p' * 31}" for n in range(10))
    stored = settings.read(
        settings.write(Settings(patterns=patterns, pulled_within_days=3650, deletion_protection=True))
        | settings.owner_tags(Owner(LONGEST_STACK, "L" * 255))
    )
    images = [image("t" * 128, pulled=1) for _ in range(20)]
    found = Protected()
    for number, each in enumerate(images):
        found.add(each, f"tag pattern {patterns[number % 10]} (PurgeProtection in its template)")
    mine = Owner(LONGEST_STACK.replace("/s", "/m"), "M" * 255)
    on = Configuration(deletion_protection=True)
    stripped = settings.read({"awstut:auto-purge": settings.mark(True, settings.RULE_TAGS)})
    return [
        protection.protected_refusal(stored, LONGEST_ARN, found, 99_000, 100_000),
        protection.not_empty_refusal(stored, LONGEST_ARN, 100_000),
        str(protection.standing_refusal(stored, LONGEST_ARN, mine, on)),
        str(protection.standing_refusal(stripped, LONGEST_ARN, mine, on)),
    ]


@pytest.mark.parametrize("number", range(4))
def test_the_longest_message_fits_whole_words_and_a_whole_command(number: int) -> None:
    message = longest_messages()[number]
    assert len(message) <= LONGEST_MESSAGE
    sentence, _, command = message.partition(" aws ecr tag-resource")
    assert f"--resource-arn {LONGEST_ARN} --tags " in command
    assert sentence.endswith((" ...", ":"))


@pytest.mark.parametrize("service", ["cloudformation", "cloudcontrol"])
def test_a_message_fits_into_what_the_services_take(service: str) -> None:
    shape = botocore.session.get_session().get_service_model(service).shape_for("StatusMessage")
    assert shape.metadata["max"] >= LONGEST_MESSAGE
