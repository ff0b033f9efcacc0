"""One rule more, or one less: in the tags of a repository, and in the type configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from awstut_ecr_autopurgerepository.rules.reserved_tags import (
    DELETION_PROTECTION,
    PROTECT_IN_USE,
    PROTECT_PULLED_DAYS,
    PROTECT_PUSHED_DAYS,
    PROTECT_TAGS,
    write_tags,
)
from awstut_ecr_autopurgerepository.rules.settings import Settings, Stored, check_patterns

_KEYS = {
    "DeletionProtection": (DELETION_PROTECTION,),
    "TagPatterns": PROTECT_TAGS,
    "InUseBy": (PROTECT_IN_USE,),
    "PulledWithinDays": (PROTECT_PULLED_DAYS,),
    "PushedWithinDays": (PROTECT_PUSHED_DAYS,),
}
_LISTS = ("TagPatterns", "InUseBy")
_FIELDS = {"PulledWithinDays": "pulled_within_days", "PushedWithinDays": "pushed_within_days"}


@dataclass(frozen=True)
class RuleChange:
    """A rule, by the name of its property, is set or lifted. ``value`` is the pattern, the service, or the days."""

    rule: str
    on: bool
    value: str | int | None = None


def tags_after(stored: Stored, change: RuleChange) -> dict[str, str]:
    """The tags to put on a repository so that the change counts; none if it counts already.

    A rule tag is never removed, but set to ``off``: a missing tag counts as protection if the mark names it. Raises
    ValueError if the change cannot be merged with the tags that are there.
    """
    keys = _KEYS[change.rule]
    unreadable = [key for key in stored.unreadable if key in keys]
    if unreadable and change.rule in _LISTS:
        raise ValueError(
            f"The tag {unreadable[0]} is missing or unreadable, so nobody knows what it stands for. "
            "Give it a value first, such as off."
        )
    before, after = stored.settings, settings_after(stored.settings, change)
    if before == after and not unreadable:
        return {}
    written = write_tags(after)
    present = {*stored.rules, *stored.switched_on}
    return {key: written.get(key, "off") for key in keys if key in written or key in present or key in unreadable}


def settings_after(settings: Settings, change: RuleChange) -> Settings:
    """The settings with the change. Raises ValueError for more patterns than there may be."""
    if change.rule == "DeletionProtection":
        return replace(settings, deletion_protection=change.on)
    if change.rule == "TagPatterns":
        return replace(settings, patterns=_listed(change, settings.patterns))
    if change.rule == "InUseBy":
        return replace(settings, in_use_by=_listed(change, settings.in_use_by))
    changed: Any = {_FIELDS[change.rule]: change.value if change.on else None}
    return replace(settings, **changed)


def account_after(configuration: Mapping[str, Any], change: RuleChange) -> dict[str, Any]:
    """The type configuration with the change; all else stays as it is. Raises ValueError for too many patterns."""
    after = dict(configuration)
    if change.rule == "DeletionProtection":
        return _with(after, change.rule, True if change.on else None)
    protection = dict(after.get("PurgeProtection", {}))
    value: Any = change.value if change.on else None
    if change.rule in _LISTS:
        value = list(_listed(change, tuple(protection.get(change.rule, ()))))
    return _with(after, "PurgeProtection", _with(protection, change.rule, value or None) or None)


def _with(document: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The document with this value for the key; a value of None removes the key."""
    if value is not None:
        return {**document, key: value}
    return {name: each for name, each in document.items() if name != key}


def _listed(change: RuleChange, before: tuple[str, ...]) -> tuple[str, ...]:
    """A list of patterns, or of services, with one more or one less."""
    value = str(change.value)
    if not change.on:
        return tuple(each for each in before if each != value)
    if value in before:
        return before
    after = (*before, value)
    if change.rule == "TagPatterns":
        check_patterns("--pattern", after)
    return after
