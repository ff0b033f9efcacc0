"""Something that happens in a gap between two calls of a delete."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable

from sandbox.ecr import StrictEcr
from tests.support.samples import CALLS


def at_call(ecr: StrictEcr, number: int, action: Callable[[], object], operations: Iterable[str] = CALLS) -> list[str]:
    """Run `action` just before call `number`, counted over all `operations`. The list then has the operation."""
    count, happened = itertools.count(1), list[str]()

    def watch(operation: str, _: object) -> None:
        if next(count) == number:
            action()
            happened.append(operation)

    for operation in operations:
        ecr.before(operation, functools.partial(watch, operation), nth=None)
    return happened
