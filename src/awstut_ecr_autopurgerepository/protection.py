"""What may not be deleted, and the sentence that says why, and what to do. Pure.

Only the repository's own tags decide (and, for all repositories of an account, the type configuration). What the
request's model says authorises nothing: after a create that failed with AlreadyExists, CloudFormation can call delete
on the repository that was there before.
"""

from __future__ import annotations

from . import settings
from .settings import Owner, Stored


def standing_refusal(stored: Stored, arn: str, owner: Owner) -> str | None:
    """Why the repository must not be touched by this request at all; None if it may be.

    ``owner`` is where the request comes from; a request that comes from no stack may delete what any stack made.
    """
    name = _name(arn)
    allow: dict[str, str] = {}
    reasons = []
    if not stored.marked:
        reasons.append(f"it does not bear the tag {settings.MARK}, so it is not known to belong to this resource type")
        allow[settings.MARK] = "on"
    if owner.stack_id and stored.owner != owner:
        reasons.append(_not_owned(stored))
        allow |= settings.owner_tags(owner)
    if stored.unreadable:
        reasons.append(
            f"the tag {' and '.join(stored.unreadable)} is missing or unreadable, which counts as protection"
        )
        allow |= settings.readable(stored)
    elif stored.settings.deletion_protection:
        reasons.append("its deletion protection is on")
        allow[settings.DELETION_PROTECTION] = "off"
    if not reasons:
        return None
    return (
        f"The repository {name} and its images were not touched: {'; '.join(reasons)}. If it is to be deleted, "
        f"allow it and delete again: {settings.tag_command(arn, allow)}"
    )


def _not_owned(stored: Stored) -> str:
    if stored.owner.stack_id is None:
        return "it belongs to no stack"
    stack = stored.owner.stack_id.split("/")[1] if "/" in stored.owner.stack_id else stored.owner.stack_id
    return f"it belongs to the resource {stored.owner.logical_id} of the stack {stack}"


def not_empty_refusal(stored: Stored, arn: str, images: int) -> str:
    """Why a repository that holds images is not deleted, where the mark does not allow a purge."""
    allow = {settings.MARK: settings.mark(True, stored.rules)}
    plural = "image" if images == 1 else "images"
    return (
        f"The repository {_name(arn)} was not deleted: it holds {images:,} {plural}, and EmptyOnDelete is false. "
        f"Delete them, or allow the purge, and delete again: {settings.tag_command(arn, allow)}"
    )


def _name(arn: str) -> str:
    return arn.split(":repository/", 1)[1]
