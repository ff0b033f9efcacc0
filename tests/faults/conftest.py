"""Fixtures of the fault tests."""

from __future__ import annotations

import pytest

from awstut_ecr_autopurgerepository import ecr as calls
from sandbox.ecr import StrictEcr
from tests.faults.support import WAYS, Filled
from tests.support.garbage import pytest_collection_finish
from tests.support.strict import clock, delete, ecr, kms, s3, users, wire
from tests.support.strict_s3 import StrictS3

__all__ = ["clock", "delete", "ecr", "filled", "kms", "pytest_collection_finish", "s3", "users", "wire"]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and batches are a tenth of what ECR allows: as many calls as with ten times the images."""
    monkeypatch.setattr(calls, "IMAGES_PER_PAGE", 100)
    monkeypatch.setattr(calls, "IMAGES_PER_BATCH", 10)


@pytest.fixture(params=WAYS)
def filled(request: pytest.FixtureRequest, ecr: StrictEcr, s3: StrictS3, small_pages: None) -> Filled:
    """A repository with images of all kinds, to be deleted plainly, or with all that a delete can be asked for."""
    made = Filled(ecr, s3, WAYS[request.param])
    made.fill()
    return made
