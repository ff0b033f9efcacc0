"""Delete replication: a purge does not delete images in other Regions and accounts unless that is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.replication import destinations_of_deletes
from sandbox.ecr import StrictEcr
from tests.support.strict import ACCOUNT, MARKED, Purge, run_command_in
from tests.support.strict_s3 import StrictS3

THERE = "eu-central-1"
ELSEWHERE = f"{THERE} (account {ACCOUNT})"


def replicate(ecr: StrictEcr, prefix: str = "", *, enabled: bool = True) -> None:
    rule: dict[str, Any] = {
        "destinations": [{"region": THERE, "registryId": ACCOUNT}],
        "deleteReplication": {"enabled": enabled},
    }
    if prefix:
        rule["repositoryFilters"] = [{"filter": prefix, "filterType": "PREFIX_MATCH"}]
    ecr.call("PutReplicationConfiguration", {"replicationConfiguration": {"rules": [rule]}})


@pytest.mark.parametrize("prefix", ["", "ap"])
def test_a_purge_that_ecr_would_carry_elsewhere_is_refused_and_the_command_allows_it(
    ecr: StrictEcr, delete: Purge, prefix: str
) -> None:
    ecr.repository("app", tags=MARKED).with_images(150)
    replicate(ecr, prefix)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert f"would delete each image in {ELSEWHERE}, too" in event.message
    assert "Key=awstut:replicated-deletes,Value=on" in event.message
    assert ecr.holds("app") == 150
    run_command_in(ecr, event.message)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None
    assert len(ecr.replicated_deletions) == 150


@pytest.mark.parametrize(("prefix", "enabled"), [("other", True), ("", False)])
def test_a_rule_that_does_not_cover_it_does_not_matter(
    ecr: StrictEcr, delete: Purge, prefix: str, enabled: bool
) -> None:
    ecr.repository("app", tags=MARKED).with_images(3)
    replicate(ecr, prefix, enabled=enabled)
    assert delete().status is OperationStatus.SUCCESS


def test_an_empty_repository_needs_no_answer(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED)
    replicate(ecr)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.calls["DescribeRegistry"] == 0


def test_the_account_can_allow_it_for_all_and_then_nobody_asks(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(3)
    replicate(ecr)
    delete.configuration = AccountRules(replicated_deletes=True)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.calls["DescribeRegistry"] == 0


@pytest.mark.parametrize("value", ["off", "yes", ""])
def test_any_other_value_of_the_tag_allows_nothing(ecr: StrictEcr, delete: Purge, value: str) -> None:
    ecr.repository("app", tags=MARKED | {"awstut:replicated-deletes": value}).with_images(3)
    replicate(ecr)
    assert delete().errorCode is HandlerErrorCode.InvalidRequest
    assert ecr.holds("app") == 3


def test_who_may_not_ask_is_refused_with_permission_and_tag(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(3)
    ecr.faults.deny.add("ecr:DescribeRegistry")
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "ecr:DescribeRegistry was denied" in event.message
    assert "Key=awstut:replicated-deletes,Value=on" in event.message
    assert ecr.holds("app") == 3
    run_command_in(ecr, event.message)
    assert delete().status is OperationStatus.SUCCESS


def test_a_failure_that_passes_is_waited_for(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(3)
    ecr.faults.fail_next("DescribeRegistry", "ServerException", "Service Unavailable", 500, times=3)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.calls["DescribeRegistry"] == 4


def test_a_rule_that_comes_during_the_purge_stops_it(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(5_000)
    ecr.faults.latency = {"BatchDeleteImage": 9.0}
    slices = delete.slices()
    assert next(slices).status is OperationStatus.IN_PROGRESS
    replicate(ecr)
    [event] = list(slices)
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    # The first call of a purge that lasts answers early: a round of eight deletes tells that it does.
    assert event.message.startswith("Stopped after deleting 800 of about 5,000 images in app: a replication rule")
    assert ecr.holds("app") == 4_200


def test_the_report_names_the_destinations(ecr: StrictEcr, delete: Purge, s3: StrictS3) -> None:
    tags = {
        "awstut:auto-purge": "on purge-report",
        "awstut:purge-report": "s3://audit/purges",
        "awstut:replicated-deletes": "on",
    }
    bucket = s3.make_bucket("audit")
    ecr.repository("app", tags=tags).with_images(3)
    replicate(ecr)
    assert delete().status is OperationStatus.SUCCESS
    [summary] = [json.loads(content) for key, content in bucket.objects.items() if key.endswith("/summary.json")]
    assert summary["replicatedTo"] == [ELSEWHERE]


def test_a_filter_of_an_unknown_kind_counts_as_covering() -> None:
    rule = {
        "destinations": [{"region": THERE, "registryId": ACCOUNT}],
        "deleteReplication": {"enabled": True},
        "repositoryFilters": [{"filter": "x", "filterType": "SOMETHING_NEW"}],
    }
    assert destinations_of_deletes("app", {"replicationConfiguration": {"rules": [rule]}}) == (ELSEWHERE,)
