"""Fixtures of the tests of the command line."""

from __future__ import annotations

import pytest

from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.command_line import Autopurge
from tests.support.strict import ACCOUNT, REGION, clock, delete, ecr, s3
from tests.support.strict_cloudformation import StrictCloudFormation
from tests.support.strict_s3 import StrictS3

__all__ = ["clock", "delete", "ecr", "s3"]


@pytest.fixture
def cloudformation() -> StrictCloudFormation:
    return StrictCloudFormation(ACCOUNT, REGION)


@pytest.fixture
def autopurge(clock: VirtualClock, ecr: StrictEcr, s3: StrictS3, cloudformation: StrictCloudFormation) -> Autopurge:
    """The command line on the strict ECR."""
    clients = {"ecr": ecr.client(), "s3": s3.client(), "cloudformation": cloudformation.client()}
    return Autopurge(clock, clients)
