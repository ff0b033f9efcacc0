"""How late an answer is: looks at growing pauses, and what is said of several tries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

AT_ONCE = "the first look"
NEVER = "not while the probe looked"
_BOUNDS = (10, 60, 180)  # seconds
WITHIN = tuple(f"{bound} s" for bound in _BOUNDS)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds


class Clock(Protocol):
    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True)
class Seen:
    """When something was seen: after how many looks, and seconds. `looks` is 0 if it was not."""

    looks: int
    seconds: float


def look_until(clock: Clock, look: Callable[[], bool], patience: float = _BOUNDS[-1]) -> Seen:
    """Look until it is seen, or for so many seconds."""
    began, pause, looks = clock.monotonic(), _SHORTEST_PAUSE, 0
    while True:
        looks += 1
        if look():
            return Seen(looks, clock.monotonic() - began)
        if clock.monotonic() - began >= patience:
            return Seen(0, clock.monotonic() - began)
        clock.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 1.5)


def not_seen(*tries: Sequence[Seen]) -> bool:
    """Whether the last try of one kind saw nothing: then further tries would only take time."""
    return any(each[-1].looks == 0 for each in tries)


def how_late(seen: Sequence[Seen]) -> str:
    """The latest of several tries, in words that do not depend on the machine's speed."""
    if any(each.looks == 0 for each in seen):
        return NEVER
    if all(each.looks == 1 for each in seen):
        return AT_ONCE
    latest = max(each.seconds for each in seen)
    return next((words for bound, words in zip(_BOUNDS, WITHIN, strict=True) if latest <= bound), NEVER)


def distribution(seen: Sequence[Seen]) -> list[float]:
    """All seconds, sorted; for the details of an answer."""
    return sorted(round(each.seconds, 2) for each in seen)
