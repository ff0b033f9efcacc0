"""Handlers in processes of their own, on the real clock: killed at any point, and started twice at once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.ecr import StrictEcr
from sandbox.ecr.http import serve
from tests.faults.handler_process import HandlerProcess
from tests.support.strict import OWNED, Wire

CALLS = ("DescribeRepositories", "ListTagsForResource", "DescribeImages", "BatchDeleteImage", "DeleteRepository")


@pytest.fixture
def real_ecr() -> StrictEcr:
    """A strict ECR on the machine's clock."""
    return StrictEcr()


@pytest.fixture
def url(real_ecr: StrictEcr) -> Iterator[str]:
    with serve(real_ecr) as url:
        yield url


def event_of(ecr: StrictEcr, context: dict[str, Any] | None = None) -> dict[str, Any]:
    return Wire(ecr).event("DELETE", {"RepositoryName": "app"}, context=context)


@dataclass
class Operation:
    """A delete that CloudFormation drives: slice after slice, with the context of the last answer."""

    ecr: StrictEcr
    context: dict[str, Any] | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)

    def step(self, handler: HandlerProcess) -> bool:
        """One call. Whether there was an answer."""
        answer = handler.call(event_of(self.ecr, self.context))
        if answer:
            self.answers.append(answer)
            self.context = answer.get("callbackContext", self.context)
        return answer is not None

    @property
    def status(self) -> str:
        return self.answers[-1]["status"] if self.answers else "not begun"

    def end(self, handler: HandlerProcess) -> None:
        while self.status in ("not begun", "IN_PROGRESS"):
            assert self.step(handler), "the process died by itself"


@dataclass
class Killer:
    """Kills a process at the nth call that comes in from now, before or after its work is done."""

    ecr: StrictEcr
    handler: HandlerProcess | None = None
    left: int = 0
    when: str = "before"
    kills: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for operation in (*CALLS, "TagResource"):
            self.ecr.before(operation, lambda _, o=operation: self._count(o, "before"), nth=None)  # type: ignore[misc]
            self.ecr.after(operation, lambda _, o=operation: self._count(o, "after"), nth=None)  # type: ignore[misc]

    def aim(self, handler: HandlerProcess, left: int, when: str) -> None:
        self.handler, self.left, self.when = handler, left, when

    def _count(self, operation: str, when: str) -> None:
        if self.handler is None or when != self.when:
            return
        self.left -= 1
        if self.left == 0:
            self.kills[f"{when} {operation}"] += 1
            self.handler.kill()
            self.handler = None


def test_a_process_that_is_killed_again_and_again_at_any_point_is_started_with_the_last_context(
    real_ecr: StrictEcr, url: str
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    real_ecr.repository("app", tags=OWNED).with_images(2_500).with_multi_arch(300).with_archived(5)
    images = {image.digest for image in real_ecr.images("app")}
    real_ecr.faults.latency = {"*": 0.05}
    killer, operation = Killer(real_ecr), Operation(real_ecr)
    with ExitStack() as stack:
        spare = stack.enter_context(HandlerProcess(url, slice_seconds=2.0))
        while operation.status not in ("SUCCESS", "FAILED") and real_ecr.holds("app") is not None:
            handler, spare = spare, stack.enter_context(HandlerProcess(url, slice_seconds=2.0))  # it starts meanwhile
            killer.aim(handler, chance.randint(1, 12), chance.choice(("before", "after")))
            while operation.step(handler) and operation.status == "IN_PROGRESS" and real_ecr.holds("app") is not None:
                continue
        if operation.status in (
            "not begun",
            "IN_PROGRESS",
        ):  # To see that it is gone takes ten seconds, so longer calls.
            killer.handler = None
            operation.end(stack.enter_context(HandlerProcess(url)))
    if operation.status == "FAILED":  # a first call that was killed had done it all: CloudFormation takes this for gone
        assert operation.context is None
        assert operation.answers[-1]["errorCode"] == "NotFound", operation.answers[-1]
    assert real_ecr.holds("app") is None
    assert {each.digest for each in real_ecr.deletion_log} == images
    assert not any(each.by_force for each in real_ecr.deletion_log)
    assert sum(killer.kills.values()) >= 3, killer.kills


@pytest.mark.parametrize("operation", CALLS)
def test_a_second_process_that_starts_while_the_first_is_at_work_ends_the_same(
    real_ecr: StrictEcr, url: str, operation: str
) -> None:
    """Both answer SUCCESS only if they overlap: one that starts after the repository is gone answers NotFound."""
    real_ecr.repository("app", tags=OWNED).with_images(1_200).with_multi_arch(100).with_archived(5)
    images = real_ecr.holds("app")
    real_ecr.faults.latency = {"*": 0.03, "DeleteRepository": 2.0}
    first, second, begun = Operation(real_ecr), Operation(real_ecr), threading.Event()
    real_ecr.before(operation, lambda _: begun.set())
    if operation == "DeleteRepository":  # it must find something; its hook runs when the latency is over
        real_ecr.after("BatchDeleteImage", lambda _: begun.set() if real_ecr.holds("app") == 0 else None, nth=None)
    with HandlerProcess(url) as one, HandlerProcess(url) as other:
        other.wait_until_ready()
        thread = threading.Thread(target=first.end, args=(one,))
        thread.start()
        begun.wait()
        second.end(other)
        thread.join()
    assert (first.status, second.status) == ("SUCCESS", "SUCCESS"), (first, second)
    assert real_ecr.holds("app") is None
    assert len(real_ecr.deletion_log) == images
    assert not any(each.by_force for each in real_ecr.deletion_log)
