"""The type configuration: rules of an administrator for all repositories of an account and Region. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .settings import ReportPlace, check_bucket, check_days, check_number, check_patterns, check_services, report_place

# With 40 deletes in flight, at 0.1 s each, 100,000 images take 13.3 s, of which the pages alone take 10. More would
# gain little, and leave an account's own pulls and deployments less of what ECR allows.
DEFAULT_CONCURRENCY = 40
MOST_CONCURRENCY = 40
MOST_BUCKETS = 20


@dataclass(frozen=True)
class AccountRules:
    """What an administrator chose. The rules add to those of a repository, and never weaken them.

    ``report`` is used where a repository names no place of its own, or, if it is ``binding``, in any case.
    ``report_buckets`` are those that repositories may name, beside that of ``report``; None: any. ``concurrency`` is
    how many deletes are in flight at once at most. ``replicated_deletes`` allows, for all repositories, a purge whose
    deletions ECR replicates.
    """

    deletion_protection: bool = False
    patterns: tuple[str, ...] = ()
    pulled_within_days: int | None = None
    report: ReportPlace | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    pushed_within_days: int | None = None
    replicated_deletes: bool = False
    binding: bool = False
    report_buckets: tuple[str, ...] | None = None
    in_use_by: tuple[str, ...] = ()

    def place_of(self, own: ReportPlace | None) -> ReportPlace | None:
        """Where the report of a repository is written; None for nowhere. ``own`` is what the repository names."""
        return self.report if self.binding else own or self.report

    @property
    def buckets(self) -> tuple[str, ...]:
        """The buckets that a repository may name for its report, where not any."""
        own = (self.report.bucket,) if self.report else ()
        return tuple(dict.fromkeys((*own, *(self.report_buckets or ()))))

    def allows(self, bucket: str) -> bool:
        """Whether a repository may name a bucket for its report."""
        return self.report_buckets is None or bucket in self.buckets


def account_rules(configuration: Mapping[str, Any]) -> AccountRules:
    """The rules in a type configuration whose types have been checked; an empty one has no rules.

    Raises ValueError, with the reason in words, for a value that the schema does not allow.
    """
    protection, report = configuration.get("PurgeProtection", {}), configuration.get("PurgeReport")
    if "TagPatterns" in protection:
        check_patterns("PurgeProtection.TagPatterns", protection["TagPatterns"])
    for name in ("PulledWithinDays", "PushedWithinDays"):
        if name in protection:
            check_days(f"PurgeProtection.{name}", protection[name])
    if "InUseBy" in protection:
        check_services("PurgeProtection.InUseBy", protection["InUseBy"])
    concurrency = configuration.get("Concurrency", DEFAULT_CONCURRENCY)
    check_number("Concurrency", concurrency, MOST_CONCURRENCY)
    return AccountRules(
        deletion_protection=configuration.get("DeletionProtection", False),
        patterns=tuple(protection.get("TagPatterns", ())),
        pulled_within_days=protection.get("PulledWithinDays"),
        report=_place(report) if report is not None else None,
        binding=bool(report and report.get("Binding")),
        report_buckets=_buckets(report) if report is not None else None,
        concurrency=concurrency,
        pushed_within_days=protection.get("PushedWithinDays"),
        replicated_deletes=configuration.get("AllowReplicatedDeletes", False),
        in_use_by=tuple(protection.get("InUseBy", ())),
    )


def _place(report: Mapping[str, Any]) -> ReportPlace:
    return report_place("PurgeReport", report.get("BucketName"), report.get("Prefix"), report.get("BucketOwner"))


def _buckets(report: Mapping[str, Any]) -> tuple[str, ...] | None:
    if "AllowedBuckets" not in report:
        return None
    buckets = tuple(report["AllowedBuckets"])
    if not 1 <= len(buckets) <= MOST_BUCKETS:
        raise ValueError(f"PurgeReport.AllowedBuckets must be a list of 1 to {MOST_BUCKETS} buckets")
    for bucket in buckets:
        check_bucket("PurgeReport.AllowedBuckets", bucket)
    return buckets
