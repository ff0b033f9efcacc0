"""The purge report: what a delete removes, written to a bucket before it is deleted, and again when it is gone."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ...errors import AWS_ERRORS, RefusalError
from ...pacing import OutOfTimeError, Pacer
from ...rules.account import AccountRules
from ...rules.settings import ReportPlace
from .. import messages
from ..look import Repository
from ..state import Counts, Identity, ReportState
from ..verdict import Verdict
from .earlier import Earlier
from .journal import Journal, Known
from .reconciliation import Reconciliation, Tally
from .records import Part, Record, Spool, line_of, timestamp
from .writer import Report, Reporter, ReportError, Written

MOST_SUMMARY_ATTEMPTS = 3

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
    account: AccountRules
    ecr_pacer: Pacer
    identity: Identity
    counts: Counts
    state: ReportState
    current: Report | None = None  # None where nobody asks for a report
    known: Known = field(default_factory=Known)

    def open(self, repository: Repository, *, deleted: int) -> None:
        """Follow the place that repository and account name now. ``deleted`` images are gone already."""
        place = self.account.place_of(repository.stored.settings.report)
        wanted = str(place) if place else None
        changed = wanted != self.state.place and bool(self.state.place or deleted)
        if changed:
            self.known = Known()
        self.state.open_at(wanted, changed=changed)
        self.current = self.reporter.at(place) if place else None

    def note_destinations(self, destinations: Sequence[str]) -> None:
        """Keep where ECR carries the deletions, for the summary."""
        if self.current is not None:
            self.state.note_destinations(list(destinations))

    def spool(self) -> Spool | None:
        """Where records of listed images are kept until they are written; None where nobody asks for a report."""
        return Spool(self.reporter.origin.fields(self.identity)) if self.current else None

    @contextmanager
    def of_deletes(self, verdict: Verdict, spool: Spool | None) -> Iterator[Journal | None]:
        """Give the block what writes the report of its deletes; then write what is gone, whatever happened.

        None where nobody asks for a report. Raises RefusalError where an intent can't be written: then nothing more may
        be deleted.
        """
        report = self.current
        if report is None or spool is None:
            yield None
            return
        journal = Journal(report, spool, self.ecr_pacer, self.reporter.pool.size, self.identity, self.state, self.known)
        raised: Exception | None = None
        try:
            yield journal
        except ReportError as error:
            raised = self._refusal(verdict, error)
        except (OutOfTimeError, *AWS_ERRORS) as error:
            raised = error
        try:
            journal.close()
        except (OutOfTimeError, ReportError) as error:
            self.state.doubt()
            refusal = self._refusal(verdict, error) if isinstance(error, ReportError) else error
            raised = refusal if raised is None or isinstance(raised, OutOfTimeError) else raised
        if raised:
            if self.ecr_pacer.unanswered:
                self.state.doubt()
            raise raised

    def _refusal(self, verdict: Verdict, error: ReportError) -> RefusalError:
        """What is answered where an object cannot be written: images of this part may be deleted by then."""
        words = verdict.refusal_amid_deletes(
            verdict.against_report(error.words), self.counts.deleted, self.counts.known
        )
        return RefusalError(words, error.code)

    def close(self, ending: Ending) -> str:
        """Write the summary of a purge after which the repository is gone. Returns a sentence for the user.

        Raises OutOfTimeError where there is no time left; but not for ever, because only the summary is missing.
        """
        if self.state.place is None:
            return ""
        self.state.try_summary()
        is_last = self.state.summary_attempts >= MOST_SUMMARY_ATTEMPTS
        try:
            return self._write_summary(ending, gone_since=self.reporter.now(), with_earlier=not is_last)
        except OutOfTimeError:
            if not is_last:
                raise
            reason = "S3 did not answer"
        except ReportError as error:
            reason = error.words
        self._warn(reason)
        return messages.summary_missing(reason, self._most_missing())

    def close_failed(self, ending: Ending) -> None:
        """Write the summary of a purge that failed, if it has reported anything and there is time."""
        if self.state.place is None or not (self.state.intents or self.state.incomplete):
            return
        try:
            self._write_summary(ending, gone_since=None, with_earlier=False)
        except (OutOfTimeError, ReportError) as error:
            self._warn(str(error))

    def _warn(self, reason: str) -> None:
        name = self.reporter.origin.repository
        LOG.warning("The summary of the purge report of %s could not be written: %s.", name, reason)

    def _report(self) -> Report | None:
        place = ReportPlace.parse(self.state.place or "")
        return self.reporter.at(place) if place else None

    def _most_missing(self) -> int | None:
        """How many deleted images may have no result, at most; None if nobody knows."""
        report = self._report()
        if report is None:
            return None
        try:
            written = report.written()
        except (OutOfTimeError, ReportError):
            return None if self.state.incomplete else 0
        return 0 if self._is_sure(written) else written.most_missing

    def _is_sure(self, written: Written) -> bool:
        """Whether nobody else wrote to this report, and each image that is gone has one result that says so."""
        as_known = (self.state.intents, self.state.parts) == (len(written.intents), len(written.results))
        return as_known and not self.state.incomplete

    def _write_summary(self, ending: Ending, gone_since: float | None, *, with_earlier: bool) -> str:
        report, state = self._report(), self.state
        if report is None:
            return ""
        written, earlier = report.written(), Earlier()
        if with_earlier:
            self._find_earlier(report, earlier)
        elif gone_since is not None:
            earlier.impossible[""] = messages.NO_TIME_LEFT
        if self._is_sure(written) and not earlier.is_incomplete:
            found = Reconciliation(Tally(state.confirmed, 0, state.bytes, state.archived))
        else:
            earlier.read_results()
            found = self._reconcile(report, written, gone_since, earlier.keys)
            if gone_since is not None:
                earlier.complete(self.identity, found.seen, gone_since, self._summary_of_another)
        about_earlier = messages.earlier_reports(earlier.completed, earlier.impossible)
        if not written.intents and not earlier.completed:
            return about_earlier
        lacking = messages.not_in_report(self._missing(ending, found))
        message = " ".join(each for each in (ending.message, lacking, about_earlier) if each)
        summary = self._summary(ending, message, found.tally, len(found.unresolved))
        report.write_summary(summary | {"completed": earlier.completed})
        return messages.report_written(report.address, " ".join(each for each in (lacking, about_earlier) if each))

    def _find_earlier(self, report: Report, earlier: Earlier) -> None:
        """Look for the reports of earlier deletes of the repository. Never a reason to fail."""
        try:
            earlier.find(report, self.identity)
        except ReportError as error:
            if self.state.intents:  # else nobody may have deleted anything: the bucket may not even exist
                earlier.impossible[""] = error.words

    def _reconcile(
        self, report: Report, written: Written, gone_since: float | None, elsewhere: Collection[int]
    ) -> Reconciliation:
        """What the whole report adds up to, each image once, as it is in the bucket.

        Images without a result, here or ``elsewhere``, are reported as gone, where the repository is gone since a time.
        """
        found, late = Reconciliation(), Part()
        for _, records in report.records(written.results):
            found.add_results(records)
        for _, records in report.records(written.intents):
            for record in found.add_intent(records, gone_since, elsewhere):
                late.add(line_of(record))
        if late.count:
            report.put_all([report.results(late)])
        return found

    def _missing(self, ending: Ending, found: Reconciliation) -> int:
        """Deleted images that this report lacks because PurgeReport changed during the purge."""
        if not self.state.place_changed:
            return 0
        return ending.deleted - found.tally.deleted - len(found.unresolved)

    def _summary(self, ending: Ending, message: str, tally: Tally, unresolved: int) -> dict[str, Any]:
        return {
            "version": 2,
            **self.reporter.origin.fields(self.identity),
            "account": self.reporter.origin.account,
            "status": ending.status,
            "message": message,
            "beganAt": timestamp(ending.began or 0),
            "endedAt": timestamp(self.reporter.now()),
            "passes": ending.passes,
            "images": {
                "deleted": tally.deleted,
                "confirmed": tally.confirmed,
                "goneUnconfirmed": tally.unconfirmed,
                "unresolved": unresolved,
            },
            "bytes": tally.bytes,
            "failures": ending.failures,
            "replicatedTo": self.state.destinations,
            "archived": {"images": tally.archived, "note": messages.ARCHIVED_NOTE if tally.archived else None},
            "completed": [],
            "completedBy": None,
        }

    def _summary_of_another(self, began: str, tally: Tally, sample: Record, operation: str) -> dict[str, Any]:
        """The summary of an earlier delete that has written none, as its lines tell."""
        this = self.reporter.origin.operation
        ending = Ending("INTERRUPTED", "", None, 0, 0, {})
        summary = self._summary(ending, messages.completed_by(this), tally, 0)
        asked = {key: sample[key] for key in ("stackId", "logicalId")}
        more: dict[str, Any] = {
            "passes": None,
            "replicatedTo": [],
            "operation": operation,
            "beganAt": began,
            "completedBy": this,
        }
        return summary | asked | more
