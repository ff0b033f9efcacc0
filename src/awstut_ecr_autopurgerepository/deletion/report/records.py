"""Records of the purge report: one JSON object a line, in gzip-compressed parts. Pure.

A part is written twice: as intent, before any of its images is deleted, and as results, with the images that are gone.
guides/purge-report.schema.json describes the shape of a record.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

Record = dict[str, Any]

INTENDED = "intended"
CONFIRMED = "confirmed"  # ECR named the image as deleted
UNCONFIRMED = "gone-unconfirmed"  # asked for, and gone; the answer was lost, or somebody else deleted it

MOST_LINES = 10_000  # in one object
MOST_SPOOLED_BYTES = 12 << 20  # compressed; if the records of a listing take more, it is listed again, in parts
_BLOCK_BYTES = 1 << 16  # lines that are compressed together
_FAST = 1  # of zlib's levels; digests do not compress


@dataclass
class Outcomes:
    """Images that ECR named as deleted: when, in seconds since 1970, by digest.

    ``doubtful`` is True if another image that was asked for may be gone: an answer said nothing about it, or that it
    was not found. What became of it is found out at the end: it may have a result of an earlier call.
    """

    confirmed: dict[str, float] = field(default_factory=dict)
    doubtful: bool = False

    def forget(self) -> None:
        """Forget all images, because their results are made."""
        self.confirmed.clear()
        self.doubtful = False


class Part:
    """Compressed lines. They are written once, from the first to the last; then they can be read."""

    def __init__(self) -> None:
        self.count = 0
        self._buffer = io.BytesIO()
        self._gzip = gzip.GzipFile(fileobj=self._buffer, mode="wb", compresslevel=_FAST, mtime=0)

    def add(self, line: bytes) -> None:
        """Add a line."""
        self._gzip.write(line)
        self.count += 1

    def compressed(self) -> bytes:
        """The whole part. No line can be added any more."""
        self._gzip.close()
        return self._buffer.getvalue()


def read_lines(compressed: bytes) -> Iterator[bytes]:
    """The lines of a part that was written earlier."""
    with gzip.open(io.BytesIO(compressed)) as lines:
        yield from lines


def read_records(compressed: bytes) -> Iterator[Record]:
    """The records of a part that was written earlier."""
    yield from map(json.loads, read_lines(compressed))


def line_of(record: Record) -> bytes:
    """A record as a line."""
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class Lines:
    """A queue of lines, kept compressed: the line that was added first is taken first."""

    def __init__(self) -> None:
        self.size = 0  # bytes, of what is compressed
        self._blocks: deque[bytes] = deque()
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._head: deque[bytes] = deque()

    def add(self, line: bytes) -> None:
        """Add a line."""
        self._tail.append(line)
        self._tail_size += len(line)
        if self._tail_size >= _BLOCK_BYTES:
            block = zlib.compress(b"".join(self._tail), _FAST)
            self._blocks.append(block)
            self.size += len(block)
            self._tail, self._tail_size = [], 0

    def take(self) -> bytes:
        """The next line, which is forgotten. There must be one."""
        if not self._head:
            self._head.extend(self._next_block())
        return self._head.popleft()

    def __iter__(self) -> Iterator[bytes]:
        """All lines that were not taken."""
        yield from self._head
        for block in self._blocks:
            yield from zlib.decompress(block).splitlines(keepends=True)
        yield from self._tail

    def _next_block(self) -> list[bytes]:
        if self._blocks:
            block = self._blocks.popleft()
            self.size -= len(block)
            return zlib.decompress(block).splitlines(keepends=True)
        lines, self._tail, self._tail_size = self._tail, [], 0
        return lines


@dataclass
class Spool:
    """Records of listed images, compressed, in the order in which they are deleted: indexes, then others.

    ``origin`` is what all records have in common.
    """

    origin: Mapping[str, str | None]
    most_bytes: int = MOST_SPOOLED_BYTES
    indexes: Lines = field(default_factory=Lines)
    others: Lines = field(default_factory=Lines)
    has_given_up: bool = False

    @property
    def is_full(self) -> bool:
        """Whether no further page should be added."""
        return self.indexes.size + self.others.size > self.most_bytes

    def add(self, image: ImageDetailTypeDef, *, is_index: bool) -> None:
        """Add an image."""
        if not self.has_given_up:
            (self.indexes if is_index else self.others).add(line_of(record_of(image, self.origin)))

    def give_up(self) -> None:
        """Keep no record, because they take too much memory: the images have to be listed again, in parts."""
        self.indexes, self.others = Lines(), Lines()
        self.has_given_up = True

    def restart(self) -> None:
        """Forget all records, because the images are listed again from the first page."""
        self.give_up()
        self.has_given_up = False


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
