"""A strict S3 in memory, for tests in process: the few operations of the purge report. Development only."""

from sandbox.s3.service import StrictS3

__all__ = ["StrictS3"]
