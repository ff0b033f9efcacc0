"""Which images a delete may not remove. Pure.

Only the repository's own tags decide, and the type configuration for all repositories of an account and Region.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .account import AccountRules
from .reserved_tags import PROTECT_PULLED_DAYS, PROTECT_TAGS
from .settings import Stored

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

PULLS_ARE_LATE = timedelta(hours=24)  # ECR records pulls up to that much later: ImageDetail.lastRecordedPullTime
MOST_SAMPLES = 10
IMAGE_RULE_TAGS = (*PROTECT_TAGS, PROTECT_PULLED_DAYS)
ACCOUNT_WORDS = "type configuration of the account"
_LONGEST_TAG_SHOWN = 40


@dataclass(frozen=True)
class ImageRules:
    """The rules for images, of a repository and of its account together.

    ``patterns`` and ``cut_offs`` map what protects (a pattern; the time since which a pull protects) to the words that
    name the rule and where it comes from. An image pushed since ``pushed_since`` counts as pulled.
    """

    patterns: Mapping[str, str] = field(default_factory=dict)
    cut_offs: Mapping[datetime, str] = field(default_factory=dict)
    pushed_since: datetime | None = None

    def protecting(self, image: ImageDetailTypeDef) -> str | None:
        """The words of the first rule that protects an image; None if the image may be deleted."""
        for tag in image.get("imageTags", ()):
            for pattern, words in self.patterns.items():
                if fnmatchcase(tag, pattern):
                    return words
        pulled, pushed = image.get("lastRecordedPullTime"), image.get("imagePushedAt")
        new = self.pushed_since is not None and (pushed is None or pushed >= self.pushed_since)
        for cut_off, words in self.cut_offs.items():
            if new or (pulled is not None and pulled >= cut_off):
                return words
        return None


def image_rules(stored: Stored, account: AccountRules, now: datetime) -> ImageRules:
    """The rules that count now. The account's add to the repository's; neither can weaken the other."""
    patterns = {pattern: f"tag pattern {pattern} ({ACCOUNT_WORDS})" for pattern in account.patterns}
    patterns |= {
        pattern: f"tag pattern {pattern} ({_source(stored, PROTECT_TAGS)})" for pattern in stored.settings.patterns
    }
    cut_offs = {}
    for days, source in (
        (account.pulled_within_days, ACCOUNT_WORDS),
        (stored.settings.pulled_within_days, _source(stored, (PROTECT_PULLED_DAYS,))),
    ):
        if days is not None:
            cut_offs[now - timedelta(days=days) - PULLS_ARE_LATE] = f"pulled within {days} days ({source})"
    return ImageRules(patterns, cut_offs, now - PULLS_ARE_LATE if cut_offs else None)


def fingerprint(stored: Stored, account: AccountRules) -> str:
    """The same string for the same rules of repository and account, whenever they are read."""
    days = (account.pulled_within_days, stored.settings.pulled_within_days)
    rules = (sorted(account.patterns), sorted(stored.settings.patterns), days)
    return hashlib.sha256(repr(rules).encode()).hexdigest()[:16]


def _source(stored: Stored, keys: Sequence[str]) -> str:
    """Where a repository's rule comes from: the mark names what a template put there."""
    if set(keys) & set(stored.rules):
        return "PurgeProtection in its template"
    return f"tag {keys[0]} of the repository"


@dataclass
class ProtectedImages:
    """Images that may not be deleted: how many, the words of the rules that protect them, and the first few images."""

    count: int = 0
    words: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)

    def add(self, image: ImageDetailTypeDef, words: str) -> None:
        """Count an image that a rule protects."""
        self.count += 1
        if words not in self.words:
            self.words.append(words)
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(_sample(image))


def _sample(image: ImageDetailTypeDef) -> str:
    """An image in few words: a tag, the beginning of its digest, its last pull."""
    tag = next(iter(image.get("imageTags", ())), "untagged")
    shown = tag if len(tag) <= _LONGEST_TAG_SHOWN else f"{tag[: _LONGEST_TAG_SHOWN - 3]}..."
    pulled = image.get("lastRecordedPullTime")
    last = f"last pull {pulled:%Y-%m-%d}" if pulled else "no pull recorded"
    return f"{shown} ({image['imageDigest'][:19]}, {last})"
