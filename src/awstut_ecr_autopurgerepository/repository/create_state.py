"""How far a create is: its callback context, typed and checked.

A context exists only once the repository is proven to be this create's own. Owner: create.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cloudformation_cli_python_lib import HandlerErrorCode

from ..errors import HandlerError, invalid_request
from ..typed_json import decode
from .patience import Patience, Step

CONTEXT_VERSION = 1
_SAME_SECONDS = 1.0  # two creation times that differ by less are those of one repository


@dataclass
class PendingFailure:
    """A failure that is answered once the new repository is deleted again."""

    code: str
    message: str

    @property
    def error(self) -> HandlerError:
        """The failure, to be raised."""
        return HandlerError(HandlerErrorCode[self.code], self.message)


@dataclass
class CreateState:
    """One create operation, over all calls of the handler."""

    version: int = CONTEXT_VERSION
    created: int | None = None  # ms since 1970: when the repository was created that is proven to be ours
    made_here: bool = False  # our CreateRepository made it: ECR said so, or an answer was lost
    seen: bool = False  # the repository and its tags were visible once
    late: bool = False  # ECR did not show it at once
    # seconds since 1970: when each step, for each cause, began to wait
    since: dict[str, int] = field(default_factory=dict)
    failure: PendingFailure | None = None

    def prove(self, created: float, *, made_here: bool) -> None:
        """Note that the repository created at that time, in seconds since 1970, is this create's own."""
        self.created, self.made_here = int(created * 1_000), made_here

    def is_the_same(self, created: float) -> bool:
        """Whether a repository that was created at that time, in seconds since 1970, is this create's own."""
        return self.created is not None and abs(created * 1_000 - self.created) < _SAME_SECONDS * 1_000

    def seconds_waited(self, step: Step, patience: Patience, now: float) -> int:
        """How long a step has waited for a cause; it begins ``now``, in seconds since 1970, if it did not wait yet."""
        return max(0, int(now) - self.since.setdefault(f"{step} {patience.cause}", int(now)))

    def note_lateness(self) -> None:
        """Note that ECR did not show at once what was created."""
        self.late = True

    def end_waiting(self, step: Step) -> None:
        """Note that a step succeeded, and waits no more."""
        self.since = {key: since for key, since in self.since.items() if not key.startswith(f"{step} ")}

    def fail_later(self, error: HandlerError) -> None:
        """Fail with this error as soon as the repository is deleted again."""
        if self.failure is None:
            self.failure = PendingFailure(error.code.name, error.message)

    def to_context(self) -> dict[str, Any]:
        """The state as callback context."""
        return asdict(self)

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> CreateState:
        """The state of a callback context; a new one for an empty context, which is what a first call gets.

        Raises HandlerError (InvalidRequest) for a context that no create of this version wrote.
        """
        if not context:
            return cls()
        try:
            state = decode(cls, context, "the callback context")
            state._check()
        except ValueError as error:
            raise invalid_request(
                "This call created nothing: its callback context was not written by this version of the resource type. "
                "Create the resource again."
            ) from error
        return state

    def _check(self) -> None:
        """Raise ValueError for values of the right types that to_context never writes."""
        if self.version != CONTEXT_VERSION or self.created is None:
            raise ValueError("the callback context proves no repository")
        if any(each < 0 for each in (self.created, *self.since.values())):
            raise ValueError("a time is negative")
        if self.failure and self.failure.code not in HandlerErrorCode.__members__:
            raise ValueError("the failure has no code")
