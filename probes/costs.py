"""What a run creates, how long it takes and what it costs on AWS, before it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probes.registry import Probe

# A handler operation of a type outside AWS::, after the first 1,000 a month: https://aws.amazon.com/cloudformation/pricing/
_OPERATION = 0.0009  # USD
# Requests to S3 and the storage of less than 1 MB for an hour, and for the archived images for 90 days: below a cent.
_ALL_ELSE = 0.02  # USD
_REGISTRATION_SECONDS = 180
MOST = 0.50  # USD; no run may cost more


@dataclass(frozen=True)
class Costs:
    probes: int
    beliefs: int
    minutes: int
    dollars: float


def costs(probes: Sequence[Probe], more_operations: int = 0, more_seconds: int = 0) -> Costs:
    """The most that these probes take. `more_operations` and `more_seconds` are what an acceptance run adds."""
    operations = sum(each.operations for each in probes) + more_operations
    registers = any(each.operations for each in probes)
    seconds = sum(each.seconds for each in probes) + more_seconds + registers * _REGISTRATION_SECONDS
    beliefs = sum(len(each.beliefs) for each in probes)
    return Costs(len(probes), beliefs, -(-seconds // 60), round(operations * _OPERATION + _ALL_ELSE, 2))
