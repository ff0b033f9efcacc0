"""Experiments: what this type would gain by things that it does not do, measured on the same strict ECR."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any
from unittest import mock

from botocore.config import Config
from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository.deletion.inventory import INDEX_TYPES
from awstut_ecr_autopurgerepository.ecr import IMAGES_PER_BATCH, IMAGES_PER_PAGE
from awstut_ecr_autopurgerepository.pacing import Pacer, Turn, until_answered
from awstut_ecr_autopurgerepository.rules.account import DEFAULT_CONCURRENCY
from benchmarks.assumptions import Assumptions
from benchmarks.cases import CASES, NAME, prepare
from benchmarks.contenders import OUR_DEFAULT, OURS
from benchmarks.races import Race, all_races, hold, strict_ecr
from sandbox.ecr import VirtualClock
from tests.support.virtual import VirtualPool

_NO_END = 1e9  # seconds: no slices
_OVERLAP_CASES = ("10,000 images", "3,300 two-architecture builds", "latest re-pushed 500 times")


def measure(assumptions: Assumptions, races: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each experiment with its runs; ``races`` are those that were held."""

    def ours(case: str, throttled: bool) -> dict[str, Any]:
        wanted = asdict(Race(OUR_DEFAULT, case, throttled))
        found = next(each for each in races if all(each[key] == value for key, value in wanted.items()))
        return {**found, "title": f"{_words(case, throttled)}: as it is"}

    overlap: list[dict[str, Any]] = []
    for throttled in (False, True):
        for case in _OVERLAP_CASES:
            overlap += [ours(case, throttled), _overlapping(assumptions, case, throttled)]
    at_best: list[dict[str, Any]] = []
    for race in _throttled_races():
        found = next(each for each in races if all(each[key] == value for key, value in asdict(race).items()))
        at_best += [{**found, "title": f"{_throttled_words(race)}: as it is"}, _at_best(assumptions, race)]
    return [
        {"title": "Deleting while still listing", "note": _OVERLAP, "runs": overlap},
        {"title": "If the throttle were known beforehand", "note": _KNOWN, "runs": at_best},
        {"title": _SLOW_DELETES, "note": _SKEW, "runs": _skewed(assumptions)},
    ]


_SLOW_DELETES = "If deletes take 4 times as long as other calls, and a page of 1,000 twice as long"
_OVERLAP = (
    "A purge that deletes each page as soon as it is listed, at its best: without rules, report and slices. This type "
    "must not do so, as one protected image on the last page has to keep all others; the figures say what that costs."
)
_KNOWN = (
    "The same purge, with a pace that is told rate and burst of the throttle before the first call, so that no call is "
    "refused and none comes late: what a throttle allows at best to a purge that makes these calls in this order."
)
_SKEW = "The assumption that all calls take the same time may be wrong; the order of contenders does not hang on it."


def _throttled_races() -> list[Race]:
    return [each for each in all_races() if each.contender == OUR_DEFAULT and each.throttled]


def _words(case: str, throttled: bool) -> str:
    return f"{case}, throttled" if throttled else case


def _run(title: str, seconds: float, ecr: Any) -> dict[str, Any]:
    return {
        "title": title,
        "seconds": round(seconds, 3),
        "calls": sum(ecr.calls.values()),
        "refused": sum(call.error == "ThrottlingException" for call in ecr.call_log),
        "left": ecr.holds(NAME) or 0,
    }


def _overlapping(assumptions: Assumptions, case: str, throttled: bool) -> dict[str, Any]:
    ecr, clock = strict_ecr(assumptions, throttled)
    prepare(ecr, CASES[case])
    began = clock.monotonic()
    client: Any = ecr.client(config=Config(retries={"mode": "standard", "total_max_attempts": 1}))
    pacer = Pacer(clock, ends=_NO_END)
    for _ in range(2):  # what the repository is, and its tags
        until_answered(pacer, lambda: client.describe_repositories(repositoryNames=[NAME]))
    while not _OverlappingPass(client, clock, pacer).run():
        pass
    until_answered(pacer, lambda: client.describe_repositories())  # whether it is gone
    return _run(f"{_words(case, throttled)}: overlapping", clock.monotonic() - began, ecr)


class _OverlappingPass:
    """One walk over the images. The next page is requested while images on the pages before are being deleted."""

    def __init__(self, client: Any, clock: VirtualClock, pacer: Pacer) -> None:
        self._client, self._pacer = client, pacer
        self._pool = VirtualPool(OURS[OUR_DEFAULT], clock)
        self._deletes: deque[list[dict[str, str]]] = deque()
        self._page: dict[str, str] | None = {}  # where the next page begins; None while one is asked for, or at the end
        self._in_flight: dict[Future[Any], tuple[Any, Turn]] = {}

    def run(self) -> bool:
        """Run the pass, then delete the repository. Returns False if ECR refuses that delete."""
        while self._in_flight or self._deletes or self._page is not None:
            may_start = (self._deletes or self._page is not None) and len(self._in_flight) < min(
                self._pool.size, int(self._pacer.in_flight)
            )
            seconds = self._pacer.seconds_to_turn() if may_start else None
            done = self._pool.first_done(set(self._in_flight), seconds) if self._in_flight and seconds != 0 else set()
            if may_start and not done:
                self._start()
            for future in done:
                self._finish(future, *self._in_flight.pop(future))
        try:
            until_answered(self._pacer, lambda: self._client.delete_repository(repositoryName=NAME))
        except ClientError:
            return False
        return True

    def _start(self) -> None:
        turn = self._pacer.wait_for_turn()
        if self._page is not None:
            task: Any = self._page
            ask = partial(
                self._client.describe_images, maxResults=IMAGES_PER_PAGE, filter={"imageStatus": "ANY"}, **task
            )
            self._page = None
        else:
            task = self._deletes.popleft()
            ask = partial(self._client.batch_delete_image, imageIds=task)
        self._in_flight[self._pool.submit(partial(ask, repositoryName=NAME))] = task, turn

    def _finish(self, future: Future[Any], task: Any, turn: Turn) -> None:
        try:
            answer = future.result()
        except ClientError as error:
            self._pacer.failed(turn, error)
            self._again(task)
            return
        self._pacer.succeeded(turn)
        self._pacer.allow_more(turn)
        if "imageDetails" in answer:
            self._take_up(answer)

    def _again(self, task: Any) -> None:
        if isinstance(task, dict):
            self._page = task
        else:
            self._deletes.appendleft(task)

    def _take_up(self, answer: Any) -> None:
        images = sorted(answer["imageDetails"], key=lambda each: each["imageManifestMediaType"] not in INDEX_TYPES)
        digests = [{"imageDigest": each["imageDigest"]} for each in images]
        self._deletes += [
            digests[start : start + IMAGES_PER_BATCH] for start in range(0, len(digests), IMAGES_PER_BATCH)
        ]
        self._page = {"nextToken": answer["nextToken"]} if "nextToken" in answer else None


def _at_best(assumptions: Assumptions, race: Race) -> dict[str, Any]:
    bucket = _Bucket(assumptions.calls_a_second, race.burst or assumptions.burst)
    with _pacers_that_know(bucket):
        found = hold(race, assumptions)
    return {**found, "title": f"{_throttled_words(race)}: told beforehand"}


def _throttled_words(race: Race) -> str:
    return race.case if race.burst is None else f"{race.case}, burst {race.burst}"


class _Bucket:
    """A copy of the throttle's own bucket, which tells when the next call gets through."""

    _MARGIN = 1e-4  # calls: each is made later by this much, because times are not exact

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self._burst = rate, burst
        self._permits, self._filled = burst + self._MARGIN, 0.0

    def seconds_to_permit(self, now: float) -> float:
        """How long it is until a call gets through."""
        self._fill(now)
        return max(0.0, 1 + self._MARGIN - self._permits) / self.rate

    def take(self, now: float) -> None:
        """Count a call."""
        self._fill(now)
        self._permits = min(self._burst, self._permits) - 1

    def _fill(self, now: float) -> None:
        self._permits = min(self._burst + self._MARGIN, self._permits + (now - self._filled) * self.rate)
        self._filled = now


class _KnowingPacer(Pacer):
    """Starts each request as soon as it gets through, and none that is refused."""

    bucket: _Bucket

    def seconds_to_turn(self) -> float:
        return max(super().seconds_to_turn(), self.bucket.seconds_to_permit(self.clock.monotonic()))

    def wait_for_turn(self) -> Turn:
        seconds = self.bucket.seconds_to_permit(self.clock.monotonic())
        if seconds:
            self.pause(seconds)
        turn = super().wait_for_turn()
        self.bucket.take(self.clock.monotonic())
        return turn

    def requests_left(self) -> float:
        return self.seconds_left() * self.bucket.rate


@contextmanager
def _pacers_that_know(bucket: _Bucket) -> Iterator[None]:
    """Let the pacer for ECR of each call of the handler know the throttle."""

    def as_learnt(clock: Any, ends: float, *_: object) -> Pacer:
        pacer = _KnowingPacer(clock, ends, in_flight=DEFAULT_CONCURRENCY)
        pacer.bucket = bucket
        return pacer

    with mock.patch.object(Pacer, "as_learnt", as_learnt):
        yield


def _skewed(assumptions: Assumptions) -> list[dict[str, Any]]:
    seconds = assumptions.seconds_a_call
    latency = {"*": seconds, "DescribeImages": 2 * seconds, "BatchDeleteImage": 4 * seconds}
    runs = []
    for contender in ("hundreds", "cdk", OUR_DEFAULT):
        with mock.patch.object(Assumptions, "latency", return_value=latency):
            found = hold(Race(contender, "10,000 images", False), assumptions)
        runs.append({**found, "title": f"10,000 images: {contender}"})
    return runs
