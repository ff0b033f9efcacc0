"""What all services that are asked for use have in common: pages of references, and a pace that leaves room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ...pacing import Pacer
from ...rules.in_use import Reference


class CannotTellError(Exception):
    """A service answers, and yet cannot tell what is in use; the string says why."""


@dataclass(frozen=True)
class Page:
    """What a page of users refers to, and the place of the next page; None after the last one."""

    references: list[Reference]
    next_place: list[str] | None


class Walk(Protocol):
    """All users of images that one service knows."""

    def pages(self, place: list[str]) -> Iterator[Page]: ...


class Watch(Protocol):
    """Is told that a delete moves on (progress.py)."""

    def note_movement(self) -> None: ...


@dataclass
class SparingPacer(Pacer):
    """Starts so many requests a second at most: the account's other callers need what is left of its quota."""

    most_per_second: float = 1.0

    def wait_for_turn(self) -> None:
        """Sleep until the next request may start. Raises OutOfTimeError if that is too late."""
        super().wait_for_turn()
        self.pause(1 / self.most_per_second)
