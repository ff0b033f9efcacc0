"""What a user can choose for deletes, and the limits of each choice. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

PATTERN = re.compile(r"[A-Za-z0-9_.*-]{1,64}")
MOST_PATTERNS = 10
MOST_DAYS = 3_650
SERVICES = ("LAMBDA", "ECS", "INSPECTOR")  # that can be asked which images are in use

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX_IN_BUCKET = re.compile(r"(?![^ ]{129})(?!(?:[^ ]*/)?[.]{2}(?:[/ ]|$))[A-Za-z0-9_.=-]+(?:/[A-Za-z0-9_.=-]+)*")
ACCOUNT = re.compile(r"[0-9]{12}")

_PLACE = re.compile(rf"s3://({BUCKET.pattern})(?:/({PREFIX_IN_BUCKET.pattern}))?(?: ({ACCOUNT.pattern}))?")


@dataclass(frozen=True)
class ReportPlace:
    """Where a purge report is written. ``owner`` is the bucket's account, or None for the repository's account."""

    bucket: str
    prefix: str = ""
    owner: str | None = None

    @classmethod
    def parse(cls, value: str) -> ReportPlace | None:
        """The place that a tag's value names; None if the value names no place."""
        found = _PLACE.fullmatch(value)
        return cls(found[1], found[2] or "", found[3]) if found else None

    def __str__(self) -> str:
        folder = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return f"{folder} {self.owner}" if self.owner else folder


@dataclass(frozen=True)
class Settings:
    """What the user chose for deletes.

    ``patterns`` are patterns of image tags that protect an image; ``*`` matches any characters, or none.
    ``pulled_within_days`` is the number of days for which a pull, or a restore from the archive, protects an image, or
    None; ``pushed_within_days`` the same for a push. ``freeze`` is True if pushes are refused while a purge runs.
    ``replicated_deletes`` is True if a purge may go ahead although ECR replicates its deletions. ``in_use_by`` are
    those of SERVICES whose use of an image protects it.
    """

    empty_on_delete: bool = True
    deletion_protection: bool = False
    patterns: tuple[str, ...] = ()
    pulled_within_days: int | None = None
    report: ReportPlace | None = None
    freeze: bool = False
    pushed_within_days: int | None = None
    replicated_deletes: bool = False
    in_use_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Owner:
    """The stack, and the resource in it, that a repository belongs to; both None for one that Cloud Control made."""

    stack_id: str | None = None
    logical_id: str | None = None

    @classmethod
    def of_request(cls, stack_id: str | None, logical_id: str | None) -> Owner:
        """The stack and the resource that a request comes from. A logical id without a stack does not count."""
        return cls(stack_id, logical_id if stack_id else None)


@dataclass(frozen=True)
class Stored:
    """What the reserved tags of a repository say.

    ``rules`` are the keys of the rule tags that the mark names. ``switched_on`` are the keys of the rule tags that are
    present and not off, whether the mark names them or an operator added them. ``unreadable`` are the keys of tags that
    the mark names and that are missing, or that have a value that means nothing; they count as protection.
    ``knows_freeze`` is True if pushes to the repository are, or once were, refused during a purge. ``patterns_by_tag``
    has the patterns of image tags, each with the key of the reserved tag that has it.
    """

    marked: bool
    settings: Settings
    rules: tuple[str, ...] = ()
    switched_on: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    owner: Owner = Owner()
    knows_freeze: bool = False
    patterns_by_tag: tuple[tuple[str, tuple[str, ...]], ...] = ()


def check_days(path: str, days: int) -> None:
    """Raise ValueError, with the reason in words, for a number of days that no rule can have."""
    check_number(path, days, MOST_DAYS)


def check_number(path: str, value: int, most: int) -> None:
    """Raise ValueError, with the reason in words, for a number that is not from 1 to ``most``."""
    if not 1 <= value <= most:
        raise ValueError(f"{path} must be a whole number from 1 to {most:,}, without quotes")


def check_patterns(path: str, patterns: list[str] | tuple[str, ...]) -> None:
    """Raise ValueError, with the reason in words, for anything but a list of patterns of image tags."""
    if not 1 <= len(patterns) <= MOST_PATTERNS:
        raise ValueError(f"{path} must be a list of 1 to {MOST_PATTERNS} patterns")
    for pattern in patterns:
        if not PATTERN.fullmatch(pattern) or pattern == "off":
            raise ValueError(
                f"{path} has {pattern!r}: a pattern is 1 to 64 letters, digits, and characters of _ . * -, and not off"
            )
    if len(set(patterns)) < len(patterns):
        raise ValueError(f"{path} has a pattern twice")


def check_services(path: str, services: list[str] | tuple[str, ...]) -> None:
    """Raise ValueError, with the reason in words, for anything but a list of services that can be asked."""
    known = ", ".join(SERVICES)
    if not services:
        raise ValueError(f"{path} must be a list of 1 to {len(SERVICES)} of {known}")
    for service in services:
        if service not in SERVICES:
            raise ValueError(f"{path} has {service!r}: name one or more of {known}")
    if len(set(services)) < len(services):
        raise ValueError(f"{path} has a service twice")


def check_bucket(path: str, bucket: str | None) -> None:
    """Raise ValueError, with the reason in words, for a string that cannot be the name of a bucket."""
    if bucket is None or not BUCKET.fullmatch(bucket):
        raise ValueError(f"{path} must be the name of a bucket: 3 to 63 lower-case letters, digits, . and -")


def report_place(path: str, bucket: str | None, prefix: str | None, owner: str | None) -> ReportPlace:
    """The place of a report. Raises ValueError, with the reason in words, for names that S3 or a tag refuses."""
    check_bucket(f"{path}.BucketName", bucket)
    if prefix is not None and ".." in prefix.split("/"):
        raise ValueError(f"{path}.Prefix must not have .. between slashes")
    if prefix is not None and not PREFIX_IN_BUCKET.fullmatch(prefix):
        raise ValueError(
            f"{path}.Prefix must be 1 to 128 letters, digits and _ . = - with single slashes between them, "
            "none at either end"
        )
    if owner is not None and not ACCOUNT.fullmatch(owner):
        raise ValueError(f"{path}.BucketOwner must be the 12 digits of an account, with quotes")
    return ReportPlace(bucket or "", prefix or "", owner)
