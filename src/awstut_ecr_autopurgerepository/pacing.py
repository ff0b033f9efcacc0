"""Pacing of the calls of one slice: a deadline, a rate that backs off when throttled, and a small pool.

Ours rather than botocore's, as it must know the deadline: botocore's adaptive mode blocks single calls for 13-33 s with
8-16 threads, and takes 1.4-1.9 times what the throttle allows (measured). The clients it is used with make each request
once (see provider/clients.py).
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from cloudformation_cli_python_lib import HandlerErrorCode

from .errors import AWS_ERRORS, handler_code, is_transient

T = TypeVar("T")

CONNECT_SECONDS = 3
READ_SECONDS = 10
S3_CONNECT_SECONDS = 2
S3_READ_SECONDS = 5
HARD_LIMIT_SECONDS = 55  # CloudFormation starts a second copy of a handler at 60 s
LAST_START_SECONDS = HARD_LIMIT_SECONDS - CONNECT_SECONDS - READ_SECONDS

_WINDOW_SECONDS = 2.0  # over which the rate of answered calls is measured
_BACK_OFF = 0.8
_RECOVERY_PER_SECOND = 1.12
_SLOWEST = 0.5  # calls a second
_UNLIMITED = 1_000.0
_LONGEST_PAUSE_SECONDS = 5.0


class Clock(Protocol):
    """What of the module ``time`` is used; a test passes a clock of its own."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class OutOfTimeError(Exception):
    """No further request may start in this slice."""


@dataclass
class Pacer:
    """Says when the next request may start.

    ``ends`` is the moment, on the clock's monotonic time, after which none may. Throttling lowers the rate to a part of
    what was answered lately, and each second without it raises the rate again; other transient errors make a pause that
    doubles. ``answered``, ``throttled`` and ``unanswered`` (all other transient errors) count; ``last_error`` is the
    last transient error.
    """

    clock: Clock
    ends: float
    jitter: Callable[[], float] = field(default=random.random)
    answered: int = 0
    throttled: int = 0
    unanswered: int = 0
    last_error: Exception | None = None
    _rate: float = _UNLIMITED
    _next_start: float = 0.0
    _changed: float = -math.inf
    _failures: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def wait_for_turn(self) -> None:
        """Sleep until the next request may start. Raises OutOfTimeError if that is too late."""
        now = self.clock.monotonic()
        start = max(now, self._next_start)
        if start > self.ends:
            raise OutOfTimeError
        if start > now:
            self.clock.sleep(start - now)
        if self._rate < _UNLIMITED:
            self._next_start = start + (0.9 + 0.2 * self.jitter()) / self._rate

    def seconds_to_turn(self) -> float:
        """How long it is until the next request may start."""
        return max(0.0, self._next_start - self.clock.monotonic())

    def pause(self, seconds: float) -> None:
        """Let no request start for so long."""
        self._next_start = max(self._next_start, self.clock.monotonic() + seconds)

    def is_mute(self) -> bool:
        """Whether there was no answer to any request, not even that there are too many."""
        return self.last_error is not None and not (self.answered or self.throttled)

    def seconds_left(self) -> float:
        """How long requests may still start."""
        return self.ends - self.clock.monotonic()

    def requests_left(self) -> float:
        """How many requests may still start at the present rate; infinite while nothing is throttled."""
        return self.seconds_left() * self._rate if self._rate < _UNLIMITED else math.inf

    def succeeded(self) -> None:
        """A request was answered."""
        now = self.clock.monotonic()
        self.answered += 1
        self._failures = 0
        self._recent.append(now)
        if self._rate < _UNLIMITED and now > self._changed:
            self._rate = min(_UNLIMITED, self._rate * _RECOVERY_PER_SECOND ** (now - self._changed))
            self._changed = now

    def failed(self, error: Exception) -> None:
        """A request failed. Raises the error again unless the same request may succeed later."""
        if not is_transient(error):
            raise error
        self.last_error = error
        if handler_code(error) is HandlerErrorCode.Throttling:
            self._slow_down()
            return
        self.unanswered += 1
        pause = min(_LONGEST_PAUSE_SECONDS, 0.1 * 2**self._failures) * (0.5 + self.jitter())
        self._next_start = max(self._next_start, self.clock.monotonic() + pause)
        self._failures += 1

    def _slow_down(self) -> None:
        self.throttled += 1
        now = self.clock.monotonic()
        if now - self._changed < 1 / self._rate:
            return  # calls that were in flight together are one sign, not many
        while self._recent and self._recent[0] < now - _WINDOW_SECONDS:
            self._recent.popleft()
        answered = len(self._recent) / _WINDOW_SECONDS
        self._rate = max(_SLOWEST, min(self._rate * _BACK_OFF, max(answered, _SLOWEST)))
        self._changed = now
        self._next_start = max(self._next_start, now + 1 / self._rate)


def until_answered(pacer: Pacer, request: Callable[[], T]) -> T:
    """Make one request until it is answered, at the pacer's pace.

    Raises what isn't transient, and OutOfTimeError.
    """
    while True:
        pacer.wait_for_turn()
        try:
            answer = request()
        except AWS_ERRORS as error:
            pacer.failed(error)
            continue
        pacer.succeeded()
        return answer


class Pool(Protocol):
    """Runs tasks side by side."""

    size: int

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]: ...

    def first_done(self, futures: set[Future[Any]], seconds: float | None = None) -> set[Future[Any]]: ...


class ThreadPool:
    """A pool of threads; leaves none behind when closed."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._executor = ThreadPoolExecutor(max_workers=size)

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Start a task as soon as a thread is free."""
        return self._executor.submit(task, *arguments)

    def first_done(self, futures: set[Future[Any]], seconds: float | None = None) -> set[Future[Any]]:
        """Those of the futures that are done, once there is one; none if that takes longer than so many seconds."""
        return wait(futures, timeout=seconds, return_when=FIRST_COMPLETED).done

    def __enter__(self) -> ThreadPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()


def side_by_side(
    pacer: Pacer, pool: Pool, request: Callable[[T], Any], items: list[T], done: Callable[[Any], None]
) -> None:
    """Make one request for each item, as many at once as the pool has places, and call ``done`` with each answer.

    An item whose request failed for a while goes back into the queue. Every request that was started is waited for and
    counted, whatever happens; then OutOfTimeError, or an error that isn't transient, is raised.
    """
    queue = deque(items)
    in_flight: dict[Future[Any], T] = {}
    stop: Exception | None = None
    while in_flight or (queue and stop is None):
        done_now: set[Future[Any]] = set()
        if queue and stop is None and len(in_flight) < pool.size:
            done_now = _done_before_turn(pacer, pool, in_flight)
            if not done_now:
                try:
                    pacer.wait_for_turn()
                except OutOfTimeError as error:
                    stop = error
                else:
                    item = queue.popleft()
                    in_flight[pool.submit(request, item)] = item
                continue
        for future in done_now or pool.first_done(set(in_flight)):
            item = in_flight.pop(future)
            again, final = _account(pacer, future, done)
            stop = final or stop
            if again:
                queue.appendleft(item)
    if stop:
        raise stop


def _done_before_turn(pacer: Pacer, pool: Pool, in_flight: Collection[Future[Any]]) -> set[Future[Any]]:
    """Futures that finish before the next request may start. Look at them first: throttling postpones that request."""
    seconds = pacer.seconds_to_turn()
    return pool.first_done(set(in_flight), seconds) if in_flight and seconds > 0 else set()


def _account(pacer: Pacer, future: Future[Any], done: Callable[[Any], None]) -> tuple[bool, Exception | None]:
    """Whether the request is to be made again, and the error that ends it all."""
    try:
        answer = future.result()
    except OutOfTimeError as error:  # of a request that botocore would have made again too late
        return False, error
    except AWS_ERRORS as error:
        try:
            pacer.failed(error)
        except AWS_ERRORS:
            return False, error
        return True, None
    pacer.succeeded()
    done(answer)
    return False, None
