"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.server import Sandbox, start_sandbox
from tests.support.leaks import leaks
from tests.support.packages import dry_run, submitted_package

__all__ = ["dry_run", "submitted_package"]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A sandbox for one test; no secret has left it in the end."""
    with start_sandbox() as box:
        yield box
        assert leaks(box) == []


# What waits longest begins first, so that no process is left alone with it in the end. `make test` tells pytest-xdist
# to keep this order. Within a folder the order is random.
_ORDER = ("contract", "stack", "faults", "sandbox", "probes", "project", "cli", "unit")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by folders. Raises ValueError for a folder whose place in the order is not known."""
    tests = Path(__file__).parents[1]
    items.sort(key=lambda item: _ORDER.index(item.path.relative_to(tests).parts[0]))
