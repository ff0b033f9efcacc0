"""Images that arrive while a repository is purged: the purge wins, or gives up and says how to stop them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from sandbox.ecr import EcrError, StrictEcr, VirtualClock
from tests.support.samples import LONG_NAME, manifest
from tests.support.strict import MARKED, Purge


class Pusher:
    """Pushes an image by PutImage before each call of an operation, as long as the policy lets it."""

    def __init__(self, ecr: StrictEcr, name: str, images: int = 1) -> None:
        self._ecr, self._name, self._images = ecr, name, images
        self.pushed = self.refused = 0

    def __call__(self, _: Any) -> None:
        for _ in range(self._images):
            number = self.pushed + self.refused
            try:
                self._ecr.call("PutImage", {"repositoryName": self._name, "imageManifest": manifest(number=number)})
            except EcrError:
                self.refused += 1
            else:
                self.pushed += 1


def pushed_at_each(ecr: StrictEcr, operation: str, name: str = "app", images: int = 1) -> Pusher:
    pusher = Pusher(ecr, name, images)
    ecr.before(operation, pusher, nth=None)
    return pusher


def statement_in(message: str) -> dict[str, Any]:
    """The statement to paste, read as a policy's author would copy it: from brace to brace."""
    statement: dict[str, Any] = json.loads(message[message.index("{") : message.rindex("}") + 1])
    return statement


def test_pushes_without_end_end_the_delete_after_a_bounded_number_of_passes(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(250)
    pushed_at_each(ecr, "DeleteRepository", images=3)
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert "images keep arriving" in event.message
    assert ecr.calls["DescribeImages"] <= 25
    assert ecr.holds("app") == 3


def test_pushes_that_get_fewer_do_not_end_the_delete(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED).with_images(250)
    passes = iter(range(60, 0, -1))
    ecr.before("DeleteRepository", lambda _: builder.with_images(next(passes, 0), tag="again-{n}"), nth=None)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.calls["DeleteRepository"] == 61


@pytest.mark.parametrize("latency", [0.1, 9.0], ids=["one slice", "many slices"])
def test_the_message_says_since_when_images_have_kept_arriving(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge, latency: float
) -> None:
    ecr.repository("app", tags=MARKED)
    ecr.faults.latency = {"*": latency}
    pushed_at_each(ecr, "DeleteRepository")
    pushed: list[float] = []
    ecr.before("DeleteRepository", lambda _: pushed.append(clock.time()), nth=None)
    event = delete()
    assert (len(delete.events) > 1) == (latency > 1)
    said = re.search(r"since (\S+ \S+) UTC", event.message)
    assert said
    since = datetime.strptime(said[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    assert int(pushed[0]) <= since <= pushed[2]


def test_the_statement_in_the_message_stops_the_pushes_and_the_next_delete_succeeds(
    ecr: StrictEcr, delete: Purge
) -> None:
    ecr.repository("app", tags=MARKED).with_images(5)
    pusher = pushed_at_each(ecr, "DeleteRepository")
    statement = statement_in(delete().message)
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    ecr.call("SetRepositoryPolicy", {"repositoryName": "app", "policyText": json.dumps(policy)})
    assert delete().status is OperationStatus.SUCCESS
    assert pusher.refused > 0
    assert ecr.holds("app") is None


def test_the_statement_denies_all_that_a_push_calls_and_nothing_else(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED)
    pushed_at_each(ecr, "DeleteRepository")
    assert statement_in(delete().message) == {
        "Sid": "StopPushes",
        "Effect": "Deny",
        "Principal": "*",
        "Action": [
            "ecr:InitiateLayerUpload",
            "ecr:UploadLayerPart",
            "ecr:CompleteLayerUpload",
            "ecr:PutImage",
            "ecr:BatchImportUpstreamImage",
        ],
    }


def test_the_message_fits_also_for_the_longest_name(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository(LONG_NAME, tags=MARKED).with_images(12_345)
    pushed_at_each(ecr, "DeleteRepository", LONG_NAME)
    event = delete(LONG_NAME)
    assert len(event.message) <= LONGEST_MESSAGE
    assert event.message.startswith("Stopped after deleting 12,3")
    assert statement_in(event.message)["Effect"] == "Deny"


@pytest.mark.parametrize("every", [2, 3, 7])
def test_pushes_that_are_slower_than_the_purge_are_purged(ecr: StrictEcr, delete: Purge, every: int) -> None:
    builder = ecr.repository("app", tags=MARKED).with_images(2_000).with_multi_arch(20)
    calls = 0

    def push(_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % every == 0 and calls < 400 and ecr.holds("app") is not None:
            builder.with_images(1, tag="again-{n}")

    for operation in ("DescribeImages", "BatchDeleteImage"):
        ecr.before(operation, push, nth=None)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_pushes_that_are_as_fast_as_the_purge_end_it(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED).with_images(500)
    ecr.before("BatchDeleteImage", lambda _: builder.with_images(100, tag="again-{n}"), nth=None)
    event = delete()
    assert event.errorCode is HandlerErrorCode.NotStabilized
    assert "images keep arriving" in event.message
    assert ecr.holds("app") == 500
