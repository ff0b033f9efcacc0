"""Side by side in virtual time."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from sandbox.ecr import VirtualClock
from tests.support.virtual import VirtualPool


def test_of_tasks_that_end_together_the_one_that_started_first_is_done_first(clock: VirtualClock) -> None:
    pool = VirtualPool(50, clock)
    futures: list[Future[Any]] = [pool.submit(clock.sleep, 1.0) for _ in range(50)]
    done: list[Future[Any]] = []
    while len(done) < len(futures):
        done += pool.first_done(set(futures) - set(done))
    assert done == futures
    assert clock.monotonic() == 1.0
