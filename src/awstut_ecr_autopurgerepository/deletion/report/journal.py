"""Writes what one part of a purge deletes, in stretches: first as intended, and as gone once it is deleted.

A stretch is as long as what ECR allows in the next ten seconds or so, so that few images are intended and not deleted:
where ECR throttles, far more is listed than can be deleted in a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ... import ecr as calls
from ...pacing import OutOfTimeError, Pacer
from ..state import Identity, ReportState
from .reconciliation import Tally, results
from .records import MOST_LINES, Lines, Outcomes, Part, Spool, line_of
from .writer import Item, Report

_STRETCH_SECONDS = 10.0
_STRETCH_WRITES = 5.0  # a stretch lasts at least so many times as long as the last write to S3
_GROWTH = 4  # a stretch is at most so many times the one before, until ECR throttles
_MOST_BYTES = 2 << 20  # of an intent, compressed; it is held twice while it is written
_SECONDS_TO_READ = 8.0  # what must be left of the call to read the intent that the last call left unfinished


@dataclass
class Known:
    """What this call knows of the lines that were written: by hashes, because the lines take too much memory.

    ``intended`` are lines of intents whose images are not gone, ``reported`` the keys of images that have a result.
    """

    intended: set[int] = field(default_factory=set)
    reported: set[int] = field(default_factory=set)
    has_read_unfinished: bool = False


@dataclass
class _Stretch:
    """The lines of images that are being deleted. ``intent`` is the object with the new lines; None if none is new."""

    intent: str | None = None
    lines: Lines = field(default_factory=Lines)
    count: int = 0


@dataclass
class Journal:
    """Writes the report of one part of a purge. ``pacer`` is that of ECR's calls, ``width`` how many are in flight."""

    report: Report
    spool: Spool
    pacer: Pacer
    width: int
    identity: Identity
    state: ReportState
    known: Known
    outcomes: Outcomes = field(default_factory=Outcomes)
    _stretch: _Stretch | None = None
    _pending: tuple[Item, Tally] | None = None  # results that are made and not written
    _began: float = 0.0
    _wrote_seconds: float = 0.0
    _last_images: int = 0  # of the last stretch
    _last_seconds: float = 0.0

    def stretches(self, indexes: Sequence[str], others: Sequence[str]) -> Iterator[Sequence[str]]:
        """Yield the digests that may be deleted next, stretch after stretch. Each is in an intent that was written.

        Raises ReportError, and OutOfTimeError; then nothing more may be deleted.
        """
        for digests, lines in ((indexes, self.spool.indexes), (others, self.spool.others)):
            start = 0
            while start < len(digests):
                size = self._begin(lines, min(self._next_size(), len(digests) - start))
                yield digests[start : start + size]
                start += size
                self._last_images, self._last_seconds = size, self._now() - self._began

    def _now(self) -> float:
        return self.pacer.clock.monotonic()

    def _next_size(self) -> int:
        """How many images are deleted next: whole requests, as many as the pace allows in a while."""
        least = calls.IMAGES_PER_BATCH
        seconds = max(_STRETCH_SECONDS, _STRETCH_WRITES * self._wrote_seconds)
        left = max(0.0, self.pacer.seconds_left())  # A call may be told to end at once.
        requests = max(0.0, self.pacer.requests_left())
        if requests < float("inf"):
            wanted = requests * least * min(1.0, seconds / max(left, 1.0))
        elif not self._last_images:
            wanted = self.width * least
        else:
            rate = self._last_images / max(self._last_seconds, 0.001)
            wanted = min(self._last_images * _GROWTH, rate * min(seconds, left))
        return max(least, min(MOST_LINES, int(wanted)) // least * least)

    def _begin(self, lines: Lines, most: int) -> int:
        """Write the results of the last stretch, and the intent of the next one. Returns how many images that has."""
        self._conclude()
        left = self.pacer.seconds_left()
        if left < 0 or (self._began and left <= self._wrote_seconds):
            raise OutOfTimeError
        self._read_unfinished()
        stretch, part, new = _Stretch(), Part(), set()
        while stretch.count < most and (stretch.lines.size < _MOST_BYTES or stretch.count < calls.IMAGES_PER_BATCH):
            line = lines.take()
            stretch.lines.add(line)
            stretch.count += 1
            if (key := hash(line)) not in self.known.intended:
                part.add(line)
                new.add(key)
        items = [] if self.state.intents else [self.report.announcement(self.identity)]
        # Written even without a line: if this call is killed, the next one sees from it that something was deleted.
        items.append(self.report.intent(part))
        if part.count:
            stretch.intent = items[-1][0].removeprefix(self.report.folder)
        began = self._now()
        self._write(items)
        self._began = self._now()
        self._wrote_seconds = self._began - began
        self.known.intended |= new
        self.state.count_intent()
        if stretch.intent:
            self.state.leave_unfinished(stretch.intent)
        self._stretch = stretch
        return stretch.count

    def _read_unfinished(self) -> None:
        """Learn which images the last call has intended and not deleted: they need no further line.

        Not tried if there is little time, and not repeated: without it, some lines are written twice, which does no
        harm.
        """
        name, known = self.state.unfinished, self.known
        if known.has_read_unfinished:
            return
        known.has_read_unfinished = True
        if name and self.pacer.seconds_left() > _SECONDS_TO_READ:
            known.intended.update(map(hash, self.report.lines_of_intent(name)))

    def _conclude(self) -> None:
        """Make the results of the last stretch; they are written with the next intent, or at the end."""
        stretch, self._stretch = self._stretch, None
        if stretch is None:
            return
        if self.outcomes.doubtful:
            self.state.doubt()
        part, tally, gone = Part(), Tally(), 0
        for line, record in results(stretch.lines, self.outcomes, self.known.reported):
            part.add(line_of(record))
            tally.add(record)
            self.known.intended.discard(hash(line))
            gone += 1
        self.outcomes.forget()
        if stretch.intent and gone == stretch.count:
            self.state.leave_unfinished(None)
        if part.count:
            self._pending = self.report.results(part), tally

    def _write(self, items: list[Item]) -> None:
        """Write objects, and results that wait."""
        pending = self._pending
        self.report.put_all([*([pending[0]] if pending else []), *items])
        if pending:
            _, tally = pending
            self.state.count_results(tally.confirmed, tally.bytes, tally.archived)
            self._pending = None

    def close(self) -> None:
        """Write the results of what is gone. Raises ReportError, and OutOfTimeError."""
        self._conclude()
        if self._pending:
            self._write([])
