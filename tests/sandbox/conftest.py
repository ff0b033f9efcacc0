"""Fixtures of the tests of the sandbox."""

from tests.support.packages import dry_run
from tests.support.strict import clock, ecr, kms, s3, wire

__all__ = ["clock", "dry_run", "ecr", "kms", "s3", "wire"]
