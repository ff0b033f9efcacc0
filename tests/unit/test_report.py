"""The purge report: what it says, where it is, and who may write it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.deletion.report.records import Spool, timestamp
from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.settings import ReportPlace
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.reports import (
    FAILED,
    INTENT,
    REPORTED,
    RESULT,
    SCHEMA,
    SUCCESS,
    THROTTLED,
    assert_complete,
    bucket,
    digests_of,
    outcomes,
    records,
    summary,
    what_is_written_is_as_documented,
)
from tests.support.samples import put_tag
from tests.support.strict import ACCOUNT, Purge, run_command_in
from tests.support.strict_s3 import Bucket, StrictS3

__all__ = ["bucket", "what_is_written_is_as_documented"]


def test_report_says_what_each_image_was_and_when_it_went(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, bucket: Bucket
) -> None:
    builder = ecr.repository("app", tags=REPORTED)
    digest = builder.push(("v1", "latest"), size=1_234, pushed_days_ago=10, pulled_days_ago=3)
    assert delete(stack_id=None).status is SUCCESS
    [record] = records(bucket)
    now = clock.time()
    assert record.pop("deletedAt").startswith("2026-09-21T14:13:20")
    assert now
    assert record == {
        "digest": digest,
        "tags": ["v1", "latest"],
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactMediaType": None,
        "subjectDigest": None,
        "status": "ACTIVE",
        "sizeInBytes": 1_234,
        "pushedAt": "2026-09-11T14:13:20.000Z",
        "lastPulledAt": "2026-09-18T14:13:20.000Z",
        "repository": "app",
        "repositoryCreatedAt": "2026-09-21T14:13:20.000Z",
        "createRequest": None,
        "operation": record["operation"],
        "stackId": None,
        "logicalId": None,
        "outcome": "confirmed",
    }
    assert [each["outcome"] for each in records(bucket, "intent")] == ["intended"]


def test_report_is_under_prefix_repository_and_operation(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    ecr.repository("app", tags=REPORTED).with_images(1)
    delete()
    operation = summary(bucket)["operation"]
    assert len(operation) == 16
    # The fourth object is what lets a later delete of the same repository find this one.
    kept = [key for key in bucket.objects if not key.startswith("purges/ecr/app/.operations/none/")]
    assert all(key.startswith(f"purges/ecr/app/{operation}/") for key in kept)
    assert len(kept) == 3
    assert len(bucket.objects) == 4
    assert f"s3://audit/purges/ecr/app/{operation}/summary.json" in delete.events[-1].message


def test_report_without_a_prefix_begins_with_the_repository(
    ecr: StrictEcr, s3: StrictS3, delete: Purge, bucket: Bucket
) -> None:
    ecr.repository("app", tags=REPORTED | {"awstut:purge-report": "s3://audit"}).with_images(1)
    delete()
    assert all(key.startswith("app/") for key in bucket.objects)


def test_report_of_every_kind_of_image_is_complete(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    builder = ecr.repository("app", tags=REPORTED).with_images(1_234).with_multi_arch(20).with_repushed_latest(3)
    builder.with_archived(4).with_activating(1).with_index_of_indexes()
    digests, size = digests_of(ecr), sum(image.size for image in ecr.images("app"))
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)
    found = summary(bucket)
    assert found["status"] == "SUCCESS"
    assert found["bytes"] == size
    assert found["archived"]["images"] == 4
    assert "at least 90 days" in found["archived"]["note"]
    assert set(outcomes(bucket).values()) == {"confirmed"}


def test_report_over_many_slices_is_complete(ecr: StrictEcr, s3: StrictS3, delete: Purge, bucket: Bucket) -> None:
    ecr.repository("app", tags=REPORTED).with_images(10_000)
    digests = digests_of(ecr)
    ecr.faults.latency, s3.faults.latency = {"*": 0.1}, {"*": 0.3}
    ecr.faults.throttle(**THROTTLED)
    assert delete().status is SUCCESS
    assert len(delete.events) > 2
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS
    assert_complete(ecr, bucket, digests)
    # Nothing was unclear, so no result is read again. Each call reads only the last intent of the call before: an image
    # that this intent names and that was not deleted needs no second line.
    assert s3.calls["GetObject"] < len(delete.events)
    assert len(records(bucket, "intent")) == 10_000


def test_report_of_another_delete_has_a_folder_of_its_own(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    for token in ("token-1", "token-2"):
        ecr.repository("app", tags=REPORTED).with_images(3)
        Purge(ecr, clock, s3=s3, token=token)()
    assert len({record["operation"] for record in records(bucket)}) == 2
    assert sum(key.endswith("/summary.json") for key in bucket.objects) == 2


def test_an_empty_repository_leaves_no_report(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    ecr.repository("app", tags=REPORTED)
    assert delete().status is SUCCESS
    assert bucket.objects == {}


def test_an_empty_repository_is_deleted_though_the_bucket_is_missing(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=REPORTED)
    event = delete()
    assert event.status is SUCCESS
    assert ecr.holds("app") is None


def test_without_a_report_s3_is_never_called(ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket) -> None:
    ecr.repository("app", tags={"awstut:auto-purge": "on"}).with_images(10)
    assert delete().status is SUCCESS
    assert not s3.calls


def test_the_account_asks_for_a_report_where_the_repository_has_none(
    ecr: StrictEcr, delete: Purge, bucket: Bucket
) -> None:
    delete.configuration = AccountRules(report=ReportPlace("audit", "all"))
    ecr.repository("app", tags={"awstut:auto-purge": "on"}).with_images(10)
    assert delete().status is SUCCESS
    assert all(key.startswith("all/app/") for key in bucket.objects)


def test_the_repositorys_own_report_comes_before_the_accounts(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    other = s3.make_bucket("other")
    delete.configuration = AccountRules(report=ReportPlace("other"))
    ecr.repository("app", tags=REPORTED).with_images(10)
    assert delete().status is SUCCESS
    assert other.objects == {}
    assert len(records(bucket)) == 10


def test_a_bucket_in_another_region_is_found(ecr: StrictEcr, delete: Purge, s3: StrictS3) -> None:
    bucket = s3.make_bucket("audit", region="us-west-2")
    ecr.repository("app", tags=REPORTED).with_images(10)
    digests = digests_of(ecr)
    event = delete()
    assert event.status is SUCCESS, event.message
    assert_complete(ecr, bucket, digests)


def test_a_bucket_in_another_region_that_is_slow_makes_no_call_too_long(
    ecr: StrictEcr, delete: Purge, s3: StrictS3
) -> None:
    """The first request is answered with the right Region, and botocore makes it once more by itself."""
    bucket = s3.make_bucket("audit", region="us-west-2")
    ecr.repository("app", tags=REPORTED).with_images(2_500)
    digests = digests_of(ecr)
    ecr.faults.latency, s3.faults.latency = {"DescribeRepositories": 3.0, "DescribeImages": 12.0}, {"*": 6.9}
    assert delete.one_slice({}).status is OperationStatus.IN_PROGRESS
    assert delete.slice_seconds[0] <= HARD_LIMIT_SECONDS
    ecr.faults.latency, s3.faults.latency = {}, {}
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)


def test_a_bucket_of_another_account_takes_the_report_where_that_account_is_named(
    ecr: StrictEcr, delete: Purge, s3: StrictS3
) -> None:
    bucket = s3.make_bucket("audit", owner="210987654321")
    ecr.repository("app", tags=REPORTED | {"awstut:purge-report": "s3://audit/x 210987654321"}).with_images(10)
    assert delete().status is SUCCESS
    assert len(records(bucket)) == 10


def _missing(s3: StrictS3) -> None:
    s3.buckets.clear()


def _foreign(s3: StrictS3) -> None:
    s3.buckets["audit"].owner = "210987654321"


def _denied(s3: StrictS3) -> None:
    s3.buckets["audit"].denied.add("s3:PutObject")


CLOSED: dict[str, tuple[Callable[[StrictS3], None], HandlerErrorCode, str]] = {
    "missing": (_missing, HandlerErrorCode.InvalidRequest, "there is no bucket audit"),
    "of another account": (_foreign, HandlerErrorCode.AccessDenied, f"the bucket belongs to account {ACCOUNT}"),
    "denied": (_denied, HandlerErrorCode.AccessDenied, "s3:PutObject was denied"),
}


@pytest.mark.parametrize("case", CLOSED)
def test_a_bucket_that_takes_nothing_is_found_out_before_the_first_delete(
    ecr: StrictEcr, s3: StrictS3, delete: Purge, bucket: Bucket, case: str
) -> None:
    close, code, words = CLOSED[case]
    close(s3)
    ecr.repository("app", tags=REPORTED).with_images(250)
    event = delete()
    assert event.status is FAILED
    assert event.errorCode is code
    assert words in event.message
    assert "its purge report cannot be written to s3://audit/purges/ecr: " in event.message
    assert len(event.message) <= LONGEST_MESSAGE
    assert ecr.holds("app") == 250
    run_command_in(ecr, event.message)
    assert delete().status is SUCCESS


def test_a_report_that_the_account_asks_for_is_not_switched_off_by_a_tag(
    ecr: StrictEcr, delete: Purge, s3: StrictS3
) -> None:
    delete.configuration = AccountRules(report=ReportPlace("gone"))
    ecr.repository("app", tags={"awstut:auto-purge": "on"}).with_images(3)
    event = delete()
    assert "set-type-configuration" in event.message
    assert "tag-resource" not in event.message
    assert ecr.holds("app") == 3


def test_a_report_whose_tag_was_stripped_counts_as_protection(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    ecr.repository("app", tags={"awstut:auto-purge": "on purge-report"}).with_images(3)
    event = delete()
    assert "awstut:purge-report" in event.message
    assert ecr.holds("app") == 3


def test_a_bucket_that_closes_during_the_purge_stops_it(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    """What was deleted until then is in the report, as intent at least."""
    ecr.repository("app", tags=REPORTED).with_images(6_000)
    digests = digests_of(ecr)
    ecr.faults.throttle(**THROTTLED)
    ecr.before("BatchDeleteImage", lambda _: bucket.denied.add("s3:PutObject"), nth=20)
    event = delete()
    assert event.status is FAILED
    assert event.errorCode is HandlerErrorCode.AccessDenied
    left = digests_of(ecr)
    assert 0 < len(left) < 6_000
    assert digests - left <= {record["digest"] for record in records(bucket, "intent")}
    stopped = f"Stopped after deleting {6_000 - len(left):,} of about 6,000 images in app: its purge report cannot"
    assert event.message.startswith(stopped)


def test_a_refusal_in_the_middle_is_in_the_summary(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    ecr.repository("app", tags=REPORTED).with_images(6_000)
    digests = digests_of(ecr)
    ecr.faults.throttle(**THROTTLED)
    ecr.before("BatchDeleteImage", lambda _: put_tag(ecr, "awstut:deletion-protection", "on"), nth=5)
    event = delete()
    assert event.status is FAILED
    found = summary(bucket)
    assert found["status"] == "FAILED"
    assert "deletion protection is on" in found["message"]
    assert found["images"]["deleted"] == len(digests) - len(digests_of(ecr))
    assert found["images"]["unresolved"] == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [("s3://audit/purges/ecr", "off"), ("s3://audit/purges/ecr", "s3://other"), ("off", "s3://audit/purges/ecr")],
)
def test_a_place_that_changes_during_the_purge_is_told_in_the_summary(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket, before: str, after: str
) -> None:
    other = s3.make_bucket("other")
    ecr.repository("app", tags=REPORTED | {"awstut:purge-report": before}).with_images(6_000)
    ecr.faults.throttle(**THROTTLED)
    ecr.before("BatchDeleteImage", lambda _: put_tag(ecr, "awstut:purge-report", after), nth=10)
    event = delete()
    assert event.status is SUCCESS
    place = other if after == "s3://other" else bucket
    found, recorded = summary(place), len(records(place))
    assert 0 < recorded < 6_000
    assert found["images"]["deleted"] == recorded
    lacking = f"{6_000 - recorded:,} images that this delete removed are not in this report"
    assert lacking in found["message"]
    assert lacking in event.message


def test_the_callback_context_stays_small_with_a_report(ecr: StrictEcr, delete: Purge, s3: StrictS3) -> None:
    place = ReportPlace("b" * 63, "p" * 128, "123456789012")
    s3.make_bucket(place.bucket)
    ecr.repository("app", tags=REPORTED | {"awstut:purge-report": str(place)}).with_images(6_000)
    ecr.faults.throttle(**THROTTLED)
    delete()
    contexts = [event.callbackContext for event in delete.events[:-1]]
    assert contexts
    assert all(len(json.dumps(context)) < 4_096 for context in contexts)


def test_the_schema_is_valid_and_refuses_wrong_records(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    ecr.repository("app", tags=REPORTED).with_images(1)
    delete()
    [record] = records(bucket)
    for change in ({"outcome": "intended"}, {"digest": "latest"}, {"deletedAt": None}, {"surprise": 1}):
        assert not RESULT.is_valid(record | change)
    assert not INTENT.is_valid(record)


def test_an_image_of_which_ecr_does_not_say_when_it_was_pushed_has_a_record() -> None:
    origin = {"repository": "app", "operation": "0" * 16, "stackId": None, "logicalId": None}
    spool = Spool(origin | {"repositoryCreatedAt": timestamp(0), "createRequest": None})
    image: Any = {"imageDigest": f"sha256:{'0' * 64}"}
    spool.add(image, is_index=False)
    record = json.loads(spool.others.take())
    assert record["pushedAt"] is None
    INTENT.validate(record)
