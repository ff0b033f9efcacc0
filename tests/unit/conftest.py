"""Fixtures of the unit tests."""

from tests.support.strict import clock, delete, ecr, kms, s3, users, wire

__all__ = ["clock", "delete", "ecr", "kms", "s3", "users", "wire"]
