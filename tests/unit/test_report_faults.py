"""The purge report is complete whatever happens: lost answers, kills, two copies, an S3 that is slow or silent."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest
from botocore.config import Config
from cloudformation_cli_python_lib import HandlerErrorCode

from awstut_ecr_autopurgerepository.deletion import delete as delete_in
from awstut_ecr_autopurgerepository.pacing import ThreadPool
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.reports import (
    FAILED,
    REPORTED,
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
from tests.support.strict import Killed, Purge
from tests.support.strict_s3 import Bucket, StrictS3

__all__ = ["bucket", "what_is_written_is_as_documented"]


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "slow"])
@pytest.mark.parametrize("operation", ["PutObject", "ListObjectsV2"])
def test_connections_to_s3_that_fail_lose_nothing(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket, operation: str, fault: str
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(250).with_multi_arch(10)
    digests = digests_of(ecr)
    getattr(s3.faults, fault)(operation, times=2)
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "slow"])
def test_an_answer_of_ecr_that_is_lost_is_said_to_be_unconfirmed(
    ecr: StrictEcr, delete: Purge, bucket: Bucket, fault: str
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(250)
    digests = digests_of(ecr)
    getattr(ecr.faults, fault)("BatchDeleteImage", times=1)
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)
    unsure = [outcome for outcome in outcomes(bucket).values() if outcome != "confirmed"]
    assert len(unsure) == (0 if fault == "drop_before" else 100)


def test_an_image_that_somebody_else_deletes_meanwhile_is_said_to_be_unconfirmed(
    ecr: StrictEcr, delete: Purge, bucket: Bucket
) -> None:
    digest = ecr.repository("app", tags=REPORTED).with_images(10).push(("by-hand",))
    digests = digests_of(ecr)
    by_hand = {"repositoryName": "app", "imageIds": [{"imageDigest": digest}]}
    ecr.before("BatchDeleteImage", lambda _: ecr.call("BatchDeleteImage", by_hand))
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)
    assert [key[0] for key, outcome in outcomes(bucket).items() if outcome == "gone-unconfirmed"] == [digest]


def test_an_image_that_stays_is_not_in_the_results(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    digest = ecr.repository("app", tags=REPORTED).with_images(10).push(("stays",))
    ecr.faults.image_failures[digest] = "KmsError", "The key is disabled", None
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert digest not in {record["digest"] for record in records(bucket)}
    found = summary(bucket)
    assert found["status"] == "FAILED"
    assert found["failures"] == {"KmsError": 1}
    assert found["images"] == {"deleted": 10, "confirmed": 10, "goneUnconfirmed": 0, "unresolved": 0}


def _raise_killed(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize("call", [1, 2, 3, 10, 11])
def test_a_call_that_is_killed_between_deletes_leaves_a_complete_report(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket, call: int
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(1_050)
    digests = digests_of(ecr)
    ecr.before("BatchDeleteImage", _raise_killed, nth=call)
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3)()
    assert Purge(ecr, clock, s3=s3)().status is SUCCESS
    assert_complete(ecr, bucket, digests)


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_call_that_is_killed_while_it_reports_leaves_a_complete_report(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket, call: int
) -> None:
    """The fourth write is the summary: the repository is gone, so a first call has nothing more to do."""
    ecr.repository("app", tags=REPORTED).with_images(250)
    digests = digests_of(ecr)

    def kill(operation: str, _key: str) -> None:
        if operation == "PutObject" and s3.calls["PutObject"] == call:
            raise Killed

    s3.before = kill
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3)()
    again = Purge(ecr, clock, s3=s3)
    event = again()
    if call < 4:
        assert event.status is SUCCESS
        assert_complete(ecr, bucket, digests)
    else:
        assert event.errorCode is HandlerErrorCode.NotFound
        assert {digest for digest, _ in outcomes(bucket)} == digests


def test_a_later_call_that_is_killed_is_counted_once(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(10_000)
    digests = digests_of(ecr)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(**THROTTLED)
    first = Purge(ecr, clock, s3=s3)
    slices = first.slices()
    context = next(slices).callbackContext
    ecr.before("BatchDeleteImage", _raise_killed, nth=10)
    with pytest.raises(Killed):
        next(slices)
    again = Purge(ecr, clock, s3=s3)
    assert list(again.slices(context=json.loads(json.dumps(context))))[-1].status is SUCCESS
    assert_complete(ecr, bucket, digests)


@pytest.mark.parametrize("call", [2, 5, 9])
def test_two_copies_at_once_are_counted_once(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket, call: int
) -> None:
    """The second copy runs as a whole in a gap of the first."""
    ecr.repository("app", tags=REPORTED).with_images(1_050).with_multi_arch(5)
    digests = digests_of(ecr)
    second = Purge(ecr, clock, s3=s3)
    ecr.before("BatchDeleteImage", lambda _: second(), nth=call)
    first = Purge(ecr, clock, s3=s3)
    assert first().status is SUCCESS
    assert second.events[-1].status is SUCCESS
    assert_complete(ecr, bucket, digests)


def test_the_repository_goes_though_the_summary_cannot_be_written(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    """All records are there then: nothing but their sum is missing."""
    ecr.repository("app", tags=REPORTED).with_images(10)
    bucket.denied.add("s3:ListBucket")
    event = delete()
    assert event.status is SUCCESS
    assert "The summary of the purge report could not be written: s3:ListBucket was denied" in event.message
    assert "The summary of the purge report of app could not be written" in caplog.text
    assert len(records(bucket)) == 10


UNREADABLE = {
    "no gzip": b"not compressed",
    "cut off": gzip.compress(b'{"digest": "sha256:0"}\n' * 99)[:-12],
    "no JSON": gzip.compress(b"not JSON\n"),
    "no record": gzip.compress(b'{"digest": "sha256:0"}\n'),
    "no object": gzip.compress(b"[]\n"),
}


@pytest.mark.parametrize("kind", ["intent", "results"])
@pytest.mark.parametrize("case", UNREADABLE)
def test_an_object_that_cannot_be_read_costs_no_more_than_the_summary(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket, case: str, kind: str
) -> None:
    """Somebody else has put it among ours, or changed one of ours."""
    ecr.repository("app", tags=REPORTED).with_images(10)
    names: list[str] = []

    def spoil(operation: str, key: str) -> None:
        if operation == "ListObjectsV2" and not names:
            first = min(key for key in bucket.objects if ".operations" not in key)
            names.append(first[: first.index("/2") + 1] + f"2000.{kind}.jsonl.gz")
            bucket.objects[names[0]] = UNREADABLE[case]

    s3.before = spoil
    event = delete()
    del bucket.objects[names[0]]
    assert event.status is SUCCESS
    assert f"The summary of the purge report could not be written: {names[0]} is not as this delete" in event.message
    assert len(records(bucket)) == 10


def test_an_s3_that_never_answers_at_the_end_does_not_hold_the_stack(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(10)
    s3.faults.every_nth_fails["ListObjectsV2"] = 1
    event = delete()
    assert event.status is SUCCESS
    assert "could not be written: S3 did not answer" in event.message
    assert len(delete.events) <= 3


def test_an_s3_that_never_answers_at_the_beginning_ends_the_delete(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(10)
    s3.faults.every_nth_fails["PutObject"] = 1
    event = delete()
    assert event.status is FAILED
    assert "s3:PutObject failed" in event.message
    assert ecr.holds("app") == 10
    assert "For 10 minutes, S3 has answered no request" in event.message
    assert 590 <= sum(delete.slice_seconds) + len(delete.events) <= 700


def test_the_client_for_the_report_is_made_before_threads_want_it(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    """A session must not make clients in several threads at once, and Python 3.12 would let each thread make one."""
    ecr.repository("app", tags=REPORTED).with_images(1)
    threads: list[threading.Thread] = []

    def make_s3() -> Any:
        threads.append(threading.current_thread())
        return s3.client()

    purge = Purge(ecr, clock, s3=s3)
    with ThreadPool(2) as pool:
        request = purge.request("app", None, None)
        client = ecr.client(config=Config(retries={"total_max_attempts": 1}))
        assert (
            delete_in(client, request, AccountRules(), {}, clock, pool, make_s3, purge.users.client).status is SUCCESS
        )
    assert threads == [threading.current_thread()]
