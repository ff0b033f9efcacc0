"""Images, and the images of a repository, found by digest, tag and sequence number without a search."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sortedcontainers import SortedDict

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEXES = frozenset({INDEX, DOCKER_LIST})
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,299}")


def digest_of(content: bytes) -> str:
    """The digest of a manifest or layer."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Image:
    """One manifest. Times are in seconds since 1970, sizes in bytes."""

    digest: str
    sequence: int
    media_type: str
    manifest: bytes
    pushed_at: float
    size: int = 0
    tags: list[str] = field(default_factory=list)
    status: str = "ACTIVE"
    children: tuple[str, ...] = ()
    subject: str | None = None
    artifact_type: str | None = None
    last_recorded_pull_time: float | None = None
    last_archived_at: float | None = None
    last_activated_at: float | None = None

    def detail(self, registry_id: str, repository: str) -> dict[str, Any]:
        """As DescribeImages answers it."""
        detail: dict[str, Any] = {
            "registryId": registry_id,
            "repositoryName": repository,
            "imageDigest": self.digest,
            "imageSizeInBytes": self.size,
            "imagePushedAt": self.pushed_at,
            "imageManifestMediaType": self.media_type,
            "imageStatus": self.status,
        }
        if self.tags:
            detail["imageTags"] = list(self.tags)
        if self.artifact_type is not None:
            detail["artifactMediaType"] = self.artifact_type
        if self.subject is not None:
            detail["subjectManifestDigest"] = self.subject
        if self.last_recorded_pull_time is not None:
            detail["lastRecordedPullTime"] = self.last_recorded_pull_time
        if self.last_archived_at is not None:
            detail["lastArchivedAt"] = self.last_archived_at
        if self.last_activated_at is not None:
            detail["lastActivatedAt"] = self.last_activated_at
        return detail


class Images:
    """The images of a repository, in the order in which they were pushed."""

    def __init__(self) -> None:
        self._by_sequence: SortedDict = SortedDict()
        self._by_digest: dict[str, Image] = {}
        self._by_tag: dict[str, Image] = {}
        self._references: Counter[str] = Counter()  # by how many indexes a digest is referenced
        self._next = 1

    def __len__(self) -> int:
        return len(self._by_digest)

    def __iter__(self) -> Iterator[Image]:
        return iter(self._by_sequence.values())

    def after(self, sequence: int) -> Iterator[Image]:
        """The images that were pushed after the image with this sequence number."""
        return (self._by_sequence[key] for key in self._by_sequence.irange(minimum=sequence, inclusive=(False, True)))

    def by_digest(self, digest: str) -> Image | None:
        """The image with a digest."""
        return self._by_digest.get(digest)

    def by_tag(self, tag: str) -> Image | None:
        """The image that has a tag."""
        return self._by_tag.get(tag)

    def is_referenced(self, digest: str) -> bool:
        """Whether an index that is still there references it."""
        return self._references[digest] > 0

    def next_sequence(self) -> int:
        """The number of the next image to be pushed."""
        return self._next

    def add(self, image: Image) -> None:
        """Take up an image that isn't there yet."""
        image.sequence = self._next
        self._next += 1
        self._by_sequence[image.sequence] = image
        self._by_digest[image.digest] = image
        if image.children:
            self._references.update(image.children)
        for tag in image.tags:
            self._by_tag[tag] = image

    def tag(self, image: Image, tag: str) -> None:
        """Put a tag on an image. Another image that has the tag loses it."""
        before = self._by_tag.get(tag)
        if before is image:
            return
        if before:
            before.tags.remove(tag)
        image.tags.append(tag)
        self._by_tag[tag] = image

    def untag(self, tag: str) -> None:
        """Take a tag off its image."""
        self._by_tag.pop(tag).tags.remove(tag)

    def remove(self, image: Image) -> None:
        """Forget an image with all its tags."""
        del self._by_sequence[image.sequence]
        del self._by_digest[image.digest]
        if image.children:
            self._references.subtract(image.children)
        for tag in image.tags:
            del self._by_tag[tag]
