"""What counts after an update, for each setting. Pure.

Protection that an operator added by a tag outlives updates, and an unlock by a tag lasts until the next update.
"""

from __future__ import annotations

from dataclasses import replace

from .settings import MOST_PATTERNS, ReportPlace, Settings


def settings_after_update(live: Settings, previous: Settings, desired: Settings, *, told_to_empty: bool) -> Settings:
    """The settings after an update from ``previous`` to ``desired`` of a repository that has the ``live`` ones.

    A setting that is as the previous state left it follows the template. One that somebody else has changed becomes
    the stricter of live and template: both patterns, both services, the longer period. Replicated deletes stay allowed
    only where live and template allow them. Where two reports differ, the template's counts if the update changes it.
    If the merged patterns are too many, the live ones stay as they are.

    ``told_to_empty``: the template contains ``EmptyOnDelete: true`` and did not contain it before.
    """
    return Settings(
        empty_on_delete=told_to_empty
        or _weaker(live.empty_on_delete, previous.empty_on_delete, desired.empty_on_delete),
        deletion_protection=_stricter(
            live.deletion_protection, previous.deletion_protection, desired.deletion_protection
        ),
        patterns=_patterns(live.patterns, previous.patterns, desired.patterns),
        pulled_within_days=_longer(live.pulled_within_days, previous.pulled_within_days, desired.pulled_within_days),
        report=_report(live.report, previous.report, desired.report),
        freeze=_stricter(live.freeze, previous.freeze, desired.freeze),
        pushed_within_days=_longer(live.pushed_within_days, previous.pushed_within_days, desired.pushed_within_days),
        replicated_deletes=_weaker(live.replicated_deletes, previous.replicated_deletes, desired.replicated_deletes),
        in_use_by=_services(live.in_use_by, previous.in_use_by, desired.in_use_by),
    )


def without_new_patterns(merged: Settings, live: Settings) -> Settings:
    """The same settings with the live patterns, for a repository that has no room for the tags of the merged ones."""
    return replace(merged, patterns=live.patterns)


def _stricter(live: bool, previous: bool, desired: bool) -> bool:
    """Of a setting that protects while it is on."""
    return desired if live == previous else live or desired


def _weaker(live: bool, previous: bool, desired: bool) -> bool:
    """Of a setting that allows something while it is on."""
    return desired if live == previous else live and desired


def _longer(live: int | None, previous: int | None, desired: int | None) -> int | None:
    """Of a number of days; None protects nothing."""
    if live == previous:
        return desired
    return max((each for each in (live, desired) if each is not None), default=None)


def _patterns(live: tuple[str, ...], previous: tuple[str, ...], desired: tuple[str, ...]) -> tuple[str, ...]:
    """The template's patterns, and those that live has and the previous state had not. Their order means nothing."""
    if set(live) == set(desired):
        return live
    added = [each for each in live if each not in previous and each not in desired]
    merged = (*desired, *added)
    return merged if len(merged) <= MOST_PATTERNS else live


def _services(live: tuple[str, ...], previous: tuple[str, ...], desired: tuple[str, ...]) -> tuple[str, ...]:
    """The template's services, and those that live has and the previous state had not. Their order means nothing."""
    if set(live) == set(desired):
        return live
    return (*desired, *(each for each in live if each not in previous and each not in desired))


def _report(live: ReportPlace | None, previous: ReportPlace | None, desired: ReportPlace | None) -> ReportPlace | None:
    if live == previous or live is None:
        return desired
    return live if desired is None or desired == previous else desired
