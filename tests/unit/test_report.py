"""The purge report: complete, written before and after, whatever happens; read here as an auditor would read it."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from botocore.config import Config
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.configuration import Configuration
from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS, ThreadPool
from awstut_ecr_autopurgerepository.protection import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.purge import delete as delete_in
from awstut_ecr_autopurgerepository.records import Part, Spool
from awstut_ecr_autopurgerepository.settings import ReportPlace
from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.s3 import StrictS3
from sandbox.s3.service import Bucket
from tests.project_copy import ROOT
from tests.samples import put_tag
from tests.strict import ACCOUNT, Purge, run_command_in

REPORTED = {"awstut:auto-purge": "on purge-report", "awstut:purge-report": "s3://audit/purges/ecr"}
THROTTLED = {"operations": {"BatchDeleteImage"}, "rate": 1.0, "burst": 1}  # some 4,000 images a slice
SCHEMA = json.loads((ROOT / "guides" / "purge-report.schema.json").read_text())
INTENT, RESULT, SUMMARY = (
    jsonschema.Draft7Validator({**SCHEMA, "oneOf": [{"$ref": f"#/definitions/{kind}"}]})
    for kind in ("intent", "result", "summary")
)
NAME = r"2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}\.[0-9]{3}Z-[0-9a-f]{12}\.(intent|results)\.jsonl\.gz"
SUCCESS, FAILED = OperationStatus.SUCCESS, OperationStatus.FAILED
Record = dict[str, Any]


@pytest.fixture
def bucket(s3: StrictS3) -> Bucket:
    return s3.make_bucket("audit")


@pytest.fixture(autouse=True)
def what_is_written_is_as_documented(s3: StrictS3) -> Iterator[None]:
    """Every object of every test in this module has the shape of the JSON Schema in the guides."""
    yield
    for bucket in s3.buckets.values():
        for record in records(bucket, "intent"):
            INTENT.validate(record)
        for record in records(bucket, "results"):
            RESULT.validate(record)
        for key, content in bucket.objects.items():
            if key.endswith("/summary.json"):
                SUMMARY.validate(json.loads(content))
            else:
                assert re.fullmatch(NAME, key.rpartition("/")[2])


def records(bucket: Bucket, kind: str = "results") -> list[Record]:
    """All lines of all objects of a kind, as they are."""
    return [
        json.loads(line)
        for key, content in sorted(bucket.objects.items())
        if key.endswith(f".{kind}.jsonl.gz")
        for line in gzip.decompress(content).decode().splitlines()
    ]


def outcomes(bucket: Bucket) -> dict[tuple[str, str], str]:
    """The outcome of each image, once: by digest and push time, confirmed before unconfirmed."""
    found: dict[tuple[str, str], str] = {}
    for record in records(bucket):
        key = record["digest"], record["pushedAt"]
        if found.get(key) != "confirmed":
            found[key] = record["outcome"]
    return found


def summary(bucket: Bucket) -> Record:
    [content] = [content for key, content in bucket.objects.items() if key.endswith("/summary.json")]
    found: Record = json.loads(content)
    return found


def assert_complete(ecr: StrictEcr, bucket: Bucket, digests: set[str]) -> None:
    """Every image that was there is in the report, once, and the summary counts each once."""
    found = outcomes(bucket)
    assert {digest for digest, _ in found} == digests
    assert len(found) == len(digests)
    counts = summary(bucket)["images"]
    assert counts["deleted"] == len(digests)
    assert counts["confirmed"] == sum(outcome == "confirmed" for outcome in found.values())
    assert counts["goneUnconfirmed"] == sum(outcome == "gone-unconfirmed" for outcome in found.values())
    assert counts["unresolved"] == 0


def digests_of(ecr: StrictEcr) -> set[str]:
    return {image.digest for image in ecr.images("app")}


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
        "operation": record["operation"],
        "stackId": None,
        "outcome": "confirmed",
    }
    assert [each["outcome"] for each in records(bucket, "intent")] == ["intended"]


def test_report_stands_under_prefix_repository_and_operation(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    ecr.repository("app", tags=REPORTED).with_images(1)
    delete()
    operation = summary(bucket)["operation"]
    assert len(operation) == 16
    assert all(key.startswith(f"purges/ecr/app/{operation}/") for key in bucket.objects)
    assert len(bucket.objects) == 3
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
    assert s3.calls["GetObject"] == 0  # nothing was unclear, so nothing is read again


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


def test_an_empty_repository_goes_though_the_bucket_is_missing(ecr: StrictEcr, delete: Purge) -> None:
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
    delete.configuration = Configuration(report=ReportPlace("audit", "all"))
    ecr.repository("app", tags={"awstut:auto-purge": "on"}).with_images(10)
    assert delete().status is SUCCESS
    assert all(key.startswith("all/app/") for key in bucket.objects)


def test_the_repositorys_own_report_comes_before_the_accounts(
    ecr: StrictEcr, delete: Purge, s3: StrictS3, bucket: Bucket
) -> None:
    other = s3.make_bucket("other")
    delete.configuration = Configuration(report=ReportPlace("other"))
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
def test_a_bucket_that_takes_nothing_is_found_out_before_the_first_image_goes(
    ecr: StrictEcr, s3: StrictS3, delete: Purge, bucket: Bucket, case: str
) -> None:
    close, code, words = CLOSED[case]
    close(s3)
    ecr.repository("app", tags=REPORTED).with_images(250)
    event = delete()
    assert event.status is FAILED
    assert event.errorCode is code
    assert words in event.message
    assert "could not be written to s3://audit/purges/ecr, so nothing is deleted" in event.message
    assert len(event.message) <= LONGEST_MESSAGE
    assert ecr.holds("app") == 250
    run_command_in(ecr, event.message)
    assert delete().status is SUCCESS


def test_a_report_that_the_account_asks_for_is_not_switched_off_by_a_tag(
    ecr: StrictEcr, delete: Purge, s3: StrictS3
) -> None:
    delete.configuration = Configuration(report=ReportPlace("gone"))
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
    assert f"{6_000 - len(left):,} of about 6,000 images were deleted before this" in event.message


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


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


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


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_call_that_is_killed_while_it_reports_leaves_a_complete_report(
    ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, bucket: Bucket, call: int
) -> None:
    """The third write is the summary: the repository is gone, so a first call has nothing more to do."""
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
    if call < 3:
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
            first = min(bucket.objects)
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
    assert len(delete.events) <= 6


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
        assert delete_in(client, request, Configuration(), {}, clock, pool, make_s3).status is SUCCESS
    assert threads == [threading.current_thread()]


def test_the_callback_context_stays_small_with_a_report(ecr: StrictEcr, delete: Purge, s3: StrictS3) -> None:
    place = ReportPlace("b" * 63, "p" * 128, "123456789012")
    s3.make_bucket(place.bucket)
    ecr.repository("app", tags=REPORTED | {"awstut:purge-report": str(place)}).with_images(6_000)
    ecr.faults.throttle(**THROTTLED)
    delete()
    contexts = [event.callbackContext for event in delete.events[:-1]]
    assert contexts
    assert all(len(json.dumps(context)) < 4_096 for context in contexts)


def test_the_schema_is_a_schema_and_refuses_what_is_none(ecr: StrictEcr, delete: Purge, bucket: Bucket) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    ecr.repository("app", tags=REPORTED).with_images(1)
    delete()
    [record] = records(bucket)
    for change in ({"outcome": "intended"}, {"digest": "latest"}, {"deletedAt": None}, {"surprise": 1}):
        assert not RESULT.is_valid(record | change)
    assert not INTENT.is_valid(record)


def test_an_image_of_which_ecr_does_not_say_when_it_was_pushed_has_a_record() -> None:
    [part] = _parts([{"imageDigest": f"sha256:{'0' * 64}"}])
    [record] = part.records()
    assert record["pushedAt"] is None
    INTENT.validate(record)


def _parts(images: list[Any]) -> list[Part]:
    spool = Spool({"repository": "app", "operation": "0" * 16, "stackId": None})
    spool.add(images)
    return spool.parts
