"""Whose is a repository: this create's, this stack's, or another's? Pure.

Two mistakes cost data. To take another's repository for our own lets the rollback of a failed create delete it. To take
our own for another's leaves it behind, without a stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from .reserved_tags import LOGICAL_ID, MARK, RELEASED, REQUEST, STACK_ID, TAKEN_OVER
from .settings import Owner

YOUNG_SECONDS = 120  # after its creation, the tags of a repository may not be visible yet


class Whose(Enum):
    """Whose an existing repository is, as its tags and its age tell."""

    OURS = auto()  # this create made it
    UNDECIDED = auto()  # it is too young to tell, because none of its tags is visible
    ANOTHERS = auto()


def whose(tags: Mapping[str, str], age: float, request: str) -> Whose:
    """Whose a repository is that has these tags and was created ``age`` seconds ago.

    ``request`` is the hash of the create request's token.
    """
    if tags.get(REQUEST) == request:
        return Whose.OURS
    return Whose.UNDECIDED if not tags and age < YOUNG_SECONDS else Whose.ANOTHERS


def is_retained(tags: Mapping[str, str], owner: Owner) -> bool:
    """Whether the resource that asks for a repository made it earlier, so that a delete by its stack would purge it.

    That is a resource that was removed from its template, or renamed, while its repository was retained.
    """
    return owner.stack_id is not None and MARK in tags and _owner(tags) == owner


def is_taken_over(tags: Mapping[str, str], owner: Owner, request: str) -> bool:
    """Whether an update takes the repository over: an import, a move between stacks, or a repeated call of these.

    ``request`` is the hash of the update request's token. A request without a stack takes nothing over.
    """
    if owner.stack_id is None:
        return False
    return MARK not in tags or _owner(tags) != owner or tags.get(TAKEN_OVER) == request


def _owner(tags: Mapping[str, str]) -> Owner:
    return Owner(tags.get(STACK_ID), tags.get(LOGICAL_ID))


def release_tag(stack_id: str) -> dict[str, str]:
    """The tag that releases a repository from its stack: no stack has an id of this form."""
    return {STACK_ID: RELEASED + stack_id}
