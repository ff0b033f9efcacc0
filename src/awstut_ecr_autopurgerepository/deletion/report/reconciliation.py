"""What the results of a report add up to, each image once, whoever wrote them. Pure.

An image may be in several parts (ECR lists it late, a call that was killed, two copies of the handler). Digest and push
time are its key.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from .records import CONFIRMED, UNCONFIRMED, Outcomes, Record, timestamp


@dataclass
class Tally:
    """What results add up to: images, and bytes of images."""

    confirmed: int = 0
    unconfirmed: int = 0
    bytes: int = 0
    archived: int = 0

    @property
    def deleted(self) -> int:
        """Images that are gone."""
        return self.confirmed + self.unconfirmed

    def add(self, record: Record) -> None:
        """Count a record of an image that is gone, which was not counted before."""
        if record["outcome"] == CONFIRMED:
            self.confirmed += 1
        else:
            self.unconfirmed += 1
        self.bytes += record["sizeInBytes"]
        self.archived += record["status"] == "ARCHIVED"


def results(lines: Iterable[bytes], outcomes: Outcomes, reported: set[int]) -> Iterator[tuple[bytes, Record]]:
    """The lines of the images in an intent that are confirmed to be gone, and their records as results.

    ``reported`` has the keys of images that have a result; these get no second one. The keys of new results are added.
    """
    for line in lines:
        record = json.loads(line)
        when = outcomes.confirmed.get(record["digest"])
        if when is not None and (key := key_of(record)) not in reported:
            reported.add(key)
            _conclude(record, CONFIRMED, when)
            yield line, record


def _conclude(record: Record, outcome: str, when: float) -> None:
    record["outcome"], record["deletedAt"] = outcome, timestamp(when)


@dataclass
class Reconciliation:
    """Counts each image once, over all parts of an operation. Results have to be added before intents."""

    tally: Tally = field(default_factory=Tally)
    unresolved: set[int] = field(default_factory=set)
    seen: dict[int, bool] = field(default_factory=dict)  # the key of each image, and whether it is confirmed

    def add_results(self, records: Iterable[Record]) -> None:
        """Add a part's results."""
        for record in records:
            key = key_of(record)
            confirmed = record["outcome"] == CONFIRMED
            if key not in self.seen:
                self.tally.add(record)
            elif confirmed and not self.seen[key]:
                self.tally.unconfirmed -= 1
                self.tally.confirmed += 1
            self.seen[key] = self.seen.get(key, False) or confirmed

    def add_intent(
        self, records: Iterable[Record], gone_since: float | None, elsewhere: Collection[int] = ()
    ) -> Iterator[Record]:
        """Add a part's intent. Gives the records of images without a result, as gone since that time.

        Where the repository is still there (None), nobody knows what became of these images: they are only counted.
        ``elsewhere`` are the keys of images that other operations have reported.
        """
        for record in records:
            key = key_of(record)
            if key in self.seen or key in elsewhere:
                continue
            if gone_since is None:
                self.unresolved.add(key)
                continue
            _conclude(record, UNCONFIRMED, gone_since)
            self.add_results([record])
            yield record


def key_of(record: Record) -> int:
    """The key of an image, within this process: a number, because a hundred thousand strings take too much memory."""
    return hash((record["digest"], record["pushedAt"]))
