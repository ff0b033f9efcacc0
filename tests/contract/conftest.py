"""Fixtures of the contract tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.server import Sandbox, start_sandbox
from tests.support.leaks import leaks


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A sandbox for one test; no secret has left it in the end."""
    with start_sandbox() as box:
        yield box
        assert leaks(box) == []


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the contract tests: they take minutes, and mostly wait, so no process should end with them alone."""
    items.sort(key=lambda item: item.path.parent.name != "contract")
