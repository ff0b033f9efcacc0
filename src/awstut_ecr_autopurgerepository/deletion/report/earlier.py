"""Completes the reports of earlier deletes of the same repository, which were killed and not called again.

What such a delete has intended is gone once the repository is; what has no result anywhere gets one in its report. Only
deletes of this very repository are looked at: its creation time and create request stand in the announcement that the
delete has written, and in each of its lines. Requests to S3: one for the announcements; then, for each of at most
MOST_EARLIER deletes, one for the names, one for each object (of at most MOST_OBJECTS in all), and two writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..state import Identity
from .reconciliation import Reconciliation, Tally
from .records import Part, Record, line_of
from .writer import SAME_MS, Report, ReportError, Written

MOST_EARLIER = 10  # deletes of one repository whose reports are completed by a later one
MOST_OBJECTS = 1_000  # of all these reports

_KEPT = (
    "status",
    "beganAt",
    "endedAt",
    "passes",
    "failures",
    "replicatedTo",
    "completed",
)  # of a summary that is there

Summarise = Callable[[str, Tally, Record, str], dict[str, Any]]


@dataclass
class Earlier:
    """What was done for earlier deletes: operations that are complete now, and why the others are not."""

    completed: list[str] = field(default_factory=list)
    impossible: dict[str, str] = field(default_factory=dict)  # the reason, by operation


@dataclass
class _Open:
    """An earlier report that is not complete. ``summary`` is the one that it has."""

    report: Report
    written: Written
    summary: dict[str, Any] | None
    found: Reconciliation = field(default_factory=Reconciliation)


def complete(
    report: Report, identity: Identity, own: Callable[[], Collection[int]], gone_since: float, summarise: Summarise
) -> Earlier:
    """Complete the reports of earlier deletes. Raises OutOfTimeError, and ReportError if none can be looked for.

    ``own`` gives the keys of the images that this delete has reported; it is asked only if a report is not complete.
    ``summarise`` makes the summary of an operation that has none.
    """
    earlier = Earlier()
    opened = _open_all(report, report.earlier(identity), earlier)
    if not any(_is_incomplete(each) for each in opened):
        return earlier
    known = set(own())
    for each in _read_results(opened, known, earlier):
        try:
            if _is_incomplete(each) and _complete(each, identity, known, gone_since, summarise):
                earlier.completed.append(each.report.operation)
        except ReportError as error:
            earlier.impossible[each.report.operation] = error.words
        known.update(each.found.seen)
    return earlier


def _open_all(report: Report, operations: list[str], earlier: Earlier) -> list[_Open]:
    """The reports of these operations that have intents, as far as the limits allow."""
    opened: list[_Open] = []
    objects = 0
    for operation in operations[MOST_EARLIER:]:
        earlier.impossible[operation] = f"more than {MOST_EARLIER} deletes of this repository have reports"
    for operation in operations[:MOST_EARLIER]:
        try:
            each = _open(report.of(operation))
        except ReportError as error:
            earlier.impossible[operation] = error.words
            continue
        objects += len(each.written.intents) + len(each.written.results)
        if objects > MOST_OBJECTS:
            earlier.impossible[operation] = f"the reports have more than {MOST_OBJECTS:,} objects"
        elif each.written.intents:
            opened.append(each)
    return opened


def _read_results(opened: list[_Open], known: set[int], earlier: Earlier) -> list[_Open]:
    """Those reports whose results can be read; the keys of the images in them are added to those that are known."""
    readable = []
    for each in opened:
        try:
            for _, records in each.report.records(each.written.results):
                each.found.add_results(records)
        except ReportError as error:
            earlier.impossible[each.report.operation] = error.words
            continue
        known.update(each.found.seen)
        readable.append(each)
    return readable


def _open(report: Report) -> _Open:
    written = report.written()
    return _Open(report, written, report.read_summary() if written.has_summary else None)


def _is_incomplete(each: _Open) -> bool:
    return each.summary is None or each.summary["images"]["unresolved"] > 0


def _complete(each: _Open, identity: Identity, known: Collection[int], gone_since: float, summarise: Summarise) -> bool:
    """Write results of what is gone, and the summary. False if it is another repository's report after all."""
    late, sample = Part(), None
    for _, records in each.report.records(each.written.intents):
        if any(not _is_of(record, identity) for record in records):
            return False
        sample = sample or next(iter(records), None)
        for record in each.found.add_intent(records, gone_since, known):
            late.add(line_of(record))
    if sample is None:
        return False
    if late.count:
        each.report.put_all([each.report.results(late)])
    began = min(each.written.intents)[: len("2026-01-01T00-00-00.000Z")]
    made = summarise(f"{began[:13]}:{began[14:16]}:{began[17:]}", each.found.tally, sample, each.report.operation)
    if each.summary is not None:
        made |= {key: value for key, value in each.summary.items() if key in _KEPT}
        made["message"] = f"{each.summary['message']} {made['message']}".strip()
    each.report.write_summary(made)
    return True


def _is_of(record: Record, identity: Identity) -> bool:
    created = record.get("repositoryCreatedAt")
    if not isinstance(created, str) or record.get("createRequest") != identity.request:
        return False
    try:
        seconds = datetime.fromisoformat(created).timestamp()
    except ValueError:
        return False
    return abs(seconds * 1_000 - (identity.created or 0)) < SAME_MS
