"""Strict Lambda, ECS and Amazon Inspector, as far as they tell which images are in use. Development only."""

from sandbox.workloads.containers import StrictEcs
from sandbox.workloads.functions import StrictLambda
from sandbox.workloads.inspector import StrictInspector

__all__ = ["StrictEcs", "StrictInspector", "StrictLambda"]
