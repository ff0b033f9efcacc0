"""`autopurge lock` and `unlock`: one rule changes, all others stay, and the delete obeys."""

from __future__ import annotations

from typing import Any

import pytest
from cloudformation_cli_python_lib import OperationStatus

from awstut_ecr_autopurgerepository.rules.account import account_rules
from sandbox.ecr import StrictEcr
from tests.support.command_line import Autopurge
from tests.support.strict import OWNED, Purge
from tests.support.strict_cloudformation import StrictCloudFormation

PROTECTION = "awstut:deletion-protection"
PATTERNS = "awstut:protect-tags"


def tags(ecr: StrictEcr, name: str = "app") -> dict[str, str]:
    found: dict[str, str] = ecr.repositories[name].tags
    return found


def test_lock_stops_a_delete_and_unlock_allows_it(autopurge: Autopurge, ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=OWNED).with_images(3)
    assert autopurge("lock", "app", "--yes").exit_code == 0
    assert delete().status is OperationStatus.FAILED
    assert len(ecr.repositories["app"].images) == 3
    assert autopurge("unlock", "app", "--yes").exit_code == 0
    assert delete().status is OperationStatus.SUCCESS
    assert "app" not in ecr.repositories


@pytest.mark.parametrize(
    ("options", "tag", "value"),
    [
        ([], PROTECTION, "on"),
        (["--pattern", "release-*"], PATTERNS, "release-@"),
        (["--pulled-within-days", "30"], "awstut:protect-pulled-days", "30"),
        (["--pushed-within-days", "7"], "awstut:protect-pushed-days", "7"),
        (["--in-use-by", "LAMBDA"], "awstut:protect-in-use", "lambda"),
    ],
)
def test_lock_sets_one_rule_and_unlock_switches_it_off(
    autopurge: Autopurge, ecr: StrictEcr, options: list[str], tag: str, value: str
) -> None:
    before = {**OWNED, "team": "shop"}
    ecr.repository("app", tags=before)
    autopurge.json("lock", "app", *options, "--yes")
    assert tags(ecr) == {**before, tag: value}
    lifted = options[:1] if "days" in tag else options
    autopurge.json("unlock", "app", *lifted, "--yes")
    assert tags(ecr) == {**before, tag: "off"}


def test_lock_adds_a_pattern_to_those_that_are_there(autopurge: Autopurge, ecr: StrictEcr) -> None:
    many = [f"{'x' * 60}-{number}" for number in range(4)]
    marked = {"awstut:auto-purge": "on protect-tags", PATTERNS: " ".join(many[:4])}
    ecr.repository("app", tags=marked)
    document = autopurge.json("lock", "app", "--pattern", "release-*", "--yes")
    assert document["before"]["PurgeProtection"]["TagPatterns"] == many
    assert document["after"]["PurgeProtection"]["TagPatterns"] == [*many, "release-*"]
    assert tags(ecr)["awstut:protect-tags-2"] == "release-@"


def test_unlock_takes_one_pattern_away_and_leaves_the_others(autopurge: Autopurge, ecr: StrictEcr) -> None:
    long = "y" * 64
    values = {PATTERNS: f"v1.@ {long} {long[1:]} {long[2:]}", "awstut:protect-tags-2": "release-@"}
    ecr.repository("app", tags={"awstut:auto-purge": "on protect-tags protect-tags-2", **values})
    document = autopurge.json("unlock", "app", "--pattern", long, "--yes")
    assert document["after"]["PurgeProtection"]["TagPatterns"] == ["v1.*", long[1:], long[2:], "release-*"]
    assert tags(ecr)["awstut:protect-tags-2"] == "off"  # the mark names it, so it must not vanish
    assert document["after"] == autopurge.json("list")["repositories"][0]["rules"]


def test_lock_adds_a_service_that_uses_images(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={**OWNED, "awstut:protect-in-use": "lambda"})
    document = autopurge.json("lock", "app", "--in-use-by", "ECS", "--yes")
    assert document["after"]["PurgeProtection"]["InUseBy"] == ["LAMBDA", "ECS"]
    assert "in use by LAMBDA, ECS" in autopurge("list").stdout
    assert tags(ecr)["awstut:protect-in-use"] == "lambda ecs"


def test_lock_shows_before_and_after_and_asks(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={**OWNED, "awstut:protect-pulled-days": "30"})
    result = autopurge("lock", "app", typed="n\n", terminal=True)
    assert "before: pulled within 30 days\n" in result.stdout
    assert "after:  locked; pulled within 30 days\n" in result.stdout
    assert (result.exit_code, PROTECTION in tags(ecr)) == (1, False)
    assert autopurge("lock", "app", typed="y\n", terminal=True).exit_code == 0
    assert tags(ecr)[PROTECTION] == "on"


def test_lock_without_a_terminal_needs_yes(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags=OWNED)
    result = autopurge("lock", "app")
    assert (result.exit_code, tags(ecr)) == (2, OWNED)
    assert "repeat the command with --yes" in result.stderr


def test_lock_of_what_is_locked_asks_nothing_and_writes_nothing(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={**OWNED, PROTECTION: "on"})
    result = autopurge("lock", "app")
    assert (result.exit_code, ecr.calls["TagResource"]) == (0, 0)
    assert result.stdout == "The rules of app: locked. There is nothing to change.\n"


def test_unlock_lifts_a_tag_that_is_unreadable(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={**OWNED, PROTECTION: "perhaps"})
    result = autopurge("unlock", "app", "--yes")
    assert f"unreadable, so protected: {PROTECTION}" in result.stdout
    assert tags(ecr)[PROTECTION] == "off"


def test_lock_does_not_overwrite_patterns_that_nobody_can_read(autopurge: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={**OWNED, PATTERNS: "a:b"})
    result = autopurge("lock", "app", "--pattern", "v*", "--yes")
    assert (result.exit_code, tags(ecr)[PATTERNS]) == (1, "a:b")
    assert "nobody knows what it stands for" in result.stderr


@pytest.mark.parametrize(("name", "words"), [("native", "does not belong to"), ("nothing", "does not exist")])
def test_lock_refuses_what_it_could_not_protect(autopurge: Autopurge, ecr: StrictEcr, name: str, words: str) -> None:
    ecr.repository("native")
    result = autopurge("lock", name, "--yes")
    assert (result.exit_code, ecr.calls["TagResource"]) == (1, 0)
    assert words in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["lock"],
        ["lock", "app", "--account"],
        ["lock", "app", "--pattern", "a", "--pulled-within-days", "3"],
        ["lock", "app", "--pattern", "a b"],
        ["lock", "app", "--in-use-by", "EKS"],
        ["lock", "app", "--pulled-within-days", "0"],
    ],
)
def test_wrong_usage_is_exit_code_2(autopurge: Autopurge, ecr: StrictEcr, arguments: list[str]) -> None:
    ecr.repository("app", tags=OWNED)
    assert autopurge(*arguments, "--yes").exit_code == 2
    assert tags(ecr) == OWNED


CONFIGURATION: dict[str, Any] = {
    "PurgeProtection": {"TagPatterns": ["v1.*"], "PulledWithinDays": 30},
    "PurgeReport": {"BucketName": "audit", "Binding": True},
    "Concurrency": 4,
}


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        ([], "DeletionProtection", True),
        (["--pattern", "release-*"], "PurgeProtection", {"TagPatterns": ["v1.*", "release-*"], "PulledWithinDays": 30}),
        (["--pulled-within-days", "90"], "PurgeProtection", {"TagPatterns": ["v1.*"], "PulledWithinDays": 90}),
        (["--in-use-by", "ecs"], "PurgeProtection", {**CONFIGURATION["PurgeProtection"], "InUseBy": ["ECS"]}),
    ],
)
def test_lock_account_merges_into_the_type_configuration(
    autopurge: Autopurge, cloudformation: StrictCloudFormation, options: list[str], key: str, value: Any
) -> None:
    cloudformation.configuration = CONFIGURATION
    document = autopurge.json("lock", "--account", *options, "--yes")
    assert document == {"before": CONFIGURATION, "after": {**CONFIGURATION, key: value}, "changed": True}
    assert cloudformation.configuration == document["after"]
    account_rules(document["after"])  # is what the handlers take


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--pattern", "v1.*"], {"PulledWithinDays": 30}),
        (["--pulled-within-days"], {"TagPatterns": ["v1.*"]}),
    ],
)
def test_unlock_account_lifts_one_rule(
    autopurge: Autopurge, cloudformation: StrictCloudFormation, options: list[str], left: Any
) -> None:
    cloudformation.configuration = CONFIGURATION
    assert autopurge("unlock", "--account", *options, "--yes").exit_code == 0
    assert cloudformation.configuration == {**CONFIGURATION, "PurgeProtection": left}


def test_unlock_account_leaves_no_empty_rule(autopurge: Autopurge, cloudformation: StrictCloudFormation) -> None:
    cloudformation.configuration = {"PurgeProtection": {"PulledWithinDays": 30}}
    assert autopurge("unlock", "--account", "--pulled-within-days", "--yes").exit_code == 0
    assert cloudformation.configuration == {}


def test_lock_account_begins_where_none_is_set(autopurge: Autopurge, cloudformation: StrictCloudFormation) -> None:
    assert autopurge.json("lock", "--account", "--yes")["before"] == {}
    assert cloudformation.configuration == {"DeletionProtection": True}


def test_lock_account_replaces_nothing_that_it_may_not_read(
    autopurge: Autopurge, cloudformation: StrictCloudFormation
) -> None:
    cloudformation.configuration = CONFIGURATION
    cloudformation.denied.add("BatchDescribeTypeConfigurations")
    result = autopurge("lock", "--account", "--yes")
    assert (result.exit_code, cloudformation.configuration) == (1, CONFIGURATION)
    assert "cloudformation:BatchDescribeTypeConfigurations was denied" in result.stderr
