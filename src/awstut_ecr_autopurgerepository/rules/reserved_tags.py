"""Settings <-> reserved tags. Pure.

What a delete needs is on the repository, as tags with the prefix ``awstut:``, so that a delete that brings nothing
but the repository's name obeys it. The mark ``awstut:auto-purge`` is ``on`` or ``off`` (may the delete purge images?),
followed by the names, without the prefix, of the rule tags that belong to it. A rule tag that the mark names and that
is missing or unreadable counts as protection: removing tags never makes a repository deletable.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .settings import MOST_DAYS, PATTERN, SERVICES, Owner, ReportPlace, Settings, Stored

PREFIX = "awstut:"
MARK = PREFIX + "auto-purge"
DELETION_PROTECTION = PREFIX + "deletion-protection"
# Ten patterns of 64 characters need four tags of 256, because no pattern is split over two tags.
PROTECT_TAGS = tuple(PREFIX + name for name in ("protect-tags", "protect-tags-2", "protect-tags-3", "protect-tags-4"))
PROTECT_PULLED_DAYS = PREFIX + "protect-pulled-days"
PROTECT_PUSHED_DAYS = PREFIX + "protect-pushed-days"
PROTECT_IN_USE = PREFIX + "protect-in-use"
PURGE_REPORT = PREFIX + "purge-report"
FREEZE_ON_DELETE = PREFIX + "freeze-on-delete"
RULE_TAGS = (
    DELETION_PROTECTION,
    *PROTECT_TAGS,
    PROTECT_PULLED_DAYS,
    PROTECT_PUSHED_DAYS,
    PROTECT_IN_USE,
    PURGE_REPORT,
    FREEZE_ON_DELETE,
)
# The mark does not name this tag, because it allows something: only the value ``on`` does, and a missing tag does not.
REPLICATED_DELETES = PREFIX + "replicated-deletes"
SETTING_TAGS = (*RULE_TAGS, REPLICATED_DELETES)
LIST_TAGS = (*PROTECT_TAGS, PROTECT_IN_USE)  # what protects, separated by spaces; or off
REQUEST = PREFIX + "request"
PURGE_PROGRESS = PREFIX + "purge-progress"
STACK_ID = PREFIX + "stack-id"
RELEASED = "released:"  # before the id of a stack whose create found the repository there
LOGICAL_ID = PREFIX + "logical-id"
TAKEN_OVER = PREFIX + "taken-over"  # request_hash of the update that took the repository over

MOST_TAGS = 50  # on a repository: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html
STANDING_TAGS = 4  # mark, request, stack and logical id: every repository has them, or room is kept for them
SPARE_TAGS = 2  # kept free for the progress of a purge, and for a deletion protection that an operator adds
LONGEST_VALUE = 256  # characters of a tag's value

TAG_COMMAND = "aws ecr tag-resource"

_SWITCH = {"on": True, "off": False}


@dataclass
class _Reader:
    """Reads rule tags, and remembers which of them it couldn't read."""

    tags: Mapping[str, str]
    named: frozenset[str]
    unreadable: list[str] = field(default_factory=list)

    def value(self, key: str) -> str | None:
        """The value of a rule tag; None if there is no such rule."""
        if key in self.named and key not in self.tags:
            self.unreadable.append(key)
        return self.tags.get(key)

    def switch(self, key: str) -> bool:
        value = self.value(key)
        if value is not None and value not in _SWITCH:
            self.unreadable.append(key)
        return _SWITCH.get(value or "off", True)

    def patterns(self) -> dict[str, tuple[str, ...]]:
        """The patterns by the tag that has them."""
        found: dict[str, tuple[str, ...]] = {}
        for key in PROTECT_TAGS:
            value = self.value(key)
            words = [word.replace("@", "*") for word in (value or "").split()]
            if value == "off" or value is None:
                continue
            if not words or not all(map(PATTERN.fullmatch, words)):
                self.unreadable.append(key)
            found[key] = tuple(filter(PATTERN.fullmatch, words))
        return found

    def days(self, key: str) -> int | None:
        value = self.value(key)
        if value is None or value == "off":
            return None
        if re.fullmatch("[1-9][0-9]{0,3}", value) and int(value) <= MOST_DAYS:
            return int(value)
        self.unreadable.append(key)
        return None

    def services(self) -> tuple[str, ...]:
        value = self.value(PROTECT_IN_USE)
        if value is None or value == "off":
            return ()
        words = value.split()
        if not words or not {word.upper() for word in words} <= set(SERVICES):
            self.unreadable.append(PROTECT_IN_USE)
        return tuple(dict.fromkeys(word.upper() for word in words if word.upper() in SERVICES))

    def report(self) -> ReportPlace | None:
        value = self.value(PURGE_REPORT)
        if value is None or value == "off":
            return None
        place = ReportPlace.parse(value)
        if place is None:
            self.unreadable.append(PURGE_REPORT)
        return place


def read_tags(tags: Mapping[str, str]) -> Stored:
    """What all of a repository's tags say."""
    word, *names = tags.get(MARK, "off").split() or [""]
    named = frozenset(PREFIX + name for name in names)
    reader = _Reader(tags, named)
    if word not in _SWITCH or not named <= set(RULE_TAGS):
        reader.unreadable.append(MARK)
    locked, patterns = reader.switch(DELETION_PROTECTION), reader.patterns()
    settings = Settings(
        empty_on_delete=_SWITCH.get(word, False),
        deletion_protection=locked,
        patterns=tuple(dict.fromkeys(pattern for each in patterns.values() for pattern in each)),
        pulled_within_days=reader.days(PROTECT_PULLED_DAYS),
        report=reader.report(),
        freeze=reader.switch(FREEZE_ON_DELETE),
        pushed_within_days=reader.days(PROTECT_PUSHED_DAYS),
        replicated_deletes=tags.get(REPLICATED_DELETES) == "on",
        in_use_by=reader.services(),
    )
    return Stored(
        marked=MARK in tags,
        settings=settings,
        rules=tuple(key for key in RULE_TAGS if key in named),
        switched_on=tuple(key for key in RULE_TAGS if tags.get(key, "off") != "off"),
        unreadable=tuple(reader.unreadable),
        owner=Owner(tags.get(STACK_ID), tags.get(LOGICAL_ID)),
        knows_freeze=FREEZE_ON_DELETE in named or FREEZE_ON_DELETE in tags,
        patterns_by_tag=tuple(patterns.items()),
    )


def write_tags(settings: Settings) -> dict[str, str]:
    """The mark, the rule tags that belong to it, and the tag that allows replicated deletes."""
    rules = dict(zip(PROTECT_TAGS, _packed(settings.patterns), strict=False))
    if settings.deletion_protection:
        rules[DELETION_PROTECTION] = "on"
    if settings.pulled_within_days is not None:
        rules[PROTECT_PULLED_DAYS] = str(settings.pulled_within_days)
    if settings.pushed_within_days is not None:
        rules[PROTECT_PUSHED_DAYS] = str(settings.pushed_within_days)
    if settings.in_use_by:
        rules[PROTECT_IN_USE] = " ".join(settings.in_use_by).lower()
    if settings.report:
        rules[PURGE_REPORT] = str(settings.report)
    if settings.freeze:
        rules[FREEZE_ON_DELETE] = "on"
    allowed = {REPLICATED_DELETES: "on"} if settings.replicated_deletes else {}
    return {MARK: mark(settings.empty_on_delete, rules), **rules, **allowed}


def _packed(patterns: Iterable[str]) -> list[str]:
    """Patterns as values of tags: separated by spaces, with ``@`` for ``*``, which a tag's value may not contain."""
    values: list[str] = []
    for pattern in patterns:
        word = pattern.replace("*", "@")
        if values and len(values[-1]) + 1 + len(word) <= LONGEST_VALUE:
            values[-1] += f" {word}"
        else:
            values.append(word)
    return values


def mark(empty_on_delete: bool, rules: Iterable[str]) -> str:
    """The value of the mark that names these rule tags."""
    names = [key.removeprefix(PREFIX) for key in RULE_TAGS if key in set(rules)]
    return " ".join(("on" if empty_on_delete else "off", *names))


def unlocked(stored: Stored, keys: Iterable[str]) -> dict[str, str]:
    """Values for reserved tags with which they no longer stop a delete."""
    return {key: mark(True, stored.rules) if key == MARK else "off" for key in keys}


def without_pattern(stored: Stored, pattern: str) -> dict[str, str]:
    """Values for the tags that have a pattern, without it: their other patterns stay."""
    return {
        key: " ".join(_packed(each for each in patterns if each != pattern)) or "off"
        for key, patterns in stored.patterns_by_tag
        if pattern in patterns
    }


def without_services(stored: Stored, services: Iterable[str]) -> dict[str, str]:
    """The value for the tag of services that are asked for use, without these; empty if it has none of them."""
    left = [each for each in stored.settings.in_use_by if each not in set(services)]
    if len(left) == len(stored.settings.in_use_by):
        return {}
    return {PROTECT_IN_USE: " ".join(left).lower() or "off"}


def owner_tags(owner: Owner) -> dict[str, str]:
    """The tags that say which stack owns the repository; none if no stack does."""
    pairs = {STACK_ID: owner.stack_id, LOGICAL_ID: owner.logical_id}
    return {key: value for key, value in pairs.items() if value}


def request_hash(token: str) -> str:
    """Short hash of a request's token, which is the same in all calls of one operation."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def request_tag(token: str | None) -> dict[str, str]:
    """The tag by which a repeated create recognises the repository that it made."""
    return {REQUEST: request_hash(token)} if token else {}


def taken_over_tag(token: str | None) -> dict[str, str]:
    """The tag by which a repeated update recognises that it is the one that takes the repository over."""
    return {TAKEN_OVER: request_hash(token or "")}


def is_reserved(key: str) -> bool:
    """Whether a tag key is ours."""
    return key.lower().startswith(PREFIX)


def is_aws(key: str) -> bool:
    """Whether a tag key is AWS's, never written or removed by us."""
    return key.lower().startswith("aws:")


def is_user(key: str) -> bool:
    """Whether a tag key is the user's."""
    return not is_reserved(key) and not is_aws(key)


def tags_left(settings: Settings) -> int:
    """How many tags of their own users can have beside the tags that these settings take."""
    return MOST_TAGS - STANDING_TAGS - SPARE_TAGS - (len(write_tags(settings)) - 1)


def tag_command(arn: str, tags: Mapping[str, str]) -> str:
    """The command that puts tags on a repository, ready for a shell."""
    pairs = " ".join(shlex.quote(f"Key={key},Value={value}") for key, value in tags.items())
    return f"{TAG_COMMAND} --region {arn.split(':')[3]} --resource-arn {arn} --tags {pairs}"
