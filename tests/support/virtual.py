"""Side by side in virtual time: a pool whose tasks run one after the other and still take their time together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.ecr import VirtualClock


class VirtualPool:
    """Each task runs when it is submitted, and counts as done when its own sleeps would be over.

    After a task the pool turns the clock back to the task's start. `first_done` moves it on to the end of a task.
    """

    def __init__(self, size: int, clock: VirtualClock) -> None:
        self.size = size
        self._clock = clock
        self._ends: dict[Future[Any], float] = {}

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a task now; its future is done later."""
        started = self._clock.monotonic()
        future: Future[Any] = Future()
        try:
            future.set_result(task(*arguments))
        except Exception as error:
            future.set_exception(error)
        ended = self._clock.monotonic()
        self._clock.advance(started - ended)
        self._ends[future] = ended
        return future

    def first_done(self, futures: set[Future[Any]], seconds: float | None = None) -> set[Future[Any]]:
        """The future that is done first; of several that end together, the one that started first.

        The clock is then at its end, or later. The set is empty if no future is done within so many `seconds`: the
        clock is then that much later.
        """
        first = min((each for each in self._ends if each in futures), key=self._ends.__getitem__)
        lasts = max(0.0, self._ends[first] - self._clock.monotonic())
        if seconds is not None and lasts > seconds:
            self._clock.advance(seconds)
            return set()
        self._clock.advance(lasts)
        del self._ends[first]
        return {first}


class WatchedPool(VirtualPool):
    """Knows how many tasks were in flight at most."""

    most = 0

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a task, and count those that are not seen to be done."""
        future = super().submit(task, *arguments)
        self.most = max(self.most, len(self._ends))
        return future
