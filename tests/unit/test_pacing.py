"""When the next request may start, and what happens to those that fail for a while."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository.pacing import (
    CONNECT_SECONDS,
    HARD_LIMIT_SECONDS,
    LAST_START_SECONDS,
    READ_SECONDS,
    OutOfTimeError,
    Pacer,
    ThreadPool,
    side_by_side,
    until_answered,
)
from sandbox.ecr import EcrError, VirtualClock
from sandbox.ecr.faults import Faults
from tests.support.virtual import VirtualPool, WatchedPool


def client_error(code: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "BatchDeleteImage")  # type: ignore[arg-type]


THROTTLED = client_error("ThrottlingException")
BROKEN = client_error("ServerException", 500)
DENIED = client_error("AccessDeniedException")


class Service:
    """Takes a tenth of a second a request, and fails as it is told."""

    def __init__(self, clock: Any, errors: list[Exception] | None = None) -> None:
        self.clock = clock
        self.errors = errors or []
        self.starts: list[float] = []

    def __call__(self, item: Any = None) -> Any:
        self.starts.append(self.clock.monotonic())
        self.clock.sleep(0.1)
        if self.errors:
            raise self.errors.pop(0)
        return item


@pytest.fixture
def pacer(clock: VirtualClock) -> Pacer:
    return Pacer(clock, ends=clock.monotonic() + LAST_START_SECONDS, jitter=lambda: 0.5)


def test_a_request_that_starts_last_still_ends_within_the_limit() -> None:
    assert LAST_START_SECONDS + CONNECT_SECONDS + READ_SECONDS <= HARD_LIMIT_SECONDS < 60


def test_requests_start_at_once_while_nothing_is_throttled(clock: VirtualClock, pacer: Pacer) -> None:
    service = Service(clock)
    for _ in range(100):
        until_answered(pacer, service)
    assert service.starts[-1] - service.starts[0] == pytest.approx(9.9)


@pytest.mark.parametrize("error", [THROTTLED, BROKEN])
def test_a_request_that_may_succeed_later_is_made_again(clock: VirtualClock, pacer: Pacer, error: Exception) -> None:
    service = Service(clock, [error, error])
    assert until_answered(pacer, lambda: service("answer")) == "answer"
    assert len(service.starts) == 3


def test_a_request_that_never_succeeds_is_not_made_again(clock: VirtualClock, pacer: Pacer) -> None:
    service = Service(clock, [DENIED])
    with pytest.raises(ClientError, match="AccessDenied"):
        until_answered(pacer, service)
    assert len(service.starts) == 1


@pytest.mark.parametrize("error", [THROTTLED, BROKEN])
def test_no_request_starts_after_the_end(clock: VirtualClock, pacer: Pacer, error: Exception) -> None:
    service = Service(clock, [error] * 10_000)
    with pytest.raises(OutOfTimeError):
        until_answered(pacer, service)
    assert max(service.starts) <= pacer.ends
    assert len(service.starts) < 60


def test_the_last_error_is_kept(clock: VirtualClock, pacer: Pacer) -> None:
    with pytest.raises(OutOfTimeError):
        until_answered(pacer, Service(clock, [BROKEN] * 1_000))
    assert pacer.last_error is BROKEN


def test_no_more_requests_than_the_pool_has_places(clock: VirtualClock, pacer: Pacer) -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def request(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    real = Pacer(time, ends=time.monotonic() + 30)
    with ThreadPool(4) as pool:
        side_by_side(real, pool, request, list(range(40)), lambda _: None)
    assert most == 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def test_side_by_side_takes_the_time_of_one_eighth(clock: VirtualClock, pacer: Pacer) -> None:
    began = clock.monotonic()
    side_by_side(pacer, VirtualPool(8, clock), Service(clock), list(range(80)), lambda _: None)
    assert clock.monotonic() - began == pytest.approx(1.0)


@pytest.mark.parametrize("size", [1, 4, 8, 16])
@pytest.mark.parametrize("rate", [2, 10, 20])
def test_side_by_side_loses_little_of_what_a_throttle_allows(clock: VirtualClock, size: int, rate: int) -> None:
    faults, began = Faults(clock), clock.monotonic()
    faults.throttle(rate=rate, burst=rate)

    def request(_: int) -> None:
        clock.sleep(0.1)
        try:
            faults.check("BatchDeleteImage", "", "")
        except EcrError as error:
            raise client_error(error.code) from error

    pacer = Pacer(clock, ends=clock.monotonic() + 1_000, jitter=lambda: 0.5)
    side_by_side(pacer, VirtualPool(size, clock), request, list(range(200)), lambda _: None)
    assert clock.monotonic() - began < 1.1 * max((200 - rate) / rate, 200 * 0.1 / size)


class Throttled:
    """A service that takes a tenth of a second a request, and lets some through."""

    def __init__(self, clock: VirtualClock, rate: float, burst: float) -> None:
        self.clock, self.faults = clock, Faults(clock)
        self.faults.throttle(rate=rate, burst=burst)

    def __call__(self, _: int) -> None:
        self.clock.sleep(0.1)
        try:
            self.faults.check("BatchDeleteImage", "", "")
        except EcrError as error:
            raise client_error(error.code) from error


@pytest.mark.parametrize("burst", [1, 3, 10])
@pytest.mark.parametrize("rate", [2, 5, 10])
def test_a_throttle_is_learnt_soon_whatever_it_saves_up(clock: VirtualClock, rate: int, burst: int) -> None:
    began = clock.monotonic()
    pacer = Pacer(clock, ends=clock.monotonic() + 1_000)
    side_by_side(pacer, VirtualPool(40, clock), Throttled(clock, rate, burst), list(range(200)), lambda _: None)
    assert clock.monotonic() - began < 1.15 * (200 - burst) / rate
    assert pacer.throttled < 60


def test_a_throttle_that_is_lifted_is_noticed(clock: VirtualClock) -> None:
    service, began = Throttled(clock, rate=5, burst=5), clock.monotonic()
    pacer = Pacer(clock, ends=clock.monotonic() + 1_000)
    side_by_side(pacer, VirtualPool(40, clock), service, list(range(100)), lambda _: None)
    service.faults.clear()
    lifted = clock.monotonic()
    side_by_side(pacer, VirtualPool(40, clock), service, list(range(1_000)), lambda _: None)
    assert lifted - began > 15
    assert clock.monotonic() - lifted < 25  # at 5 a second it would take 200 s


@pytest.mark.parametrize("learnt", [0.5, 1, 2, 5])
def test_a_slow_rate_recovers_as_soon_once_nothing_is_throttled(clock: VirtualClock, learnt: float) -> None:
    """Others had their part of the throttle, and have ended: a hundred stacks that are deleted at once."""
    began = clock.monotonic()
    pacer = Pacer.as_learnt(clock, clock.monotonic() + 1_000, learnt, 40)
    side_by_side(pacer, VirtualPool(40, clock), Service(clock), list(range(220)), lambda _: None)
    assert clock.monotonic() - began < 25


def test_a_rate_that_grows_goes_on_growing_in_the_next_call(clock: VirtualClock) -> None:
    service, times = Service(clock), []
    pacer = Pacer.as_learnt(clock, clock.monotonic() + 1_000, 1, 40)
    for _ in range(12):  # requests in each call of the handler
        began = clock.monotonic()
        side_by_side(pacer, VirtualPool(40, clock), service, list(range(10)), lambda _: None)
        times.append(clock.monotonic() - began)
        rate = pacer.rate
        pacer = Pacer.as_learnt(clock, clock.monotonic() + 1_000, rate.calls_a_second, 40, rate.outgrown)
    assert times == sorted(times, reverse=True)
    assert sum(times) < 20


def test_a_rate_that_was_learnt_is_begun_with(clock: VirtualClock) -> None:
    began = clock.monotonic()
    pacer = Pacer.as_learnt(clock, clock.monotonic() + 1_000, 9.9, 40)
    side_by_side(pacer, VirtualPool(40, clock), Throttled(clock, 10, 1), list(range(100)), lambda _: None)
    assert clock.monotonic() - began < 1.1 * 99 / 10
    assert pacer.throttled < 6


def test_more_and_more_requests_are_in_flight_while_nothing_is_throttled(clock: VirtualClock, pacer: Pacer) -> None:
    pool, service, began = WatchedPool(40, clock), Service(clock), clock.monotonic()
    side_by_side(pacer, pool, service, list(range(1_000)), lambda _: None)
    assert sum(start == began for start in service.starts) == 8
    assert pool.most == 40
    assert clock.monotonic() - began < 3.0


def test_answers_that_take_long_let_no_more_requests_be_in_flight(clock: VirtualClock) -> None:
    pool, pacer = WatchedPool(40, clock), Pacer(clock, ends=clock.monotonic() + 1_000)
    side_by_side(pacer, pool, lambda _: clock.sleep(3), list(range(100)), lambda _: None)
    assert pool.most == 8


def test_no_more_requests_are_in_flight_than_their_caller_wants(clock: VirtualClock, pacer: Pacer) -> None:
    pool = WatchedPool(40, clock)
    side_by_side(pacer, pool, Service(clock), list(range(100)), lambda _: None, most=5)
    assert pool.most == 5


def test_requests_one_after_the_other_do_not_let_more_be_in_flight(clock: VirtualClock, pacer: Pacer) -> None:
    for _ in range(100):
        until_answered(pacer, Service(clock))
    pool = WatchedPool(40, clock)
    side_by_side(pacer, pool, Service(clock), list(range(8)), lambda _: None)
    assert pacer.in_flight < 9


def test_a_pool_of_threads_waits_no_longer_than_it_is_told() -> None:
    with ThreadPool(1) as pool:
        future = pool.submit(time.sleep, 0.3)
        assert pool.first_done({future}, 0.01) == set()
        assert pool.first_done({future}) == {future}


def test_each_item_is_answered_once_whatever_fails_for_a_while(clock: VirtualClock, pacer: Pacer) -> None:
    service = Service(clock, [THROTTLED, BROKEN, THROTTLED, THROTTLED, BROKEN])
    answers: list[int] = []
    side_by_side(pacer, VirtualPool(4, clock), service, list(range(30)), answers.append)
    assert sorted(answers) == list(range(30))
    assert pacer.throttled == 3


def test_requests_in_flight_are_counted_when_one_fails_for_good(clock: VirtualClock, pacer: Pacer) -> None:
    service = Service(clock, [DENIED])
    answers: list[int] = []
    with pytest.raises(ClientError, match="AccessDenied"):
        side_by_side(pacer, VirtualPool(4, clock), service, list(range(30)), answers.append)
    assert len(service.starts) == len(answers) + 1 < 10


def test_out_of_time_is_raised_when_requests_in_flight_are_counted(clock: VirtualClock) -> None:
    pacer = Pacer(clock, ends=clock.monotonic() + 1)
    service = Service(clock)
    answers: list[int] = []
    with pytest.raises(OutOfTimeError):
        side_by_side(pacer, VirtualPool(4, clock), service, list(range(1_000)), answers.append)
    assert len(answers) == len(service.starts) == 44


def test_pauses_are_kept(clock: VirtualClock, pacer: Pacer) -> None:
    began = clock.monotonic()
    pacer.pause(2)
    until_answered(pacer, lambda: None)
    assert clock.monotonic() - began == pytest.approx(2)
