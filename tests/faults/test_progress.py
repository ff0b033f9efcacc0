"""How a purge tells that it goes on, and when it gives up because nobody answers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from awstut_ecr_autopurgerepository.deletion import call
from awstut_ecr_autopurgerepository.deletion.progress import MANY_IMAGES, MANY_WHEN_THROTTLED
from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.direct_client import direct_client
from tests.support.reports import assert_complete, digests_of
from tests.support.samples import FREEZE, REPORTED
from tests.support.strict import MARKED, Purge
from tests.support.strict_s3 import StrictS3

IN_PROGRESS, SUCCESS = OperationStatus.IN_PROGRESS, OperationStatus.SUCCESS
BOTH = FREEZE | REPORTED | {"awstut:auto-purge": "on freeze-on-delete purge-report"}
TAG = re.compile(
    r"(?P<deleted>[0-9]+)/(?P<known>[0-9]+) pass (?P<number>[0-9]+) at (?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z)"
    r"(?: rate (?P<rate>[0-9]+\.[0-9])/s left (?P<left>[0-9]+:[0-5][0-9]:[0-5][0-9]))?"
)


def shown(ecr: StrictEcr) -> list[str]:
    """The values that the tag was given, one after the other."""
    done = [each for each in ecr.call_log if each.operation == "TagResource" and each.error is None]
    return [each.parameters["tags"][0]["Value"] for each in done]


def throttled(ecr: StrictEcr, rate: float) -> None:
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(operations=None, rate=rate, burst=max(1.0, rate))


# The tag


def test_progress_is_shown_where_all_operations_are_throttled(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(30_000)
    throttled(ecr, 2.0)
    assert delete().status is SUCCESS
    values = [TAG.fullmatch(each) for each in shown(ecr)]
    assert all(values)
    found = [each.groupdict() for each in values if each]
    assert (found[0]["deleted"], found[0]["known"], found[0]["rate"]) == ("0", "30000", None)
    counts = [int(each["deleted"]) for each in found]
    assert counts == sorted(set(counts))
    # Once in each call in which images are deleted: not in the first one, which only checks.
    assert len(found) == len(delete.events) - 1 > 3
    assert all(each["rate"] and each["left"] for each in found[1:])


def test_the_time_left_in_the_tag_is_what_the_purge_then_takes(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    ecr.repository("app", tags=MARKED).with_images(30_000)
    throttled(ecr, 2.0)
    told: list[tuple[float, str]] = []
    ecr.after("TagResource", lambda asked: told.append((clock.monotonic(), asked["tags"][0]["Value"])), nth=None)
    delete()
    moments = [moment for moment, _ in told[1:]]
    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert all(40 < seconds < 60 for seconds in pauses)  # the guides say: about every 50
    for moment, value in told[2:]:
        found = TAG.fullmatch(value)
        assert found
        hours, minutes, seconds = map(int, found["left"].split(":"))
        left = clock.monotonic() - moment
        assert hours * 3_600 + minutes * 60 + seconds == pytest.approx(left, rel=0.3, abs=15)


def test_the_tag_has_characters_that_a_tag_may_have(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(30_000)
    throttled(ecr, 2.0)
    delete()
    assert all(re.fullmatch(r"[A-Za-z0-9 +=._:/@-]{1,256}", each) for each in shown(ecr))


@pytest.mark.parametrize(
    ("images", "rate", "tags"),
    [(101, None, 0), (MANY_IMAGES, None, 0), (MANY_IMAGES + 1, None, 1), (MANY_WHEN_THROTTLED, 5.0, 0)],
)
def test_a_purge_that_ends_soon_shows_its_progress_only_if_it_has_many_images(
    ecr: StrictEcr, delete: Purge, images: int, rate: float | None, tags: int
) -> None:
    ecr.repository("app", tags=MARKED).with_images(images)
    ecr.faults.latency = {"*": 0.1}
    if rate:
        throttled(ecr, rate)
    assert delete().status is SUCCESS
    assert len(delete.events) == 1
    assert len(shown(ecr)) == tags


@pytest.mark.parametrize("fault", ["AccessDeniedException", "ServerException", "slow", "drop_before"])
def test_a_tag_that_cannot_be_written_holds_up_nothing(ecr: StrictEcr, delete: Purge, fault: str) -> None:
    ecr.repository("app", tags=MARKED).with_images(30_000)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=5.0, burst=5)
    if fault.endswith("Exception"):
        ecr.faults.fail_next("TagResource", fault, "no", times=999)
    else:
        getattr(ecr.faults, fault)("TagResource", times=999)
    assert delete().status is SUCCESS
    assert ecr.calls["TagResource"] <= len(delete.events)


# The first answer


@pytest.mark.parametrize("rate", [1.0, 2.0, 5.0, 10.0])
def test_the_first_answer_of_a_purge_that_lasts_comes_in_ten_seconds_with_numbers(
    ecr: StrictEcr, delete: Purge, rate: float
) -> None:
    ecr.repository("app", tags=MARKED).with_images(30_000)
    throttled(ecr, rate)
    events = list(delete.slices())
    assert delete.slice_seconds[0] <= (10.0 if rate > 1 else 11.0)  # a call that is answered each second
    assert re.search("(Checked|Purged) [1-9][0-9,]+ ", events[0].message), events[0].message
    assert all(seconds > 30 for seconds in delete.slice_seconds[1:-1])  # later calls use all of their time
    assert events[-1].status is SUCCESS


@pytest.mark.parametrize(
    ("operation", "seconds"),
    [("*", 0.3), ("*", 1.0), ("*", 3.0), ("DescribeImages", 9.0), ("BatchDeleteImage", 2.0), ("BatchDeleteImage", 8.0)],
)
def test_the_first_answer_of_a_purge_that_is_slow_comes_in_ten_seconds_with_numbers(
    ecr: StrictEcr, delete: Purge, operation: str, seconds: float
) -> None:
    """Nothing is throttled, and one call is too short for the whole purge."""
    delete.client = direct_client(ecr)
    ecr.repository("app", tags=MARKED).with_images(30_000)
    ecr.faults.latency = {"*": 0.05, operation: seconds}
    event = delete.one_slice({})
    assert event.status is IN_PROGRESS
    assert delete.slice_seconds[0] <= 10.0
    assert re.search("(Checked|Purged) [1-9][0-9,]+ ", event.message), event.message


@pytest.mark.parametrize(("images", "rate"), [(10_000, 10.0), (1_000, 2.0), (100_000, None), (10_000, None)])
def test_a_purge_that_ends_soon_is_not_interrupted(
    ecr: StrictEcr, delete: Purge, images: int, rate: float | None
) -> None:
    """Throttled ones that take 20 s at most, and those that are not throttled, and that one call can end."""
    ecr.repository("app", tags=MARKED).with_images(images)
    ecr.faults.latency = {"*": 0.1}
    if rate:
        throttled(ecr, rate)
    assert delete().status is SUCCESS
    assert len(delete.events) == 1


def test_the_first_answer_costs_little(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst case: a purge that one call could have ended."""
    ecr.faults.latency = {"*": 0.1}

    def seconds() -> float:
        ecr.repository("app", tags=MARKED).with_images(15_000)
        ecr.faults.throttle(operations=None, rate=5.0, burst=5)
        began, delete.events = clock.monotonic(), []
        assert delete().status is SUCCESS
        return clock.monotonic() - began

    early = seconds()
    assert len(delete.events) == 2
    monkeypatch.setattr(call, "FIRST_ANSWER_SECONDS", 999.0)
    late = seconds()
    assert len(delete.events) == 1
    print(f"with a first answer after ten seconds {early:.1f} s, without {late:.1f} s")
    assert early < 1.25 * late


# Where answers are slow


@pytest.mark.parametrize("tags", [MARKED, REPORTED, FREEZE, BOTH], ids=["plain", "report", "freeze", "both"])
def test_every_call_deletes_images_where_ecr_takes_9_seconds_and_s3_half_of_it(
    ecr: StrictEcr, s3: StrictS3, delete: Purge, tags: dict[str, str]
) -> None:
    """This holds after calls that check all images, and calls that refuse pushes if FreezeOnDelete is set."""
    bucket = s3.make_bucket("audit")
    ecr.repository("app", tags=tags).with_images(9_000)
    digests, delete.client = digests_of(ecr), direct_client(ecr)
    ecr.faults.latency, s3.faults.latency = {"*": 9.0}, {"*": 4.5}
    left = []
    for event in delete.slices():
        assert event.status in (IN_PROGRESS, SUCCESS), event.message
        left.append(ecr.holds("app") or 0)
    assert max(delete.slice_seconds) <= HARD_LIMIT_SECONDS
    begun = next(number for number, each in enumerate(left) if each < 9_000)
    going = left[begun : left.index(0) + 1]
    assert all(before > after for before, after in itertools.pairwise(going)), left
    assert ecr.holds("app") is None
    if "awstut:purge-report" in tags:
        assert_complete(ecr, bucket, digests)


# Nobody answers


def hang(ecr: StrictEcr, *operations: str) -> None:
    """The client waits 10 s for an answer that does not come."""
    for operation in operations:
        ecr.faults.latency[operation] = 10.0
        ecr.faults.slow(operation, times=9_999)


ALL = ["DescribeRepositories", "ListTagsForResource", "DescribeImages", "BatchDeleteImage", "TagResource"]
SILENT: dict[str, Callable[[StrictEcr, StrictS3], object]] = {
    "ECR": lambda ecr, s3: hang(ecr, *ALL),
    "ECR, in the check": lambda ecr, s3: hang(ecr, "DescribeImages"),
    "ECR, of deletes only": lambda ecr, s3: ecr.faults.drop_before("BatchDeleteImage", times=99_999),
    "S3": lambda ecr, s3: s3.faults.every_nth_fails.update(PutObject=1),
}


@pytest.mark.parametrize("case", SILENT)
def test_a_purge_that_gets_no_answer_for_ten_minutes_says_so_and_ends(
    ecr: StrictEcr, s3: StrictS3, clock: VirtualClock, delete: Purge, case: str
) -> None:
    s3.make_bucket("audit")
    ecr.repository("app", tags=REPORTED).with_images(1_500)
    ecr.faults.latency = {"*": 0.1}
    SILENT[case](ecr, s3)
    began = clock.monotonic()
    event = delete()
    service = case.split(",")[0]
    assert event.errorCode is HandlerErrorCode.NotStabilized  # one that CloudFormation does not repeat
    assert f"For 10 minutes, {service} has answered no request that checks or deletes images of app" in event.message
    assert 590 <= clock.monotonic() - began <= 700
    assert ecr.holds("app") == 1_500


def test_a_purge_that_ecr_stops_answering_later_says_what_was_deleted(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(30_000)
    throttled(ecr, 2.0)
    slices = delete.slices()
    for _ in range(3):
        event = next(slices)
    ecr.faults.clear()
    hang(ecr, *ALL)
    event = list(slices)[-1]
    deleted = 30_000 - (ecr.holds("app") or 0)
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert event.message.startswith(f"Stopped after deleting {deleted:,} of about 30,000 images. For 10 minutes, ECR")
    assert "ECR could not be called: Read timeout" in event.message


def test_a_purge_for_which_all_answers_come_too_late_says_so(ecr: StrictEcr, delete: Purge) -> None:
    """No request fails, but no slice has time to list a page. A real client would not wait 22 s for an answer."""
    ecr.repository("app", tags=MARKED).with_images(10)
    ecr.faults.latency = {"DescribeRepositories": 22.0, "ListTagsForResource": 22.0}
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert "ECR answers too slowly for a call to get further." in event.message


def _throttle_all(ecr: StrictEcr, rate: float) -> None:
    ecr.faults.throttle(operations=None, rate=rate, burst=1)


def test_throttling_alone_never_ends_a_purge(ecr: StrictEcr, delete: Purge) -> None:
    """Everything is refused for an hour; then the throttle is lifted."""
    ecr.repository("app", tags=MARKED).with_images(250)
    _throttle_all(ecr, 0.0)
    events: list[ProgressEvent] = []
    for event in delete.slices():
        events.append(event)
        if sum(delete.slice_seconds) > 3_600:
            ecr.faults.clear()
    assert events[-1].status is SUCCESS
    assert len(events) > 60


@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_a_purge_succeeds_at_half_a_call_a_second_or_less(ecr: StrictEcr, delete: Purge, rate: float) -> None:
    ecr.repository("app", tags=MARKED).with_images(1_500)
    ecr.faults.latency = {"*": 0.1}
    _throttle_all(ecr, rate)
    assert delete().status is SUCCESS


def test_a_clock_that_is_set_forward_does_not_count_as_time_without_answers(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    ecr.repository("app", tags=MARKED).with_images(10)
    hang(ecr, "DescribeImages")
    events: Any = delete.slices()
    next(events)
    clock.jump(86_400)
    assert next(events).status is IN_PROGRESS
    ecr.faults.clear()
    assert [*events][-1].status is SUCCESS
