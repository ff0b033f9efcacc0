"""How long a purge takes, how many deletes it has in flight, and what one call tells the next of the pace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from cloudformation_cli_python_lib import OperationStatus

from awstut_ecr_autopurgerepository import handlers
from awstut_ecr_autopurgerepository.deletion.purge import MOST_ANSWER_BYTES
from awstut_ecr_autopurgerepository.rules.account import DEFAULT_CONCURRENCY
from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.ecr.builder import RepositoryBuilder
from tests.support import strict
from tests.support.direct_client import direct_client
from tests.support.strict import OWNED, Purge, Wire
from tests.support.virtual import WatchedPool

SECONDS = 0.1  # that a call takes
FIRST = 4  # calls, one after the other: what the repository is, its tags, both again, one round of deletes
LAST = 2  # its delete, whether it is gone


Most = Callable[[], int]


@pytest.fixture(autouse=True)
def most_in_flight(monkeypatch: pytest.MonkeyPatch) -> Most:
    """How many calls were in flight at most."""
    pools: list[WatchedPool] = []

    def make(size: int, clock: VirtualClock) -> WatchedPool:
        pools.append(WatchedPool(size, clock))
        return pools[-1]

    monkeypatch.setattr(strict, "VirtualPool", make)
    return lambda: max(pool.most for pool in pools)


@pytest.fixture
def delete(ecr: StrictEcr, clock: VirtualClock) -> Purge:
    ecr.faults.latency = {"*": SECONDS}
    return Purge(ecr, clock, client=direct_client(ecr))


def seconds_of(delete: Purge) -> float:
    began = delete.clock.monotonic()
    assert delete().status is OperationStatus.SUCCESS
    assert delete.ecr.holds("app") is None
    return delete.clock.monotonic() - began


def refused(ecr: StrictEcr) -> int:
    return sum(call.error == "ThrottlingException" for call in ecr.call_log)


def test_10000_images_take_little_longer_than_their_pages(ecr: StrictEcr, delete: Purge, most_in_flight: Most) -> None:
    ecr.repository("app", tags=strict.MARKED).with_images(10_000)
    least = (FIRST + 10 + LAST) * SECONDS
    assert seconds_of(delete) <= 1.3 * least
    assert 30 < most_in_flight() <= DEFAULT_CONCURRENCY
    assert ecr.calls.total() == 10 + 100 + 7


CONTENTS: dict[str, tuple[Callable[[RepositoryBuilder], object], int, int]] = {
    "1,000 images": (lambda builder: builder.with_images(1_000), 18, 10),
    "500 active and 500 archived": (lambda builder: builder.with_images(500).with_archived(500), 18, 10),
    "latest re-pushed 500 times": (lambda builder: builder.with_repushed_latest(500), 24, 10),
    "10,000 images, burst 1": (lambda builder: builder.with_images(10_000), 117, 1),
    "10,000 images, burst 3": (lambda builder: builder.with_images(10_000), 117, 3),
}


@pytest.mark.parametrize("contents", CONTENTS)
def test_a_throttled_purge_takes_little_longer_than_the_throttle_allows(
    ecr: StrictEcr, delete: Purge, contents: str
) -> None:
    """The least calls at the rate of the throttle, after its burst, until the last of them is answered."""
    fill, least_calls, burst = CONTENTS[contents]
    fill(ecr.repository("app", tags=strict.MARKED))
    ecr.faults.throttle(rate=10, burst=burst)
    assert seconds_of(delete) <= 1.15 * ((least_calls - burst) / 10 + SECONDS)
    assert refused(ecr) < least_calls / 2


def test_the_next_call_begins_with_the_pace_that_a_call_has_learnt(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    ecr.repository("app", tags=strict.MARKED).with_images(12_000)
    ecr.faults.throttle(rate=2, burst=2)
    event = delete.one_slice({})
    context = json.loads(json.dumps(event.callbackContext))
    assert context["pace"]["calls_an_hour"] == pytest.approx(2 * 3_600, rel=0.2)
    clock.advance(1)
    ecr.call_log.clear()
    ecr.reset_calls()
    assert delete.one_slice(context).status is OperationStatus.IN_PROGRESS
    # 42 s at 2 calls a second, or a fifth more: it lists what it can delete in that time, and no more.
    assert ecr.calls["DescribeImages"] <= 10
    assert refused(ecr) < 15


def test_a_purge_that_had_a_small_part_of_the_throttle_recovers_when_it_is_lifted(
    ecr: StrictEcr, clock: VirtualClock, delete: Purge
) -> None:
    """Other purges had the rest of the throttle. The third call is not as slow as the first one had to be."""
    ecr.repository("app", tags=strict.MARKED).with_images(24_000)
    ecr.faults.throttle(rate=0.4, burst=4)
    event = delete.one_slice({})
    ecr.faults.clear()
    calls = 1
    while event.status is OperationStatus.IN_PROGRESS:
        clock.advance(1)
        calls += 1
        event = delete.one_slice(json.loads(json.dumps(event.callbackContext)))
    assert ecr.holds("app") is None
    assert calls <= 3


def test_images_with_long_tags_are_deleted_with_fewer_in_flight(
    ecr: StrictEcr, delete: Purge, most_in_flight: Most
) -> None:
    """ECR repeats each tag in its answers, which are in memory at the same time."""
    builder = ecr.repository("app", tags=strict.MARKED)
    for image in range(3_000):
        builder.push(tuple(hashlib.sha512(f"{image} {tag}".encode()).hexdigest() for tag in range(10)))
    longest = 0

    def measure(asked: dict[str, Any]) -> None:
        nonlocal longest
        entry = {"imageDigest": "sha256:" + "0" * 64, "imageTag": "t" * 128}
        longest = max(longest, len(json.dumps([entry] * 10 * len(asked["imageIds"]))))

    ecr.before("BatchDeleteImage", measure, nth=None)
    seconds_of(delete)
    assert 1 < most_in_flight() <= MOST_ANSWER_BYTES / longest * 1.1


@pytest.mark.parametrize(("concurrency", "most"), [(3, 3), (None, DEFAULT_CONCURRENCY)])
def test_concurrency_of_the_type_configuration_limits_deletes_and_connections(
    ecr: StrictEcr,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    most_in_flight: Most,
    concurrency: int | None,
    most: int,
) -> None:
    connections = []

    def client(_service: str, config: Any = None) -> Any:
        connections.append(config.max_pool_connections)
        return ecr.client(config=config)

    monkeypatch.setattr(
        "awstut_ecr_autopurgerepository.provider.resource.session_of",
        lambda _credentials: SimpleNamespace(client=client),
    )
    ecr.repository("app", tags=OWNED).with_images(3_000)
    ecr.faults.latency = {"*": SECONDS}
    event = wire.event("DELETE", {"RepositoryName": "app"})
    event["requestData"]["typeConfiguration"] = {} if concurrency is None else {"Concurrency": concurrency}
    assert handlers.resource(event, None)["status"] == "SUCCESS"
    assert 3 <= most_in_flight() <= most
    assert connections == [most]
