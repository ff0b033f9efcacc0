"""What would be gained by what this type does not do: figures for decisions, on the same strict ECR."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

from botocore.config import Config
from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository.deletion import call
from awstut_ecr_autopurgerepository.deletion.inventory import INDEX_TYPES
from awstut_ecr_autopurgerepository.ecr import IMAGES_PER_BATCH, IMAGES_PER_PAGE
from awstut_ecr_autopurgerepository.pacing import Pacer, until_answered
from benchmarks.assumptions import Assumptions
from benchmarks.cases import CASES, NAME, prepare
from benchmarks.contenders import OUR_DEFAULT, OURS
from benchmarks.races import Race, hold, strict_ecr
from sandbox.ecr import VirtualClock
from tests.support.virtual import VirtualPool

_NO_END = 1e9  # seconds: no slices
_OVERLAP_CASES = ("10,000 images", "3,300 two-architecture builds", "latest re-pushed 500 times")
_LONG = "100,000 images"


def measure(assumptions: Assumptions, races: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each experiment with its runs; ``races`` are those that were held."""

    def ours(case: str, throttled: bool) -> dict[str, Any]:
        wanted = (OUR_DEFAULT, case, throttled)
        found = next(each for each in races if (each["contender"], each["case"], each["throttled"]) == wanted)
        return {**found, "title": f"{_words(case, throttled)}: as it is"}

    overlap: list[dict[str, Any]] = []
    for throttled in (False, True):
        for case in _OVERLAP_CASES:
            overlap += [ours(case, throttled), _overlapping(assumptions, case, throttled)]
    learned = [ours(_LONG, True), _learned(assumptions)]
    return [
        {"title": "Deleting while still listing", "note": _OVERLAP, "runs": overlap},
        {"title": "Beginning each slice at the rate of the last one", "note": _LEARN, "runs": learned},
        {"title": _SLOW_DELETES, "note": _SKEW, "runs": _skewed(assumptions)},
    ]


_SLOW_DELETES = "If deletes take 4 times as long as other calls, and a page of 1,000 twice as long"
_OVERLAP = (
    "A purge that deletes each page as soon as it is listed, at its best: without rules, report and slices. This type "
    "must not do so, as one protected image on the last page has to keep all others; the figures say what that costs."
)
_LEARN = (
    "A slice begins without a limit, and finds the throttle anew. Here it begins with the rate with which the last one "
    "ended."
)
_SKEW = "The assumption that all calls take the same time may be wrong; the order of contenders does not hang on it."


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
    """One walk over the images: the next page is a task among the deletes of those before."""

    def __init__(self, client: Any, clock: VirtualClock, pacer: Pacer) -> None:
        self._client, self._pacer = client, pacer
        self._pool = VirtualPool(OURS[OUR_DEFAULT], clock)
        self._deletes: deque[list[dict[str, str]]] = deque()
        self._page: dict[str, str] | None = {}  # where the next page begins; None while one is asked for, or at the end
        self._in_flight: dict[Future[Any], Any] = {}

    def run(self) -> bool:
        """Whether the repository is gone afterwards."""
        while self._in_flight or self._deletes or self._page is not None:
            may_start = (self._deletes or self._page is not None) and len(self._in_flight) < self._pool.size
            seconds = self._pacer.seconds_to_turn() if may_start else None
            done = self._pool.first_done(set(self._in_flight), seconds) if self._in_flight and seconds != 0 else set()
            if may_start and not done:
                self._start()
            for future in done:
                self._finish(future, self._in_flight.pop(future))
        try:
            until_answered(self._pacer, lambda: self._client.delete_repository(repositoryName=NAME))
        except ClientError:
            return False
        return True

    def _start(self) -> None:
        self._pacer.wait_for_turn()
        if self._page is not None:
            task: Any = self._page
            ask = partial(
                self._client.describe_images, maxResults=IMAGES_PER_PAGE, filter={"imageStatus": "ANY"}, **task
            )
            self._page = None
        else:
            task = self._deletes.popleft()
            ask = partial(self._client.batch_delete_image, imageIds=task)
        self._in_flight[self._pool.submit(partial(ask, repositoryName=NAME))] = task

    def _finish(self, future: Future[Any], task: Any) -> None:
        try:
            answer = future.result()
        except ClientError as error:
            self._pacer.failed(error)
            self._again(task)
            return
        self._pacer.succeeded()
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


def _learned(assumptions: Assumptions) -> dict[str, Any]:
    with _pacers_that_remember():
        found = hold(Race(OUR_DEFAULT, _LONG, True), assumptions)
    return {**found, "title": f"{_words(_LONG, True)}: learned"}


@contextmanager
def _pacers_that_remember() -> Iterator[None]:
    """Let each slice's pacer for ECR begin with the rate of the one before."""
    made: list[Any] = []

    def make(clock: Any, ends: float) -> Any:
        pacer: Any = Pacer(clock, ends=ends)
        if len(made) >= 2:  # the last but one is that of the last slice for ECR; between them is one for the report
            pacer._rate = made[-2]._rate
        made.append(pacer)
        return pacer

    with mock.patch.object(call, "Pacer", make):
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
