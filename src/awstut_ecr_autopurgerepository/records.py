"""Records of the purge report: one JSON object a line, in gzip-compressed parts. Pure.

A part is written twice: as intent, before any of its images is deleted, and as results, with those that are gone. An
image may stand in several parts (a call that was killed, two copies of the handler): digest and push time are its key.
The shape of a record is described in guides/purge-report.schema.json.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
class Gone:
    """Images that were found to be gone: when, in seconds since 1970, by digest."""

    confirmed: dict[str, float] = field(default_factory=dict)
    unconfirmed: dict[str, float] = field(default_factory=dict)

    def outcome(self, digest: str) -> tuple[str, float] | None:
        """What became of an image, and when; None if it may still be there."""
        if digest in self.confirmed:
            return CONFIRMED, self.confirmed[digest]
        return (UNCONFIRMED, self.unconfirmed[digest]) if digest in self.unconfirmed else None


@dataclass
class Tally:
    """What results add up to: images, and bytes of images."""

    confirmed: int = 0
    unconfirmed: int = 0
    bytes: int = 0
    archived: int = 0

    def add(self, record: Record) -> None:
        """Count a record of an image that is gone, which was not counted before."""
        if record["outcome"] == CONFIRMED:
            self.confirmed += 1
        else:
            self.unconfirmed += 1
        self.bytes += record["sizeInBytes"]
        self.archived += record["status"] == "ARCHIVED"


class Part:
    """Compressed lines. It is written once, from the beginning to the end; then it can be read."""

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
        return read(self.compressed())


def read(compressed: bytes) -> Iterator[Record]:
    """The records of a part that was written earlier."""
    with gzip.open(io.BytesIO(compressed), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


@dataclass
class Spool:
    """Records of listed images, compressed, in parts. ``origin`` is what they all have in common."""

    origin: Mapping[str, str | None]
    parts: list[Part] = field(default_factory=list)

    def add(self, images: Iterable[ImageDetailTypeDef]) -> None:
        """Take up a page of images."""
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


def results(intent: Part, gone: Gone, tally: Tally) -> Part:
    """The records of a part whose images are gone, with what became of them; counted in ``tally``."""
    part = Part()
    for record in intent.records():
        outcome = gone.outcome(record["digest"])
        if outcome:
            _conclude(record, *outcome)
            part.add(record)
            tally.add(record)
    return part


def _conclude(record: Record, outcome: str, when: float) -> None:
    record["outcome"], record["deletedAt"] = outcome, timestamp(when)


@dataclass
class Recount:
    """Counts each image once, over all parts of an operation, whoever wrote them. Results come before intents."""

    tally: Tally = field(default_factory=Tally)
    unresolved: set[str] = field(default_factory=set)
    _seen: dict[str, bool] = field(default_factory=dict)  # the key of each image, and whether it is confirmed

    def add_results(self, records: Iterable[Record]) -> None:
        """Take up a part's results."""
        for record in records:
            key = _key(record)
            confirmed = record["outcome"] == CONFIRMED
            if key not in self._seen:
                self.tally.add(record)
            elif confirmed and not self._seen[key]:
                self.tally.unconfirmed -= 1
                self.tally.confirmed += 1
            self._seen[key] = self._seen.get(key, False) or confirmed

    def add_intent(self, records: Iterable[Record], gone_since: float | None) -> Sequence[Record]:
        """Take up a part's intent. Returns records of images without a result, as gone since that time.

        Where the repository is still there (None), nobody knows what became of them: they are only counted.
        """
        found = [record for record in records if _key(record) not in self._seen]
        if gone_since is None:
            self.unresolved.update(map(_key, found))
            return []
        for record in found:
            _conclude(record, UNCONFIRMED, gone_since)
        self.add_results(found)
        return found


def _key(record: Record) -> str:
    return f"{record['digest']} {record['pushedAt']}"
