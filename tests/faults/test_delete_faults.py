"""Whatever goes wrong at ECR during a delete, the end is the same: all gone, or a failure that explains itself."""

from __future__ import annotations

import itertools
import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository import handlers
from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from sandbox.ecr import StrictEcr, VirtualClock
from tests.faults.support import SUCCESS, Filled, in_gap
from tests.support.direct_client import direct_client
from tests.support.samples import CALLS
from tests.support.strict import CREDENTIALS, Killed, Purge, Wire
from tests.support.virtual import VirtualPool


@pytest.mark.parametrize("rate", [1, 5, 20, 50])
def test_throttling(ecr: StrictEcr, delete: Purge, filled: Filled, rate: int) -> None:
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(operations=None, rate=rate, burst=rate)
    delete()
    filled.assert_gone(delete)


def test_throttling_to_one_call_a_second_still_lets_every_slice_get_on(
    ecr: StrictEcr, delete: Purge, filled: Filled
) -> None:
    ecr.repository("app").with_images(500)
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.throttle(operations=None, rate=1, burst=1)
    left = []
    for event in delete.slices():
        assert event.status in (OperationStatus.IN_PROGRESS, SUCCESS), event.message
        left.append(ecr.holds("app") or 0)
    filled.assert_gone(delete)
    assert len(left) >= 3
    # The first call answers after ten seconds, and is not over with its check then.
    assert all(before > after for before, after in itertools.pairwise(left[1:]) if before)


@pytest.mark.parametrize("nth", [2, 3, 10])
def test_server_errors(ecr: StrictEcr, delete: Purge, filled: Filled, nth: int) -> None:
    ecr.faults.latency = {"*": 0.1}
    ecr.faults.server_errors(nth)
    delete()
    filled.assert_gone(delete)


def test_server_errors_without_end_end_the_delete(ecr: StrictEcr, delete: Purge, filled: Filled) -> None:
    ecr.faults.server_errors(1)
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized  # CloudFormation would try one that may pass for ever
    assert "For 10 minutes, ECR has answered no request" in event.message
    assert 590 <= sum(delete.slice_seconds) + len(delete.events) <= 700  # the time counts, not the calls
    assert max(delete.slice_seconds) < HARD_LIMIT_SECONDS
    assert ecr.holds("app") == len(filled.digests)
    filled.assert_not_frozen()


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "slow"])
@pytest.mark.parametrize("operation", CALLS)
def test_a_connection_that_fails(ecr: StrictEcr, delete: Purge, filled: Filled, operation: str, fault: str) -> None:
    """Also when the work was done, and only its answer was lost."""
    delete.client = None  # botocore's, as its own handling of lost connections comes in
    getattr(ecr.faults, fault)(operation, times=2)
    delete()
    filled.assert_gone(delete)


def test_answers_that_take_their_time(ecr: StrictEcr, delete: Purge, filled: Filled) -> None:
    ecr.faults.latency = {"*": 9.0}
    delete()
    filled.assert_gone(delete)
    assert len(delete.events) > 1


@pytest.mark.parametrize("code", ["KmsError", "UpstreamUnavailable", "ImageInaccessible", "Unheard"])
@pytest.mark.parametrize("kind", ["a single image", "an index", "a part of an index"])
def test_an_image_that_is_refused_for_a_while(
    ecr: StrictEcr, delete: Purge, filled: Filled, code: str, kind: str
) -> None:
    ecr.faults.image_failures[of_kind(ecr, kind)] = (code, "Not now.", 2)
    delete()
    filled.assert_gone(delete)


@pytest.mark.parametrize("code", ["KmsError", "UpstreamUnavailable", "ImageInaccessible", "Unheard"])
def test_an_image_that_is_refused_for_good_is_named_and_alone_is_left(
    ecr: StrictEcr, delete: Purge, filled: Filled, code: str
) -> None:
    digest = of_kind(ecr, "a single image")
    ecr.faults.image_failures[digest] = (code, "Never.", None)
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert f"{code} (1)" in event.message
    assert digest in event.message
    assert [image.digest for image in ecr.images("app")] == [digest]
    filled.assert_not_frozen()
    ecr.faults.clear()
    delete()
    filled.assert_gone(delete)


def test_an_index_that_is_refused_for_good_is_left_with_its_parts_only(
    ecr: StrictEcr, delete: Purge, filled: Filled
) -> None:
    digest = of_kind(ecr, "an index")
    left = {digest, *next(image for image in ecr.images("app") if image.digest == digest).children}
    ecr.faults.image_failures[digest] = ("KmsError", "Never.", None)
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert {image.digest for image in ecr.images("app")} == left


def of_kind(ecr: StrictEcr, kind: str) -> str:
    """The digest of such an image."""
    index = next(image for image in ecr.images("app") if image.children)
    if kind == "an index":
        return index.digest
    return index.children[0] if kind == "a part of an index" else ecr.images("app")[100].digest


@pytest.mark.parametrize("number", range(1, 25))
def test_a_delete_that_is_killed_at_any_request_is_finished_by_the_next_one(
    ecr: StrictEcr, clock: VirtualClock, filled: Filled, number: int
) -> None:
    def kill() -> None:
        raise Killed

    in_gap(ecr, number, kill)
    first = Purge(ecr, clock, s3=filled.s3, client=direct_client(ecr))
    try:
        first()
    except Killed:
        again = Purge(ecr, clock, s3=filled.s3, client=direct_client(ecr))
        again()
        filled.assert_gone(again)
    else:
        filled.assert_gone(first)


@pytest.mark.parametrize("number", range(3, 20, 3))
def test_a_second_copy_at_work_at_the_same_time_does_no_harm(
    ecr: StrictEcr, clock: VirtualClock, filled: Filled, number: int
) -> None:
    """The second copy runs from beginning to end between two calls of the first."""
    second = Purge(ecr, clock, s3=filled.s3, client=direct_client(ecr))
    in_gap(ecr, number, second)
    first = Purge(ecr, clock, s3=filled.s3, client=direct_client(ecr))
    first()
    filled.assert_gone(second)
    filled.assert_gone(first)


@pytest.mark.parametrize("operation", ["DescribeImages", "BatchDeleteImage", "DeleteRepository"])
@pytest.mark.parametrize("jump", [-86_400.0, -3.0, 3.0, 86_400.0])
def test_a_clock_that_jumps(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, filled: Filled, jump: float, operation: str
) -> None:
    ecr.faults.latency = {"*": 2.0}
    ecr.before(operation, lambda _: clock.jump(jump), nth=1)
    delete()
    filled.assert_gone(delete)
    assert len(delete.slice_seconds) <= 10  # calls of the handler: it does not wait for the day that it has seen


def test_credentials_that_expire_end_the_delete_and_the_next_one_goes_on(
    ecr: StrictEcr, delete: Purge, filled: Filled
) -> None:
    ecr.before(
        "BatchDeleteImage", lambda _: ecr.faults.fail_next("BatchDeleteImage", "ExpiredTokenException", "old"), nth=3
    )
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidCredentials
    assert "Stopped after deleting" in event.message
    delete()
    filled.assert_gone(delete)


def test_credentials_that_are_new_in_each_slice_are_used(
    ecr: StrictEcr, clock: VirtualClock, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials of the slice before have expired: ECR would refuse a client that was kept."""
    ecr.faults.latency = {"*": 9.0}
    valid = "none"

    def check(request: Any, **_: Any) -> None:
        if f"Credential={valid}/" not in str(request.headers["Authorization"]):
            raise ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "old"}}, "any")

    def session(credentials: Any) -> Any:
        def client(service: str, config: Any = None) -> Any:
            keys = {"aws_access_key_id": credentials.accessKeyId}
            made = (filled.s3 if service == "s3" else ecr).client(config=config, **keys)
            if service == "ecr":
                made.meta.events.register_first("before-send.ecr.*", check)
            return made

        return SimpleNamespace(client=client) if credentials else None

    monkeypatch.setattr("awstut_ecr_autopurgerepository.provider.resource.session_of", session)
    monkeypatch.setattr(handlers, "time", clock)
    monkeypatch.setattr(handlers, "ThreadPool", lambda size: nullcontext(VirtualPool(size, clock)))
    wire, context, slices = Wire(ecr, stack_id=None, logical_id=None), None, 0
    while True:
        valid, slices = f"key{slices}", slices + 1
        event = wire.event("DELETE", {"RepositoryName": "app"}, context=context)
        event["requestData"]["callerCredentials"] = CREDENTIALS | {"accessKeyId": valid}
        answer = json.loads(json.dumps(handlers.resource(event, None)))
        if answer["status"] != "IN_PROGRESS":
            break
        context = answer["callbackContext"]
    assert answer["status"] == "SUCCESS", answer
    assert slices > 1
    assert ecr.holds("app") is None
