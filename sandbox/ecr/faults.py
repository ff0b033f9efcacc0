"""What can be made to go wrong. Nothing does by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NoReturn, Protocol

from sandbox.ecr.clock import Clock
from sandbox.ecr.errors import EcrError
from sandbox.ecr.policy_texts import SHORT


class Drop(Enum):
    """What becomes of a call's connection."""

    BEFORE = auto()  # it is lost before any work is done
    AFTER = auto()  # the work is done, and the answer is lost
    SLOW = auto()  # the work is done, and the answer comes too late


class Transport(Protocol):
    """How a client notices a lost or late answer; see `sandbox.connections`."""

    def lose(self) -> NoReturn: ...

    def delay(self) -> None: ...


@dataclass
class _Bucket:
    operations: frozenset[str] | None
    rate: float
    burst: float
    tokens: float
    filled: float | None = None

    def take(self, operation: str, now: float) -> bool:
        """Take a token for a call. Returns False, and takes nothing, if the call is to be throttled."""
        if self.operations is not None and operation not in self.operations:
            return True
        if self.filled is not None:
            self.tokens = min(self.burst, self.tokens + max(0.0, now - self.filled) * self.rate)
        self.filled = now if self.filled is None else max(now, self.filled)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Faults:
    """Switches for faults. Set an attribute or call a method to switch a fault on; ``clear`` switches all off.

    ``latency`` is in seconds, by operation or "*". ``image_failures`` maps a digest to a failure code, its reason, and
    how often it is answered (None: always). ``deny`` has actions such as ecr:DescribeImages. ``policy_form`` is the
    form in which policies are answered (see `sandbox.ecr.policy_texts`). ``refuse_any_status`` refuses the image status
    ANY in a filter: AWS's documents don't list it.
    """

    clock: Clock
    latency: dict[str, float] = field(default_factory=dict)
    image_failures: dict[str, tuple[str, str, int | None]] = field(default_factory=dict)
    deny: set[str] = field(default_factory=set)
    every_nth_fails: dict[str, int] = field(default_factory=dict)
    policy_form: str = SHORT
    refuse_any_status: bool = False
    _bucket: _Bucket | None = None
    _next_errors: dict[str, list[EcrError]] = field(default_factory=lambda: defaultdict(list))
    _drops: dict[str, list[Drop]] = field(default_factory=lambda: defaultdict(list))
    _counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def clear(self) -> None:
        """Switch all faults off."""
        self.__init__(self.clock)  # type: ignore[misc]

    def throttle(self, operations: Collection[str] | None = None, rate: float = 5.0, burst: float = 5) -> None:
        """Let `rate` calls a second through, and `burst` calls at once. Throttle the others.

        The limit is for all operations together, or for the given operations together.
        """
        self._bucket = _Bucket(frozenset(operations) if operations is not None else None, rate, burst, burst)

    def server_errors(self, every_nth: int, operations: Collection[str] = ("*",)) -> None:
        """Answer every nth call of each of these operations with a 500."""
        self.every_nth_fails.update(dict.fromkeys(operations, every_nth))

    def fail_next(self, operation: str, code: str, message: str, status: int = 400, times: int = 1) -> None:
        """Answer the next calls of an operation with an error."""
        self._next_errors[operation] += [EcrError(code, message, status)] * times

    def drop_before(self, operation: str, times: int = 1) -> None:
        """Drop the connection of the next calls before any work is done."""
        self._drops[operation] += [Drop.BEFORE] * times

    def drop_after(self, operation: str, times: int = 1) -> None:
        """Drop the connection of the next calls when the work is done: the answer is lost."""
        self._drops[operation] += [Drop.AFTER] * times

    def slow(self, operation: str, times: int = 1) -> None:
        """Let the next calls do their work, and answer too late."""
        self._drops[operation] += [Drop.SLOW] * times

    # What the service asks:

    def seconds(self, operation: str) -> float:
        """How long a call takes."""
        return self.latency.get(operation, self.latency.get("*", 0.0))

    @contextmanager
    def connection(self, operation: str, transport: Transport) -> Iterator[None]:
        """Run a call in this block. Its connection can break before the block or after it.

        An EcrError from the block is an answer, too: a fault of the connection replaces it.
        """
        drop = self._drops[operation].pop(0) if self._drops[operation] else None
        if drop is Drop.BEFORE:
            transport.lose()
        try:
            yield
        except EcrError:
            if drop is None:
                raise
        if drop is Drop.AFTER:
            transport.lose()
        if drop is Drop.SLOW:
            transport.delay()

    def image_failure(self, digest: str) -> tuple[str, str] | None:
        """The failure code and reason of deleting an image; None if no fault prevents it. Counts the failures."""
        if digest not in self.image_failures:
            return None
        code, reason, times = self.image_failures[digest]
        if times is None:
            return code, reason
        if times <= 1:
            del self.image_failures[digest]
        else:
            self.image_failures[digest] = code, reason, times - 1
        return (code, reason) if times > 0 else None

    def check_permission(self, operation: str, caller: str, resource: str) -> None:
        """Raise AccessDenied if the operation is denied."""
        if f"ecr:{operation}" in self.deny:
            raise EcrError(
                "AccessDeniedException",
                f"User: {caller} is not authorized to perform: ecr:{operation} on resource: {resource} because no "
                f"identity-based policy allows the ecr:{operation} action",
            )

    def check(self, operation: str, caller: str, resource: str) -> None:
        """Raise the error that a fault makes of this call; return if the call may run."""
        self.check_permission(operation, caller, resource)
        if self._bucket and not self._bucket.take(operation, self.clock.time()):
            raise EcrError("ThrottlingException", "Rate exceeded")
        if self._next_errors[operation]:
            raise self._next_errors[operation].pop(0)
        nth = self.every_nth_fails.get(operation, self.every_nth_fails.get("*"))
        self._counts[operation] += 1
        if nth and self._counts[operation] % nth == 0:
            raise EcrError("ServerException", "Service Unavailable", 500)
