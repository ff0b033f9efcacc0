"""What the results of a report add up to, each image once, whoever wrote them. Pure.

An image may be in several parts (a call that was killed, two copies of the handler). Digest and push time are its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .records import CONFIRMED, UNCONFIRMED, Outcomes, Part, Record, timestamp


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


def results(intent: Part, outcomes: Outcomes, tally: Tally) -> Part:
    """The records of the images in a part that are gone, with what became of them; counted in ``tally``."""
    part = Part()
    for record in intent.records():
        outcome = outcomes.outcome(record["digest"])
        if outcome:
            _conclude(record, *outcome)
            part.add(record)
            tally.add(record)
    return part


def _conclude(record: Record, outcome: str, when: float) -> None:
    record["outcome"], record["deletedAt"] = outcome, timestamp(when)


@dataclass
class Reconciliation:
    """Counts each image once, over all parts of an operation. Results have to be added before intents."""

    tally: Tally = field(default_factory=Tally)
    unresolved: set[str] = field(default_factory=set)
    _seen: dict[str, bool] = field(default_factory=dict)  # the key of each image, and whether it is confirmed

    def add_results(self, records: Iterable[Record]) -> None:
        """Add a part's results."""
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
        """Add a part's intent. Returns records of images without a result, as gone since that time.

        Where the repository is still there (None), nobody knows what became of these images: they are only counted.
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
