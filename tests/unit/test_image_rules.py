"""Which images a delete may not remove."""

from __future__ import annotations

from typing import Any

import pytest

from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.images import ImageRules, ImagesFound, fingerprint, image_rules
from awstut_ecr_autopurgerepository.rules.reasons import Reason, lift_all
from awstut_ecr_autopurgerepository.rules.reserved_tags import read_tags, write_tags
from awstut_ecr_autopurgerepository.rules.settings import Settings
from tests.support.images import NONE, NOW, image


def rules(configuration: AccountRules = NONE, **chosen: Any) -> ImageRules:
    stored = read_tags(write_tags(Settings(**chosen)))
    return image_rules(stored, configuration, NOW)


def words(rules: ImageRules, each: Any) -> list[str]:
    """The rules that protect an image, in words."""
    return [rule.words for rule in rules.protecting(each)]


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
    assert rules(patterns=("*a" * 32,)).protecting(image("a" * 31 + "b" * 97)) == []


def test_a_pattern_never_protects_an_image_without_tags() -> None:
    assert rules(patterns=("*",)).protecting(image()) == []


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
    assert rules(patterns=("v*",)).protecting(unknown) == []


def test_without_rules_nothing_is_protected() -> None:
    assert rules().protecting(image("v1", pushed=0, pulled=0)) == []


def test_the_account_adds_to_the_repository_and_never_weakens_it() -> None:
    both = rules(AccountRules(patterns=("b*",), pulled_within_days=5), patterns=("a*",), pulled_within_days=90)
    assert "tag pattern a*" in str(words(both, image("a1")))
    assert "account" in str(words(both, image("b1")))
    assert "90 days" in str(words(both, image("c", pulled=60)))


def test_all_rules_that_protect_an_image_are_named_and_the_same_rule_of_the_account_apart() -> None:
    both = rules(AccountRules(patterns=("v*",)), patterns=("v*", "*1", "w*"), pushed_within_days=7)
    assert words(both, image("v1", pushed=3)) == [
        "tag pattern v* (type configuration of the account)",
        "tag pattern v* (PurgeProtection in its template)",
        "tag pattern *1 (PurgeProtection in its template)",
        "pushed within 7 days (PurgeProtection in its template)",
    ]


def test_a_rule_says_where_it_comes_from() -> None:
    operator = read_tags({"awstut:auto-purge": "on", "awstut:protect-tags": "v@"})
    found = words(image_rules(operator, AccountRules(), NOW), image("v1"))
    assert found == ["tag pattern v* (tag awstut:protect-tags of the repository)"]
    assert words(rules(patterns=("v*",)), image("v1")) == ["tag pattern v* (PurgeProtection in its template)"]


@pytest.mark.parametrize(
    ("pulled", "restored", "protects"),
    [(None, 29, True), (None, 30.9, True), (None, 31.1, False), (400, 3, True), (3, 400, True), (400, 400, False)],
)
def test_a_restore_from_the_archive_protects_like_a_pull(pulled: float | None, restored: float, protects: bool) -> None:
    found = rules(pulled_within_days=30).protecting(image("a", pulled=pulled, restored=restored))
    assert bool(found) is protects


@pytest.mark.parametrize(("pushed", "protects"), [(0, True), (6.9, True), (7, True), (7.1, False), (400, False)])
def test_a_push_protects_for_so_many_days(pushed: float, protects: bool) -> None:
    assert bool(rules(pushed_within_days=7).protecting(image("a", pushed=pushed))) is protects


def test_a_pull_is_no_push_and_a_push_is_no_pull() -> None:
    """A repository that is pushed to daily and never pulled from stays deletable under PulledWithinDays."""
    assert rules(pushed_within_days=30).protecting(image("a", pushed=400, pulled=1)) == []
    assert rules(pulled_within_days=30).protecting(image("a", pushed=2)) == []


def test_an_image_of_unknown_push_time_counts_as_pushed_now() -> None:
    unknown = image("a")
    del unknown["imagePushedAt"]
    assert rules(pushed_within_days=1).protecting(unknown)


def test_the_rule_for_pushes_says_its_days_and_where_it_comes_from() -> None:
    both = rules(AccountRules(pushed_within_days=90), pushed_within_days=7)
    template = "pushed within 7 days (PurgeProtection in its template)"
    assert words(both, image("a", pushed=30)) == ["pushed within 90 days (type configuration of the account)"]
    assert words(both, image("a", pushed=3))[1:] == [template]
    assert words(rules(pushed_within_days=7), image("a", pushed=3)) == [template]


@pytest.mark.parametrize("place", ["repository", "account"])
def test_another_number_of_days_is_another_fingerprint(place: str) -> None:
    def of(days: int | None) -> str:
        chosen, account = (days, None) if place == "repository" else (None, days)
        stored = read_tags(write_tags(Settings(pushed_within_days=chosen)))
        return fingerprint(stored, AccountRules(pushed_within_days=account))

    assert len({of(None), of(7), of(8)}) == 3
    assert of(7) == of(7)


def test_a_sample_names_the_restore_where_it_is_later_than_the_pull() -> None:
    found, [rule] = ImagesFound(), rules(patterns=("*",)).rules
    found.add(image("a", pulled=60, restored=2), [rule])
    found.add(image("b", pulled=2, restored=60), [rule])
    assert "restored 2026-11-22" in found.samples[0]
    assert "last pull 2026-11-22" in found.samples[1]


def test_the_samples_are_the_most_important_images_those_with_a_tag_and_pulled_last() -> None:
    found, [rule] = ImagesFound(), rules(patterns=("*",)).rules
    for pulled in range(1, 13):
        found.add(image(pulled=1), [rule])
        found.add(image(f"v{pulled}", pulled=pulled), [rule])
    assert [each.partition(" ")[0] for each in found.samples] == [f"v{pulled}" for pulled in range(1, 11)]


STORED = read_tags(
    {"awstut:auto-purge": "on", "awstut:protect-tags": "v@ release-@", "awstut:protect-tags-2": "eu-@ v@"}
)


@pytest.mark.parametrize(
    ("tags", "lift"),
    [
        (["v1"], {"awstut:protect-tags": "release-@", "awstut:protect-tags-2": "eu-@"}),
        (["release-1"], {"awstut:protect-tags": "v@"}),
        (["v1", "release-1"], {"awstut:protect-tags": "off", "awstut:protect-tags-2": "eu-@"}),
        (["eu-1", "v1", "release-1"], {"awstut:protect-tags": "off", "awstut:protect-tags-2": "off"}),
    ],
)
def test_what_lifts_patterns_leaves_those_that_refused_nothing(tags: list[str], lift: dict[str, str]) -> None:
    found = image_rules(STORED, NONE, NOW).protecting(image(*tags))
    assert lift_all(Reason(each.kind.value, each.words, lift=each.lift(STORED)) for each in found) == lift
