"""Fixtures of the tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.command_line import Autopurge, Clients
from tests.support.strict import ACCOUNT, REGION, clock, delete, ecr, s3, users
from tests.support.strict_cloudformation import StrictCloudFormation
from tests.support.strict_s3 import StrictS3

__all__ = ["clock", "delete", "ecr", "s3", "users"]


@pytest.fixture
def cloudformation() -> StrictCloudFormation:
    return StrictCloudFormation(ACCOUNT, REGION)


@pytest.fixture
def autopurge(clock: VirtualClock, ecr: StrictEcr, s3: StrictS3, cloudformation: StrictCloudFormation) -> Autopurge:
    """The command line on the strict ECR."""
    makers: dict[str, Callable[[], Any]] = {"ecr": ecr.client, "s3": s3.client, "cloudformation": cloudformation.client}
    return Autopurge(clock, Clients(makers))
