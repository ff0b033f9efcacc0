"""What the three services have in common: faults, denials, quotas, counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from sandbox.ecr.clock import Clock, SystemClock
from sandbox.ecr.errors import EcrError
from sandbox.ecr.faults import Faults

Parameters = dict[str, Any]
Operation = Callable[[Parameters], Parameters]
Authorize = Callable[[str], None]  # raises EcrError where the caller may not do an action


class Workloads(ABC):
    """One service of an account and Region.

    ``faults`` are those of the strict ECR, by the names of the service's operations; ``denied`` are actions such as
    lambda:GetFunction. ``quotas`` are what the account may call, by operation ("*": all others).
    """

    action_prefix: ClassVar[str]

    def __init__(self, clock: Clock | None = None, account: str = "123456789012", region: str = "eu-west-1") -> None:
        self.clock: Clock = clock or SystemClock()
        self.account, self.region = account, region
        self.caller = f"arn:aws:sts::{account}:assumed-role/sandbox/user"
        self.faults = Faults(self.clock)
        self.denied: set[str] = set()
        self.quotas: dict[str, Faults] = {}
        self.calls: Counter[str] = Counter()
        self.times: list[tuple[float, str]] = []  # of all calls: seconds since 1970, operation

    @abstractmethod
    def operations(self) -> dict[str, Operation]:
        """What the service can do, by the names of its operations."""

    def quota(self, rate: float, burst: float) -> Faults:
        """A quota of ``rate`` calls a second in the long run, and of ``burst`` calls at once."""
        made = Faults(self.clock)
        made.throttle(rate=rate, burst=burst)
        return made

    def serve(self, operation: str, parameters: Parameters, authorize: Authorize | None = None) -> Parameters:
        """Do an operation for a client, with all that can go wrong. Raises EcrError."""
        self.clock.sleep(self.faults.seconds(operation))
        self.calls[operation] += 1
        self.times.append((self.clock.time(), operation))
        action = f"{self.action_prefix}:{operation}"
        if action in self.denied:
            raise denial(self.caller, action)
        if authorize is not None:
            authorize(action)
        quota = self.quotas.get(operation, self.quotas.get("*"))
        if quota is not None:
            quota.check(operation, self.caller, "*")
        self.faults.check(operation, self.caller, "*")
        return self.operations()[operation](parameters)


def denial(principal: str, action: str) -> EcrError:
    """The error for a caller who may not do an action."""
    return EcrError(
        "AccessDeniedException",
        f"User: {principal} is not authorized to perform: {action} on resource: * because no identity-based policy "
        f"allows the {action} action",
        403,
    )
