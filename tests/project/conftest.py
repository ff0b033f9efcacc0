"""Fixtures of the tests of the project."""

from tests.support.packages import dry_run, package_command, versioned_package
from tests.support.strict import clock, delete, ecr, s3, users, wire

__all__ = ["clock", "delete", "dry_run", "ecr", "package_command", "s3", "users", "versioned_package", "wire"]
