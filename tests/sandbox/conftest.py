"""Fixtures of the tests of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.server import Sandbox, start_sandbox
from tests.support.stack import Stack
from tests.support.strict import clock, ecr, kms, s3, users, wire
from tests.support.stub.script import Bench

__all__ = ["clock", "ecr", "kms", "s3", "users", "wire"]


@pytest.fixture
def bench() -> Bench:
    """The driver, with handlers that answer as a script says."""
    return Bench()


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A sandbox for the tests of one file."""
    with start_sandbox() as box:
        yield box


@pytest.fixture
def stack(box: Sandbox) -> Iterator[Stack]:
    """A stack that is not created yet, of one thing; the sandbox is quick."""
    box.control.settings(callback_delay_cap_seconds=0.01, retry_delay_seconds=0.01)
    yield Stack(box, logical_id="Thing")
    box.control.reset_settings()
