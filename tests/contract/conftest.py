"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.server import Sandbox, start_sandbox
from tests.support.leaks import leaks
from tests.support.packages import dry_run, submitted_package, unpacked_packages

__all__ = ["dry_run", "submitted_package", "unpacked_packages"]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A sandbox for one test; no secret has left it in the end."""
    with start_sandbox() as box:
        yield box
        assert leaks(box) == []


# What takes longest begins first, so that no process is left alone with it in the end; and what needs a core, beside
# what waits for stacks. `make test` tells pytest-xdist to keep this order. Within a folder the order is random.
_ORDER = (
    *("contract", "faults/test_scale.py", "faults/test_model.py", "faults/test_processes.py"),
    *("stack/test_guides_for_beginners.py", "stack", "faults", "sandbox", "probes", "project", "cli", "unit"),
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by folders, some files first. Raises KeyError for a folder whose place is not known."""
    tests, places = Path(__file__).parents[1], {name: place for place, name in enumerate(_ORDER)}

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(tests)
        return places.get(path.as_posix(), places[path.parts[0]])

    items.sort(key=place)
