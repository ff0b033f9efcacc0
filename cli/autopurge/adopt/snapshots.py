"""What a repository holds, before and after; and what is lost. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from awstut_ecr_autopurgerepository.rules.policy_meaning import same_access_policy, same_lifecycle_policy
from awstut_ecr_autopurgerepository.rules.reserved_tags import MARK, is_aws, is_reserved

_DIGEST = 16  # characters of a digest that are kept: 64 bits tell the images of a repository apart
_NAMED = 5  # images that a difference names

Json = dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """A repository at one time. `images` are image tags by the first characters of the digest."""

    policy: str | None
    lifecycle: str | None
    tags: Mapping[str, str]
    mutability: Json
    scanning: Json
    encryption: Json
    images: Mapping[str, tuple[str, ...]] = field(repr=False)

    def as_json(self) -> Json:
        packed = zlib.compress(json.dumps(self.images, sort_keys=True).encode())
        return {**asdict(self), "images": base64.b85encode(packed).decode(), "image_count": len(self.images)}

    @staticmethod
    def from_json(document: Json) -> Snapshot:
        given = {key: value for key, value in document.items() if key != "image_count"}
        images = json.loads(zlib.decompress(base64.b85decode(given.pop("images"))))
        return Snapshot(**given, images={digest: tuple(tags) for digest, tags in images.items()})


@dataclass(frozen=True)
class Comparison:
    """`lost` are the differences that must not be there, in words. `notes` are all others, such as new pushes."""

    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Repair:
    """What is put back; None or empty where nothing is missing."""

    policy: str | None = None
    lifecycle: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    mutability: Json | None = None
    scan_on_push: bool | None = None

    @property
    def empty(self) -> bool:
        return self == Repair()


def pack_images(details: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Image tags by digest, from what DescribeImages answers."""
    return {
        str(each["imageDigest"]).partition(":")[2][:_DIGEST]: tuple(sorted(each.get("imageTags", [])))
        for each in details
    }


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that are neither AWS's nor of this type."""
    return {key: value for key, value in tags.items() if not is_reserved(key) and not is_aws(key)}


def compare(before: Snapshot, after: Snapshot, stack_tags: Mapping[str, str]) -> Comparison:
    """The differences. A new tag is not a loss if the stack has it, because the import may have added it."""
    lost, notes = _images(before, after)
    tags, live = own_tags(before.tags), own_tags(after.tags)
    lost += [f"the tag {key} was {tags[key]}, and is {live.get(key)}" for key in tags if live.get(key) != tags[key]]
    extra = [key for key in live if key not in tags]
    lost += [f"the tag {key} is new" for key in extra if stack_tags.get(key) != live[key]]
    notes += [f"the stack's tag {key} was added" for key in extra if stack_tags.get(key) == live[key]]
    if not same_access_policy(before.policy, after.policy):
        lost.append("the repository policy is another")
    if not same_lifecycle_policy(before.lifecycle, after.lifecycle):
        lost.append("the lifecycle policy is another")
    for name in ("mutability", "scanning", "encryption"):
        if getattr(before, name) != getattr(after, name):
            lost.append(f"{name} was {getattr(before, name)}, and is {getattr(after, name)}")
    return Comparison(tuple(lost), tuple(notes))


def _images(before: Snapshot, after: Snapshot) -> tuple[list[str], list[str]]:
    lost, notes = [], []
    missing = [digest for digest in before.images if digest not in after.images]
    if missing:
        lost.append(f"{len(missing)} images are missing: {', '.join(missing[:_NAMED])}")
    new = after.images.keys() - before.images.keys()
    if new:
        notes.append(f"{len(new)} images were pushed meanwhile")
    digests = {tag: digest for digest, tags in after.images.items() for tag in tags}
    for digest, tags in before.images.items():
        for tag in tags:
            now = digests.get(tag)
            if now in new:
                notes.append(f"the image tag {tag} was pushed again meanwhile")
            elif now != digest:
                lost.append(f"the image tag {tag} is no longer on {digest}")
    return lost, notes


def repair(before: Snapshot, after: Snapshot) -> Repair:
    """What must be put back so that policies, tags and settings are as before."""
    live = own_tags(after.tags)
    changed = {key: value for key, value in own_tags(before.tags).items() if live.get(key) != value}
    return Repair(
        policy=None if same_access_policy(before.policy, after.policy) else before.policy,
        lifecycle=None if same_lifecycle_policy(before.lifecycle, after.lifecycle) else before.lifecycle,
        tags=changed,
        mutability=None if before.mutability == after.mutability else before.mutability,
        scan_on_push=None if before.scanning == after.scanning else bool(before.scanning.get("scanOnPush")),
    )


def mark_off(tags: Mapping[str, str]) -> dict[str, str]:
    """The mark that refuses a purge. Rule tags that an earlier mark names stay named."""
    _, *rules = tags.get(MARK, "off").split() or [""]
    return {MARK: " ".join(["off", *rules])}


def is_on(tags: Mapping[str, str]) -> bool:
    """Whether the mark allows a purge."""
    return tags.get(MARK, "off").split()[:1] == ["on"]
