"""How far an update is: its callback context, typed and checked. Owner: update.py.

What is done already is not in it, because the repository shows that. It has only the times after which the update ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..typed_json import decode
from .visibility import MOST_SECONDS as MOST_SECONDS_UNTIL_SHOWN

CONTEXT_VERSION = 1
MOST_SECONDS = 600  # of a whole update


@dataclass
class UpdateState:
    """One update operation, over all calls of the handler. Times are in seconds since 1970."""

    version: int = CONTEXT_VERSION
    began: int | None = None
    shown_until: int | None = None  # how long to wait until reads show what was changed; None: not all is changed yet

    def begin(self, now: float) -> None:
        """Note when the update began."""
        self.began = int(now) if self.began is None else self.began

    def all_is_changed(self, now: float) -> int:
        """Note that all was changed by ``now``. Returns until when reads are given time to show it."""
        self.shown_until = int(now) + MOST_SECONDS_UNTIL_SHOWN if self.shown_until is None else self.shown_until
        return self.shown_until

    def is_overdue(self, now: float) -> bool:
        """Whether the update lasts so long that no further call would end it."""
        return self.began is not None and now - self.began >= MOST_SECONDS

    def to_context(self) -> dict[str, Any]:
        """The state as callback context."""
        return asdict(self)

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> UpdateState:
        """The state of a callback context; a new one for an empty context, which is what a first call gets.

        Also a new one for a context that no update of this version wrote, because a call needs only its times.
        """
        try:
            state = decode(cls, context, "the callback context")
            state._check()
        except ValueError:
            return cls()
        return state

    def _check(self) -> None:
        """Raise ValueError for values of the right types that to_context never writes."""
        if self.version != CONTEXT_VERSION or self.began is None:
            raise ValueError("the callback context has no begin")
        if any(each < 0 for each in (self.began, self.shown_until or 0)):
            raise ValueError("a time is negative")
