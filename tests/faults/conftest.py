"""Fixtures of the fault tests."""

from tests.strict import clock, delete, ecr, wire

__all__ = ["clock", "delete", "ecr", "wire"]
