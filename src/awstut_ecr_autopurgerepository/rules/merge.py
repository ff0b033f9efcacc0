"""Which settings a repository has after an update. Pure."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from .reserved_tags import (
    DELETION_PROTECTION,
    FREEZE_ON_DELETE,
    MARK,
    PROTECT_PULLED_DAYS,
    PROTECT_PUSHED_DAYS,
    PROTECT_TAGS,
    PURGE_REPORT,
    REPLICATED_DELETES,
)
from .settings import Settings, Stored

_TAGS_OF = {
    "empty_on_delete": {MARK},
    "deletion_protection": {DELETION_PROTECTION},
    "patterns": set(PROTECT_TAGS),
    "pulled_within_days": {PROTECT_PULLED_DAYS},
    "report": {PURGE_REPORT},
    "freeze": {FREEZE_ON_DELETE},
    "pushed_within_days": {PROTECT_PUSHED_DAYS},
    "replicated_deletes": {REPLICATED_DELETES},
}


def settings_after_update(stored: Stored, previous: Settings, desired: Settings) -> Settings:
    """The settings after an update from ``previous`` to ``desired``.

    A setting that the update does not change keeps what is stored, so that protection which an operator added by a tag
    outlives an update of something else, even where the mark was removed. What is unreadable is written again.
    """
    merged: dict[str, Any] = {}
    for each in fields(Settings):
        wanted, live, keys = getattr(desired, each.name), getattr(stored.settings, each.name), _TAGS_OF[each.name]
        replaced = wanted != getattr(previous, each.name) or keys & set(stored.unreadable)
        if not stored.marked:  # then some or all of the rule tags may have been removed with the mark
            some_left = each.name == "patterns" and set(live) < set(wanted)
            replaced = replaced or some_left or not keys & set(stored.switched_on)
        merged[each.name] = wanted if replaced else live
    return Settings(**merged)
