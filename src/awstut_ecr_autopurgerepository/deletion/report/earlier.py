"""Completes the reports of earlier deletes of the same repository that were killed and not called again.

Once the repository is gone, all images in the intents of such a delete are gone. Images without a result in any report
get one in the report of that delete. Only deletes of this very repository are looked at: its creation time and create
request are in the announcement that the delete has written, and in each of its lines. Requests to S3: one for the
announcements; then, for each of at most MOST_EARLIER deletes, one for the names, one for the summary if there is one,
one for each object (of at most MOST_OBJECTS in all), and two writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .. import messages
from ..state import Identity
from .reconciliation import Reconciliation, Tally
from .records import Part, Record, line_of
from .writer import SAME_MS, Report, ReportError, Written

MOST_EARLIER = 10  # deletes of one repository whose reports are completed by a later one
MOST_OBJECTS = 1_000  # of all these reports

# Keys of an existing summary whose values stay
_KEPT = ("status", "beganAt", "endedAt", "passes", "failures", "replicatedTo", "completed")

Summarise = Callable[[str, Tally, Record, str, int], dict[str, Any]]


@dataclass
class _EarlierReport:
    """A report of an earlier delete. ``summary`` is None if it has none."""

    report: Report
    written: Written
    summary: dict[str, Any] | None
    found: Reconciliation = field(default_factory=Reconciliation)

    @property
    def is_incomplete(self) -> bool:
        """Whether an image in its intents may be gone without a result, also if it was deleted after the summary."""
        if self.summary is None or self.summary["images"]["unresolved"] > 0:
            return True
        return bool(self.summary.get("objects") != self.written.objects)


@dataclass
class Earlier:
    """The reports of earlier deletes of the repository, and what was done for them.

    ``completed`` are the operations that are complete now, ``impossible`` has the reasons why others are not, by
    operation. ``keys`` are those of the images that the reports have results for.
    """

    completed: list[str] = field(default_factory=list)
    impossible: dict[str, str] = field(default_factory=dict)
    keys: set[int] = field(default_factory=set)
    opened: list[_EarlierReport] = field(default_factory=list)

    @property
    def is_incomplete(self) -> bool:
        """Whether one of the reports is not complete."""
        return any(each.is_incomplete for each in self.opened)

    def find(self, report: Report, identity: Identity) -> None:
        """Look for the reports. Raises OutOfTimeError, and ReportError if they cannot be looked for."""
        operations, objects = report.earlier(identity), 0
        for operation in operations[MOST_EARLIER:]:
            self.impossible[operation] = messages.too_many_reports(MOST_EARLIER)
        for operation in operations[:MOST_EARLIER]:
            with self._noted(operation):
                each = _open(report.of(operation))
                objects += len(each.written.intents) + len(each.written.results)
                if objects > MOST_OBJECTS:
                    self.impossible[operation] = messages.too_many_objects(MOST_OBJECTS)
                elif each.written.intents:
                    self.opened.append(each)

    def read_results(self) -> None:
        """Read which images have a result. Raises OutOfTimeError."""
        for each in self.opened:
            with self._noted(each.report.operation):
                for _, records in each.report.records(each.written.results):
                    each.found.add_results(records)
            self.keys.update(each.found.seen)

    def complete(self, identity: Identity, own: Collection[int], gone_since: float, summarise: Summarise) -> None:
        """Complete the reports that are not. Raises OutOfTimeError.

        ``own`` are the keys of the images that this delete has reported. ``summarise`` makes the summary of an
        operation that has none.
        """
        known = self.keys.union(own)
        for each in self.opened:
            operation = each.report.operation
            if each.is_incomplete and operation not in self.impossible:
                with self._noted(operation):
                    if _complete(each, identity, known, gone_since, summarise):
                        self.completed.append(operation)
                known.update(each.found.seen)

    @contextmanager
    def _noted(self, operation: str) -> Iterator[None]:
        """Note why a report cannot be completed, and go on: no delete fails for that."""
        try:
            yield
        except ReportError as error:
            self.impossible[operation] = error.words


def _open(report: Report) -> _EarlierReport:
    written = report.written()
    return _EarlierReport(report, written, report.read_summary() if written.has_summary else None)


def _complete(
    each: _EarlierReport, identity: Identity, known: Collection[int], gone_since: float, summarise: Summarise
) -> bool:
    """Write results of what is gone, and the summary. False if no intent has lines, or one is another repository's."""
    late, sample = Part(), None
    for _, records in each.report.records(each.written.intents):
        if any(not _is_of_repository(record, identity) for record in records):
            return False
        sample = sample or next(iter(records), None)
        for record in each.found.add_intent(records, gone_since, known):
            late.add(line_of(record))
    if sample is None:
        return False
    if late.count:
        each.report.put_all([each.report.results(late)])
    began = min(each.written.intents)[: len("2026-01-01T00-00-00.000Z")]
    objects = each.written.objects + int(late.count > 0)
    when = f"{began[:13]}:{began[14:16]}:{began[17:]}"
    made = summarise(when, each.found.tally, sample, each.report.operation, objects)
    if each.summary is not None:
        made |= {key: value for key, value in each.summary.items() if key in _KEPT}
        made["message"] = f"{each.summary['message']} {made['message']}".strip()
    each.report.write_summary(made)
    return True


def _is_of_repository(record: Record, identity: Identity) -> bool:
    created = record.get("repositoryCreatedAt")
    if not isinstance(created, str) or record.get("createRequest") != identity.request:
        return False
    try:
        seconds = datetime.fromisoformat(created).timestamp()
    except ValueError:
        return False
    return abs(seconds * 1_000 - (identity.created or 0)) < SAME_MS
