"""One rule more, or one less: in the tags of a repository, and in the type configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from awstut_ecr_autopurgerepository.rules.reserved_tags import (
    DELETION_PROTECTION,
    PROTECT_PULLED_DAYS,
    PROTECT_PUSHED_DAYS,
    PROTECT_TAGS,
    write_tags,
)
from awstut_ecr_autopurgerepository.rules.settings import Settings, Stored, check_patterns

_KEYS = {
    "DeletionProtection": (DELETION_PROTECTION,),
    "TagPatterns": PROTECT_TAGS,
    "PulledWithinDays": (PROTECT_PULLED_DAYS,),
    "PushedWithinDays": (PROTECT_PUSHED_DAYS,),
}
_FIELDS = {"PulledWithinDays": "pulled_within_days", "PushedWithinDays": "pushed_within_days"}


@dataclass(frozen=True)
class RuleChange:
    """A rule, by the name of its property, is set or lifted. ``value`` is the pattern, or the number of days."""

    rule: str
    on: bool
    value: str | int | None = None


def tags_after(stored: Stored, change: RuleChange) -> dict[str, str]:
    """The tags to put on a repository so that the change counts; none if it counts already.

    A rule tag is never removed but set to ``off``, because the mark may name it, and one that the mark names and that
    is missing protects. Raises ValueError, in words, where the change cannot be merged with what is there.
    """
    keys = _KEYS[change.rule]
    unreadable = [key for key in stored.unreadable if key in keys]
    if unreadable and change.rule == "TagPatterns":
        raise ValueError(
            f"The tag {unreadable[0]} is missing or unreadable, so nobody knows which patterns it stands for. "
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
        patterns = _patterns(settings.patterns, str(change.value), on=change.on)
        return replace(settings, patterns=patterns)
    changed: Any = {_FIELDS[change.rule]: change.value if change.on else None}
    return replace(settings, **changed)


def account_after(configuration: Mapping[str, Any], change: RuleChange) -> dict[str, Any]:
    """The type configuration with the change; all else stays as it is. Raises ValueError for too many patterns."""
    after = dict(configuration)
    if change.rule == "DeletionProtection":
        return _with(after, change.rule, True if change.on else None)
    protection = dict(after.get("PurgeProtection", {}))
    value: Any = change.value if change.on else None
    if change.rule == "TagPatterns":
        value = list(_patterns(tuple(protection.get(change.rule, ())), str(change.value), on=change.on))
    return _with(after, "PurgeProtection", _with(protection, change.rule, value or None) or None)


def _with(document: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """None takes the key away."""
    if value is not None:
        return {**document, key: value}
    return {name: each for name, each in document.items() if name != key}


def _patterns(patterns: tuple[str, ...], pattern: str, *, on: bool) -> tuple[str, ...]:
    if not on:
        return tuple(each for each in patterns if each != pattern)
    if pattern in patterns:
        return patterns
    after = (*patterns, pattern)
    check_patterns("--pattern", after)
    return after
