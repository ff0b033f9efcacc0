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
from .reserved_tags import PROTECT_PULLED_DAYS, PROTECT_PUSHED_DAYS, PROTECT_TAGS
from .settings import Stored

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

PULLS_ARE_LATE = timedelta(hours=24)  # ECR records pulls up to that much later: ImageDetail.lastRecordedPullTime
MOST_SAMPLES = 10
IMAGE_RULE_TAGS = (*PROTECT_TAGS, PROTECT_PULLED_DAYS, PROTECT_PUSHED_DAYS)
ACCOUNT_WORDS = "type configuration of the account"
_LONGEST_TAG_SHOWN = 40


@dataclass(frozen=True)
class ImageRules:
    """The rules for images, of a repository and of its account together.

    Each map goes from what protects (a pattern; the time since which a pull, or a push, protects) to the words that
    name the rule and where it comes from. An image pushed since ``counts_as_pulled_since`` counts as pulled.
    """

    patterns: Mapping[str, str] = field(default_factory=dict)
    pulled_since: Mapping[datetime, str] = field(default_factory=dict)
    pushed_since: Mapping[datetime, str] = field(default_factory=dict)
    counts_as_pulled_since: datetime | None = None

    def protecting(self, image: ImageDetailTypeDef) -> str | None:
        """The words of the first rule that protects an image; None if the image may be deleted."""
        for tag in image.get("imageTags", ()):
            for pattern, words in self.patterns.items():
                if fnmatchcase(tag, pattern):
                    return words
        return self._protecting_as_pulled(image) or self._protecting_as_pushed(image)

    def _protecting_as_pulled(self, image: ImageDetailTypeDef) -> str | None:
        pulled, pushed, since = _last_use(image), image.get("imagePushedAt"), self.counts_as_pulled_since
        new = since is not None and (pushed is None or pushed >= since)
        for cut_off, words in self.pulled_since.items():
            if new or (pulled is not None and pulled >= cut_off):
                return words
        return None

    def _protecting_as_pushed(self, image: ImageDetailTypeDef) -> str | None:
        """An image whose push time is not known counts as pushed just now."""
        pushed = image.get("imagePushedAt")
        for cut_off, words in self.pushed_since.items():
            if pushed is None or pushed >= cut_off:
                return words
        return None


def _last_use(image: ImageDetailTypeDef) -> datetime | None:
    """When an image was last pulled, or restored from the archive, whichever is later."""
    times = (image.get("lastRecordedPullTime"), image.get("lastActivatedAt"))
    return max((each for each in times if each is not None), default=None)


def image_rules(stored: Stored, account: AccountRules, now: datetime) -> ImageRules:
    """The rules that count now. The account's add to the repository's; neither can weaken the other."""
    chosen = stored.settings
    patterns = {pattern: f"tag pattern {pattern} ({ACCOUNT_WORDS})" for pattern in account.patterns}
    patterns |= {pattern: f"tag pattern {pattern} ({_source(stored, PROTECT_TAGS)})" for pattern in chosen.patterns}
    pulled_since = {
        now - timedelta(days=days) - PULLS_ARE_LATE: f"pulled within {days} days ({source})"
        for days, source in (
            (account.pulled_within_days, ACCOUNT_WORDS),
            (chosen.pulled_within_days, _source(stored, (PROTECT_PULLED_DAYS,))),
        )
        if days is not None
    }
    pushed_since = {
        now - timedelta(days=days): f"pushed within {days} days ({source})"
        for days, source in (
            (account.pushed_within_days, ACCOUNT_WORDS),
            (chosen.pushed_within_days, _source(stored, (PROTECT_PUSHED_DAYS,))),
        )
        if days is not None
    }
    return ImageRules(patterns, pulled_since, pushed_since, now - PULLS_ARE_LATE if pulled_since else None)


def fingerprint(stored: Stored, account: AccountRules) -> str:
    """The same string for the same rules of repository and account, whenever they are read."""
    pulled = (account.pulled_within_days, stored.settings.pulled_within_days)
    pushed = (account.pushed_within_days, stored.settings.pushed_within_days)
    use = (sorted(account.in_use_by), sorted(stored.settings.in_use_by))
    rules = (sorted(account.patterns), sorted(stored.settings.patterns), pulled, pushed, use)
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
    """An image in few words: a tag, the beginning of its digest, its last pull or restore."""
    tag = next(iter(image.get("imageTags", ())), "untagged")
    shown = tag if len(tag) <= _LONGEST_TAG_SHOWN else f"{tag[: _LONGEST_TAG_SHOWN - 3]}..."
    return f"{shown} ({image['imageDigest'][:19]}, {_words_of_last_use(image)})"


def _words_of_last_use(image: ImageDetailTypeDef) -> str:
    last = _last_use(image)
    if last is None:
        return "no pull recorded"
    return f"last pull {last:%Y-%m-%d}" if last == image.get("lastRecordedPullTime") else f"restored {last:%Y-%m-%d}"
