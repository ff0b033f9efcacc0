"""Deletes on an ECR whose answers are late or old: nothing is lost, and nothing that exists is reported as gone."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.rules.push_block import SID
from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.ecr.lateness import READS, WRITES, Stale
from tests.support.strict import MARKED, STACK, Purge

MINE = MARKED | {"awstut:request": "0123456789abcdef"}
FROZEN = {
    "awstut:auto-purge": "on freeze-on-delete",
    "awstut:freeze-on-delete": "on",
    "awstut:request": "0123456789abcdef",
}
OTHER_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "other", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}],
}
CALLED = ("DescribeRepositories", "ListTagsForResource", "DescribeImages", "BatchDeleteImage", "DeleteRepository")
POLICY_CALLS = ("GetRepositoryPolicy", "SetRepositoryPolicy")


def assert_gone(ecr: StrictEcr, event: Any) -> None:
    assert event.status is OperationStatus.SUCCESS, event.message
    assert ecr.holds("app") is None
    assert not any(each.by_force for each in ecr.deletion_log)


# One old answer


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("tags", [MINE, FROZEN], ids=["plain", "frozen"])
@pytest.mark.parametrize("operation", [*CALLED, *POLICY_CALLS])
def test_one_not_found_answer_does_not_end_the_delete(
    ecr: StrictEcr, delete: Purge, operation: str, nth: int, tags: dict[str, str]
) -> None:
    ecr.repository("app", tags=tags).with_images(250).with_multi_arch(2)
    seen: list[None] = []

    def forget(_: object) -> None:
        seen.append(None)
        if len(seen) == nth:
            ecr.lateness.stale_next(operation)

    for each in (operation, *({"DescribeRepositories"} if nth == 1 else ())):
        ecr.before(each, forget, nth=None)
    event = delete()
    assert_gone(ecr, event)


STALE = [
    (operation, answer)
    for answer in Stale
    for operation in sorted(READS | WRITES)
    if operation in (*CALLED, *POLICY_CALLS)
]


@pytest.mark.parametrize(("operation", "answer"), STALE)
def test_no_old_answer_makes_a_delete_succeed_with_images_left(
    ecr: StrictEcr, delete: Purge, operation: str, answer: Stale
) -> None:
    try:
        ecr.repository("app", tags=FROZEN).with_images(150)
        ecr.lateness.stale_next(operation, answer)
    except ValueError:  # such a call has no such answer
        assert operation in READS | WRITES
        return
    ecr.repositories["app"].policy = json.dumps(OTHER_POLICY)
    event = delete()
    if event.status is OperationStatus.SUCCESS:
        assert ecr.holds("app") is None
        return
    assert event.errorCode in (HandlerErrorCode.NotStabilized, HandlerErrorCode.InvalidRequest), event.message
    assert json.loads(str(ecr.repositories["app"].policy)) == OTHER_POLICY  # neither lost, nor with a push block
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_two_witnesses_have_to_answer_not_found_for_ten_seconds(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotFound
    assert delete.slice_seconds[0] >= 10
    assert ecr.calls["DescribeRepositories"] == ecr.calls["ListTagsForResource"] > 3


def test_a_denied_delete_does_not_count_as_not_found(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MINE).with_images(3)
    ecr.faults.deny |= {"ecr:BatchDeleteImage"}
    event = delete()
    assert event.errorCode is HandlerErrorCode.AccessDenied
    assert ecr.holds("app") == 3


# Another repository of that name


def recreate(ecr: StrictEcr, clock: VirtualClock, tags: dict[str, str], seconds: float = 60) -> None:
    ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
    clock.advance(seconds)
    ecr.repository("app", tags=tags).with_images(7)


@pytest.mark.parametrize("operation", CALLED)
def test_a_repository_with_another_creation_time_and_request_is_left_alone(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, operation: str
) -> None:
    ecr.repository("app", tags=MINE).with_images(150)
    nth = 2 if operation in ("DescribeRepositories", "ListTagsForResource") else 1
    if operation == "ListTagsForResource":  # the first part asks for tags once
        ecr.repository("app").with_index_of_indexes()
    ecr.before(operation, lambda _: recreate(ecr, clock, MARKED | {"awstut:request": "other"}), nth=nth)
    event = delete()
    assert event.status is OperationStatus.SUCCESS, event.message
    assert ecr.holds("app") == 7


@pytest.mark.parametrize("tags", [MINE, MARKED], ids=["the same request", "no request"])
def test_a_repository_with_another_creation_time_only_fails_the_delete(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, tags: dict[str, str]
) -> None:
    ecr.repository("app", tags=tags).with_images(150)
    ecr.before("DescribeImages", lambda _: recreate(ecr, clock, tags))
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert "different answers" in event.message
    assert "Delete it again" in event.message
    assert ecr.holds("app") == 7


def test_first_answers_about_two_repositories_fail_the_delete(ecr: StrictEcr, delete: Purge) -> None:
    """DescribeRepositories first answers an earlier repository, and ListTagsForResource answers not found."""
    ecr.repository("app", tags=MINE).with_images(5)
    ecr.lateness.stale_next("DescribeRepositories", Stale.EARLIER_REPOSITORY)
    ecr.lateness.stale_next("ListTagsForResource", Stale.NOT_FOUND)
    event = delete()
    assert (event.errorCode, ecr.holds("app")) == (HandlerErrorCode.NotStabilized, 5)
    assert "different answers" in event.message
    assert_gone(ecr, delete())  # the next try begins with the new one


def test_a_call_that_gets_no_tags_remembers_which_repository_was_described(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    ecr.repository("app", tags=MINE).with_images(5)
    ecr.faults.fail_next("ListTagsForResource", "ThrottlingException", "Rate exceeded", times=999)
    event = delete.one_slice({})
    assert event.status is OperationStatus.IN_PROGRESS
    ecr.faults.clear()
    recreate(ecr, clock, MARKED | {"awstut:request": "other"})
    events = list(delete.slices(context=dict(event.callbackContext or {})))
    assert (events[-1].errorCode, ecr.holds("app")) == (HandlerErrorCode.NotStabilized, 7)


@pytest.mark.parametrize("seconds", [1, 20])
def test_a_new_repository_whose_tags_are_found_late_is_the_one_that_the_delete_began_with(
    ecr: StrictEcr, delete: Purge, seconds: int
) -> None:
    ecr.repository("app", tags=MINE).with_images(5)
    ecr.lateness.stale_next("ListTagsForResource", Stale.NOT_FOUND, times=seconds // 3 + 1)
    assert_gone(ecr, delete())


# Late for a while


@pytest.mark.parametrize("seconds", [1, 5])
@pytest.mark.parametrize("tags", [MINE, FROZEN], ids=["plain", "frozen"])
def test_a_deleted_repository_that_is_still_described_is_waited_for(
    ecr: StrictEcr, delete: Purge, seconds: float, tags: dict[str, str]
) -> None:
    ecr.repository("app", tags=tags).with_images(150)
    ecr.lateness.deleted_repository = seconds
    assert_gone(ecr, delete())
    assert delete.slice_seconds[0] >= seconds
    assert ecr.calls["DeleteRepository"] == 1


def test_a_deleted_repository_that_is_described_for_ever_ends_the_delete(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MINE).with_images(3)
    ecr.lateness.deleted_repository = 100_000
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert 120 <= sum(delete.slice_seconds) < 200


@pytest.mark.parametrize("seconds", [1, 5, 20, 60])
@pytest.mark.parametrize("late", ["emptied_repository", "deleted_images", "deleted_index"])
@pytest.mark.parametrize("tags", [MINE, FROZEN], ids=["plain", "frozen"])
def test_a_delete_waits_while_deleted_images_still_count(
    ecr: StrictEcr, delete: Purge, seconds: float, late: str, tags: dict[str, str]
) -> None:
    ecr.repository("app", tags=tags).with_images(120).with_multi_arch(10)
    setattr(ecr.lateness, late, seconds)
    assert_gone(ecr, delete())


@pytest.mark.parametrize(
    ("late", "words"),
    [
        ("emptied_repository", "yet says that it is not empty"),
        ("deleted_images", "ECR still lists 120 images in the repository app, and says that they do not exist"),
    ],
)
def test_lateness_of_more_than_two_minutes_fails_the_delete_and_is_named(
    ecr: StrictEcr, delete: Purge, late: str, words: str
) -> None:
    ecr.repository("app", tags=MINE).with_images(120)
    setattr(ecr.lateness, late, 100_000)
    if late == "deleted_images":
        ecr.lateness.emptied_repository = 100_000
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert words in event.message
    assert 120 <= sum(delete.slice_seconds) < 200


def test_deleted_images_that_are_still_listed_do_not_count_as_arriving_images(ecr: StrictEcr, delete: Purge) -> None:
    """This takes more passes than a delete makes while images keep arriving."""
    ecr.repository("app", tags=MINE).with_images(30)
    ecr.lateness.deleted_images = ecr.lateness.emptied_repository = 110
    assert_gone(ecr, delete())


# The listing


def test_each_status_is_listed_separately_where_ecr_refuses_any(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MINE).with_images(1_100).with_archived(5).with_activating(2)
    ecr.faults.refuse_any_status = True
    assert_gone(ecr, delete())
    asked = [call.parameters["filter"]["imageStatus"] for call in ecr.call_log if call.operation == "DescribeImages"]
    assert asked == ["ANY", "ACTIVE", "ACTIVE", "ARCHIVED", "ACTIVATING"]


def test_the_listing_of_each_status_continues_in_the_next_slice(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MINE).with_images(6_000).with_archived(2_500)
    ecr.faults.refuse_any_status = True
    ecr.faults.latency = {"DescribeImages": 9.0}
    assert_gone(ecr, delete())


def test_a_protected_archived_image_keeps_all_where_ecr_refuses_any(ecr: StrictEcr, delete: Purge) -> None:
    tags = MINE | {"awstut:auto-purge": "on protect-tags", "awstut:protect-tags": "release-@"}
    ecr.repository("app", tags=tags).with_images(5).with_tagged("release-1")
    image = {"imageTag": "release-1"}
    request = {"repositoryName": "app", "imageId": image, "targetStorageClass": "ARCHIVE"}
    ecr.call("UpdateImageStorageClass", request)
    ecr.faults.refuse_any_status = True
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert ecr.holds("app") == 6


def test_a_token_that_ecr_never_takes_ends_the_delete(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MINE).with_images(2_500)

    def spoil(parameters: dict[str, Any]) -> None:
        if "nextToken" in parameters:
            parameters["nextToken"] = "nonsense"

    ecr.before("DescribeImages", spoil, nth=None)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "ecr:DescribeImages failed" in event.message
    assert ecr.calls["DescribeImages"] < 20
    assert ecr.holds("app") == 2_500


def test_a_digest_on_two_pages_is_deleted_and_counted_once(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MINE).with_images(1_500)
    from sandbox.ecr import images as operations
    from sandbox.ecr.service import OPERATIONS

    first: list[dict[str, Any]] = []

    def describe(*arguments: Any) -> dict[str, Any]:
        answer = operations.describe_images(*arguments)
        if first:
            answer["imageDetails"] = first[-100:] + answer["imageDetails"]
        first.extend(answer["imageDetails"])
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPERATIONS, "DescribeImages", describe)
        assert_gone(ecr, delete())
    asked = [
        each["imageDigest"]
        for call in ecr.call_log
        if call.operation == "BatchDeleteImage"
        for each in call.parameters["imageIds"]
    ]
    assert len(asked) == len(set(asked)) == 1_500


def test_passes_that_mostly_meet_deleted_images_are_a_second_apart(ecr: StrictEcr, delete: Purge) -> None:
    """ECR still lists deleted images, and an image arrives in each pass. Without a pause, each pass tries all again."""
    builder = ecr.repository("app", tags=MINE).with_images(250)
    ecr.lateness.deleted_images = 20
    arrivals = iter(range(8))
    ecr.before(
        "DeleteRepository", lambda _: builder.with_images(1) if next(arrivals, None) is not None else None, nth=None
    )
    assert_gone(ecr, delete())
    tried = [call.ended for call in ecr.call_log if call.operation == "DeleteRepository"]
    assert len(tried) >= 9
    apart = [later - earlier for earlier, later in pairwise(tried)]
    assert min(apart[1:]) >= 1.0  # In the first pass there was nothing that had been deleted.


# The freeze


@pytest.mark.parametrize("change", ["pushed", "tagged"])
def test_an_image_that_is_pushed_or_tagged_between_the_check_and_the_push_block_is_checked(
    ecr: StrictEcr, delete: Purge, change: str
) -> None:
    tags = FROZEN | {
        "awstut:auto-purge": "on protect-tags freeze-on-delete",
        "awstut:protect-tags": "release-@",
    }
    builder = ecr.repository("app", tags=tags).with_images(5)
    images = ecr.repositories["app"].images
    first = next(iter(images))

    def change_it(_: object) -> None:
        if change == "pushed":
            builder.with_tagged("release-9")
        else:
            images.tag(first, "release-9")

    ecr.before("SetRepositoryPolicy", change_it)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "1 image is protected by tag pattern release-*" in event.message
    assert ecr.holds("app") == {"pushed": 6, "tagged": 5}[change]
    assert ecr.repositories["app"].policy is None


def test_nothing_is_listed_for_the_delete_before_the_push_block_has_been_there_for_five_seconds(
    ecr: StrictEcr, delete: Purge
) -> None:
    ecr.repository("app", tags=FROZEN).with_images(5)
    ecr.lateness.enforced_policy = 4
    builder = ecr.repository("app")
    ecr.after("SetRepositoryPolicy", lambda _: builder.with_tagged("late"))
    assert_gone(ecr, delete())
    written = next(call.ended for call in ecr.call_log if call.operation == "SetRepositoryPolicy")
    listed = [call.started for call in ecr.call_log if call.operation == "DescribeImages"]
    assert listed[1] - written >= 5
    assert len(listed) == 2


def test_a_policy_that_somebody_puts_while_ours_is_refused_is_kept(ecr: StrictEcr, delete: Purge) -> None:
    """ECR throttles for a while; an administrator's urgent Deny must not be overwritten."""
    ecr.repository("app", tags=FROZEN).with_images(5)
    ecr.faults.fail_next("SetRepositoryPolicy", "ThrottlingException", "Rate exceeded", times=3)
    urgent = json.dumps(OTHER_POLICY)
    ecr.before(
        "GetRepositoryPolicy",
        lambda _: ecr.call("SetRepositoryPolicy", {"repositoryName": "app", "policyText": urgent}),
        nth=4,
    )
    kept = []
    ecr.before("BatchDeleteImage", lambda _: kept.append(ecr.repositories["app"].policy))
    assert_gone(ecr, delete())
    sids = [each["Sid"] for each in json.loads(str(kept[0]))["Statement"]]
    assert sids == ["other", SID]


def test_the_push_block_holds_back_a_pull_through_cache(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=FROZEN).with_images(5)
    arrived = []
    ecr.before("BatchDeleteImage", lambda _: arrived.append(builder.import_from_upstream("v1")), nth=None)
    assert_gone(ecr, delete())
    assert arrived
    assert not any(arrived)


# Old answers never allow a delete that a rule forbids


def test_a_wrongly_empty_listing_does_not_count_as_a_check(
    ecr: StrictEcr, delete: Purge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One protected image refuses everything, also where it is listed long after the first image."""
    monkeypatch.setattr("awstut_ecr_autopurgerepository.pacing.Pacer.requests_left", lambda _: 1)
    tags = MINE | {"awstut:auto-purge": "on protect-tags", "awstut:protect-tags": "release-@"}
    ecr.repository("app", tags=tags).with_images(1_200).with_tagged("release-1")
    ecr.lateness.stale_next("DescribeImages", Stale.NO_IMAGES)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "release-1" in event.message
    assert ecr.holds("app") == 1_201


LATE_RULES = {
    "a lock": {"awstut:deletion-protection": "on"},
    "a pattern": {"awstut:auto-purge": "on protect-tags", "awstut:protect-tags": "image-1"},
    "a period": {"awstut:auto-purge": "on protect-pushed-days", "awstut:protect-pushed-days": "30"},
    "no purge": {"awstut:auto-purge": "off"},
    "another owner": {"awstut:stack-id": STACK.replace("shop", "else"), "awstut:logical-id": "Repository"},
}


def put_rules(ecr: StrictEcr, tags: dict[str, str]) -> None:
    ecr.call(
        "TagResource",
        {"resourceArn": ecr.arn("app"), "tags": [{"Key": key, "Value": value} for key, value in tags.items()]},
    )


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("rules", LATE_RULES.values(), ids=LATE_RULES)
def test_one_old_answer_hides_no_rule(ecr: StrictEcr, delete: Purge, rules: dict[str, str], nth: int) -> None:
    """One look at the tags, the first or the second, gets the tags from before their last change."""
    owner = {"awstut:stack-id": STACK, "awstut:logical-id": "Repository"}
    ecr.repository("app", tags=MINE | owner).with_images(150).with_tagged("image-1")

    def set_rule(_: object) -> None:
        put_rules(ecr, rules)
        ecr.lateness.stale_next("ListTagsForResource", Stale.EARLIER_TAGS)

    if nth == 1:
        set_rule(None)
    else:
        put_rules(ecr, rules)
        ecr.before("ListTagsForResource", set_rule, nth=nth)
    event = delete(stack_id=STACK, logical_id="Repository")
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert ecr.holds("app") == 151


def test_a_lock_that_is_set_during_the_check_counts(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MINE).with_images(150)
    ecr.before("DescribeImages", lambda _: put_rules(ecr, {"awstut:deletion-protection": "on"}))
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert ecr.holds("app") == 150


def test_a_push_block_that_was_written_to_another_repository_is_removed_after_an_error_too(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    """Somebody replaces the repository before the write. The write's answer is lost; the next read says not found."""
    ecr.repository("app", tags=FROZEN).with_images(5)

    def replace(_: object) -> None:
        recreate(ecr, clock, FROZEN | {"awstut:request": "other"})
        ecr.faults.drop_after("SetRepositoryPolicy")
        ecr.lateness.stale_next("GetRepositoryPolicy")

    ecr.before("SetRepositoryPolicy", replace)
    event = delete()
    assert event.status is OperationStatus.SUCCESS, event.message
    assert ecr.holds("app") == 7
    assert ecr.repositories["app"].policy is None


def test_a_push_block_that_cannot_be_removed_from_another_repository_is_told(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    ecr.repository("app", tags=FROZEN).with_images(5)

    def replace(_: object) -> None:
        recreate(ecr, clock, FROZEN | {"awstut:request": "other"})
        ecr.faults.deny |= {"ecr:DeleteRepositoryPolicy"}

    ecr.before("SetRepositoryPolicy", replace)
    event = delete()
    assert event.errorCode is HandlerErrorCode.AccessDenied
    assert "delete-repository-policy" in event.message
    assert ecr.holds("app") == 7


@pytest.mark.parametrize("seconds", [1, 12, 30])
def test_a_push_block_that_is_not_seen_yet_is_lifted_before_a_failure(
    ecr: StrictEcr, delete: Purge, seconds: float
) -> None:
    rules = {"awstut:auto-purge": "on protect-tags freeze-on-delete", "awstut:protect-tags": "release-@"}
    builder = ecr.repository("app", tags=FROZEN | rules).with_images(5)
    ecr.lateness.changed_policy = seconds
    ecr.before("SetRepositoryPolicy", lambda _: builder.with_tagged("release-9"))
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "release-9" in event.message
    assert ecr.repositories["app"].policy is None


def test_images_that_are_missed_twice_in_a_pass_leave_a_context_that_can_be_read(ecr: StrictEcr, delete: Purge) -> None:
    """ECR still lists deleted images, and a slice that ends in the middle of a pass lists them again."""
    ecr.repository("app", tags=MINE).with_images(9_000)
    ecr.lateness.deleted_images = ecr.lateness.emptied_repository = 100
    ecr.faults.latency = {"BatchDeleteImage": 9.0}
    assert_gone(ecr, delete())


def test_a_push_block_that_is_written_again_has_to_hold_again(ecr: StrictEcr, delete: Purge) -> None:
    """An administrator removes the push block during the purge. A new one takes effect late, as every Deny does."""
    ecr.repository("app", tags=FROZEN).with_images(5)
    ecr.before("GetRepositoryPolicy", lambda _: ecr.call("DeleteRepositoryPolicy", {"repositoryName": "app"}), nth=3)
    assert_gone(ecr, delete())
    written = [call.ended for call in ecr.call_log if call.operation == "SetRepositoryPolicy"]
    listed = [call.started for call in ecr.call_log if call.operation == "DescribeImages"]
    assert len(written) == 2
    assert max(listed) - written[1] >= 5
