"""A refusal names all reasons at once, with one command that lifts them, and no more than what refused."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.settings import ReportPlace
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.samples import LONG_NAME, POLICY, tags_of
from tests.support.strict import ACCOUNT, MARKED, STACK, Purge, run_command_in
from tests.support.strict_s3 import StrictS3

EVERYTHING = {
    "awstut:auto-purge": "off deletion-protection protect-tags protect-pulled-days protect-pushed-days purge-report "
    "freeze-on-delete",
    "awstut:deletion-protection": "on",
    "awstut:protect-tags": "v@ release-@ eu-@",
    "awstut:protect-pulled-days": "30",
    "awstut:protect-pushed-days": "5",
    "awstut:purge-report": "s3://audit/purges",
    "awstut:freeze-on-delete": "on",
}
# A policy that has no room for the push block.
FULL = json.dumps({"Version": "2012-10-17", "Statement": [{**POLICY["Statement"][0], "Resource": "x" * 10_000}]})


def replicate(ecr: StrictEcr, region: str = "eu-central-1") -> None:
    rule = {"destinations": [{"region": region, "registryId": ACCOUNT}], "deleteReplication": {"enabled": True}}
    ecr.call("PutReplicationConfiguration", {"replicationConfiguration": {"rules": [rule]}})


def with_everything_against_it(ecr: StrictEcr, name: str = "app") -> None:
    """Two of three patterns and the rule for pulls match; the rule for pushes does not. The bucket is missing."""
    builder = ecr.repository(name, tags=EVERYTHING).with_tagged("v1", "release-1", pulled_days_ago=3)
    builder.with_tagged("v2").with_images(3, untagged=True)
    ecr.repositories[name].policy = FULL
    replicate(ecr)


def test_everything_against_a_delete_is_in_one_message_the_most_important_first(ecr: StrictEcr, delete: Purge) -> None:
    with_everything_against_it(ecr)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert len(event.message) <= LONGEST_MESSAGE
    reasons = [
        "The repository app was not deleted, and no image was deleted, for 8 reasons: "
        "(1) its deletion protection is on",
        "(2) 2 images are protected by tag pattern v*",
        "(3) 1 image is protected by tag pattern release-*",
        "(4) 1 image is protected by pulled within 30 days",
        "(5) it has 5 images, and EmptyOnDelete is false",
        f"(6) ECR would delete them in eu-central-1 (account {ACCOUNT}), too",
        "(7) no purge report: there is no bucket audit",
        "(8) pushes cannot be refused. ",
    ]
    assert event.message.startswith("; ".join(reasons))
    assert not [name for name in ecr.calls if name.startswith(("Batch", "Delete", "Set", "Tag"))]


def test_what_has_no_room_is_counted_and_in_the_log(
    ecr: StrictEcr, delete: Purge, caplog: pytest.LogCaptureFixture
) -> None:
    with_everything_against_it(ecr, LONG_NAME)
    caplog.set_level(logging.INFO)
    event = delete(LONG_NAME)
    assert len(event.message) <= LONGEST_MESSAGE
    assert "for 8 reasons: (1) its deletion protection is on; " in event.message
    assert re.search(r"; and [1-7] more, which the log of the resource type names\.", event.message)
    [line] = [each.getMessage() for each in caplog.records if each.getMessage().startswith("Every reason")]
    assert "(2) 2 images are protected by tag pattern v* (PurgeProtection in its template); " in line
    assert "(5) it has 5 images, and EmptyOnDelete is false; " in line
    assert "(6) a replication rule of the registry would delete each image in eu-central-1" in line
    assert "(7) its purge report cannot be written to s3://audit/purges: there is no bucket audit; " in line
    assert "(8) FreezeOnDelete is on, but pushes cannot be refused because its repository policy would be 10,3" in line


def test_one_command_lifts_all_that_refused_and_nothing_else(ecr: StrictEcr, delete: Purge, s3: StrictS3) -> None:
    with_everything_against_it(ecr)
    run_command_in(ecr, delete().message)
    tags = tags_of(ecr)
    assert tags["awstut:deletion-protection"] == "off"
    assert tags["awstut:auto-purge"] == EVERYTHING["awstut:auto-purge"].replace("off", "on", 1)
    assert tags["awstut:protect-tags"] == "eu-@"
    assert tags["awstut:protect-pulled-days"] == "off"
    assert tags["awstut:protect-pushed-days"] == "5"
    assert tags["awstut:replicated-deletes"] == "on"
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_a_pattern_that_matched_nothing_still_protects_what_arrives_after_the_command(
    ecr: StrictEcr, delete: Purge
) -> None:
    tags = MARKED | {"awstut:protect-tags": "v@ eu-@", "awstut:protect-pulled-days": "30"}
    builder = ecr.repository("app", tags=tags).with_tagged("v1")
    run_command_in(ecr, delete().message)
    builder.with_tagged("eu-1")
    event = delete()
    assert "1 image is protected by tag pattern eu-*" in event.message
    assert "tag pattern v*" not in event.message
    assert tags_of(ecr)["awstut:protect-pulled-days"] == "30"
    assert ecr.holds("app") == 2


def test_a_lock_is_told_together_with_the_images_that_a_rule_protects(ecr: StrictEcr, delete: Purge) -> None:
    tags = MARKED | {"awstut:deletion-protection": "on", "awstut:protect-tags": "v@"}
    ecr.repository("app", tags=tags).with_images(1_500)
    event = delete()
    assert "for 2 reasons: (1) its deletion protection is on; (2) 1,500 images are protected by" in event.message
    assert "perhaps more" not in event.message
    run_command_in(ecr, event.message)
    assert delete().status is OperationStatus.SUCCESS


def test_what_only_an_administrator_can_lift_is_said_beside_the_command(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED | {"awstut:deletion-protection": "on"}).with_images(3)
    delete.configuration = AccountRules(deletion_protection=True, patterns=("v*",))
    message = delete().message
    assert "(1) deletion protection is on in the type configuration of the account; (2) its deletion" in message
    assert "aws cloudformation set-type-configuration" in message
    assert "This command lifts the reasons that tags can lift: aws ecr tag-resource" in message
    run_command_in(ecr, message)
    assert "for 2 reasons" in delete().message
    assert "tag-resource" not in delete().message
    delete.configuration = AccountRules()
    assert delete().status is OperationStatus.SUCCESS


def test_an_empty_repository_that_is_locked_has_one_reason(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=EVERYTHING)
    replicate(ecr)
    event = delete()
    assert "not deleted, and no image was deleted: its deletion protection is on. To delete" in event.message
    assert not ecr.calls["DescribeRegistry"]


def test_a_refusal_that_is_not_the_requesters_stands_alone_and_offers_to_keep_the_repository(
    ecr: StrictEcr, delete: Purge
) -> None:
    with_everything_against_it(ecr)
    ecr.repositories["app"].tags |= {"awstut:stack-id": STACK, "awstut:logical-id": "Repository"}
    message = delete(stack_id=STACK.replace("shop", "other"), logical_id="Mine").message
    assert message.startswith(
        "The repository app and its images are not touched: it belongs to the resource Repository"
    )
    assert "protection" not in message
    keep = message.index("aws cloudformation delete-stack --stack-name other --retain-resources Mine")
    assert keep < message.index("aws ecr tag-resource")
    assert not ecr.calls["DescribeImages"]


def test_a_stack_is_told_how_to_leave_a_repository_that_is_not_marked(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags={"team": "shop"}).with_images(3)
    message = delete(stack_id=STACK, logical_id="Mine").message
    assert "--stack-name shop --retain-resources Mine. To delete it anyway" in message
    assert "retain-resources" not in delete().message


TO_LATE: dict[str, Any] = {
    "slow pages": {"latency": {"DescribeImages": 4.0}},
    "throttled pages": {"throttle": {"operations": {"DescribeImages"}, "rate": 0.3, "burst": 1}},
}


@pytest.mark.parametrize("case", TO_LATE)
def test_a_refusal_looks_for_ten_seconds_and_says_that_there_may_be_more(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, case: str
) -> None:
    tags = MARKED | {"awstut:protect-tags": "v@", "awstut:deletion-protection": "on"}
    ecr.repository("app", tags=tags).with_images(9_000)
    replicate(ecr)
    if "latency" in TO_LATE[case]:
        ecr.faults.latency = TO_LATE[case]["latency"]
    else:
        ecr.faults.throttle(**TO_LATE[case]["throttle"])
    began = clock.monotonic()
    event = delete()
    assert event.status is OperationStatus.FAILED
    assert clock.monotonic() - began < 16  # a request that starts within ten seconds is waited for
    assert "images are protected by tag pattern v*" in event.message
    assert "at least" in event.message
    assert "would delete each image in eu-central-1" in event.message
    assert "; and perhaps more." in event.message


@pytest.mark.parametrize("denied", ["ecr:DescribeImages", "ecr:GetRepositoryPolicy"])
def test_what_cannot_be_found_out_does_not_hide_the_reason_that_is_known(
    ecr: StrictEcr, delete: Purge, denied: str
) -> None:
    freeze = {"awstut:freeze-on-delete": "on", "awstut:protect-tags": "v@"}
    ecr.repository("app", tags=MARKED | freeze | {"awstut:deletion-protection": "on"}).with_images(3)
    ecr.faults.deny.add(denied)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "its deletion protection is on" in event.message
    assert "; and perhaps more." in event.message


def test_a_listing_that_has_to_begin_again_does_not_lose_the_reason(ecr: StrictEcr, delete: Purge) -> None:
    """The token of the second page is refused, and then ECR answers nothing more in time."""
    ecr.repository("app", tags=MARKED | {"awstut:protect-tags": "v@"}).with_images(2_500)

    def refuse_token(_: object) -> None:
        ecr.faults.fail_next("DescribeImages", "InvalidParameterException", "Invalid token", 400)
        ecr.faults.throttle(operations={"DescribeImages"}, rate=0.001, burst=1)

    ecr.after("DescribeImages", refuse_token)
    event = delete()
    assert event.status is OperationStatus.FAILED
    assert "at least 1,000 images are protected by tag pattern v*" in event.message
    assert ecr.holds("app") == 2_500


def test_a_lock_during_the_purge_names_the_rest_too(ecr: StrictEcr, delete: Purge) -> None:
    """The images that are left are looked at from the first page on, although an earlier call has checked them."""
    ecr.repository("app", tags=MARKED).with_images(5_000)
    ecr.faults.latency = {"BatchDeleteImage": 9.0}
    slices = delete.slices()
    assert next(slices).status is OperationStatus.IN_PROGRESS
    ecr.repositories["app"].tags |= {"awstut:deletion-protection": "on", "awstut:protect-tags": "v49@"}
    [event] = list(slices)
    assert event.message.startswith("Stopped after deleting 800 of about 5,000 images in app, for 2 reasons: (1) its")
    assert "(2) 100 images are protected by tag pattern v49* (tag awstut:protect-tags of the" in event.message
    assert "No further image is deleted." in event.message
    assert ecr.holds("app") == 4_200


def test_a_bucket_that_is_not_allowed_is_told_with_the_other_reasons_and_not_asked(
    ecr: StrictEcr, delete: Purge, s3: StrictS3
) -> None:
    tags = {"awstut:auto-purge": "off purge-report", "awstut:purge-report": "s3://mine"}
    ecr.repository("app", tags=tags).with_images(3)
    delete.configuration = AccountRules(report=ReportPlace("audit"), report_buckets=("audit",))
    message = delete().message
    assert "(1) it has 3 images, and EmptyOnDelete is false; (2) its purge report would be written to" in message
    assert not s3.calls
    run_command_in(ecr, message)
    s3.make_bucket("audit")
    assert delete().status is OperationStatus.SUCCESS


def test_a_report_that_the_account_asks_for_has_no_command(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags={"awstut:auto-purge": "off"}).with_images(3)
    delete.configuration = AccountRules(report=ReportPlace("audit"), binding=True)
    message = delete().message
    assert "(2) its purge report cannot be written to s3://audit: there is no bucket audit" in message
    assert "aws cloudformation set-type-configuration" in message
    assert message.endswith("--tags Key=awstut:auto-purge,Value=on")
