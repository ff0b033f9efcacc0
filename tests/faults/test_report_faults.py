"""The purge report is complete whatever happens: lost connections, kills, an S3 that is slow or silent."""

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
from sandbox.ecr.lateness import Stale
from tests.support.reports import (
    FAILED,
    REPORTED,
    SUCCESS,
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
    """The fourth write is the summary."""
    ecr.repository("app", tags=REPORTED).with_images(250)
    digests = digests_of(ecr)

    def kill(operation: str, _key: str) -> None:
        if operation == "PutObject" and s3.calls["PutObject"] == call:
            raise Killed

    s3.before = kill
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3)()
    assert Purge(ecr, clock, s3=s3)().status is SUCCESS
    assert_complete(ecr, bucket, digests)


@pytest.mark.parametrize("fault", ["none", "lost", "killed"])
def test_the_report_is_complete_before_the_repository_is_gone(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket, fault: str
) -> None:
    """The first call is killed after DeleteRepository: nobody knows of the repository any more, nor of its report."""
    ecr.repository("app", tags=REPORTED).with_images(350)
    digests = digests_of(ecr)
    if fault == "lost":
        ecr.faults.drop_after("BatchDeleteImage", times=1)
    if fault == "killed":
        ecr.before("BatchDeleteImage", _raise_killed, nth=3)
        with pytest.raises(Killed):
            Purge(ecr, clock, s3=s3)()
    ecr.after("DeleteRepository", _raise_killed)
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3)()
    assert ecr.holds("app") is None
    written = dict(bucket.objects)
    assert_complete(ecr, bucket, digests)
    assert Purge(ecr, clock, s3=s3)().errorCode is HandlerErrorCode.NotFound
    assert bucket.objects == written


def test_one_old_listing_does_not_report_images_as_gone(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    """A first call was killed before its deletes: its images are in an intent only. Then a listing shows no image."""
    ecr.repository("app", tags=REPORTED).with_images(50)
    ecr.before("BatchDeleteImage", _raise_killed)
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3)()
    ecr.lateness.stale_next("DescribeImages", Stale.NO_IMAGES)
    event = Purge(ecr, clock, s3=s3)()
    assert event.status is SUCCESS
    assert set(outcomes(bucket).values()) == {"confirmed"}
    assert len(records(bucket)) == 50


def test_a_repository_that_is_recreated_while_the_summary_is_written_stays(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    """S3 is slow: the last look at the repository is old when the summary is written."""
    ecr.repository("app", tags=REPORTED).with_images(50)
    s3.faults.latency = {"*": 3.0}

    def recreate(operation: str, _key: str) -> None:
        if operation == "ListObjectsV2":
            s3.before = lambda *_: None
            ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
            clock.advance(5)
            ecr.repository("app", tags=REPORTED | {"awstut:request": "another"})

    s3.before = recreate
    assert delete().status is SUCCESS
    assert ecr.repositories["app"].tags["awstut:request"] == "another"
    assert summary(bucket)["images"]["confirmed"] == 50


def test_a_repository_that_cannot_be_deleted_has_a_summary_that_says_so(
    ecr: StrictEcr, delete: Purge, bucket: Bucket
) -> None:
    """This summary replaces the one that was written before DeleteRepository."""
    ecr.repository("app", tags=REPORTED).with_images(50)
    ecr.faults.deny.add("ecr:DeleteRepository")
    assert delete().errorCode is HandlerErrorCode.AccessDenied
    found = summary(bucket)
    assert (found["status"], found["images"]["deleted"], found["images"]["unresolved"]) == ("FAILED", 50, 0)
    assert "ecr:DeleteRepository was denied" in found["message"]


def test_images_that_arrive_after_the_summary_are_in_the_next_one(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    """The call that deletes these images is killed. The next call has the context from when the summary was written."""
    builder = ecr.repository("app", tags=REPORTED).with_images(50)
    purge = Purge(ecr, clock, s3=s3)
    ecr.faults.drop_before("DeleteRepository", times=999)
    context = json.loads(json.dumps(purge.one_slice({}).callbackContext))
    assert summary(bucket)["images"]["deleted"] == 50
    ecr.faults.clear()
    builder.with_images(7)
    digests = digests_of(ecr) | {digest for digest, _ in outcomes(bucket)}
    ecr.after("BatchDeleteImage", _raise_killed)
    with pytest.raises(Killed):
        purge.one_slice(context)
    assert list(purge.slices(context=context))[-1].status is SUCCESS
    assert len(digests) == 57
    assert_complete(ecr, bucket, digests)


def test_a_later_delete_completes_a_report_whose_summary_lacks_images(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    """The images arrived after the summary. The call that deleted them was killed, and nobody repeated it."""
    builder = ecr.repository("app", tags=REPORTED).with_images(50)
    digests = digests_of(ecr)
    ecr.before("DeleteRepository", lambda _: builder.with_images(7))
    ecr.after("BatchDeleteImage", _raise_killed, nth=2)
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3, token="token-1")()
    assert summary(bucket)["images"]["deleted"] == 50
    assert Purge(ecr, clock, s3=s3, token="token-2")().status is SUCCESS
    assert len({digest for digest, _ in outcomes(bucket)} - digests) == 7
    counts = [json.loads(each)["images"]["deleted"] for key, each in bucket.objects.items() if key.endswith("y.json")]
    assert sorted(counts) == [0, 57]


def test_the_repository_is_deleted_though_the_summary_cannot_be_written(
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
    """Somebody else has put the object into the folder of the report, or changed one of the report."""
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
