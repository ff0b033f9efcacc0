"""Records of the purge report: one JSON object a line, in gzip-compressed parts. Pure.

A part is written twice: as intent, before any of its images is deleted, and as results, with the images that are gone.
guides/purge-report.schema.json describes the shape of a record.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

Record = dict[str, Any]

INTENDED = "intended"
CONFIRMED = "confirmed"  # ECR named the image as deleted
UNCONFIRMED = "gone-unconfirmed"  # asked for, and gone; the answer was lost, or somebody else deleted it

PART_SIZE = 10_000  # records, about 1 MB compressed
_FAST = 1  # of gzip's levels; digests do not compress


@dataclass
class Outcomes:
    """Images that are gone: since when, in seconds since 1970, by digest."""

    confirmed: dict[str, float] = field(default_factory=dict)
    unconfirmed: dict[str, float] = field(default_factory=dict)

    def outcome(self, digest: str) -> tuple[str, float] | None:
        """What became of an image, and when; None if the image may still be there."""
        if digest in self.confirmed:
            return CONFIRMED, self.confirmed[digest]
        return (UNCONFIRMED, self.unconfirmed[digest]) if digest in self.unconfirmed else None


class Part:
    """Compressed lines. They are written once, from the first to the last; then they can be read."""

    def __init__(self) -> None:
        self.count = 0
        self._buffer = io.BytesIO()
        self._gzip = gzip.GzipFile(fileobj=self._buffer, mode="wb", compresslevel=_FAST, mtime=0)

    def add(self, record: Record) -> None:
        """Add a line."""
        self._gzip.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        self.count += 1

    def compressed(self) -> bytes:
        """The whole part. No line can be added any more."""
        self._gzip.close()
        return self._buffer.getvalue()

    def records(self) -> Iterator[Record]:
        """The lines, one after the other."""
        return read_records(self.compressed())


def read_records(compressed: bytes) -> Iterator[Record]:
    """The records of a part that was written earlier."""
    with gzip.open(io.BytesIO(compressed), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


@dataclass
class Spool:
    """Records of listed images, compressed, in parts. ``origin`` is what all records have in common."""

    origin: Mapping[str, str | None]
    parts: list[Part] = field(default_factory=list)

    def add(self, images: Iterable[ImageDetailTypeDef]) -> None:
        """Add a page of images."""
        for image in images:
            if not self.parts or self.parts[-1].count >= PART_SIZE:
                self.parts.append(Part())
            self.parts[-1].add(record_of(image, self.origin))

    def restart(self) -> None:
        """Forget all records."""
        self.parts = []


def record_of(image: ImageDetailTypeDef, origin: Mapping[str, str | None]) -> Record:
    """The record of an image that is about to be deleted."""
    pushed, pulled = image.get("imagePushedAt"), image.get("lastRecordedPullTime")
    return {
        "digest": image["imageDigest"],
        "tags": list(image.get("imageTags", ())),
        "mediaType": image.get("imageManifestMediaType"),
        "artifactMediaType": image.get("artifactMediaType"),
        "subjectDigest": image.get("subjectManifestDigest"),
        "status": image.get("imageStatus", "ACTIVE"),
        "sizeInBytes": image.get("imageSizeInBytes", 0),
        "pushedAt": timestamp(pushed.timestamp()) if pushed else None,
        "lastPulledAt": timestamp(pulled.timestamp()) if pulled else None,
        **origin,
        "deletedAt": None,
        "outcome": INTENDED,
    }


def timestamp(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
