"""The type configuration: rules of an administrator for all repositories of an account and Region. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .settings import ReportPlace, check_days, check_number, check_patterns, report_place

DEFAULT_CONCURRENCY = 8
MOST_CONCURRENCY = 16


@dataclass(frozen=True)
class AccountRules:
    """What an administrator chose. The rules add to those of a repository, and never weaken them.

    ``report`` is used where a repository names no place of its own. ``concurrency`` is how many deletes are in flight
    at once. ``replicated_deletes`` allows, for all repositories, a purge whose deletions ECR replicates.
    """

    deletion_protection: bool = False
    patterns: tuple[str, ...] = ()
    pulled_within_days: int | None = None
    report: ReportPlace | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    pushed_within_days: int | None = None
    replicated_deletes: bool = False


def account_rules(configuration: Mapping[str, Any]) -> AccountRules:
    """The rules in a type configuration whose types have been checked; an empty one stands for none.

    Raises ValueError, with the reason in words, for a value that the schema does not allow.
    """
    protection, report = configuration.get("PurgeProtection", {}), configuration.get("PurgeReport")
    if "TagPatterns" in protection:
        check_patterns("PurgeProtection.TagPatterns", protection["TagPatterns"])
    for name in ("PulledWithinDays", "PushedWithinDays"):
        if name in protection:
            check_days(f"PurgeProtection.{name}", protection[name])
    concurrency = configuration.get("Concurrency", DEFAULT_CONCURRENCY)
    check_number("Concurrency", concurrency, MOST_CONCURRENCY)
    return AccountRules(
        deletion_protection=configuration.get("DeletionProtection", False),
        patterns=tuple(protection.get("TagPatterns", ())),
        pulled_within_days=protection.get("PulledWithinDays"),
        report=_place(report) if report is not None else None,
        concurrency=concurrency,
        pushed_within_days=protection.get("PushedWithinDays"),
        replicated_deletes=configuration.get("AllowReplicatedDeletes", False),
    )


def _place(report: Mapping[str, str]) -> ReportPlace:
    return report_place("PurgeReport", report.get("BucketName"), report.get("Prefix"), report.get("BucketOwner"))
