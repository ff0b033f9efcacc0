"""Settings <-> reserved tags. Pure.

What a delete needs lives on the repository, as tags with the prefix ``awstut:``, so that a delete that brings nothing
but the repository's name obeys it. The mark ``awstut:auto-purge`` holds ``on`` or ``off`` (may the delete purge
images?), then the short names of the rule tags that belong to it. A rule tag that the mark names and that is missing
or unreadable counts as protection: stripping tags never opens a repository.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

PREFIX = "awstut:"
MARK = PREFIX + "auto-purge"
DELETION_PROTECTION = PREFIX + "deletion-protection"
REQUEST = PREFIX + "request"
STACK_ID = PREFIX + "stack-id"
LOGICAL_ID = PREFIX + "logical-id"

LIMIT = 50  # tags that ECR allows on a repository: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html
ALWAYS = 4  # mark, request, stack and logical id stand on every repository (or their places are kept)
SPARE = 2  # kept free for the progress of a purge, and for a break-glass deletion protection

_SWITCH = {"on": True, "off": False}
_RULES = {"deletion-protection": DELETION_PROTECTION}
RULE_TAGS = frozenset(_RULES.values())


@dataclass(frozen=True)
class Owner:
    """The stack, and the resource in it, that a repository belongs to; both None for one that Cloud Control made."""

    stack_id: str | None = None
    logical_id: str | None = None


@dataclass(frozen=True)
class Settings:
    """What the user chose for deletes."""

    empty_on_delete: bool = True
    deletion_protection: bool = False


@dataclass(frozen=True)
class Stored:
    """What the reserved tags of a repository say.

    ``unreadable`` names the tags that are missing though the mark names them, or that hold nonsense; what they stand
    for counts as protection.
    """

    marked: bool
    settings: Settings
    rules: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    owner: Owner = Owner()


@dataclass
class _Reader:
    tags: Mapping[str, str]
    unreadable: list[str] = field(default_factory=list)

    def switch(self, key: str, *, named: bool) -> bool:
        """A rule that is on or off; what can't be read, or is missing though the mark names it, is on."""
        value = self.tags.get(key)
        if value is None and not named:
            return False
        if value not in _SWITCH:
            self.unreadable.append(key)
            return True
        return _SWITCH[value]


def read(tags: Mapping[str, str]) -> Stored:
    """Read all of a repository's tags."""
    reader = _Reader(tags)
    word, *rules = tags.get(MARK, "off").split() or [""]
    if word not in _SWITCH or not set(rules) <= set(_RULES):
        reader.unreadable.append(MARK)
    settings = Settings(
        empty_on_delete=_SWITCH.get(word, False),
        deletion_protection=reader.switch(DELETION_PROTECTION, named="deletion-protection" in rules),
    )
    return Stored(
        marked=MARK in tags,
        settings=settings,
        rules=tuple(rule for rule in rules if rule in _RULES),
        unreadable=tuple(reader.unreadable),
        owner=Owner(tags.get(STACK_ID), tags.get(LOGICAL_ID)),
    )


def write(settings: Settings) -> dict[str, str]:
    """The mark, and the rule tags that belong to it."""
    rules = {}
    if settings.deletion_protection:
        rules["deletion-protection"] = {DELETION_PROTECTION: "on"}
    tags = {key: value for rule in rules.values() for key, value in rule.items()}
    return {MARK: mark(settings.empty_on_delete, tuple(rules)), **tags}


def mark(empty_on_delete: bool, rules: tuple[str, ...]) -> str:
    """The value of the mark."""
    return " ".join(("on" if empty_on_delete else "off", *rules))


def readable(stored: Stored) -> dict[str, str]:
    """Values that make the unreadable tags readable again, and allow a delete."""
    values = {MARK: mark(True, stored.rules), DELETION_PROTECTION: "off"}
    return {key: values[key] for key in stored.unreadable}


def merge(stored: Stored, previous: Settings, desired: Settings) -> Settings:
    """The settings after an update.

    A setting that the update does not change keeps what is stored, so that protection which an operator put on by a
    tag outlives an update of something else. What is unreadable is written anew.
    """

    def pick(name: str, key: str) -> bool:
        wanted: bool = getattr(desired, name)
        changed = wanted != getattr(previous, name) or key in stored.unreadable
        return wanted if changed or not stored.marked else bool(getattr(stored.settings, name))

    return Settings(pick("empty_on_delete", MARK), pick("deletion_protection", DELETION_PROTECTION))


def owner_tags(owner: Owner) -> dict[str, str]:
    """The tags that say which stack owns the repository; none for an owner that isn't a stack."""
    pairs = {STACK_ID: owner.stack_id, LOGICAL_ID: owner.logical_id}
    return {key: value for key, value in pairs.items() if value}


def request_hash(token: str | None) -> str:
    """Short hash of a create request's token, by which a repeated create knows its own repository."""
    return hashlib.sha256((token or "").encode()).hexdigest()[:16]


def is_reserved(key: str) -> bool:
    """Whether a tag key is ours."""
    return key.lower().startswith(PREFIX)


def is_aws(key: str) -> bool:
    """Whether a tag key is AWS's, never written or removed by us."""
    return key.lower().startswith("aws:")


def is_user(key: str) -> bool:
    """Whether a tag key is the user's."""
    return not is_reserved(key) and not is_aws(key)


def places_left(settings: Settings) -> int:
    """How many tags of their own users can have beside those that these settings take."""
    return LIMIT - ALWAYS - SPARE - (len(write(settings)) - 1)


def tag_command(arn: str, tags: Mapping[str, str]) -> str:
    """The command that puts tags on a repository, as it can be typed in a shell."""
    pairs = " ".join(shlex.quote(f"Key={key},Value={value}") for key, value in tags.items())
    return f"aws ecr tag-resource --region {arn.split(':')[3]} --resource-arn {arn} --tags {pairs}"
