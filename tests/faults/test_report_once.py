"""The purge report has each image once: if ECR lists it twice or late, or is silent; after kills; with two copies."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.config import Config
from cloudformation_cli_python_lib import HandlerErrorCode

from sandbox.ecr import Stale, StrictEcr, VirtualClock
from tests.support.direct_client import direct_client
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
from tests.support.strict import STACK, Killed, Purge
from tests.support.strict_s3 import Bucket, S3Error, StrictS3

OF_STACK = REPORTED | {"awstut:stack-id": STACK, "awstut:logical-id": "Repository"}

__all__ = ["bucket", "what_is_written_is_as_documented"]


class Changed:
    """A client of ECR whose answers to one operation are changed."""

    def __init__(self, ecr: StrictEcr, method: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._client: Any = direct_client(ecr)
        self._method, self._change = method, change
        self.meta = self._client.meta

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return (lambda **parameters: self._change(call(**parameters))) if name == self._method else call


def killed_in(ecr: StrictEcr, operation: str, nth: int) -> None:
    def kill(_: object) -> None:
        raise Killed

    ecr.before(operation, kill, nth=nth)


def abandon(ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, token: str = "token-1", nth: int = 5) -> set[str]:
    """Kill a delete just before its nth BatchDeleteImage, and do not call it again. Returns what it deleted."""
    before = digests_of(ecr)
    killed_in(ecr, "BatchDeleteImage", nth)
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3, token=token)(stack_id=STACK, logical_id="Repository")
    return before - digests_of(ecr)


def folder(bucket: Bucket, message: str) -> str:
    """The operation whose summary a message names."""
    return message.split("/summary.json")[0].rpartition("/")[2]


def summaries(bucket: Bucket) -> dict[str, dict[str, Any]]:
    return {
        key.split("/")[-2]: json.loads(content)
        for key, content in bucket.objects.items()
        if key.endswith("/summary.json")
    }


def results_of(bucket: Bucket, operation: str) -> list[str]:
    return [each["digest"] for each in records(bucket) if each["operation"] == operation]


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "slow"])
def test_images_whose_delete_was_not_answered_are_reported_once_as_unconfirmed(
    ecr: StrictEcr, delete: Purge, bucket: Bucket, fault: str
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(250)
    digests = digests_of(ecr)
    getattr(ecr.faults, fault)("BatchDeleteImage", times=1)
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)
    unsure = [outcome for outcome in outcomes(bucket).values() if outcome != "confirmed"]
    assert len(unsure) == (0 if fault == "drop_before" else 100)


def test_an_image_that_somebody_else_deletes_meanwhile_is_reported_as_unconfirmed(
    ecr: StrictEcr, delete: Purge, bucket: Bucket
) -> None:
    digest = ecr.repository("app", tags=REPORTED).with_images(10).push(("deleted-by-somebody",))
    digests = digests_of(ecr)
    the_image = {"repositoryName": "app", "imageIds": [{"imageDigest": digest}]}
    ecr.before("BatchDeleteImage", lambda _: ecr.call("BatchDeleteImage", the_image))
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)
    assert [key[0] for key, outcome in outcomes(bucket).items() if outcome == "gone-unconfirmed"] == [digest]


@pytest.mark.parametrize("seconds", [2, 12, 30])
def test_images_that_are_listed_late_are_counted_once(
    ecr: StrictEcr, delete: Purge, bucket: Bucket, seconds: float
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(151)
    digests = digests_of(ecr)
    ecr.lateness.deleted_images = seconds
    ecr.lateness.emptied_repository = seconds
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)
    assert len(records(bucket)) == 151


def test_a_digest_on_two_pages_is_counted_once(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    """Each page repeats images of the page before it."""
    ecr.repository("app", tags=REPORTED).with_images(3_175)
    digests = digests_of(ecr)
    last: list[dict[str, Any]] = []

    def repeat(answer: dict[str, Any]) -> dict[str, Any]:
        images = answer["imageDetails"]
        repeated = {**answer, "imageDetails": [*last[-12:], *images, *images[:3]]}
        last[:] = images
        return repeated

    delete.client = Changed(ecr, "describe_images", repeat)
    ecr.faults.latency = {"*": 0.5}
    ecr.faults.throttle(rate=1, burst=1)
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)
    assert len(records(bucket)) == 3_175


def test_images_of_a_later_call_that_is_killed_are_counted_once(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(10_000)
    digests = digests_of(ecr)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(**THROTTLED)
    slices = Purge(ecr, clock, s3=s3).slices()
    context = next(slices).callbackContext
    killed_in(ecr, "BatchDeleteImage", nth=10)
    with pytest.raises(Killed):
        next(slices)
    again = Purge(ecr, clock, s3=s3)
    assert list(again.slices(context=json.loads(json.dumps(context))))[-1].status is SUCCESS
    assert_complete(ecr, bucket, digests)


@pytest.mark.parametrize("call", [2, 5, 9])
def test_two_copies_at_once_are_counted_once(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket, call: int
) -> None:
    """The second copy runs from beginning to end between two calls of the first."""
    ecr.repository("app", tags=REPORTED).with_images(1_050).with_multi_arch(5)
    digests = digests_of(ecr)
    second = Purge(ecr, clock, s3=s3)
    ecr.before("BatchDeleteImage", lambda _: second(), nth=call)
    first = Purge(ecr, clock, s3=s3)
    assert first().status is SUCCESS
    assert second.events[-1].status is SUCCESS
    assert_complete(ecr, bucket, digests)


@pytest.mark.parametrize("what", ["all", "some"])
def test_images_that_an_answer_leaves_out_are_reported_as_unconfirmed(
    ecr: StrictEcr, delete: Purge, bucket: Bucket, what: str
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(250)
    digests, seen = digests_of(ecr), []

    def leave_out(answer: dict[str, Any]) -> dict[str, Any]:
        seen.append(answer)
        return answer if len(seen) > 1 else {**answer, "imageIds": answer["imageIds"][: 0 if what == "all" else 60]}

    delete.client = Changed(ecr, "batch_delete_image", leave_out)
    assert delete().status is SUCCESS
    assert_complete(ecr, bucket, digests)
    assert summary(bucket)["images"]["goneUnconfirmed"] == (100 if what == "all" else 40)


@pytest.mark.parametrize(
    ("operations", "rate", "burst", "images"),
    [
        (None, 0.4, 1, 3_000),
        (None, 0.4, 10, 6_000),
        (None, 1, 3, 6_000),
        (None, 5, 5, 10_000),
        ({"BatchDeleteImage"}, 0.4, 1, 6_000),
        ({"BatchDeleteImage"}, 0.4, 50, 20_000),
        ({"BatchDeleteImage"}, 2, 10, 20_000),
    ],
)
def test_few_more_images_are_intended_than_deleted(
    ecr: StrictEcr,
    delete: Purge,
    s3: StrictS3,
    bucket: Bucket,
    operations: set[str] | None,
    rate: float,
    burst: int,
    images: int,
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(images)
    ecr.faults.latency, s3.faults.latency = {"*": 0.1}, {"*": 0.1}
    ecr.faults.throttle(operations=operations, rate=rate, burst=burst)
    delete.client = direct_client(ecr)
    assert delete().status is SUCCESS
    assert len(records(bucket, "intent")) <= 1.2 * images
    assert s3.calls["PutObject"] <= 14 * len(delete.events)  # few of S3 for each call of the handler


def test_a_later_delete_completes_the_report_of_one_that_was_killed(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=OF_STACK).with_images(1_050)
    digests = digests_of(ecr)
    gone = abandon(ecr, clock, s3)
    assert gone
    later = Purge(ecr, clock, s3=s3, token="token-2")
    event = later(stack_id=STACK, logical_id="Repository")
    assert event.status is SUCCESS, event.message
    second = folder(bucket, event.message)
    [first] = summaries(bucket).keys() - {second}
    assert set(results_of(bucket, first)) == gone
    assert set(results_of(bucket, second)) == digests - gone
    assert len(records(bucket)) == len(digests)
    found = summaries(bucket)
    assert found[first]["status"] == "INTERRUPTED"
    assert found[first]["images"] == {"deleted": 400, "confirmed": 0, "goneUnconfirmed": 400, "unresolved": 0}
    assert found[first]["completedBy"] == second
    assert (found[first]["stackId"], found[first]["logicalId"]) == (STACK, "Repository")
    assert found[second]["completed"] == [first]
    assert f"also completed the report of earlier deletes of this repository: {first}" in found[second]["message"]
    assert found[second]["images"]["deleted"] == 650


def test_two_deletes_that_were_killed_are_completed_and_each_image_is_in_one(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=OF_STACK).with_images(1_050)
    digests = digests_of(ecr)
    abandon(ecr, clock, s3, "token-1")
    abandon(ecr, clock, s3, "token-2", nth=3)
    assert Purge(ecr, clock, s3=s3, token="token-3")(stack_id=STACK, logical_id="Repository").status is SUCCESS
    assert sorted(each["digest"] for each in records(bucket)) == sorted(digests)
    found = summaries(bucket)
    assert sum(each["images"]["deleted"] for each in found.values()) == len(digests)
    assert len(found) == 3


def test_a_later_delete_that_finds_nothing_left_completes_the_report(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(250)
    digests = digests_of(ecr)

    def kill(operation: str, _key: str) -> None:
        if operation == "ListObjectsV2":  # for the summary
            s3.before = lambda *_: None
            raise Killed

    s3.before = kill
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3, token="token-1")()
    event = Purge(ecr, clock, s3=s3, token="token-2")()
    assert event.status is SUCCESS
    assert {each["digest"] for each in records(bucket)} == digests
    assert sorted(each["images"]["deleted"] for each in summaries(bucket).values()) == [0, 250]


@pytest.mark.parametrize("request_hashes", [(None, None), ("0" * 16, "1" * 16), ("0" * 16, "0" * 16)])
def test_the_report_of_an_earlier_repository_of_that_name_is_not_touched(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket, request_hashes: tuple[str | None, str | None]
) -> None:
    before, after = ({"awstut:request": each} if each else {} for each in request_hashes)
    ecr.repository("app", tags=REPORTED | before).with_images(1_050)
    killed_in(ecr, "BatchDeleteImage", 5)
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3, token="token-1")()
    ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
    clock.advance(60)
    ecr.repository("app", tags=REPORTED | after).with_images(10)
    written = dict(bucket.objects)
    event = Purge(ecr, clock, s3=s3, token="token-2")()
    assert event.status is SUCCESS
    assert len(summaries(bucket)) == 1
    assert summary(bucket)["completed"] == []
    assert {key: bucket.objects[key] for key in written} == written
    assert {key for key in bucket.objects if key not in written and f"/{folder(bucket, event.message)}/" not in key} < {
        key for key in bucket.objects if "/.operations/" in key
    } | {"none"}


@pytest.mark.parametrize("action", ["s3:GetObject", "kms:Decrypt"])
def test_a_report_that_cannot_be_read_after_a_kill_says_what_it_lacks(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket, action: str
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(1_050)
    killed_in(ecr, "BatchDeleteImage", 5)
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3)()
    gone = 1_050 - len(digests_of(ecr))
    words = f"User: arn:aws:sts::1:assumed-role/r is not authorized to perform: {action} on resource: x"

    def deny(operation: str, _: str) -> None:
        if operation == "GetObject":
            raise S3Error(403, "AccessDenied", words)

    s3.before = deny
    event = Purge(ecr, clock, s3=s3)()
    assert event.status is SUCCESS
    assert f"The summary of the purge report could not be written: {action} was denied" in event.message
    lacking = int(event.message.split("The results lack up to ")[1].split(" ")[0].replace(",", ""))
    assert gone <= lacking <= 1_050
    assert len(records(bucket)) == 1_050 - gone


def test_an_earlier_report_that_cannot_be_read_is_named_and_costs_no_delete(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(1_050)
    killed_in(ecr, "BatchDeleteImage", 5)
    with pytest.raises(Killed):
        Purge(ecr, clock, s3=s3, token="token-1")()
    [first] = {each["operation"] for each in records(bucket, "intent")}

    def deny(operation: str, key: str) -> None:
        if operation == "GetObject" and first in key:
            raise S3Error(403, "AccessDenied", "Access Denied")

    s3.before = deny
    event = Purge(ecr, clock, s3=s3, token="token-2")()
    assert event.status is SUCCESS
    assert f"The report of the earlier delete {first} may lack images: s3:GetObject was denied" in event.message
    assert summary(bucket)["images"]["deleted"] == len({each["digest"] for each in records(bucket)})


def test_s3s_words_about_a_key_are_kept(ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket) -> None:
    """As a bucket with SSE-KMS says it, to a role that may not use the key."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/1f0c1a2b-0000-4000-8000-000000000000"
    words = (
        "User: arn:aws:sts::123456789012:assumed-role/handlers/session is not authorized to perform: "
        f"kms:GenerateDataKey on resource: {key} because no identity-based policy allows the kms:GenerateDataKey action"
    )

    def deny(operation: str, _: str) -> None:
        if operation == "PutObject":
            raise S3Error(403, "AccessDenied", words)

    s3.before = deny
    ecr.repository("app", tags=REPORTED).with_images(3)
    event = delete()
    assert event.status is FAILED
    assert event.errorCode is HandlerErrorCode.AccessDenied
    assert "kms:GenerateDataKey was denied" in event.message
    assert f"S3 said: {words}" in event.message
    assert ecr.holds("app") == 3


def test_results_and_summary_say_who_asked(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    owner = {"awstut:stack-id": STACK, "awstut:logical-id": "Repository"}
    ecr.repository("app", tags=REPORTED | owner).with_images(2)
    assert delete(stack_id=STACK, logical_id="Repository").status is SUCCESS
    found = summary(bucket)
    for each in (*records(bucket), found):
        assert (each["stackId"], each["logicalId"]) == (STACK, "Repository")
        assert each["operation"] == found["operation"]


class AtSummary:
    """A client of S3 that lets something happen before the first summary is put, or after the last one."""

    def __init__(self, s3: Any, before: Callable[[], object], after: Callable[[], object] = lambda: None) -> None:
        self._s3, self._before, self._after = s3, before, after
        self.meta = s3.meta
        self.puts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def put_object(self, **parameters: Any) -> Any:
        is_summary = parameters["Key"].endswith("/summary.json")
        self.puts += is_summary
        if is_summary and self.puts == 1:
            self._before()
        answer = self._s3.put_object(**parameters)
        if is_summary:
            self._after()
        return answer


@pytest.mark.parametrize("ends", ["ended", "killed"])
def test_a_summary_counts_what_a_second_copy_deleted_while_it_was_written(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, s3: StrictS3, bucket: Bucket, ends: str
) -> None:
    """The first copy got an old listing without images, and had asked the bucket before the second copy began."""
    ecr.repository("app", tags=REPORTED).with_images(3_000)
    digests = digests_of(ecr)
    ecr.faults.latency = {"*": 0.05}
    ecr.faults.throttle(rate=1, burst=1)
    context = json.loads(json.dumps(delete.one_slice({}).callbackContext))
    assert 0 < len(ecr.images("app")) < 3_000
    ecr.faults.clear()

    def second_copy() -> None:
        copy = Purge(ecr, clock, s3=s3, token=delete.token)
        if ends == "ended":
            assert copy.one_slice(context).status is SUCCESS
            return
        killed_in(ecr, "DeleteRepository", 1)
        with pytest.raises(Killed):
            copy.one_slice(context)

    ecr.lateness.stale_next("DescribeImages", Stale.NO_IMAGES)
    delete.s3 = SimpleNamespace(client=lambda **options: AtSummary(s3.client(**options), second_copy))  # type: ignore[assignment]
    event = list(delete.slices(context=context))[-1]
    assert event.status is SUCCESS, event.message
    assert_complete(ecr, bucket, digests)
    assert summary(bucket)["images"]["deleted"] == 3_000


def test_a_bucket_that_is_silent_after_the_summary_holds_up_no_delete_for_long(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    ecr.repository("app", tags=REPORTED).with_images(250)
    digests = digests_of(ecr)
    client = AtSummary(s3.client(config=Config(retries={"total_max_attempts": 1})), lambda: None, lambda: silence(s3))
    delete.s3 = SimpleNamespace(client=lambda **_: client)  # type: ignore[assignment]
    event = delete()
    assert event.status is SUCCESS, event.message
    assert "The purge report is s3://" in event.message
    assert len(delete.events) <= 3
    assert_complete(ecr, bucket, digests)


def silence(s3: StrictS3) -> None:
    """Let S3 answer nothing any more."""
    s3.faults.drop_before("ListObjectsV2", times=999)
