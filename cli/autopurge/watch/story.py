"""What became of one repository, from look to look. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..progress import Progress
from .look import Seen

_FRESH_SECONDS = 120  # a purge writes its progress about every 50 seconds
_LOOKS_UNTIL_GONE = 2  # one answer of ECR can be old


class Stage(Enum):
    """Where a delete is."""

    WAITING = "waiting"  # no sign of a delete
    DELETING = "deleting"
    DELETED = "deleted"
    FAILED = "failed"


@dataclass
class Story:
    """One repository, and what all looks so far have shown of its delete."""

    name: str
    arn: str | None = None
    stage: Stage = Stage.WAITING
    progress: Progress | None = None
    message: str = ""
    throttled: int = 0
    began: float | None = None  # None if the delete was not seen to run
    ended: float | None = None
    _absent: int = 0

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to see."""
        return self.stage in (Stage.DELETED, Stage.FAILED)

    def add(self, seen: Seen, now: float) -> bool:
        """Add a look, at a time in seconds. Returns whether it told something new."""
        before = (self.stage, self.progress, self.message)
        self.arn = seen.arn or self.arn
        if not seen.exists:
            self._absent += 1
            if self._absent >= _LOOKS_UNTIL_GONE:
                self._end(Stage.DELETED, now)
        else:
            self._absent = 0
            self._add_existing(seen, now)
        return (self.stage, self.progress, self.message) != before

    def _add_existing(self, seen: Seen, now: float) -> None:
        if seen.failed is not None:
            self.message = seen.failed
            self._end(Stage.FAILED, now)
        elif seen.running or self._moves(seen.progress, now):
            self.stage = Stage.DELETING
            self.began = self.began if self.began is not None else now
        elif seen.progress is None:
            self.stage = Stage.WAITING
        self.progress = seen.progress or self.progress

    def _moves(self, progress: Progress | None, now: float) -> bool:
        """Whether a running purge wrote this progress. The progress of a failed purge stays on the repository."""
        if progress is None:
            return False
        changed = self.progress is not None and progress != self.progress
        return changed or now - progress.at.timestamp() < _FRESH_SECONDS

    def _end(self, stage: Stage, now: float) -> None:
        self.stage, self.ended = stage, now

    def estimate(self, now: float) -> int:
        """About how many images are deleted by now, if the rate that the tag told has stayed the same."""
        if self.stage is Stage.DELETED and self.progress:
            return self.progress.known
        if self.progress is None:
            return 0
        since = max(0.0, now - self.progress.at.timestamp())
        return min(self.progress.known, self.progress.deleted + int((self.progress.rate or 0) * since))

    def seconds_left(self, now: float) -> int | None:
        """The time left that the tag told, minus the time that has passed since; None if the tag told none."""
        if self.progress is None or self.progress.left is None:
            return None
        return max(0, int(self.progress.left - (now - self.progress.at.timestamp())))

    def line(self, now: float) -> str:
        """For output that is no terminal."""
        parts = [self.stage.value]
        if self.progress and self.stage is Stage.DELETING:
            parts.append(f"{self.progress.deleted:,} of {self.progress.known:,} images, pass {self.progress.number}")
            if self.progress.rate:
                parts.append(f"{self.progress.rate:,.1f} a second")
            if (left := self.seconds_left(now)) is not None:
                parts.append(f"{clock_time(left)} left")
        if self.throttled:
            parts.append(f"throttled {self.throttled:,} times")
        if self.message:
            parts.append(self.message)
        return f"{self.name}: {', '.join(parts)}"

    def document(self) -> dict[str, Any]:
        """The shape of ``--json``."""
        took = None if self.ended is None or self.began is None else round(self.ended - self.began, 1)
        return {
            "name": self.name,
            "arn": self.arn,
            "result": self.stage.value,
            "progress": self.progress.document() if self.progress else None,
            "throttledCalls": self.throttled,
            "seconds": took,
            "message": self.message,
        }


def clock_time(seconds: int) -> str:
    """Hours, minutes, seconds."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
