"""Whatever happens during a delete, the end is the same: everything gone, or a failure that explains itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from sandbox.ecr import StrictEcr, VirtualClock
from tests.strict import MARKED, Purge

CALLS = ["DescribeRepositories", "ListTagsForResource", "DescribeImages", "BatchDeleteImage", "DeleteRepository"]
SUCCESS = OperationStatus.SUCCESS


def fill(ecr: StrictEcr) -> Any:
    builder = ecr.repository("app", tags=MARKED)
    return builder.with_images(1_150).with_multi_arch(20).with_repushed_latest(3).with_archived(4)


def assert_gone(ecr: StrictEcr, delete: Purge) -> None:
    assert delete.events[-1].status is SUCCESS, delete.events[-1].message
    assert ecr.holds("app") is None
    assert not any(each.by_force for each in ecr.deletion_log)
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS


@pytest.mark.parametrize("rate", [1, 5, 20, 50])
def test_throttling(ecr: StrictEcr, delete: Purge, rate: int) -> None:
    fill(ecr)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(operations=None, rate=rate, burst=rate)
    delete()
    assert_gone(ecr, delete)


@pytest.mark.parametrize("nth", [2, 3, 10])
def test_server_errors(ecr: StrictEcr, delete: Purge, nth: int) -> None:
    fill(ecr)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.server_errors(nth)
    delete()
    assert_gone(ecr, delete)


def test_server_errors_without_end_end_the_delete(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr)
    ecr.faults.server_errors(1)
    event = delete()
    assert event.errorCode is HandlerErrorCode.ServiceInternalError
    assert len(delete.events) <= 6
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "slow"])
@pytest.mark.parametrize("operation", CALLS)
def test_a_connection_that_fails(ecr: StrictEcr, delete: Purge, operation: str, fault: str) -> None:
    """Also when the work was done, and only its answer was lost."""
    fill(ecr)
    getattr(ecr.faults, fault)(operation, times=2)
    delete()
    assert_gone(ecr, delete)


def test_answers_that_take_their_time(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr)
    ecr.faults.latency = {"*": 9.0}
    delete()
    assert_gone(ecr, delete)
    assert len(delete.events) > 1


@pytest.mark.parametrize("gap", range(1, 40))
def test_somebody_else_deletes_the_repository_in_a_gap(ecr: StrictEcr, delete: Purge, gap: int) -> None:
    fill(ecr)
    at_call(ecr, gap, lambda: ecr.call("DeleteRepository", {"repositoryName": "app", "force": True}))
    event = delete()
    assert event.status is SUCCESS or (gap == 1 and event.errorCode is HandlerErrorCode.NotFound), event.message
    assert ecr.holds("app") is None


@pytest.mark.parametrize("gap", range(2, 40))
def test_a_new_repository_of_the_same_name_that_is_made_in_a_gap_survives(
    ecr: StrictEcr, delete: Purge, gap: int
) -> None:
    fill(ecr)

    made_anew = False

    def make_anew() -> None:
        nonlocal made_anew
        made_anew = True
        ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
        ecr.repository("app", tags=MARKED).with_images(7)

    at_call(ecr, gap, make_anew)
    assert delete().status is SUCCESS
    assert ecr.holds("app") == (7 if made_anew else None)


@pytest.mark.parametrize("gap", range(1, 40))
def test_protection_that_is_put_on_in_a_gap_never_leads_to_an_unexplained_end(
    ecr: StrictEcr, delete: Purge, gap: int
) -> None:
    fill(ecr)
    lock = {"Key": "awstut:deletion-protection", "Value": "on"}
    arn = ecr.repositories["app"].arn
    at_call(ecr, gap, lambda: ecr.call("TagResource", {"resourceArn": arn, "tags": [lock]}))
    event = delete()
    assert event.status is SUCCESS or "its deletion protection is on" in event.message
    assert (event.status is SUCCESS) == (ecr.holds("app") is None)


def at_call(ecr: StrictEcr, number: int, function: Callable[[], object]) -> None:
    """Call a function just before so many calls have come in, of all operations together."""
    seen = 0

    def count(_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number and ecr.holds("app") is not None:
            function()

    for operation in CALLS:
        ecr.before(operation, count, nth=None)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("number", range(1, 40, 2))
def test_a_handler_that_is_killed_at_any_point_is_started_again(
    ecr: StrictEcr, clock: VirtualClock, number: int
) -> None:
    fill(ecr)

    def kill() -> None:
        raise Killed

    at_call(ecr, number, kill)
    first = Purge(ecr, clock)
    try:
        first()
    except Killed:
        again = Purge(ecr, clock)
        again()
        assert_gone(ecr, again)
    else:
        assert_gone(ecr, first)


@pytest.mark.parametrize("number", [3, 5, 10, 15, 19])
def test_a_second_copy_at_work_at_the_same_time_does_no_harm(ecr: StrictEcr, clock: VirtualClock, number: int) -> None:
    """The second one runs as a whole in a gap of the first."""
    fill(ecr)
    second = Purge(ecr, clock)
    at_call(ecr, number, second)
    first = Purge(ecr, clock)
    first()
    assert_gone(ecr, second)
    assert_gone(ecr, first)


@pytest.mark.parametrize("every", [1, 3])
def test_pushes_all_the_time(ecr: StrictEcr, delete: Purge, every: int) -> None:
    builder = fill(ecr)
    calls = 0

    def push(_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % every == 0 and ecr.holds("app") is not None:
            builder.with_images(3, tag="again-{n}")

    for operation in CALLS:
        ecr.before(operation, push, nth=None)
    event = delete()
    assert event.status is SUCCESS or "images keep arriving" in event.message
    assert (event.status is SUCCESS) == (ecr.holds("app") is None)
    assert sum(ecr.calls.values()) < 500


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps(ecr: StrictEcr, clock: VirtualClock, delete: Purge, jump: float) -> None:
    fill(ecr)
    ecr.before("BatchDeleteImage", lambda _: clock.jump(jump), nth=3)
    delete()
    assert_gone(ecr, delete)


def test_credentials_that_expire_end_the_delete_and_the_next_one_goes_on(ecr: StrictEcr, delete: Purge) -> None:
    fill(ecr)
    ecr.before(
        "BatchDeleteImage", lambda _: ecr.faults.fail_next("BatchDeleteImage", "ExpiredTokenException", "old"), nth=3
    )
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidCredentials
    assert "images were deleted before this" in event.message
    assert delete().status is SUCCESS
    assert ecr.holds("app") is None
