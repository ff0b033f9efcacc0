"""What may not be deleted, and the sentence that says why, and what to do. Pure.

Only the repository's own tags decide, and, for all repositories of an account and Region, the type configuration. What
the request's model says authorises nothing: after a create that failed with AlreadyExists, CloudFormation can call
delete on the repository that was there before.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from . import policy, settings
from .settings import (
    DELETION_PROTECTION,
    FREEZE_ON_DELETE,
    MARK,
    PROTECT_PULLED_DAYS,
    PROTECT_TAGS,
    PURGE_REPORT,
    Owner,
    Stored,
)

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

    from .configuration import Configuration

LONGEST_MESSAGE = 1_024  # characters of StatusMessage in CloudFormation's RecordHandlerProgress; Cloud Control: 2,048
LONGEST_REFUSAL = LONGEST_MESSAGE - 100  # what was deleted before may stand in front of it
_LONGEST_COMMAND = 700  # leaves room for a sentence
PULLS_ARE_LATE = timedelta(hours=24)  # ECR records pulls so much later: ImageDetail.lastRecordedPullTime in its API
MOST_SAMPLES = 10
_MOST_RULES = 3  # named in a message
_IMAGE_RULES = (*PROTECT_TAGS, PROTECT_PULLED_DAYS)
_ACCOUNT = "type configuration of the account"
_ASK = "An administrator of the account can change it by aws cloudformation set-type-configuration."


def _with_command(sentence: str, arn: str, tags: Mapping[str, str]) -> str:
    """A message that fits, whole words only, with the whole command that puts the tags on the repository.

    If names are so long that not all tags fit, it has the first ones, and the next refusal the others.
    """
    shown = dict(tags)
    while len(command := settings.tag_command(arn, shown)) > _LONGEST_COMMAND and len(shown) > 1:
        shown.popitem()
    return f"{shortened(sentence, LONGEST_REFUSAL - len(command) - 1)} {command}"


def shortened(sentence: str, length: int = LONGEST_MESSAGE) -> str:
    """A sentence of at most that many characters, cut between two words if need be."""
    return sentence if len(sentence) <= length else textwrap.shorten(sentence, length, placeholder=" ...")


def standing_refusal(stored: Stored, arn: str, owner: Owner, configuration: Configuration) -> str | None:
    """Why the repository must not be touched by this request at all; None if it may be.

    ``owner`` is where the request comes from; a request that comes from no stack may delete what any stack made.
    """
    allow: dict[str, str] = {}
    reasons = []
    if not stored.marked:
        reasons.append(f"it does not bear the tag {MARK}, so it is not known to belong to this resource type")
        allow[MARK] = "on"
    if owner.stack_id and stored.owner != owner:
        reasons.append(_not_owned(stored))
        stands = settings.owner_tags(stored.owner)
        allow |= {key: value for key, value in settings.owner_tags(owner).items() if stands.get(key) != value}
    if stored.unreadable:
        keys = ", ".join(stored.unreadable)
        reasons.append(f"a tag is missing or unreadable, which counts as protection: {keys}")
        allow |= settings.unlocked(stored, stored.unreadable)
    if stored.settings.deletion_protection and DELETION_PROTECTION not in stored.unreadable:
        reasons.append("its deletion protection is on")
        allow[DELETION_PROTECTION] = "off"
    if configuration.deletion_protection:
        reasons.append(f"deletion protection is on in the {_ACCOUNT}")
    if not reasons:
        return None
    sentence = f"The repository {name_of(arn)} and its images are not touched: {'; '.join(reasons)}."
    if configuration.deletion_protection:
        sentence += f" {_ASK}"
    if not allow:
        return shortened(sentence, LONGEST_REFUSAL)
    return _with_command(f"{sentence} If it is to be deleted, allow it and delete again:", arn, allow)


def _not_owned(stored: Stored) -> str:
    if stored.owner.stack_id is None:
        return "it belongs to no stack"
    stack = stored.owner.stack_id.split("/")[1] if "/" in stored.owner.stack_id else stored.owner.stack_id
    return f"it belongs to the resource {stored.owner.logical_id} of the stack {stack}"


def not_empty_refusal(stored: Stored, arn: str, images: int) -> str:
    """Why a repository that holds images is not deleted, where the mark does not allow a purge."""
    return _with_command(
        f"The repository {name_of(arn)} was not deleted: it holds {image_count(images)}, and EmptyOnDelete is false. "
        "Delete them, or allow the purge, and delete again:",
        arn,
        {MARK: settings.mark(True, stored.rules)},
    )


@dataclass(frozen=True)
class Rules:
    """The rules for images, of a repository and of its account together.

    ``patterns`` and ``cut_offs`` map what protects (a pattern; the moment since which a pull protects) to the words
    that name the rule and where it comes from.
    """

    patterns: Mapping[str, str] = field(default_factory=dict)
    cut_offs: Mapping[datetime, str] = field(default_factory=dict)
    pushed_since: datetime | None = None

    def protecting(self, image: ImageDetailTypeDef) -> str | None:
        """The words of the first rule that protects an image; None if it may go."""
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


def rules(stored: Stored, configuration: Configuration, now: datetime) -> Rules:
    """The rules that count now. The account's add to the repository's; neither can weaken the other."""
    patterns = {pattern: f"tag pattern {pattern} ({_ACCOUNT})" for pattern in configuration.patterns}
    patterns |= {
        pattern: f"tag pattern {pattern} ({_source(stored, PROTECT_TAGS)})" for pattern in stored.settings.patterns
    }
    cut_offs = {}
    for days, source in (
        (configuration.pulled_within_days, _ACCOUNT),
        (stored.settings.pulled_within_days, _source(stored, (PROTECT_PULLED_DAYS,))),
    ):
        if days is not None:
            cut_offs[now - timedelta(days=days) - PULLS_ARE_LATE] = f"pulled within {days} days ({source})"
    return Rules(patterns, cut_offs, now - PULLS_ARE_LATE if cut_offs else None)


def fingerprint(stored: Stored, configuration: Configuration) -> str:
    """The same for the same rules, of repository and account, whenever they are looked at."""
    days = (configuration.pulled_within_days, stored.settings.pulled_within_days)
    rules = (sorted(configuration.patterns), sorted(stored.settings.patterns), days)
    return hashlib.sha256(repr(rules).encode()).hexdigest()[:16]


def _source(stored: Stored, keys: Sequence[str]) -> str:
    """Where a repository's rule comes from: the mark names what a template put there."""
    if set(keys) & set(stored.rules):
        return "PurgeProtection in its template"
    return f"tag {keys[0]} of the repository"


def sample(image: ImageDetailTypeDef) -> str:
    """An image in few words: a tag, the beginning of its digest, its last pull."""
    tag = next(iter(image.get("imageTags", ())), "untagged")
    pulled = image.get("lastRecordedPullTime")
    last = f"last pull {pulled:%Y-%m-%d}" if pulled else "no pull recorded"
    return f"{shortened_tag(tag)} ({image['imageDigest'][:19]}, {last})"


def shortened_tag(tag: str) -> str:
    """A tag that does not fill the message by itself."""
    return tag if len(tag) <= 40 else f"{tag[:37]}..."


@dataclass
class Protected:
    """Images that may not go: how many, by the words of which rules, and the first few of them."""

    count: int = 0
    words: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    all_known: bool = True

    def add(self, image: ImageDetailTypeDef, words: str) -> None:
        """Take up an image that a rule protects."""
        self.count += 1
        if words not in self.words:
            self.words.append(words)
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(sample(image))

    def number(self) -> str:
        """How many, in words."""
        return ("" if self.all_known else "at least ") + image_count(self.count)

    def rules(self) -> str:
        """Which rules, in words."""
        more = len(self.words) - _MOST_RULES
        return ", ".join(self.words[:_MOST_RULES]) + (f" and {more} more" if more > 0 else "")


def protected_refusal(stored: Stored, arn: str, protected: Protected, deleted: int, known: int) -> str:
    """Why no further image is deleted.

    ``deleted`` is how many of the ``known`` had gone before, when protected images arrived during the purge.
    """
    before = f"{deleted:,} of about {known:,} images had been deleted before" if deleted else "no image was deleted"
    sentence = (
        f"The repository {name_of(arn)} was not deleted, and {before}: {protected.number()} protected by "
        f"{protected.rules()}."
    )
    if any(_ACCOUNT in each for each in protected.words):
        sentence += f" {_ASK}"
    allow = [key for key in stored.switched_on if key in _IMAGE_RULES]
    if not allow or all(_ACCOUNT in each for each in protected.words):
        return shortened(f"{sentence} {_samples(protected, LONGEST_REFUSAL - len(sentence) - 1)}".strip())
    offer = " To let them go, switch the rules off and delete again:"
    unlock = settings.unlocked(stored, allow)
    room = LONGEST_REFUSAL - len(sentence) - len(offer) - len(settings.tag_command(arn, unlock)) - 2
    return _with_command(f"{sentence} {_samples(protected, room)}".strip() + offer, arn, unlock)


def _samples(protected: Protected, room: int) -> str:
    """As many samples as there is room for."""
    samples = protected.samples
    for shown in range(len(samples), 0, -1):
        rest = f" and {protected.count - shown:,} more" if protected.count > shown else ""
        text = f"They are {', '.join(samples[:shown])}{rest}."
        if len(text) <= room:
            return text
    return ""


def filling_up(name: str, passes: int, since: datetime, *, frozen: bool = False) -> str:
    """Why a purge gives up: ``since`` that time, so many passes in a row have found no fewer images.

    ``frozen`` says whether pushes were refused meanwhile.
    """
    sentence = (
        f"The repository {name} does not get empty, as images keep arriving: since {since:%Y-%m-%d %H:%M:%S} UTC, "
        f"{passes} passes in a row have found no fewer. "
    )
    if frozen:
        return (
            f"{sentence}Pushes were refused meanwhile, so a replication or a pull-through cache brings them. Stop it, "
            "and delete again."
        )
    statement = json.dumps(policy.deny_pushes("StopPushes"))
    return (
        f"{sentence}Stop what pushes or replicates to it, and delete again. To refuse all pushes, add this statement "
        f"to its repository policy: {statement} FreezeOnDelete: true does so by itself while a delete runs."
    )


def freeze_refusal(stored: Stored, arn: str, reason: str) -> str:
    """Why a repository is not deleted in which pushes are to be refused meanwhile, and can't be."""
    return _with_command(
        f"The repository {name_of(arn)} was not deleted: FreezeOnDelete is on, and pushes cannot be refused, as "
        f"{reason}. Change the policy, or switch the freeze off, and delete again:",
        arn,
        settings.unlocked(stored, [FREEZE_ON_DELETE]),
    )


def report_refusal(stored: Stored, arn: str, place: str, words: str) -> str:
    """Why no image is deleted, or no further one, where the purge report that is asked for can't be written."""
    sentence = f"The purge report of {name_of(arn)} could not be written to {place}, so nothing is deleted: {words}."
    if PURGE_REPORT not in stored.switched_on:
        return shortened(f"{sentence} It is asked for by the {_ACCOUNT}. {_ASK}", LONGEST_REFUSAL)
    return _with_command(f"{sentence} To delete without that report:", arn, settings.unlocked(stored, [PURGE_REPORT]))


def image_count(count: int) -> str:
    """So many images, in words."""
    return f"{count:,} image{'' if count == 1 else 's'}"


def name_of(arn: str) -> str:
    """The repository's name in its ARN."""
    return arn.split(":repository/", 1)[1]
