"""Fixtures of the unit tests."""

from tests.strict import clock, delete, ecr, wire

__all__ = ["clock", "delete", "ecr", "wire"]
