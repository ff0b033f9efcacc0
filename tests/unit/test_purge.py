"""What a delete leaves behind: nothing, whatever the repository holds; and what it costs."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.models import ResourceModel
from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from sandbox.ecr import StrictEcr, VirtualClock, images
from sandbox.ecr.builder import RepositoryBuilder
from sandbox.ecr.service import OPERATIONS
from tests.support.strict import MARKED, OWNED, STACK, Purge, run_command_in

CONTENTS: dict[str, Callable[[RepositoryBuilder], object]] = {
    "nothing": lambda builder: builder,
    "100 images": lambda builder: builder.with_images(100),
    "101 images": lambda builder: builder.with_images(101),
    "1,000 images": lambda builder: builder.with_images(1_000),
    "1,001 images": lambda builder: builder.with_images(1_001),
    "2,500 images": lambda builder: builder.with_images(2_500),
    "untagged images": lambda builder: builder.with_images(150, untagged=True),
    "10 images of 15 tags": lambda builder: [
        builder.with_tagged(*(f"image-{image}-tag-{tag}" for tag in range(15))) for image in range(10)
    ],
    "200 two-architecture builds": lambda builder: builder.with_multi_arch(200),
    "an index of indexes": lambda builder: builder.with_index_of_indexes(),
    "a re-pushed latest": lambda builder: builder.with_repushed_latest(3),
    "per-architecture tags": lambda builder: builder.with_multi_arch(3, per_architecture_tags=True),
    "active, archived and activating": lambda builder: builder.with_images(5).with_archived(5).with_activating(1),
    "an image with 5 referrers": lambda builder: builder.with_tagged("signed").with_referrers(
        subject_tag="signed", count=5
    ),
    "some of all": lambda builder: (
        builder.with_images(1_200)
        .with_multi_arch(20)
        .with_index_of_indexes()
        .with_repushed_latest(2)
        .with_archived(30)
        .with_activating(2)
    ),
}


@pytest.mark.parametrize("contents", CONTENTS)
def test_delete_empties_and_deletes(ecr: StrictEcr, delete: Purge, contents: str) -> None:
    CONTENTS[contents](ecr.repository("app", tags=MARKED))
    images = ecr.holds("app")
    event = delete()
    assert event.status is OperationStatus.SUCCESS, event.message
    assert event.resourceModel is None
    assert ecr.holds("app") is None
    assert len(ecr.deletion_log) == images
    assert not any(call.parameters.get("force") for call in ecr.call_log)


def test_delete_takes_indexes_before_what_they_reference(ecr: StrictEcr, delete: Purge) -> None:
    """So nothing is refused, and one pass is enough."""
    ecr.repository("app", tags=MARKED).with_multi_arch(200)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.calls["BatchDeleteImage"] == 2 + 4
    assert ecr.calls["DescribeImages"] == 1


def test_delete_survives_a_push_in_the_middle(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED).with_images(500)
    ecr.before("BatchDeleteImage", lambda _: builder.with_tagged("late"), nth=3)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_delete_survives_a_push_just_before_the_end(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED).with_images(5)
    ecr.before("DeleteRepository", lambda _: builder.with_multi_arch(2), nth=1)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_delete_of_10000_images_takes_at_most_120_calls_in_one_slice(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(10_000)
    ecr.faults.latency = {"*": 0.1}
    assert delete().status is OperationStatus.SUCCESS
    assert len(delete.events) == 1
    assert sum(ecr.calls.values()) <= 120, ecr.calls


def test_delete_never_deletes_an_image_that_it_did_not_list(
    ecr: StrictEcr, delete: Purge, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = ecr.repository("app", tags=MARKED).with_images(1_500).with_multi_arch(10)
    for operation in ("DescribeImages", "BatchDeleteImage", "DeleteRepository"):
        ecr.before(operation, lambda _: builder.with_images(1, tag="late-{n}"), nth=None)
    answered: set[str] = set()

    def describe_images(*arguments: Any) -> dict[str, Any]:
        answer = images.describe_images(*arguments)
        answered.update(each["imageDigest"] for each in answer["imageDetails"])
        return answer

    monkeypatch.setitem(OPERATIONS, "DescribeImages", describe_images)
    delete()
    gone = {each.digest for each in ecr.deletion_log}
    assert len(gone) >= 1_530
    assert gone <= answered
    assert {image.digest for image in ecr.images("app")}.isdisjoint(gone)
    assert not any("imageTag" in each for call in ecr.call_log for each in call.parameters.get("imageIds", ()))


def test_delete_throttled_to_5_a_second_stays_within_the_limit_and_goes_on(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=5.0, burst=5)
    events = list(delete.slices())
    assert events[-1].status is OperationStatus.SUCCESS
    assert len(events) > 1
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS
    counts = [(event.callbackContext or {})["counts"]["deleted"] for event in events[:-1]]
    assert counts == sorted(counts)
    assert 2_000 < counts[0] < 10_000 < counts[1]  # the first answer comes after ten seconds
    assert delete.slice_seconds[0] <= 10
    assert events[0].message.startswith(f"Purged {counts[0]:,} of about 40,000 images from app")
    assert isinstance(events[0].resourceModel, ResourceModel)
    assert events[0].resourceModel.RepositoryName == "app"


def test_delete_shows_its_progress_in_a_tag_once_a_slice(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=5.0, burst=5)
    slices = delete.slices()
    next(slices)
    deleted = 40_000 - (ecr.holds("app") or 0)
    next(slices)
    tags = [tag.parameters["tags"][0]["Value"] for tag in ecr.call_log if tag.operation == "TagResource"]
    assert len(tags) == 2
    assert re.fullmatch(r"0/40000 pass 1 at [0-9-]+T[0-9:]+Z", tags[0])
    assert re.fullmatch(
        rf"{deleted}/40000 pass 1 at [0-9-]+T[0-9:]+Z rate [0-9]+\.[0-9]/s left [0-9]+:[0-9]{{2}}:[0-9]{{2}}", tags[1]
    )


def test_delete_tells_how_far_it_is_and_never_goes_backwards(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED).with_images(12_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=1.0, burst=1)
    ecr.before("BatchDeleteImage", lambda _: builder.with_images(150, tag="again-{n}"), nth=50)
    assert delete().status is OperationStatus.SUCCESS
    words = (
        r"Purged ([0-9,]+) of about ([0-9,]+) images from app, pass ([0-9]+), ([0-9,]+) a second, "
        r"about [0-9]+ (?:seconds|minutes|hours) left\."
    )
    told = [re.fullmatch(words, event.message) for event in delete.events[:-1]]
    assert len(told) > 2
    deleted, known, passes, rates = zip(
        *([int(number.replace(",", "")) for number in each.groups()] for each in told if each), strict=True
    )
    assert len(deleted) == len(told)
    for numbers in (deleted, known, passes):
        assert list(numbers) == sorted(numbers)
    assert all(one <= other for one, other in zip(deleted, known, strict=True))
    steps = [after - before for before, after in itertools.pairwise((0, *deleted))]
    for step, rate, seconds in zip(steps, rates, delete.slice_seconds, strict=False):
        assert rate == pytest.approx(step / seconds, abs=2)


@pytest.mark.parametrize("error", ["AccessDeniedException", "ServerException"])
def test_delete_goes_on_where_it_may_not_show_its_progress(ecr: StrictEcr, delete: Purge, error: str) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=5.0, burst=5)
    ecr.faults.fail_next("TagResource", error, "no", 400, times=99)
    assert delete().status is OperationStatus.SUCCESS
    assert len(delete.events) > 1


def test_delete_logs_one_line_of_figures_for_each_slice(
    ecr: StrictEcr, delete: Purge, caplog: pytest.LogCaptureFixture
) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000, size=1_000)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=5.0, burst=5)
    delete()
    lines = [json.loads(record.message) for record in caplog.records if record.name.endswith(".call")]
    assert len(lines) == len(delete.events)
    assert [line["Status"] for line in lines] == [event.status.name for event in delete.events]
    assert sum(line["ImagesDeleted"] for line in lines) == 40_000
    assert sum(line["BytesDeleted"] for line in lines) == 40_000_000
    assert sum(line["ThrottledCalls"] for line in lines) > 0
    [directive] = lines[0]["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in directive["Metrics"]} <= lines[0].keys()
    assert directive["Dimensions"] == [["Repository"]]


def test_delete_throttled_on_every_call_loses_little_of_what_the_throttle_allows(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    ecr.repository("app", tags=MARKED).with_images(30_000)
    ecr.faults.latency = {"*": 0.05}
    ecr.faults.throttle(operations=None, rate=10.0, burst=10)
    assert delete().status is OperationStatus.SUCCESS
    answered = sum(1 for call in ecr.call_log if call.error is None)
    assert sum(delete.slice_seconds) < 1.15 * answered / 10


def test_delete_makes_progress_in_every_slice_at_one_call_a_second(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(60_000)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(operations=None, rate=1.0, burst=1)
    states = []
    for event in delete.slices():
        assert event.status in (OperationStatus.IN_PROGRESS, OperationStatus.SUCCESS), event.message
        context = event.callbackContext or {}
        counts, walk = context.get("counts", {}), context.get("current_pass", {})
        states.append((context.get("phase") == "purge", counts.get("deleted"), walk.get("token")))
    assert ecr.holds("app") is None
    assert all(one != other for one, other in itertools.pairwise(states))
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS


def test_delete_with_an_image_that_cannot_be_deleted_says_which_and_why(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(250)
    digest = ecr.images("app")[100].digest
    ecr.faults.image_failures[digest] = ("KmsError", "The key is disabled.", None)
    event = delete()
    assert event.status is OperationStatus.FAILED
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert "KmsError (1)" in event.message
    assert digest in event.message
    assert event.message.startswith("Stopped after deleting 249 of about 250 images. ")
    assert "ECR refuses to delete 1 image in the repository app: KmsError (1)" in event.message
    assert [image.digest for image in ecr.images("app")] == [digest]


ADVICE = {
    "KmsError": "the KMS key is disabled, about to be deleted, or denies ECR; enable it",
    "ImageInaccessible": "wait until that is done",
    "UpstreamAccessDenied": "fix its credentials, or remove the pull-through cache rule",
    "UpstreamTooManyRequests": "fix its credentials, or remove the pull-through cache rule",
    "UpstreamUnavailable": "fix its credentials, or remove the pull-through cache rule",
}


@pytest.mark.parametrize("code", ADVICE)
def test_delete_says_what_to_do_about_images_that_ecr_refuses_to_delete(
    ecr: StrictEcr, delete: Purge, code: str
) -> None:
    ecr.repository("app", tags=MARKED).with_images(3)
    for image in ecr.images("app"):
        ecr.faults.image_failures[image.digest] = (code, "No.", None)
    message = delete().message
    assert f"ECR refuses to delete 3 images in the repository app: {code} (3)" in message
    assert ADVICE[code] in message
    assert len(message) <= LONGEST_MESSAGE
    assert not message.endswith(" ...")


def test_delete_waits_out_an_image_failure_that_goes_away(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(3)
    ecr.faults.image_failures[ecr.images("app")[0].digest] = ("UpstreamUnavailable", "Try again.", 2)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_delete_of_what_never_gets_empty_ends_and_says_so(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED).with_images(10)
    ecr.before("DeleteRepository", lambda _: builder.with_images(2, tag="again-{n}"), nth=None)
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert "images keep arriving" in event.message
    assert ecr.holds("app") == 2


def test_delete_of_a_missing_repository_is_not_found(delete: Purge) -> None:
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotFound


def test_delete_succeeds_when_the_repository_vanishes_between_two_slices(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=2.0, burst=1)
    slices = delete.slices()
    assert next(slices).status is OperationStatus.IN_PROGRESS
    ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
    assert next(slices).status is OperationStatus.SUCCESS


def test_delete_leaves_a_new_repository_of_the_same_name_alone(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=2.0, burst=1)
    slices = delete.slices()
    next(slices)
    ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
    delete.clock.advance(60)
    ecr.repository("app", tags=MARKED | {"awstut:request": "another"}).with_images(7)
    assert next(slices).status is OperationStatus.SUCCESS
    assert ecr.holds("app") == 7


def test_delete_heeds_a_tag_that_is_put_on_while_the_purge_runs(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=2.0, burst=1)
    slices = delete.slices()
    next(slices)
    left = ecr.holds("app") or 0
    arn = ecr.call("DescribeRepositories", {})["repositories"][0]["repositoryArn"]
    ecr.call("TagResource", {"resourceArn": arn, "tags": [{"Key": "awstut:deletion-protection", "Value": "on"}]})
    event = next(slices)
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "deletion protection is on" in event.message
    assert event.message.startswith(f"Stopped after deleting {40_000 - left:,} of about 40,000 images in app: ")
    assert ecr.holds("app") == left
    run_command_in(ecr, event.message)
    ecr.faults.clear()
    assert delete().status is OperationStatus.SUCCESS


REFUSED = {
    "no mark": ({}, "does not have the tag awstut:auto-purge"),
    "no mark, but the stack's tags": (
        {"awstut:stack-id": STACK, "awstut:logical-id": "Repository"},
        "does not have the tag awstut:auto-purge",
    ),
    "another stack": (
        OWNED | {"awstut:stack-id": STACK.replace("/shop/", "/other/")},
        "belongs to the resource Repository of the stack other",
    ),
    "another resource of the stack": (
        OWNED | {"awstut:logical-id": "Other"},
        "belongs to the resource Other of the stack shop",
    ),
    "no stack": (MARKED, "belongs to no stack"),
    "deletion protection": (OWNED | {"awstut:deletion-protection": "on"}, "deletion protection is on"),
    "a rule that the mark names is missing": (
        OWNED | {"awstut:auto-purge": "on deletion-protection"},
        "missing or unreadable, which counts as protection: awstut:deletion-protection",
    ),
    "an unreadable rule": (
        OWNED | {"awstut:deletion-protection": "maybe"},
        "missing or unreadable, which counts as protection: awstut:deletion-protection",
    ),
    "an unreadable mark": (
        OWNED | {"awstut:auto-purge": "yes"},
        "missing or unreadable, which counts as protection: awstut:auto-purge",
    ),
    "an empty mark": (
        OWNED | {"awstut:auto-purge": ""},
        "missing or unreadable, which counts as protection: awstut:auto-purge",
    ),
    "a rule that this version does not know": (
        OWNED | {"awstut:auto-purge": "on protect-moon"},
        "missing or unreadable, which counts as protection: awstut:auto-purge",
    ),
}


@pytest.mark.parametrize("images", [0, 3])
@pytest.mark.parametrize("case", REFUSED)
def test_delete_refuses_and_the_command_in_the_message_allows_it(
    ecr: StrictEcr, delete: Purge, case: str, images: int
) -> None:
    tags, reason = REFUSED[case]
    ecr.repository("app", tags=tags).with_images(images)
    event = delete(stack_id=STACK, logical_id="Repository")
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert reason in event.message
    assert ecr.holds("app") == images
    assert not ecr.calls["BatchDeleteImage"]
    run_command_in(ecr, event.message)
    assert delete(stack_id=STACK, logical_id="Repository").status is OperationStatus.SUCCESS


def test_delete_refuses_to_empty_where_emptying_is_off(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags={"awstut:auto-purge": "off"}).with_images(1_200).with_archived(3)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "has 1,203 images, and EmptyOnDelete is false" in event.message
    assert ecr.holds("app") == 1_203
    run_command_in(ecr, event.message)
    assert delete().status is OperationStatus.SUCCESS


def test_delete_of_an_empty_repository_where_emptying_is_off(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags={"awstut:auto-purge": "off"})
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_delete_without_a_stack_deletes_what_a_stack_made(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=OWNED).with_images(3)
    assert delete().status is OperationStatus.SUCCESS
