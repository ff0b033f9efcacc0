"""The purge report: what a delete removes, written to a bucket before it is deleted, and again when it is gone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...errors import AWS_ERRORS, HandlerError
from ...pacing import OutOfTimeError, Pacer
from ...rules.settings import ReportPlace
from .. import messages
from ..look import Repository
from ..state import ReportState
from .reconciliation import Reconciliation, Tally
from .records import Outcomes, Spool, timestamp
from .writer import Report, Reporter, ReportError

MOST_SUMMARY_ATTEMPTS = 3
ARCHIVED_NOTE = "ECR charges archived images for at least 90 days, also those that were deleted earlier."

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.INFO)


@dataclass(frozen=True)
class Ending:
    """How the operation ended, for the summary. ``began`` is in seconds since 1970, ``failures`` of its last pass."""

    status: str
    message: str
    began: int | None
    passes: int
    deleted: int
    failures: dict[str, int]


@dataclass
class PurgeReport:
    """The report of one operation: when it is written. ``ecr_pacer`` knows whether an answer of ECR was lost."""

    reporter: Reporter
    account_place: ReportPlace | None
    ecr_pacer: Pacer
    state: ReportState
    current: Report | None = None  # None where nobody asks for a report

    def open(self, repository: Repository, *, deleted: int) -> None:
        """Follow the place that the repository names now, or else its account. ``deleted`` images are gone already."""
        place = repository.stored.settings.report or self.account_place
        wanted = str(place) if place else None
        changed = wanted != self.state.place and bool(self.state.place or deleted)
        self.state.open_at(wanted, changed=changed)
        self.current = self.reporter.at(place) if place else None

    def note_destinations(self, destinations: Sequence[str]) -> None:
        """Keep where ECR carries the deletions, for the summary."""
        if self.current is not None:
            self.state.note_destinations(list(destinations))

    def spool(self) -> Spool | None:
        """Where records of listed images are kept until they are written; None where nobody asks for a report."""
        return self.current.spool() if self.current else None

    @contextmanager
    def of_deletes(self, repository: Repository, spool: Spool | None) -> Iterator[Outcomes | None]:
        """Write what is to be deleted; delete it in the block; then write what is gone, whatever happened.

        Gives the block what is to be filled with images that are gone; None where nobody asks for a report. Raises
        HandlerError before the block where the intent can't be written: then nothing may be deleted.
        """
        report, parts = self.current, spool.parts if spool else []
        if report is None or not parts:
            yield None
            return
        outcomes = Outcomes()
        try:
            names = report.write_intent(parts)
        except ReportError as error:
            raise _refusal(repository, report, error) from error
        raised: Exception | None = None
        try:
            yield outcomes
        except (OutOfTimeError, *AWS_ERRORS) as error:
            raised = error
        try:
            self._count(len(parts), report.write_results(names, parts, outcomes))
        except (OutOfTimeError, ReportError) as error:
            self.state.doubt()
            refusal = _refusal(repository, report, error) if isinstance(error, ReportError) else error
            raised = refusal if raised is None or isinstance(raised, OutOfTimeError) else raised
        if raised:
            if self.ecr_pacer.unanswered:
                self.state.doubt()
            raise raised

    def _count(self, parts: int, tally: Tally) -> None:
        self.state.count_results(parts, tally.confirmed, tally.unconfirmed, tally.bytes, tally.archived)

    def close(self, ending: Ending) -> str:
        """Write the summary of a purge after which the repository is gone. Returns a sentence for the user.

        Raises OutOfTimeError where there is no time left; but not for ever, because only the summary is missing.
        """
        if self.state.place is None:
            return ""
        self.state.try_summary()
        try:
            return self._write_summary(ending, gone_since=self.reporter.pacer.clock.time())
        except OutOfTimeError:
            if self.state.summary_attempts < MOST_SUMMARY_ATTEMPTS:
                raise
            reason = "S3 did not answer"
        except ReportError as error:
            reason = error.words
        self._warn(reason)
        return messages.summary_missing(reason)

    def close_failed(self, ending: Ending) -> None:
        """Write the summary of a purge that failed, if it has reported anything and there is time."""
        if self.state.place is None or not (self.state.parts or self.state.incomplete):
            return
        try:
            self._write_summary(ending, gone_since=None)
        except (OutOfTimeError, ReportError) as error:
            self._warn(str(error))

    def _warn(self, reason: str) -> None:
        name = self.reporter.origin.repository
        LOG.warning("The summary of the purge report of %s could not be written: %s.", name, reason)

    def _write_summary(self, ending: Ending, gone_since: float | None) -> str:
        place = ReportPlace.parse(self.state.place or "")
        if place is None:
            return ""
        report, state = self.reporter.at(place), self.state
        known = Tally(state.confirmed, state.unconfirmed, state.bytes, state.archived)
        found = report.reconcile(state.parts, known, gone_since, sure=not state.incomplete)
        if found is None:
            return ""
        lacking = messages.not_in_report(self._missing(ending, found))
        report.write_summary(self._summary(ending, f"{ending.message} {lacking}".strip(), found))
        return messages.report_written(f"s3://{place.bucket}/{report.folder}summary.json", lacking)

    def _missing(self, ending: Ending, found: Reconciliation) -> int:
        """Deleted images that this report lacks because PurgeReport changed during the purge."""
        if not self.state.place_changed:
            return 0
        return ending.deleted - found.tally.confirmed - found.tally.unconfirmed - len(found.unresolved)

    def _summary(self, ending: Ending, message: str, found: Reconciliation) -> dict[str, Any]:
        origin, tally = self.reporter.origin, found.tally
        return {
            "version": 1,
            **origin.fields(),
            "logicalId": origin.logical_id,
            "account": origin.account,
            "status": ending.status,
            "message": message,
            "beganAt": timestamp(ending.began or 0),
            "endedAt": timestamp(self.reporter.pacer.clock.time()),
            "passes": ending.passes,
            "images": {
                "deleted": tally.confirmed + tally.unconfirmed,
                "confirmed": tally.confirmed,
                "goneUnconfirmed": tally.unconfirmed,
                "unresolved": len(found.unresolved),
            },
            "bytes": tally.bytes,
            "failures": ending.failures,
            "replicatedTo": self.state.destinations,
            "archived": {"images": tally.archived, "note": ARCHIVED_NOTE if tally.archived else None},
        }


def _refusal(repository: Repository, report: Report, error: ReportError) -> HandlerError:
    words = messages.report_impossible(repository.stored, repository.arn, str(report.place), error.words)
    return HandlerError(error.code, words)
