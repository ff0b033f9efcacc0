"""Fixtures of the unit tests."""

from tests.support.garbage import pytest_collection_finish
from tests.support.strict import clock, delete, ecr, kms, s3, users, wire

__all__ = ["clock", "delete", "ecr", "kms", "pytest_collection_finish", "s3", "users", "wire"]
