"""Fixtures of the unit tests."""

from tests.strict import clock, delete, ecr, s3, wire

__all__ = ["clock", "delete", "ecr", "s3", "wire"]
