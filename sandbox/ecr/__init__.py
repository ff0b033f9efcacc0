"""A strict ECR in memory: for tests in process, and for the sandbox over HTTP. Development only."""

from sandbox.ecr.clock import Clock, SystemClock, VirtualClock
from sandbox.ecr.errors import EcrError
from sandbox.ecr.image import Image
from sandbox.ecr.lateness import Lateness, Stale
from sandbox.ecr.strict import StrictEcr

__all__ = ["Clock", "EcrError", "Image", "Lateness", "Stale", "StrictEcr", "SystemClock", "VirtualClock"]
