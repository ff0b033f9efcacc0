"""What reports add up to: deletes, images, and how images are spread over age, last pull, size and tags. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from awstut_ecr_autopurgerepository.deletion.report.records import CONFIRMED, Record, read_records

from ..failures import Failure
from ..repositories import stack_name
from .location import INTENT, RESULTS, SUMMARY

ImageKey = tuple[str, str, str | None]  # operation, digest, push time: an image may be in two objects
NO_PULL = "no pull recorded"
_DAYS = ((1, "under 1 day"), (7, "1 to 7 days"), (30, "7 to 30 days"), (90, "30 to 90 days"), (365, "90 to 365 days"))
_OVER_A_YEAR = "over a year"
_MEGABYTES = ((1, "under 1 MB"), (10, "1 to 10 MB"), (100, "10 to 100 MB"), (1_000, "100 MB to 1 GB"))
_OVER_A_GIGABYTE = "over 1 GB"
UNTAGGED = "no tag"
_OTHERS = "other tags"
_MOST_TAG_GROUPS = 9


@dataclass
class Delete:
    """One delete of one repository. Times are ISO 8601, as in the report; ``status`` is None without a summary."""

    operation: str
    repository: str
    stack_id: str | None
    logical_id: str | None
    status: str | None = None
    message: str = ""
    began: str | None = None
    ended: str | None = None
    failures: dict[str, int] = field(default_factory=dict)
    replicated_to: list[Any] = field(default_factory=list)
    images: int = 0
    bytes: int = 0
    archived: int = 0
    archived_bytes: int = 0
    unresolved: int = 0
    callers: list[str] = field(default_factory=list)

    @property
    def stack(self) -> str | None:
        """The name of the stack; None for a delete by Cloud Control."""
        return stack_name(self.stack_id) if self.stack_id else None

    def document(self) -> dict[str, Any]:
        """The shape of ``--json``."""
        return {
            "operation": self.operation,
            "repository": self.repository,
            "stack": self.stack,
            "stackId": self.stack_id,
            "logicalId": self.logical_id,
            "status": self.status,
            "message": self.message,
            "beganAt": self.began,
            "endedAt": self.ended,
            "images": self.images,
            "bytes": self.bytes,
            "archivedImages": self.archived,
            "unresolved": self.unresolved,
            "failures": self.failures,
            "replicatedTo": self.replicated_to,
            "callers": self.callers,
        }


@dataclass
class Contents:
    """All deletes of some reports. Each image counts once, also where a call ran twice."""

    deletes: dict[str, Delete] = field(default_factory=dict)
    images: dict[ImageKey, Record] = field(default_factory=dict)
    intended: dict[ImageKey, Record] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes. Layers that images share count for each."""
        return sum(record["sizeInBytes"] for record in self.images.values())

    @property
    def outcomes(self) -> dict[str, int]:
        """How many images have which outcome."""
        counted = Counter(str(record["outcome"]) for record in self.images.values())
        return {CONFIRMED: 0, "gone-unconfirmed": 0, **counted}

    def add(self, name: str, content: bytes) -> None:
        """Add an object of a report. Raises Failure for one that is none."""
        try:
            if name.endswith(SUMMARY):
                self._add_summary(json.loads(content))
            elif name.endswith(RESULTS):
                self._add_results(read_records(content))
            elif name.endswith(INTENT):
                self.intended |= {_key(record): record for record in read_records(content)}
        except (ValueError, KeyError, EOFError, OSError) as error:
            raise Failure(f"{name.lstrip('/')} is not an object of a purge report: {error!r}.") from error

    def _add_results(self, records: Iterable[Record]) -> None:
        for record in records:
            known = self.images.get(_key(record))
            if known is None or known["outcome"] != CONFIRMED:
                self.images[_key(record)] = record

    def _add_summary(self, summary: dict[str, Any]) -> None:
        delete = self._delete(summary)
        delete.status, delete.message = summary["status"], summary.get("message", "")
        delete.began, delete.ended = summary.get("beganAt"), summary.get("endedAt")
        delete.failures, delete.replicated_to = summary.get("failures", {}), summary.get("replicatedTo", [])

    def count(self) -> None:
        """Add up the images of each delete, once all objects were added."""
        for record in self.images.values():
            delete = self._delete(record)
            delete.images += 1
            delete.bytes += record["sizeInBytes"]
            if record["status"] == "ARCHIVED":
                delete.archived += 1
                delete.archived_bytes += record["sizeInBytes"]
            if delete.status is None:
                delete.began = min(filter(None, (delete.began, record["deletedAt"])))
                delete.ended = max(filter(None, (delete.ended, record["deletedAt"])))
        for key, record in self.intended.items():
            if key not in self.images:
                self._delete(record).unresolved += 1

    def _delete(self, of: dict[str, Any]) -> Delete:
        made = Delete(of["operation"], of["repository"], of.get("stackId"), of.get("logicalId"))
        return self.deletes.setdefault(of["operation"], made)

    def in_order(self) -> list[Delete]:
        """The deletes, the latest first."""
        return sorted(self.deletes.values(), key=lambda each: (each.ended or "", each.repository), reverse=True)

    def document(self) -> dict[str, Any]:
        """The shape of ``--json``."""
        return {
            "images": len(self.images),
            "bytes": self.total_bytes,
            "outcomes": self.outcomes,
            "unresolved": sum(each.unresolved for each in self.deletes.values()),
            "archived": {
                "images": sum(each.archived for each in self.deletes.values()),
                "bytes": sum(each.archived_bytes for each in self.deletes.values()),
            },
            "deletes": [each.document() for each in self.in_order()],
        }

    def spread(self) -> dict[str, dict[str, int]]:
        """How many images there are by age, last pull, size and tag: the bars of the plots, none of them missing."""
        records = list(self.images.values())
        days = [words for _, words in _DAYS] + [_OVER_A_YEAR]
        sizes = [words for _, words in _MEGABYTES] + [_OVER_A_GIGABYTE]
        return {
            "Age when deleted": _counted(records, _age, days),
            "Last pull before the delete": _counted(records, _last_pull, [*days, NO_PULL]),
            "Size": _counted(records, _size, sizes),
            "Tags": tag_groups(records),
        }


def _key(record: Record) -> ImageKey:
    return record["operation"], record["digest"], record["pushedAt"]


def _counted(records: list[Record], group: Callable[[Record], str], groups: list[str]) -> dict[str, int]:
    counted = Counter(map(group, records))
    return {each: counted[each] for each in groups}


def _step(value: float, steps: Iterable[tuple[int, str]], beyond: str) -> str:
    return next((words for most, words in steps if value < most), beyond)


def _days_before(record: Record, time: str) -> float:
    return (datetime.fromisoformat(record["deletedAt"]) - datetime.fromisoformat(time)).total_seconds() / 86_400


def _age(record: Record) -> str:
    """An image whose push time ECR does not know counts as new."""
    return _step(_days_before(record, record["pushedAt"]) if record["pushedAt"] else 0, _DAYS, _OVER_A_YEAR)


def _last_pull(record: Record) -> str:
    pulled = record["lastPulledAt"]
    return _step(_days_before(record, pulled), _DAYS, _OVER_A_YEAR) if pulled else NO_PULL


def _size(record: Record) -> str:
    return _step(record["sizeInBytes"] / 1_000_000, _MEGABYTES, _OVER_A_GIGABYTE)


def tag_groups(records: Iterable[Record]) -> dict[str, int]:
    """Images by the beginning of their first tag, up to a digit: ``v1.2`` counts as ``v*``; the most frequent first."""
    counted: Counter[str] = Counter()
    for record in records:
        tag = next(iter(record["tags"]), None)
        counted[UNTAGGED if tag is None else _group_of(tag)] += 1
    untagged = counted.pop(UNTAGGED, 0)
    frequent = dict(counted.most_common(_MOST_TAG_GROUPS))
    others = counted.total() - sum(frequent.values())
    return frequent | ({_OTHERS: others} if others else {}) | ({UNTAGGED: untagged} if untagged else {})


def _group_of(tag: str) -> str:
    """A tag of nothing but hexadecimal digits is a commit."""
    if re.fullmatch(r"[0-9a-f]{7,40}", tag):
        return "commit ids"
    words = re.match(r"[A-Za-z_-]*?(?=[0-9])|.*", tag)
    start = words[0] if words else ""
    return tag if start == tag else f"{start}*"
