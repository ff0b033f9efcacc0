"""One reason against a delete, and several of them together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .reserved_tags import LIST_TAGS


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


def lift_all(reasons: Iterable[Reason]) -> dict[str, str]:
    """Values for reserved tags with which none of these reasons refuses any more.

    If two reasons change the same tag with a list, only the words that both reasons keep stay in it.
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
