"""Each contender on each case, in process and in virtual time: what is left, how many calls, how long."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from unittest import mock

from botocore.config import Config
from cloudformation_cli_python_lib import OperationStatus

from benchmarks.assumptions import Assumptions
from benchmarks.cases import BURST_CASE, BURSTS, CASES, NAME, least_calls, prepare
from benchmarks.contenders import CONTENDERS, OUR_DEFAULT, OURS, run
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.strict import Purge


@dataclass(frozen=True)
class Race:
    """``burst`` is that of the throttle, where it is not the assumed one."""

    contender: str
    case: str
    throttled: bool
    burst: int | None = None


@dataclass(frozen=True)
class Result:
    """``images`` includes those that were pushed during the race. ``seconds`` include the pauses between slices.

    ``refused`` is how many of the ``calls`` the throttle refused. ``least`` is the fewest calls that are possible.
    """

    contender: str
    case: str
    throttled: bool
    burst: int | None
    images: int
    left: int
    error: str | None
    calls: int
    refused: int
    least: int
    seconds: float
    slices: int


def all_races() -> list[Race]:
    """The long ones first, so that two processes end at about the same time."""
    contenders = [*OURS, *CONTENDERS]
    cases = sorted(CASES, key=lambda case: case != "100,000 images")
    races = [Race(each, case, throttled) for case in cases for each in contenders for throttled in (True, False)]
    return races + [Race(OUR_DEFAULT, BURST_CASE, True, burst) for burst in BURSTS]


def our_races(cases: Iterable[str]) -> list[Race]:
    """Those of this type, as it is by default, on some cases."""
    return [each for each in all_races() if each.contender == OUR_DEFAULT and each.case in cases]


def strict_ecr(assumptions: Assumptions, throttled: bool, burst: int | None = None) -> tuple[StrictEcr, VirtualClock]:
    """An ECR of which the assumptions hold; ``burst`` is another one than the assumed."""
    clock = VirtualClock()
    ecr = StrictEcr(clock=clock)
    ecr.faults.latency = assumptions.latency()
    if throttled:
        ecr.faults.throttle(rate=assumptions.calls_a_second, burst=burst or assumptions.burst)
    return ecr, clock


def hold(race: Race, assumptions: Assumptions) -> dict[str, Any]:
    """One race; its result, ready for JSON."""
    random.seed(f"{race}")  # the jitter between requests: the same for the same race
    ecr, clock = strict_ecr(assumptions, race.throttled, race.burst)
    before = prepare(ecr, CASES[race.case])
    began = clock.monotonic()
    if race.contender in OURS:
        slices, error = _ours(ecr, clock, OURS[race.contender])
    else:
        slices, error = 1, _theirs(ecr, clock, race.contender)
    left = ecr.holds(NAME) or 0
    images = max(before, len(ecr.deletion_log) + left)
    result = Result(
        **asdict(race),
        images=images,
        left=left,
        error=error,
        calls=sum(ecr.calls.values()),
        refused=sum(call.error == "ThrottlingException" for call in ecr.call_log),
        least=least_calls(images, CASES[race.case].pushes),
        seconds=round(clock.monotonic() - began, 3),
        slices=slices,
    )
    return asdict(result)


def _ours(ecr: StrictEcr, clock: VirtualClock, concurrency: int) -> tuple[int, str | None]:
    purge = Purge(ecr, clock, concurrency=concurrency)
    with _silence():
        event = purge(NAME)
    return len(purge.events), None if event.status is OperationStatus.SUCCESS else event.message


def _theirs(ecr: StrictEcr, clock: VirtualClock, name: str) -> str | None:
    contender = CONTENDERS[name]
    client = ecr.client(config=Config(retries={"mode": "standard", "total_max_attempts": contender.attempts}))
    with virtual_retries(clock):
        return run(contender, client, NAME)


@contextmanager
def virtual_retries(clock: VirtualClock) -> Iterator[None]:
    """Let botocore's pauses before it repeats a request pass on the bench's clock."""
    with mock.patch("botocore.endpoint.time", clock):
        yield


@contextmanager
def _silence() -> Iterator[None]:
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
