"""The progress of a purge, as its tag ``awstut:purge-progress`` tells it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_TAG = re.compile(
    r"(?P<deleted>\d+)/(?P<known>\d+) pass (?P<number>\d+) at (?P<at>\S+)"
    r"(?: rate (?P<rate>[\d.]+)/s left (?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d))?"
)
# A purge writes the tag about every 50 seconds, and more rarely where ECR throttles all requests.
_STALE = timedelta(minutes=10)


@dataclass(frozen=True)
class Progress:
    """How far a purge was ``at`` a time. ``rate`` is in images a second, ``left`` in seconds; None: not known yet."""

    deleted: int
    known: int
    number: int  # of the pass
    at: datetime
    rate: float | None = None
    left: int | None = None

    def is_running(self, now: datetime) -> bool:
        """Whether the tag is so young that the purge still runs. The tag of a purge that failed stays."""
        return now - self.at < _STALE

    def document(self) -> dict[str, Any]:
        """The shape of ``--json``."""
        return {
            "deleted": self.deleted,
            "known": self.known,
            "pass": self.number,
            "at": self.at.isoformat(),
            "imagesPerSecond": self.rate,
            "secondsLeft": self.left,
        }

    def in_words(self) -> str:
        """For a table."""
        share = f"{self.deleted / self.known:.0%} of {self.known:,}" if self.known else f"{self.deleted:,}"
        return f"{share}, pass {self.number}"


def read_progress(value: str | None) -> Progress | None:
    """What the tag says; None if there is no such tag, or if it says nothing."""
    found = _TAG.fullmatch(value or "")
    if found is None:
        return None
    try:
        at = datetime.strptime(found["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    left = None
    if found["rate"]:
        left = int(found["hours"]) * 3_600 + int(found["minutes"]) * 60 + int(found["seconds"])
    rate = float(found["rate"]) if found["rate"] else None
    return Progress(int(found["deleted"]), int(found["known"]), int(found["number"]), at, rate, left)
