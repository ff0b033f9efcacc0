"""One reason against a delete, and several of them together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .reserved_tags import LIST_TAGS

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef


@dataclass(frozen=True)
class Reason:
    """Why a delete refuses.

    ``rule`` is the property that refuses, such as ``PurgeProtection.TagPatterns``, or ``Mark``, ``Owner`` and
    ``UnreadableTags``. ``why`` is a clause that can follow a colon: ``its deletion protection is on``; ``brief`` is a
    shorter one, for a message that has many reasons. ``advice`` are whole sentences about what else allows the delete.
    ``lift`` are the values of reserved tags with which this reason alone no longer refuses; empty if no tag can change
    it. ``by_account`` is True if only an administrator can change it, in the type configuration.
    """

    rule: str
    why: str
    advice: str = ""
    lift: Mapping[str, str] = field(default_factory=dict)
    by_account: bool = False
    brief: str = ""


class UseFound(Protocol):
    """What is known of images in use, as the field ``use`` of a verdict.

    Whoever looks up what uses images gives it to the verdict before the first image is folded in. The verdict folds
    each page into it, and names its reasons before those of image rules. ``is_complete`` is False if there may be
    further reasons that were not found in time. What could not be checked is a reason of its own.
    """

    @property
    def is_complete(self) -> bool: ...

    def add(self, images: Sequence[ImageDetailTypeDef]) -> None:
        """Fold in a page of the repository's images."""

    def restart(self) -> None:
        """Forget all images, because they are listed again from the first page."""

    def reasons(self) -> Sequence[Reason]:
        """Every reason that follows from the images that were folded in, the most important first."""


def lift_all(reasons: Iterable[Reason]) -> dict[str, str]:
    """Values for reserved tags with which none of these reasons refuses any more.

    Where two reasons change a tag that lists what protects, what both of them leave in it remains.
    """
    found: dict[str, str] = {}
    for reason in reasons:
        for key, value in reason.lift.items():
            before = found.get(key)
            found[key] = value if before is None or key not in LIST_TAGS else _in_both(before, value)
    return found


def _in_both(one: str, other: str) -> str:
    """The words that are in both values of a tag, or ``off`` if there is none."""
    return " ".join(word for word in one.split() if word in other.split() and word != "off") or "off"
