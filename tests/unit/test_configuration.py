"""The type configuration: what is taken, and what is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, strategies

from awstut_ecr_autopurgerepository.provider.resource import read_configuration
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.settings import ReportPlace

SCHEMA = json.loads((Path(__file__).parents[2] / "awstut-ecr-autopurgerepository-configuration.json").read_text())

BAD = {
    "a list": ([], "the type configuration must be an object"),
    "a text": ("on", "the type configuration must be an object"),
    "an unknown key": ({"DeletionProtecton": True}, "has DeletionProtecton, and only"),
    "an unknown nested key": ({"PurgeProtection": {"Tags": ["v*"]}}, "PurgeProtection has Tags, and only"),
    "a string for a boolean": ({"DeletionProtection": "true"}, "must be true or false, without quotes"),
    "a string for a list": (
        {"PurgeProtection": {"TagPatterns": "v*"}},
        "TagPatterns must be a list, but is 'v*'",
    ),
    "an empty list": ({"PurgeProtection": {"TagPatterns": []}}, "must be a list of 1 to 10 patterns"),
    "eleven patterns": ({"PurgeProtection": {"TagPatterns": list("abcdefghijk")}}, "must be a list of 1 to 10"),
    "an empty pattern": ({"PurgeProtection": {"TagPatterns": [""]}}, "has ''"),
    "off": ({"PurgeProtection": {"TagPatterns": ["off"]}}, "and not off"),
    "a character that no tag has": ({"PurgeProtection": {"TagPatterns": ["v+"]}}, "has 'v+'"),
    "a long pattern": ({"PurgeProtection": {"TagPatterns": ["v" * 65]}}, "1 to 64 letters"),
    "a string for a number": ({"Concurrency": "4"}, "Concurrency must be a whole number, without quotes, but is '4'"),
    "no concurrency": ({"Concurrency": 0}, "Concurrency must be a whole number from 1 to 16"),
    "too much concurrency": ({"Concurrency": 17}, "Concurrency must be a whole number from 1 to 16"),
    "a string for days": (
        {"PurgeProtection": {"PulledWithinDays": "30"}},
        "a whole number, without quotes, but is '30'",
    ),
    "no days": ({"PurgeProtection": {"PulledWithinDays": 0}}, "a whole number from 1 to 3,650"),
    "days before": ({"PurgeProtection": {"PulledWithinDays": -1}}, "a whole number from 1 to 3,650"),
    "days beyond": ({"PurgeProtection": {"PulledWithinDays": 3651}}, "a whole number from 1 to 3,650"),
    "no days of pushes": (
        {"PurgeProtection": {"PushedWithinDays": 0}},
        "PushedWithinDays must be a whole number from 1",
    ),
    "days of pushes beyond": (
        {"PurgeProtection": {"PushedWithinDays": 3651}},
        "PushedWithinDays must be a whole number from 1 to 3,650",
    ),
    "an unknown service": (
        {"PurgeProtection": {"InUseBy": ["EKS"]}},
        "InUseBy has 'EKS': name one or more of LAMBDA, ECS",
    ),
    "no service": ({"PurgeProtection": {"InUseBy": []}}, "InUseBy must be a list of 1 to 3 of LAMBDA, ECS, INSPECTOR"),
    "a service twice": (
        {"PurgeProtection": {"InUseBy": ["ECS", "ECS"]}},
        "PurgeProtection.InUseBy has a service twice",
    ),
    "a string for services": ({"PurgeProtection": {"InUseBy": "ECS"}}, "InUseBy must be a list, but is 'ECS'"),
    "a string for replicated deletes": ({"AllowReplicatedDeletes": "true"}, "must be true or false, without quotes"),
    "a fraction of days": (
        {"PurgeProtection": {"PulledWithinDays": 1.5}},
        "a whole number, without quotes, but is 1.5",
    ),
    "a report without a bucket": ({"PurgeReport": {}}, "PurgeReport.BucketName must be the name of a bucket"),
    "a bucket that is none": ({"PurgeReport": {"BucketName": "My_Bucket"}}, "PurgeReport.BucketName must be the name"),
    "a prefix with a slash at its end": (
        {"PurgeReport": {"BucketName": "bucket", "Prefix": "a/"}},
        "PurgeReport.Prefix",
    ),
    "an empty prefix": ({"PurgeReport": {"BucketName": "bucket", "Prefix": ""}}, "PurgeReport.Prefix must be 1 to 128"),
    "a number for an account": (
        {"PurgeReport": {"BucketName": "bucket", "BucketOwner": 123456789012}},
        "PurgeReport.BucketOwner must be a string, but is 123456789012",
    ),
    "a prefix that leads upwards": (
        {"PurgeReport": {"BucketName": "bucket", "Prefix": "a/../b"}},
        "PurgeReport.Prefix must not have .. between slashes",
    ),
    "a string for binding": (
        {"PurgeReport": {"BucketName": "bucket", "Binding": "true"}},
        "PurgeReport.Binding must be true or false, without quotes",
    ),
    "no allowed bucket": (
        {"PurgeReport": {"BucketName": "bucket", "AllowedBuckets": []}},
        "PurgeReport.AllowedBuckets must be a list of 1 to 20 buckets",
    ),
    "an allowed bucket that is none": (
        {"PurgeReport": {"BucketName": "bucket", "AllowedBuckets": ["My_Bucket"]}},
        "PurgeReport.AllowedBuckets must be the name of a bucket",
    ),
    "a string for allowed buckets": (
        {"PurgeReport": {"BucketName": "bucket", "AllowedBuckets": "bucket"}},
        "PurgeReport.AllowedBuckets must be a list",
    ),
    "a report that is null": ({"PurgeReport": None}, "PurgeReport is null"),
    "null": ({"PurgeProtection": None}, "PurgeProtection is null"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_configuration_is_refused_with_a_reason(case: str) -> None:
    raw, reason = BAD[case]
    with pytest.raises(ValueError) as refused:
        read_configuration(raw)
    assert reason in str(refused.value)


@pytest.mark.parametrize("raw", [None, {}])
def test_none_is_the_default(raw: object) -> None:
    assert read_configuration(raw) == AccountRules()


def test_everything_is_read() -> None:
    raw = {
        "DeletionProtection": True,
        "PurgeProtection": {
            "TagPatterns": ["v*", "*"],
            "PulledWithinDays": 30,
            "PushedWithinDays": 7,
            "InUseBy": ["ECS"],
        },
        "AllowReplicatedDeletes": True,
        "PurgeReport": {
            "BucketName": "audit",
            "Prefix": "purges/ecr",
            "BucketOwner": "210987654321",
            "Binding": True,
            "AllowedBuckets": ["other", "third"],
        },
        "Concurrency": 16,
    }
    place = ReportPlace("audit", "purges/ecr", "210987654321")
    assert read_configuration(raw) == AccountRules(
        True, ("v*", "*"), 30, place, 16, 7, True, binding=True, report_buckets=("other", "third"), in_use_by=("ECS",)
    )


PATTERNS = strategies.sampled_from(["v*", "off", "", "a+", "x" * 65, 3])
PLAUSIBLE = strategies.fixed_dictionaries(
    {},
    optional={
        "DeletionProtection": strategies.sampled_from([True, False, "true", None]),
        "Concurrency": strategies.sampled_from([1, 16, 0, 17, "8", 2.5, True]),
        "PurgeProtection": strategies.fixed_dictionaries(
            {},
            optional={
                "TagPatterns": strategies.lists(
                    strategies.sampled_from(["v*", "off", "", "a+", "x" * 65, 3]), max_size=12
                )
                | strategies.text(),
                "PulledWithinDays": strategies.sampled_from([1, 3650, 0, 3651, "30", 1.5, None]),
                "PushedWithinDays": strategies.sampled_from([1, 3650, 0, 3651, "30", 1.5, None]),
                "InUseBy": strategies.lists(
                    strategies.sampled_from(["LAMBDA", "ECS", "INSPECTOR", "EKS", 3]), max_size=4
                )
                | strategies.none(),
                "Other": strategies.just(1),
            },
        )
        | strategies.none(),
        "PurgeReport": strategies.fixed_dictionaries(
            {},
            optional={
                "BucketName": strategies.sampled_from(["audit", "a", "A-b", "a" * 64, 3, None]),
                "Prefix": strategies.sampled_from(
                    ["a", "a/b=c", "/a", "a/", "a//b", "", "a b", "p" * 129, None, "..", "a/..", "../a", "a..b"]
                ),
                "Binding": strategies.sampled_from([True, False, "true", None]),
                "AllowedBuckets": strategies.lists(strategies.sampled_from(["audit", "a", "A-b", 3]), max_size=3)
                | strategies.sampled_from(["audit", None, ["audit"] * 20, ["audit"] * 21]),
                "BucketOwner": strategies.sampled_from(["123456789012", "12", 123456789012, "", None]),
            },
        ),
        "Surprise": strategies.just({}),
    },
)


@given(PLAUSIBLE)
def test_what_the_schema_refuses_is_refused_and_nothing_else_but_duplicates(raw: dict[str, object]) -> None:
    allowed = jsonschema.Draft7Validator(SCHEMA).is_valid(raw)
    protection = raw.get("PurgeProtection")
    lists = [protection.get(name) for name in ("TagPatterns", "InUseBy")] if isinstance(protection, dict) else []
    duplicates = any(isinstance(each, list) and len(set(each)) < len(each) for each in lists)
    try:
        read_configuration(raw)
        taken = True
    except ValueError:
        taken = False
    assert taken == (allowed and not duplicates)
