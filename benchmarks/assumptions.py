"""What is assumed of ECR, as AWS publishes neither how long its calls take nor how many it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Assumptions:
    """``seconds_a_call`` is the one knob (`make bench LATENCY=0.2`); the rest is the throttle of the throttled runs.

    ``burst`` is how many calls get through at once after a while without any.
    """

    seconds_a_call: float = 0.1
    calls_a_second: float = 10.0
    burst: int = 10

    def latency(self) -> dict[str, float]:
        """The seconds of each call, in the form that the strict ECR reads. All calls take the same time."""
        return {"*": self.seconds_a_call}
