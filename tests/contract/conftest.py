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
