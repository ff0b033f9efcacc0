"""Clocks that are passed in: the machine's, and one for tests, which only moves when it is told to."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The functions of a clock that the strict ECR and the code under test call. All values are in seconds."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
        time.sleep(seconds)


class VirtualClock:
    """A clock on which sleeping takes no time. ``advance`` may also go back, as a pool of virtual threads does."""

    def __init__(self, start: float = 1_790_000_000.0) -> None:
        self._start = start
        self._passed = 0.0
        self._jump = 0.0

    def time(self) -> float:
        """Seconds since 1970."""
        return self._start + self._passed + self._jump

    def monotonic(self) -> float:
        """Seconds since the clock was made; a jump does not show."""
        return self._passed

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Let time pass, or turn it back."""
        self._passed += seconds

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or back, as a machine's clock is set; monotonic time goes on."""
        self._jump += seconds
