"""What was promised of this type, and whether the figures keep it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import BATCH, BURST_CASE, BURSTS, CASES, least_steps
from benchmarks.contenders import CONTENDERS, OUR_DEFAULT, OURS

Figures = dict[str, Any]
_SINGLE = ("1,000 images", "10,000 images", "100,000 images")
_MULTI = ("3,300 two-architecture builds", "latest re-pushed 500 times")


@dataclass(frozen=True)
class Target:
    """A promise: ``seen`` must be at most ``limit``, or with ``at_least`` at least ``limit``."""

    what: str
    seen: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure keeps the promise."""
        return self.seen >= self.limit if self.at_least else self.seen <= self.limit

    @property
    def by(self) -> str:
        """In words."""
        return "met" if self.met else f"**missed** by {abs(self.seen - self.limit):,.3g}{self.unit}"


def pick(figures: Figures, contender: str, case: str, throttled: bool = False, burst: int | None = None) -> Any:
    """One race's result. ``burst`` is that of the throttle, where it is not the assumed one."""
    wanted = (contender, case, throttled, burst)
    keys = ("contender", "case", "throttled", "burst")
    return next(each for each in figures["races"] if tuple(each[key] for key in keys) == wanted)


def purge(figures: Figures, contender: str, images: int) -> Any:
    """One measured process."""
    purges = figures["processes"]["purges"]
    return next(each for each in purges if each["contender"] == contender and each["images"] == images)


def allowed_seconds(figures: Figures, result: Any) -> float:
    """How long the least calls take at the throttle's rate, until the last of them is answered.

    If the same race without a throttle took longer, that time counts.
    """
    assumed = figures["assumptions"]
    burst = result["burst"] or assumed["burst"]
    by_rate = (result["least"] - burst) / assumed["calls_a_second"] + assumed["seconds_a_call"]
    unthrottled: float = pick(figures, result["contender"], result["case"])["seconds"]
    seconds: float = max(by_rate, unthrottled)
    return seconds


def all_targets(figures: Figures) -> list[Target]:
    """Every target, with what was seen."""
    return [*_races(figures), *_processes(figures), *_handler(figures)]


def _races(figures: Figures) -> Iterator[Target]:
    left = [each["left"] for each in figures["races"] if each["contender"] in OURS]
    yield Target(f"images left, over all {len(left)} runs of this type", sum(left), 0)
    yield _calls(figures, "calls of a one-slice purge to the least, single images from 1,000 on", _SINGLE, 1.05)
    yield _calls(figures, "calls of a one-slice purge to the least, multi-architecture", _MULTI, 1.10)
    yield Target(
        "times faster than the best client-side contender, 10,000 images, not throttled",
        best_client_seconds(figures, "10,000 images") / pick(figures, OUR_DEFAULT, "10,000 images")["seconds"],
        6,
        at_least=True,
    )
    for case in ("10,000 images", "100,000 images"):
        result = pick(figures, OUR_DEFAULT, case)
        least = least_steps(result["images"]) * figures["assumptions"]["seconds_a_call"]
        yield Target(f"time to the least, not throttled, {case}", result["seconds"] / least, 1.3)
    for case in CASES:
        result = pick(figures, OUR_DEFAULT, case, throttled=True)
        ratio = result["seconds"] / allowed_seconds(figures, result)
        yield Target(f"time to what the throttle allows, {case}", ratio, 1.15)
    for burst in BURSTS:
        result = pick(figures, OUR_DEFAULT, BURST_CASE, throttled=True, burst=burst)
        ratio = result["seconds"] / allowed_seconds(figures, result)
        yield Target(f"time to what the throttle allows, {BURST_CASE}, burst {burst}", ratio, 1.15)


def _calls(figures: Figures, what: str, cases: Iterable[str], limit: float) -> Target:
    results = [pick(figures, OUR_DEFAULT, case) for case in cases]
    return Target(what, max(each["calls"] / each["least"] for each in results if each["slices"] == 1), limit)


def best_client_seconds(figures: Figures, case: str) -> float:
    """The time of the quickest of the others that empties the repository without force."""
    clients = [pick(figures, name, case) for name, each in CONTENDERS.items() if not each.force]
    quickest: float = min(each["seconds"] for each in clients if not each["left"])
    return quickest


def _processes(figures: Figures) -> Iterator[Target]:
    large, small = purge(figures, "ours", 100_000), purge(figures, "ours", 10 * BATCH)
    yield Target("peak memory at 100,000 images", large["peak_mb"], 128, " MB")
    yield Target("peak memory at 100,000 images to that at 1,000", large["peak_mb"] / small["peak_mb"], 1.5)


def _handler(figures: Figures) -> Iterator[Target]:
    cold, warm = figures["processes"]["cold"], figures["processes"]["warm_ms"]
    for key, what in (("seconds", "time"), ("cpu_seconds", "CPU")):
        yield Target(
            f"{what} of a cold process to that of an empty handler", cold["ours"][key] / cold["empty"][key], 1.25
        )
    yield Target("our own part of a warm read", warm["ours"] - warm["straight"], 3, " ms")
    for each in figures["calls"]:
        yield Target(f"calls of {each['title']}", each["calls"], each["least"])
