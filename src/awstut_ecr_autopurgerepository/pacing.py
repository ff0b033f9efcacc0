"""Pacing of the requests of one call of a handler: a deadline, a rate that is learnt from throttling, and a pool.

Ours rather than botocore's, because it must know the deadline: botocore's adaptive mode blocks single calls for 13-33 s
with 8-16 threads, and takes 1.4-1.9 times what the throttle allows (measured). The clients it is used with make each
request once (see provider/clients.py).
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
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

_FIRST_IN_FLIGHT = 8  # requests side by side, before any was answered
_GROWTH_IN_FLIGHT = 0.5  # for each answer: half as many again, with each round of answers
_QUICK_SECONDS = 2.0  # an answer that takes longer is no reason to have more requests in flight
_SLOWEST = 0.5  # calls a second
# How a rate is learnt. The values were found by trying, on buckets of 1 to 50 calls at 2 to 100 calls a second.
_SEARCH_GROWTH = 0.4  # for each request, until the second refusal
_MOST_SEARCH_GROWTH = 0.5  # in the time of one answer, because a refusal becomes known only after that time
_BELOW_BOUND = 0.95  # of the bound: where the rate begins after a refusal
_GROWTH = 1 - _BELOW_BOUND  # of the bound: what the rate loses at a refusal, and gains in as much time after the bound
_LEAST_GROWING = 2.0  # calls a second: a slower rate gains as much as this one
_TO_BOUND = 2.5, 20  # seconds and intervals, after both of which the rate is at the bound again
_LONGEST_TO_BOUND = 5.0  # seconds
_WINDOW = 5.0, 30  # seconds and intervals, over which a bound is looked for
_LEAST_LOSS = 8  # answers, among which a refusal may have lost one permit, where the bucket saves up none
_ON_TIME = 1.1  # intervals: a request that comes so soon after the last one was held back by the rate only
_LONGEST_PAUSE_SECONDS = 5.0


class Clock(Protocol):
    """What of the module ``time`` is used; a test passes a clock of its own."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class OutOfTimeError(Exception):
    """No further request may start in this call of the handler."""


@dataclass(frozen=True)
class Turn:
    """When a request started, on the clock's monotonic time, and what its Rate was like then.

    ``paced`` is when it started on the time that the rate counts, ``lowered`` how often the rate had been lowered.
    """

    started: float
    paced: float = 0.0
    calls_a_second: float = math.inf
    lowered: int = 0


@dataclass
class Rate:
    """How many calls a second are let through, learnt from what is refused. Pure: moments are passed in.

    A throttle is like a bucket. Permits flow in at its rate, and some can be saved up. Each call takes one; a refused
    call takes none. So at each refusal the bucket was empty, and between two refusals, at most one permit more
    flowed in than calls were answered. This is a bound for the rate. After a refusal the rate begins a little below the
    bound, is back at it some seconds later, and then grows slowly at first and ever faster, because the throttle may
    have been lifted, or others who had a part of it may have ended. After the first refusal there is no bound yet: the
    rate begins as if one call followed another, and grows fast until the second refusal.

    ``calls_a_second`` is None while nothing was refused. Time in which fewer requests came than the rate allows is not
    counted, because permits may have been lost then.
    """

    calls_a_second: float | None = None
    _bound: float | None = None  # None: not known yet
    _lowered: int = 0  # times
    _lowered_paced: float = 0.0  # when, on paced time
    _last_start: float = -math.inf
    _paced: float = 0.0
    _seconds_of_an_answer: float = 0.0
    _refusals: deque[Turn] = field(default_factory=deque)
    _answers: deque[Turn] = field(default_factory=deque)

    @classmethod
    def as_learnt(cls, calls_a_second: float | None, outgrown: float | None = None) -> Rate:
        """The rate that an earlier call of the handler has learnt; ``outgrown`` is the bound that it has outgrown.

        It goes on growing if there is one; otherwise it begins at its bound.
        """
        if calls_a_second is None:
            return cls()
        learnt = max(_SLOWEST, calls_a_second)
        rate = cls(learnt, _bound=min(learnt, max(_SLOWEST, outgrown or learnt)))
        rate._lowered_paced = -(1 + rate._since_bound()) * rate._to_bound()
        return rate

    @property
    def outgrown(self) -> float | None:
        """The bound, in calls a second, if the rate has grown beyond it."""
        grown = self.calls_a_second is not None and self._bound is not None and self.calls_a_second > self._bound
        return self._bound if grown else None

    @property
    def interval(self) -> float:
        """Seconds between two requests."""
        return 1 / self.calls_a_second if self.calls_a_second else 0.0

    @property
    def next_start(self) -> float:
        """When the next request may start, on the clock's monotonic time."""
        return self._last_start + self.interval

    def _at_least(self, span: tuple[float, int]) -> float:
        """The longer of two times, in seconds: so many seconds, or so many intervals."""
        seconds, intervals = span
        return max(seconds, intervals * self.interval)

    def start(self, now: float) -> Turn:
        """Count a request that starts now."""
        if self.calls_a_second is None:
            self._last_start = now
            return Turn(now)
        gap, on_time = now - self._last_start, _ON_TIME * self.interval
        self._last_start = now
        self._paced += min(gap, on_time)
        turn = Turn(now, self._paced, self.calls_a_second, self._lowered)
        if gap <= on_time:
            self._grow(self.calls_a_second)
        return turn

    def _grow(self, calls_a_second: float) -> None:
        if self._bound is None:
            a_round = max(1.0, calls_a_second * self._seconds_of_an_answer)  # requests in the time of an answer
            self.calls_a_second = calls_a_second * (1 + min(_SEARCH_GROWTH, _MOST_SEARCH_GROWTH / a_round))
            return
        since = (self._paced - self._lowered_paced) / self._to_bound() - 1
        growing = self._bound if since < 0 else max(_LEAST_GROWING, self._bound)
        self.calls_a_second = self._bound + growing * _GROWTH * since**3

    def _to_bound(self) -> float:
        """Seconds from a refusal until the rate is at the bound again."""
        return min(_LONGEST_TO_BOUND, self._at_least(_TO_BOUND))

    def _since_bound(self) -> float:
        """How long ago a rate was at its bound, if it has outgrown that. The unit is `_to_bound`; 0 if it has not."""
        if self.outgrown is None or self.calls_a_second is None:
            return 0.0
        return math.cbrt((self.calls_a_second - self.outgrown) / (max(_LEAST_GROWING, self.outgrown) * _GROWTH))

    def answer(self, turn: Turn) -> None:
        """Count an answer to a request."""
        if self.calls_a_second is not None:
            self._answers.append(turn)
            self._forget(turn)

    def refuse(self, turn: Turn, seconds_of_an_answer: float) -> None:
        """Lower the rate because a request was refused, whose answer took so many seconds.

        It is lowered once for all requests that were in flight together.
        """
        if turn.lowered < self._lowered:
            return
        self._lowered += 1
        if self.calls_a_second is None:
            self._seconds_of_an_answer = max(0.001, seconds_of_an_answer)
            self.calls_a_second = max(_SLOWEST, 1 / self._seconds_of_an_answer)
            turn = replace(turn, calls_a_second=self.calls_a_second)
        else:
            self._bound = max(_SLOWEST / _BELOW_BOUND, min(turn.calls_a_second, self._bound_at(turn)))
            self.calls_a_second = self._bound * _BELOW_BOUND
        self._refusals.append(turn)
        self._lowered_paced = self._paced

    def _bound_at(self, turn: Turn) -> float:
        """The most permits a second that can have flowed in until the request with this turn was refused."""
        self._forget(turn)
        bounds = [math.inf]
        for later, refused in enumerate(reversed(self._refusals)):
            seconds = turn.paced - refused.paced
            if seconds > 0 and refused.calls_a_second >= turn.calls_a_second / 2:
                answers = sum(refused.paced < each.paced < turn.paced for each in self._answers)
                bounds.append((answers + 1 + min(answers / _LEAST_LOSS, later)) / seconds)
        return min(bounds)

    def _forget(self, turn: Turn) -> None:
        """Forget what was too long before this turn."""
        for turns in (self._refusals, self._answers):
            while turns and turns[0].paced < turn.paced - self._at_least(_WINDOW):
                turns.popleft()


@dataclass
class Pacer:
    """Says when the next request may start, and how many may be in flight at once.

    ``ends`` is the moment, on the clock's monotonic time, after which none may start. While nothing is throttled, more
    and more may be in flight (``in_flight``); once something is, ``rate`` says how fast they may follow one another,
    and more may be in flight only where that many are needed for this rate.
    Other transient errors make a pause that doubles. ``answered``, ``throttled`` and ``unanswered`` (all other
    transient errors) count; ``last_error`` is the last transient error.
    """

    clock: Clock
    ends: float
    jitter: Callable[[], float] = field(default=random.random)
    rate: Rate = field(default_factory=Rate)
    in_flight: float = _FIRST_IN_FLIGHT
    answered: int = 0
    throttled: int = 0
    unanswered: int = 0
    last_error: Exception | None = None
    _next_start: float = 0.0
    _failures: int = 0

    @classmethod
    def as_learnt(
        cls,
        clock: Clock,
        ends: float,
        calls_a_second: float | None,
        in_flight: int | None,
        outgrown: float | None = None,
    ) -> Pacer:
        """A pacer that begins with what an earlier call of the handler has learnt; None: it has learnt nothing."""
        rate = Rate.as_learnt(calls_a_second, outgrown)
        return cls(clock, ends, rate=rate, in_flight=in_flight or _FIRST_IN_FLIGHT)

    def wait_for_turn(self) -> Turn:
        """Sleep until the next request may start. Raises OutOfTimeError if that is too late."""
        now = self.clock.monotonic()
        start = max(now, self._next_start)
        if start > self.ends:
            raise OutOfTimeError
        if start > now:
            self.clock.sleep(start - now)
        turn = self.rate.start(start)
        self._next_start = start + self.rate.interval
        return turn

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
        rate = self.rate.calls_a_second
        return math.inf if rate is None else self.seconds_left() * rate

    def succeeded(self, turn: Turn) -> None:
        """The request that had this turn was answered."""
        self.answered += 1
        self._failures = 0
        self.rate.answer(turn)

    def allow_more(self, turn: Turn) -> None:
        """Let more be in flight: all that may be were, and a request that had this turn was answered."""
        if self.clock.monotonic() - turn.started <= _QUICK_SECONDS:
            self.in_flight += _GROWTH_IN_FLIGHT

    def failed(self, turn: Turn, error: Exception) -> None:
        """The request that had this turn failed. Raises the error again unless the same request may succeed later."""
        if not is_transient(error):
            raise error
        self.last_error = error
        now = self.clock.monotonic()
        if handler_code(error) is HandlerErrorCode.Throttling:
            self.throttled += 1
            self.rate.refuse(turn, now - turn.started)
            self._next_start = max(self._next_start, self.rate.next_start)
            return
        self.unanswered += 1
        pause = min(_LONGEST_PAUSE_SECONDS, 0.1 * 2**self._failures) * (0.5 + self.jitter())
        self._next_start = max(self._next_start, now + pause)
        self._failures += 1


def until_answered(pacer: Pacer, request: Callable[[], T]) -> T:
    """Make one request until it is answered, at the pacer's pace.

    Raises what isn't transient, and OutOfTimeError.
    """
    while True:
        turn = pacer.wait_for_turn()
        try:
            answer = request()
        except AWS_ERRORS as error:
            pacer.failed(turn, error)
            continue
        pacer.succeeded(turn)
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
    pacer: Pacer,
    pool: Pool,
    request: Callable[[T], Any],
    items: list[T],
    done: Callable[[Any], None],
    most: int | None = None,
) -> None:
    """Make one request for each item, as many at once as pool and pacer allow, and call ``done`` with each answer.

    ``most`` may be in flight at once, if it is given.

    An item whose request failed with a transient error goes back into the queue. Every request that was started is
    waited for and counted, whatever happens; then OutOfTimeError, or an error that isn't transient, is raised.
    """
    queue = deque(items)
    in_flight: dict[Future[Any], tuple[T, Turn]] = {}
    stop: Exception | None = None
    limit = min(pool.size, most or pool.size)
    while in_flight or (queue and stop is None):
        done_now: set[Future[Any]] = set()
        is_full = len(in_flight) >= min(limit, int(pacer.in_flight))
        if queue and stop is None and not is_full:
            done_now = _done_before_turn(pacer, pool, in_flight)
            if not done_now:
                try:
                    turn = pacer.wait_for_turn()
                except OutOfTimeError as error:
                    stop = error
                else:
                    item = queue.popleft()
                    in_flight[pool.submit(request, item)] = item, turn
                continue
        for future in done_now or pool.first_done(set(in_flight)):
            item, turn = in_flight.pop(future)
            again, final = _take_answer(pacer, turn, future, done)
            stop = final or stop
            if again:
                queue.appendleft(item)
            elif is_full and pacer.in_flight < limit:
                pacer.allow_more(turn)
    if stop:
        raise stop


def _done_before_turn(pacer: Pacer, pool: Pool, in_flight: Collection[Future[Any]]) -> set[Future[Any]]:
    """Futures that finish before the next request may start. Look at them first: throttling postpones that request."""
    seconds = pacer.seconds_to_turn()
    return pool.first_done(set(in_flight), seconds) if in_flight and seconds > 0 else set()


def _take_answer(
    pacer: Pacer, turn: Turn, future: Future[Any], done: Callable[[Any], None]
) -> tuple[bool, Exception | None]:
    """Whether the request is to be made again, and the error that ends it all."""
    try:
        answer = future.result()
    except OutOfTimeError as error:  # of a request that botocore would have made again too late
        return False, error
    except AWS_ERRORS as error:
        try:
            pacer.failed(turn, error)
        except AWS_ERRORS:
            return False, error
        return True, None
    pacer.succeeded(turn)
    done(answer)
    return False, None
