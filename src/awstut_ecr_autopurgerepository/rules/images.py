"""Which images a delete may not remove. Pure.

Only the repository's own tags decide, and the type configuration for all repositories of an account and Region.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .account import AccountRules
from .reserved_tags import PROTECT_PULLED_DAYS, PROTECT_PUSHED_DAYS, PROTECT_TAGS, unlocked, without_pattern
from .settings import Stored

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

PULLS_ARE_LATE = timedelta(hours=24)  # ECR records pulls up to that much later: ImageDetail.lastRecordedPullTime
MOST_SAMPLES = 10
ACCOUNT_WORDS = "type configuration of the account"
_LONGEST_TAG_SHOWN = 40


class Kind(Enum):
    """What an image rule looks at; the value is the property that has such rules."""

    TAG = "PurgeProtection.TagPatterns"
    PULL = "PurgeProtection.PulledWithinDays"
    PUSH = "PurgeProtection.PushedWithinDays"


@dataclass(frozen=True)
class ImageRule:
    """One rule for images. ``brief`` names it, ``words`` also say where it comes from. It has a pattern, or a time.

    A pull, or a push, protects an image from the time ``since`` on. ``by_account`` is True if it is the account's.
    """

    kind: Kind
    brief: str
    words: str
    by_account: bool
    pattern: str = ""
    since: datetime | None = None

    def lift(self, stored: Stored) -> dict[str, str]:
        """Values for reserved tags with which the repository no longer has this rule; empty for one of the account."""
        if self.by_account:
            return {}
        if self.kind is Kind.TAG:
            return without_pattern(stored, self.pattern)
        return unlocked(stored, [PROTECT_PULLED_DAYS if self.kind is Kind.PULL else PROTECT_PUSHED_DAYS])


@dataclass(frozen=True)
class ImageRules:
    """The rules for images, of a repository and of its account together.

    An image pushed since ``counts_as_pulled_since`` counts as pulled.
    """

    rules: tuple[ImageRule, ...] = ()
    counts_as_pulled_since: datetime | None = None

    def protecting(self, image: ImageDetailTypeDef) -> list[ImageRule]:
        """All rules that protect an image; empty if the image may be deleted."""
        return [rule for rule in self.rules if self._protects(rule, image)]

    def _protects(self, rule: ImageRule, image: ImageDetailTypeDef) -> bool:
        if rule.kind is Kind.TAG:
            return any(fnmatchcase(tag, rule.pattern) for tag in image.get("imageTags", ()))
        pushed = image.get("imagePushedAt")
        if rule.kind is Kind.PUSH:  # An image whose push time is not known counts as pushed just now.
            return _is_since(pushed, rule.since, unknown=True)
        return _is_since(pushed, self.counts_as_pulled_since, unknown=True) or _is_since(
            last_use(image), rule.since, unknown=False
        )


def _is_since(moment: datetime | None, since: datetime | None, *, unknown: bool) -> bool:
    if moment is None or since is None:
        return unknown and since is not None
    return moment >= since


def last_use(image: ImageDetailTypeDef) -> datetime | None:
    """When an image was last pulled, or restored from the archive, whichever is later."""
    times = (image.get("lastRecordedPullTime"), image.get("lastActivatedAt"))
    return max((each for each in times if each is not None), default=None)


def image_rules(stored: Stored, account: AccountRules, now: datetime) -> ImageRules:
    """The rules that count now. The account's add to the repository's; neither can weaken the other."""
    chosen = stored.settings
    rules = [_pattern(pattern, ACCOUNT_WORDS, by_account=True) for pattern in account.patterns]
    rules += [_pattern(pattern, _source(stored, PROTECT_TAGS), by_account=False) for pattern in chosen.patterns]
    pulled = [
        _period(Kind.PULL, days, now - timedelta(days) - PULLS_ARE_LATE, source, by_account=by_account)
        for days, source, by_account in (
            (account.pulled_within_days, ACCOUNT_WORDS, True),
            (chosen.pulled_within_days, _source(stored, (PROTECT_PULLED_DAYS,)), False),
        )
        if days is not None
    ]
    pushed = [
        _period(Kind.PUSH, days, now - timedelta(days), source, by_account=by_account)
        for days, source, by_account in (
            (account.pushed_within_days, ACCOUNT_WORDS, True),
            (chosen.pushed_within_days, _source(stored, (PROTECT_PUSHED_DAYS,)), False),
        )
        if days is not None
    ]
    return ImageRules((*rules, *pulled, *pushed), now - PULLS_ARE_LATE if pulled else None)


def _pattern(pattern: str, source: str, *, by_account: bool) -> ImageRule:
    brief = f"tag pattern {pattern}"
    return ImageRule(Kind.TAG, brief, f"{brief} ({source})", by_account, pattern=pattern)


def _period(kind: Kind, days: int, since: datetime, source: str, *, by_account: bool) -> ImageRule:
    brief = f"{'pulled' if kind is Kind.PULL else 'pushed'} within {days} days"
    return ImageRule(kind, brief, f"{brief} ({source})", by_account, since=since)


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
class ImagesFound:
    """What the images of a repository are: counts, and which of them a rule protects. Folded together page by page.

    ``bytes`` is the sum of the sizes that ECR says: layers that images share are in it more than once. ``by_rule``
    counts the protected images of each rule, ``protected`` counts each protected image once.
    """

    count: int = 0
    bytes: int = 0
    tagged: int = 0
    archived: int = 0
    newest_push: datetime | None = None
    last_pull: datetime | None = None
    protected: int = 0
    by_rule: dict[ImageRule, int] = field(default_factory=dict)
    _samples: list[tuple[tuple[bool, float], str]] = field(default_factory=list)

    def add(self, image: ImageDetailTypeDef, rules: Sequence[ImageRule]) -> None:
        """Count an image, and the rules that protect it."""
        self.count += 1
        self.bytes += image.get("imageSizeInBytes", 0)
        self.tagged += bool(image.get("imageTags"))
        self.archived += image.get("imageStatus") == "ARCHIVED"
        self.newest_push = _later(self.newest_push, image.get("imagePushedAt"))
        self.last_pull = _later(self.last_pull, image.get("lastRecordedPullTime"))
        if rules:
            self.protected += 1
            for rule in rules:
                self.by_rule[rule] = self.by_rule.get(rule, 0) + 1
            self._add_sample(image)

    def _add_sample(self, image: ImageDetailTypeDef) -> None:
        """Keep the most important ones: with a tag, pulled last."""
        last = last_use(image)
        importance = bool(image.get("imageTags")), last.timestamp() if last else 0.0
        if len(self._samples) == MOST_SAMPLES and importance <= self._samples[-1][0]:
            return
        self._samples.append((importance, sample(image)))
        self._samples.sort(key=lambda each: each[0], reverse=True)  # stable: of equals, what was listed first
        del self._samples[MOST_SAMPLES:]

    @property
    def samples(self) -> list[str]:
        """The most important protected images, in few words."""
        return [words for _, words in self._samples]


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)


def sample(image: ImageDetailTypeDef) -> str:
    """An image in few words: a tag, the beginning of its digest, its last pull or restore."""
    tag = next(iter(image.get("imageTags", ())), "untagged")
    shown = tag if len(tag) <= _LONGEST_TAG_SHOWN else f"{tag[: _LONGEST_TAG_SHOWN - 3]}..."
    return f"{shown} ({image['imageDigest'][:19]}, {_words_of_last_use(image)})"


def _words_of_last_use(image: ImageDetailTypeDef) -> str:
    last = last_use(image)
    if last is None:
        return "no pull recorded"
    return f"last pull {last:%Y-%m-%d}" if last == image.get("lastRecordedPullTime") else f"restored {last:%Y-%m-%d}"
