"""The type configuration: rules of an administrator for all repositories of an account and Region. Pure.

It is checked here, as neither CloudFormation nor the support library does: the library passes unknown keys over, and
turns a text where a list belongs into its characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .settings import ACCOUNT, BUCKET, MOST_DAYS, MOST_PATTERNS, PATTERN, PREFIX_IN_BUCKET, ReportPlace

DEFAULT_CONCURRENCY = 8
MOST_CONCURRENCY = 16

_KNOWN = {"DeletionProtection", "PurgeProtection", "PurgeReport", "Concurrency"}


@dataclass(frozen=True)
class Configuration:
    """What an administrator chose. The rules add to those of a repository, and never weaken them.

    ``report`` is used where a repository has no
    place of its own; ``concurrency`` is how many deletes are in flight at once.
    """

    deletion_protection: bool = False
    patterns: tuple[str, ...] = ()
    pulled_within_days: int | None = None
    report: ReportPlace | None = None
    concurrency: int = DEFAULT_CONCURRENCY


def read(raw: object) -> Configuration:
    """Read the configuration that came with a request; None stands for none.

    Raises ValueError, with the reason in words, for anything that the schema does not allow.
    """
    if raw is None:
        return Configuration()
    known = _object("the type configuration", raw, _KNOWN)
    protection = _object("PurgeProtection", known.get("PurgeProtection", {}), {"TagPatterns", "PulledWithinDays"})
    deletion_protection = known.get("DeletionProtection", False)
    if not isinstance(deletion_protection, bool):
        raise ValueError("DeletionProtection must be true or false, without quotes")
    if "TagPatterns" in protection:
        check_patterns("PurgeProtection.TagPatterns", protection["TagPatterns"])
    if "PulledWithinDays" in protection:
        check_days("PurgeProtection.PulledWithinDays", protection["PulledWithinDays"])
    return Configuration(
        deletion_protection=deletion_protection,
        patterns=tuple(protection.get("TagPatterns", ())),
        pulled_within_days=protection.get("PulledWithinDays"),
        report=_report(known["PurgeReport"]) if "PurgeReport" in known else None,
        concurrency=_number("Concurrency", known.get("Concurrency", DEFAULT_CONCURRENCY), MOST_CONCURRENCY),
    )


def _report(raw: object) -> ReportPlace:
    place = _object("PurgeReport", raw, {"BucketName", "Prefix", "BucketOwner"})
    for name, value in place.items():
        if not isinstance(value, str):
            raise ValueError(f"PurgeReport.{name} must be a text")
    return report_place("PurgeReport", place.get("BucketName"), place.get("Prefix"), place.get("BucketOwner"))


def report_place(path: str, bucket: str | None, prefix: str | None, owner: str | None) -> ReportPlace:
    """The place of a report. Raises ValueError, with the reason in words, for names that S3 or a tag would not take."""
    if bucket is None or not BUCKET.fullmatch(bucket):
        raise ValueError(f"{path}.BucketName must be the name of a bucket: 3 to 63 lower-case letters, digits, . and -")
    if prefix is not None and not PREFIX_IN_BUCKET.fullmatch(prefix):
        raise ValueError(
            f"{path}.Prefix must be 1 to 128 letters, digits and _ . = - with single slashes between them, "
            "none at either end"
        )
    if owner is not None and not ACCOUNT.fullmatch(owner):
        raise ValueError(f"{path}.BucketOwner must be the 12 digits of an account, with quotes")
    return ReportPlace(bucket, prefix or "", owner)


def _object(path: str, value: object, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} must be an object")
    unknown = sorted(set(value) - known)
    if unknown:
        raise ValueError(f"{path} has {', '.join(unknown)}, and only {', '.join(sorted(known))} are known")
    return value


def _number(path: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{path} must be a whole number from 1 to {most:,}, without quotes")
    return value


def check_days(path: str, days: object) -> int:
    """The number of days. Raises ValueError, with the reason in words, for anything else."""
    return _number(path, days, MOST_DAYS)


def check_patterns(path: str, patterns: object) -> None:
    """Raise ValueError, with the reason in words, for anything but a list of patterns of image tags."""
    if not isinstance(patterns, list | tuple) or not 1 <= len(patterns) <= MOST_PATTERNS:
        raise ValueError(f"{path} must be a list of 1 to {MOST_PATTERNS} patterns")
    for pattern in patterns:
        if not isinstance(pattern, str) or not PATTERN.fullmatch(pattern) or pattern == "off":
            raise ValueError(
                f"{path} has {pattern!r}: a pattern is 1 to 64 letters, digits, and characters of _ . * -, and not off"
            )
    if len(set(patterns)) < len(patterns):
        raise ValueError(f"{path} has a pattern twice")
