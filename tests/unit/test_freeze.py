"""FreezeOnDelete: pushes are refused while a purge runs, and possible again after a delete that fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from awstut_ecr_autopurgerepository.deletion.call import MOST_LIFT_ATTEMPTS
from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from awstut_ecr_autopurgerepository.rules import push_block
from sandbox.ecr import EcrError, StrictEcr, VirtualClock
from sandbox.ecr.builder import RepositoryBuilder
from tests.support.samples import FREEZE, LONG_NAME, OTHER_POLICY, OURS, POLICY, manifest, policy_now, put_tag
from tests.support.strict import STACK, Killed, Purge, run_command_in

SUCCESS = OperationStatus.SUCCESS
WITHOUT_LIST = {**POLICY, "Statement": POLICY["Statement"][0]}
BEFORE: dict[str, object] = {"no policy": None, "a policy": POLICY, "a policy without a list": WITHOUT_LIST}


def fill(ecr: StrictEcr, before: object = None, name: str = "app", tags: dict[str, str] = FREEZE) -> RepositoryBuilder:
    """A repository of 250 images."""
    builder = ecr.repository(name, tags=tags)
    if before is not None:
        set_policy(ecr, before, name)
    return builder.with_images(250)


def set_policy(ecr: StrictEcr, value: object, name: str = "app") -> None:
    ecr.call("SetRepositoryPolicy", {"repositoryName": name, "policyText": json.dumps(value)})


def push(ecr: StrictEcr, name: str = "app") -> bool:
    """Push an image, as a client does. Whether ECR took it."""
    pushed = manifest(time=ecr.clock.time(), number=sum(ecr.calls.values()))
    try:
        ecr.call("PutImage", {"repositoryName": name, "imageManifest": pushed})
    except EcrError as error:
        if error.code != "AccessDeniedException":
            raise
        return False
    return True


def in_the_second_pass(ecr: StrictEcr, builder: RepositoryBuilder, function: Callable[[], object]) -> None:
    """Call a function after the first pass. An image that arrives by replication makes a second pass necessary."""

    def happen(_: Any) -> None:
        builder.with_images(1, tag="late-{n}")
        function()

    ecr.before("DeleteRepository", happen)


# While it runs


def test_pushes_are_refused_from_the_first_delete_of_an_image_on(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr, POLICY)
    taken: list[bool] = []
    ecr.before("DescribeImages", lambda _: taken.append(push(ecr)))
    ecr.before("BatchDeleteImage", lambda _: taken.append(push(ecr)), nth=None)
    ecr.before("DeleteRepository", lambda _: taken.append(push(ecr)), nth=None)
    assert delete().status is SUCCESS
    assert taken == [True, *[False] * (len(taken) - 1)]
    assert len(taken) > 3
    assert ecr.holds("app") is None


@pytest.mark.parametrize(("tags", "ends"), [(FREEZE, "gone"), ({"awstut:auto-purge": "on"}, "NotStabilized")])
def test_a_client_that_never_stops_pushing_does_not_keep_a_frozen_repository(
    ecr: StrictEcr, delete: Purge, tags: dict[str, str], ends: str
) -> None:
    fill(ecr, tags=tags)
    ecr.before("BatchDeleteImage", lambda _: push(ecr), nth=None)
    ecr.before("DeleteRepository", lambda _: push(ecr), nth=None)
    event = delete()
    assert (event.errorCode.name if event.errorCode else "gone") == ends
    assert (ecr.holds("app") is None) == (ends == "gone")


def test_a_replication_that_never_stops_is_named_where_pushes_were_refused(ecr: StrictEcr, delete: Purge) -> None:
    builder = fill(ecr)
    ecr.before("DeleteRepository", lambda _: builder.with_images(1, tag="late-{n}"), nth=None)
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert "replication or a pull-through cache" in event.message
    assert "add this statement" not in event.message
    assert policy_now(ecr) is None


def test_a_statement_that_somebody_takes_out_is_put_back_in_the_next_pass(ecr: StrictEcr, delete: Purge) -> None:
    builder = fill(ecr, POLICY)
    in_the_second_pass(ecr, builder, lambda: set_policy(ecr, OTHER_POLICY))
    seen: list[Any] = []
    ecr.after("BatchDeleteImage", lambda _: seen.append(policy_now(ecr)), nth=None)
    assert delete().status is SUCCESS
    assert seen[-1] == {**OTHER_POLICY, "Statement": [*OTHER_POLICY["Statement"], OURS]}


def test_a_freeze_that_is_switched_off_meanwhile_ends_with_the_next_pass(ecr: StrictEcr, delete: Purge) -> None:
    builder = fill(ecr, POLICY)
    in_the_second_pass(ecr, builder, lambda: put_tag(ecr, "awstut:freeze-on-delete", "off"))
    seen: list[Any] = []
    ecr.before("BatchDeleteImage", lambda _: seen.append(policy_now(ecr)), nth=None)
    assert delete().status is SUCCESS
    assert seen[0] != POLICY
    assert seen[-1] == POLICY


@pytest.mark.parametrize("tags", [{}, {"awstut:protect-tags": "keep", "awstut:auto-purge": "on protect-tags"}])
@pytest.mark.parametrize("kept", [False, True])
def test_no_call_for_a_policy_is_made_without_freeze_on_delete(
    ecr: StrictEcr, delete: Purge, kept: bool, tags: dict[str, str]
) -> None:
    builder = fill(ecr, POLICY, tags={"awstut:auto-purge": "on", **tags})
    if kept:
        in_the_second_pass(ecr, builder, lambda: put_tag(ecr, "awstut:deletion-protection", "on"))
    assert (delete().status is SUCCESS) != kept
    assert not [operation for operation in ecr.calls if "Policy" in operation]


def test_an_empty_repository_is_deleted_without_a_look_at_its_policy(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=FREEZE)
    assert delete().status is SUCCESS
    assert not [operation for operation in ecr.calls if "Policy" in operation]


def test_one_look_at_the_policy_for_each_pass_and_one_change(ecr: StrictEcr, delete: Purge) -> None:
    builder = fill(ecr, POLICY)
    passes = iter(range(3))
    ecr.before("DeleteRepository", lambda _: builder.with_images(next(passes, None) is not None), nth=None)
    assert delete().status is SUCCESS
    assert ecr.calls["GetRepositoryPolicy"] == 2 + 4  # twice before the change, then once a part
    assert ecr.calls["SetRepositoryPolicy"] == 1
    assert ecr.calls["DeleteRepositoryPolicy"] == 0


# Refused before the first image is deleted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps({**POLICY, "Id": "x" * 10_000}), "characters long, and ECR allows 10,240"),
        ('{"Statement": [], "Statement": []}', "its repository policy cannot be read"),
    ],
    ids=["too long", "unreadable"],
)
def test_a_policy_that_cannot_take_the_statement_keeps_all_images(
    ecr: StrictEcr, delete: Purge, text: str, reason: str
) -> None:
    fill(ecr)
    ecr.repositories["app"].policy = text
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert reason in event.message
    assert ecr.holds("app") == 250
    assert ecr.repositories["app"].policy == text
    run_command_in(ecr, event.message)
    assert delete().status is SUCCESS


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("action", ["ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy"])
def test_a_permission_that_is_missing_keeps_all_images(
    ecr: StrictEcr, delete: Purge, action: str, before: object
) -> None:
    fill(ecr, before)
    ecr.faults.deny.add(action)
    event = delete()
    assert event.errorCode is HandlerErrorCode.AccessDenied
    assert f"{action} was denied" in event.message
    assert "still refused" not in event.message
    assert ecr.holds("app") == 250
    assert policy_now(ecr) == before


def test_refusals_before_the_first_delete_leave_the_policy_alone(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr, POLICY, tags={**FREEZE, "awstut:protect-tags": "v7"})
    assert delete().errorCode is HandlerErrorCode.InvalidRequest
    assert ecr.calls["SetRepositoryPolicy"] == 0
    assert policy_now(ecr) == POLICY


# The push block is removed, whatever makes the delete fail

Way = Callable[[StrictEcr, RepositoryBuilder], None]


def _protected(ecr: StrictEcr, builder: RepositoryBuilder) -> None:
    in_the_second_pass(ecr, builder, lambda: put_tag(ecr, "awstut:deletion-protection", "on"))


def _protected_image(ecr: StrictEcr, builder: RepositoryBuilder) -> None:
    put_tag(ecr, "awstut:protect-tags", "keep")
    in_the_second_pass(ecr, builder, lambda: builder.with_tagged("keep"))


def _stuck(ecr: StrictEcr, builder: RepositoryBuilder) -> None:
    ecr.faults.image_failures[ecr.images("app")[3].digest] = ("KmsError", "no key", None)


def _filling(ecr: StrictEcr, builder: RepositoryBuilder) -> None:
    ecr.before("DeleteRepository", lambda _: builder.with_images(1, tag="late-{n}"), nth=None)


def _denied(ecr: StrictEcr, builder: RepositoryBuilder) -> None:
    ecr.before("BatchDeleteImage", lambda _: ecr.faults.deny.add("ecr:BatchDeleteImage"), nth=2)


def _tags_denied(ecr: StrictEcr, builder: RepositoryBuilder) -> None:
    in_the_second_pass(ecr, builder, lambda: ecr.faults.deny.add("ecr:ListTagsForResource"))


def _describe_denied(ecr: StrictEcr, builder: RepositoryBuilder) -> None:
    in_the_second_pass(ecr, builder, lambda: ecr.faults.deny.add("ecr:DescribeRepositories"))


def _mark_stripped(ecr: StrictEcr, builder: RepositoryBuilder) -> None:
    in_the_second_pass(ecr, builder, lambda: ecr.repositories["app"].tags.clear())


WAYS: dict[str, tuple[Way, str]] = {
    "protection is put on": (_protected, "InvalidRequest"),
    "a protected image arrives": (_protected_image, "InvalidRequest"),
    "an image cannot be deleted": (_stuck, "NotStabilized"),
    "images keep arriving": (_filling, "NotStabilized"),
    "deletes are denied": (_denied, "AccessDenied"),
    "tags cannot be read": (_tags_denied, "AccessDenied"),
    "the repository cannot be described": (_describe_denied, "AccessDenied"),
    "the mark is stripped": (_mark_stripped, "InvalidRequest"),
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("latency", [0.1, 9.0], ids=["quick", "slow"])
def test_pushes_are_possible_again_after_a_delete_that_failed(
    ecr: StrictEcr, delete: Purge, way: str, before: object, latency: float
) -> None:
    fail, code = WAYS[way]
    fail(ecr, fill(ecr, before))
    ecr.faults.latency = {"*": latency}
    event = delete()
    assert event.errorCode is HandlerErrorCode[code], event.message
    assert "still refused" not in event.message
    assert ecr.calls["SetRepositoryPolicy"] >= 1
    assert policy_now(ecr) == before
    assert push(ecr)
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS


def test_a_change_that_somebody_makes_to_a_frozen_policy_survives(ecr: StrictEcr, delete: Purge) -> None:
    builder = fill(ecr, POLICY)
    added = {"Sid": "added", "Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}

    def change() -> None:
        live = json.loads(ecr.repositories["app"].policy or "")
        set_policy(ecr, {**live, "Statement": [*live["Statement"], added]})
        put_tag(ecr, "awstut:deletion-protection", "on")

    in_the_second_pass(ecr, builder, change)
    assert delete().errorCode is HandlerErrorCode.InvalidRequest
    assert policy_now(ecr) == {**POLICY, "Statement": [*POLICY["Statement"], added]}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "slow"])
def test_answers_that_are_lost_on_the_way_do_no_harm(ecr: StrictEcr, delete: Purge, fault: str, before: object) -> None:
    _protected(ecr, fill(ecr, before))
    for operation in ("GetRepositoryPolicy", "SetRepositoryPolicy", "DeleteRepositoryPolicy"):
        getattr(ecr.faults, fault)(operation, times=2)
    event = delete()
    assert "still refused" not in event.message
    assert policy_now(ecr) == before


def test_answers_that_take_their_time_do_not_keep_a_frozen_repository(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr, POLICY)
    ecr.faults.latency = {"*": 9.0}
    assert delete().status is SUCCESS
    assert ecr.calls["SetRepositoryPolicy"] == 1
    assert len(delete.events) < 10


# No time, or no valid credentials, to remove the push block


def test_a_push_block_is_removed_in_the_next_slice_if_credentials_have_expired(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr, POLICY)

    def expire(_: Any) -> None:
        for operation in ("BatchDeleteImage", "GetRepositoryPolicy"):
            ecr.faults.fail_next(operation, "ExpiredTokenException", "old")

    ecr.before("BatchDeleteImage", expire, nth=2)
    events = list(delete.slices())
    assert [event.status.name for event in events] == ["IN_PROGRESS", "FAILED"]
    assert events[-1].errorCode is HandlerErrorCode.InvalidCredentials
    assert policy_now(ecr) == POLICY


def late_failure(ecr: StrictEcr, delete: Purge) -> Iterator[ProgressEvent]:
    """The answers of a delete that is denied so late in its first slice that no further request can start."""
    fill(ecr, POLICY)
    ecr.faults.latency = {"BatchDeleteImage": 45.0}
    ecr.before("BatchDeleteImage", lambda _: ecr.faults.deny.add("ecr:BatchDeleteImage"))
    return delete.slices()


def test_a_slice_that_fails_at_its_end_leaves_the_push_block_to_the_next_one(ecr: StrictEcr, delete: Purge) -> None:
    events = list(late_failure(ecr, delete))
    assert [event.status.name for event in events] == ["IN_PROGRESS", "FAILED"]
    assert "Removing the push block from app before reporting the failure" in events[0].message
    assert events[1].errorCode is HandlerErrorCode.AccessDenied
    assert "ecr:BatchDeleteImage was denied" in events[1].message
    assert policy_now(ecr) == POLICY
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS


def test_a_slice_that_only_allows_pushes_again_does_nothing_else(ecr: StrictEcr, delete: Purge) -> None:
    slices = late_failure(ecr, delete)
    next(slices)
    ecr.reset_calls()
    next(slices)
    assert dict(ecr.calls) == {"GetRepositoryPolicy": 2, "SetRepositoryPolicy": 1}


def test_throttling_that_goes_away_does_not_keep_pushes_refused(ecr: StrictEcr, delete: Purge) -> None:
    _protected(ecr, fill(ecr, POLICY))
    ecr.before("DeleteRepository", lambda _: ecr.faults.throttle(["GetRepositoryPolicy"], rate=0.06, burst=1))
    event = delete()
    assert "its deletion protection is on" in event.message
    assert "still refused" not in event.message
    assert policy_now(ecr) == POLICY


# The push block cannot be removed


def still_frozen(ecr: StrictEcr, delete: Purge, before: object, name: str = "app") -> str:
    """The message of a delete that is refused in its second pass, while ``before`` is kept from being restored."""
    builder = fill(ecr, before, name)

    def revoke() -> None:
        put_tag(ecr, "awstut:deletion-protection", "on", name)
        ecr.faults.deny |= {"ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy"}

    in_the_second_pass(ecr, builder, revoke)
    event = delete(name)
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "deletion protection is on" in event.message
    assert not push(ecr, name)
    return event.message


def test_the_message_has_a_command_where_permissions_were_revoked_meanwhile(ecr: StrictEcr, delete: Purge) -> None:
    message = still_frozen(ecr, delete, None)
    assert "Pushes to this repository are still refused" in message
    assert "ecr:DeleteRepositoryPolicy failed with AccessDeniedException" in message
    assert "`aws ecr delete-repository-policy --region eu-west-1 --repository-name app`" in message


def test_a_policy_that_holds_more_is_not_deleted_by_the_command(ecr: StrictEcr, delete: Purge) -> None:
    message = still_frozen(ecr, delete, POLICY)
    assert "ecr:SetRepositoryPolicy failed with AccessDeniedException" in message
    assert "delete-repository-policy" not in message
    assert re.search(r"`aws ecr set-repository-policy .* \| jq -c '[^']+'\)\"`", message)


@pytest.mark.parametrize("before", [None, POLICY], ids=["no policy", "a policy"])
def test_the_message_has_the_same_command_where_the_policy_cannot_be_read(
    ecr: StrictEcr, delete: Purge, before: object
) -> None:
    builder = fill(ecr, before)
    ecr.before("BatchDeleteImage", lambda _: ecr.faults.deny.add("ecr:GetRepositoryPolicy"))
    _protected(ecr, builder)
    message = delete().message
    assert "ecr:GetRepositoryPolicy failed with AccessDeniedException" in message
    assert ("`aws ecr delete-repository-policy" in message) == (before is None)


@pytest.mark.parametrize("before", [None, POLICY], ids=["no policy", "a policy"])
@pytest.mark.parametrize("name", ["app", LONG_NAME], ids=["short name", "long name"])
def test_the_message_fits_and_keeps_the_command_that_allows_the_delete(
    ecr: StrictEcr, delete: Purge, name: str, before: object
) -> None:
    message = still_frozen(ecr, delete, before, name)
    assert len(message) <= LONGEST_MESSAGE
    assert push_block.SID in message
    ecr.faults.clear()
    run_command_in(ecr, message)
    assert delete(name).status is SUCCESS


def test_endless_throttling_of_the_removal_fails_the_delete_after_some_slices(ecr: StrictEcr, delete: Purge) -> None:
    _protected(ecr, fill(ecr))
    ecr.before(
        "DeleteRepository", lambda _: ecr.faults.throttle(["DeleteRepositoryPolicy"], rate=0.0, burst=0), nth=None
    )
    event = delete()
    assert "ecr:DeleteRepositoryPolicy failed with ThrottlingException" in event.message
    assert "its deletion protection is on" in event.message
    assert len(delete.events) == MOST_LIFT_ATTEMPTS + 1
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS
    assert all(len(json.dumps(each.callbackContext)) < 4_096 for each in delete.events)


# A delete is killed; a later delete restores the policy


OPERATIONS = (
    "DescribeRepositories",
    "ListTagsForResource",
    "DescribeImages",
    "GetRepositoryPolicy",
    "SetRepositoryPolicy",
    "BatchDeleteImage",
    "DeleteRepository",
)


def kill_at(ecr: StrictEcr, clock: VirtualClock, number: int) -> None:
    """Run a delete that is killed just before call number ``number``: before or after the first delete of images."""
    seen = 0

    def count(_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            raise Killed

    for operation in OPERATIONS:
        ecr.before(operation, count, nth=None)
    with pytest.raises(Killed):
        Purge(ecr, clock)()


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("number", range(1, 16))
def test_a_delete_that_was_killed_is_repaired_by_one_that_is_refused(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, number: int, before: object
) -> None:
    fill(ecr, before)
    kill_at(ecr, clock, number)
    assert (policy_now(ecr) == before) == (number < 9)  # the eighth call is the second look at the policy
    put_tag(ecr, "awstut:deletion-protection", "on")
    assert delete().errorCode is HandlerErrorCode.InvalidRequest
    assert policy_now(ecr) == before


@pytest.mark.parametrize("number", range(1, 12))
def test_a_delete_that_was_killed_goes_on(ecr: StrictEcr, clock: VirtualClock, delete: Purge, number: int) -> None:
    fill(ecr, POLICY)
    kill_at(ecr, clock, number)
    assert delete().status is SUCCESS
    assert ecr.holds("app") is None


def test_a_leftover_is_taken_out_where_the_freeze_was_switched_off_by_a_tag(ecr: StrictEcr, delete: Purge) -> None:
    frozen = {**POLICY, "Statement": [*POLICY["Statement"], OURS]}
    fill(ecr, frozen, tags={**FREEZE, "awstut:freeze-on-delete": "off", "awstut:deletion-protection": "on"})
    assert delete().errorCode is HandlerErrorCode.InvalidRequest
    assert policy_now(ecr) == POLICY


FOREIGN: dict[str, dict[str, str]] = {
    "unmarked": {"awstut:freeze-on-delete": "on"},
    "of another stack": {**FREEZE, "awstut:stack-id": STACK.replace("shop", "else"), "awstut:logical-id": "Repository"},
    "of no stack": FREEZE,
}


@pytest.mark.parametrize("tags", FOREIGN.values(), ids=FOREIGN)
def test_the_policy_of_a_repository_that_is_not_ours_is_never_touched(
    ecr: StrictEcr, delete: Purge, tags: dict[str, str]
) -> None:
    frozen = {**POLICY, "Statement": [*POLICY["Statement"], OURS]}
    fill(ecr, frozen, tags=tags)
    assert delete(stack_id=STACK, logical_id="Repository").errorCode is HandlerErrorCode.InvalidRequest
    assert policy_now(ecr) == frozen
    assert not [operation for operation in ecr.calls if "Policy" in operation]


@pytest.mark.parametrize(
    ("operation", "before"), [("GetRepositoryPolicy", OTHER_POLICY), ("SetRepositoryPolicy", None)]
)
def test_a_repository_that_is_recreated_during_the_freeze_is_left_without_the_statement(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, operation: str, before: object
) -> None:
    fill(ecr)

    def recreate(_: Any) -> None:
        ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
        clock.advance(60)
        fill(ecr, before, tags=FREEZE | {"awstut:request": "another"})

    ecr.before(operation, recreate)
    assert delete().status is SUCCESS
    assert ecr.holds("app") == 250
    assert policy_now(ecr) == before


@pytest.mark.parametrize("operation", ["GetRepositoryPolicy", "SetRepositoryPolicy"])
def test_a_delete_succeeds_if_somebody_deletes_the_repository_during_the_freeze(
    ecr: StrictEcr, delete: Purge, operation: str
) -> None:
    fill(ecr)
    ecr.before(operation, lambda _: ecr.call("DeleteRepository", {"repositoryName": "app", "force": True}))
    assert delete().status is SUCCESS
