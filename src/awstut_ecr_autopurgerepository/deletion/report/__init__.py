"""The purge report: what a delete removes, written to a bucket before it is deleted, and again when it is gone.

The report is complete before the empty repository is deleted, because a call may be killed right after that, and there
may be no later call. A later call would find neither the repository nor the tag that says where the report is.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ...errors import AWS_ERRORS, RefusalError, shortened
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

MOST_ATTEMPTS_BEFORE = 6  # calls that try to write the summary before the repository is deleted
MOST_SUMMARY_ATTEMPTS = 8  # calls that try to write the summary, in all
MOST_MUTE_ATTEMPTS = 3  # the same, if S3 does not answer
_LATER_ATTEMPT_SECONDS = 20.0  # for an attempt at the beginning of a call; the rest is for the repository's delete
# Walks of one call after which no image was left, before an image without a result is reported as gone: one listing may
# be old.
ENOUGH_WALKS = 2
_MOST_TOLD = 500  # characters; they are in the callback context

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
    _parts: int = 0  # of this call
    _part_began: float = 0.0  # on the clock's monotonic time
    _walks: int = 0  # of this call, after which no image was left
    _found: int = 0  # images, in the last of these walks
    _has_tried: bool = False  # this call has tried to write the summary before the repository is deleted
    _has_given_up: bool = False  # this call does not try it again
    _is_checked: bool = False  # the summary was written in this call, or counts all that is in the bucket

    def open(self, repository: Repository, *, deleted: int) -> None:
        """Follow the place that repository and account name now. ``deleted`` images are gone already."""
        self._parts, self._part_began = self._parts + 1, self.ecr_pacer.clock.monotonic()
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
        """Yield the journal that reports the deletes of the block; then write its results, also if the block raised.

        Yields None where nobody asks for a report. Raises RefusalError where an intent, or results, can't be written:
        then nothing more may be deleted.
        """
        report = self.current
        if report is None or spool is None:
            yield None
            return
        width = min(self.reporter.pool.size, int(self.ecr_pacer.in_flight))
        journal = Journal(report, spool, self.ecr_pacer, width, self.identity, self.state, self.known)
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

    def resume(self, ending: Ending) -> None:
        """Write the summary at the beginning of a call, if the last one found no image left and had no time for it.

        Raises OutOfTimeError. Does nothing where the report has to be read for it: then the images are listed first.
        """
        if not self.state.is_emptied or self.state.told is not None or self.state.incomplete:
            return
        pacer = self.reporter.pacer
        ends = pacer.ends
        if self.state.summary_attempts + 1 >= MOST_MUTE_ATTEMPTS:
            pacer.ends = min(ends, pacer.clock.monotonic() + _LATER_ATTEMPT_SECONDS)
        try:
            self._settle(ending)
        finally:
            pacer.ends = ends

    def settle(self, ending: Ending, found: int) -> bool:
        """Complete the report after a walk that left no image, and before the repository is deleted.

        ``found`` are the images that the walk had listed.

        True if the repository may be deleted; False if the images have to be listed once more before that. Raises
        OutOfTimeError where there is no time left; but not for ever.
        """
        self._walks += 1
        self._found = found
        self.state.note_emptied()
        return self._settle(ending)

    def _settle(self, ending: Ending) -> bool:
        state = self.state
        if state.place is None or self._has_given_up or not self._count_attempt() or self._check_summary():
            return True
        if state.incomplete and self._walks < ENOUGH_WALKS:
            self._has_given_up = self._is_too_slow()
            return self._has_given_up
        try:
            return self._write_summary(ending, gone_since=self.reporter.now(), with_earlier=True)
        except OutOfTimeError:
            if not self._is_last_of(MOST_ATTEMPTS_BEFORE):
                raise
        except ReportError:
            pass  # It is tried once more when the repository is gone; that answer tells the user.
        self._has_given_up = True
        return True

    def _is_too_slow(self) -> bool:
        """Whether no call has time for two walks. A call knows that if its first walk listed nothing."""
        lasted = self.ecr_pacer.clock.monotonic() - self._part_began
        return self._parts == 1 and self._found == 0 and lasted > self.ecr_pacer.seconds_left()

    def _is_last_of(self, most: int) -> bool:
        """Whether this attempt is the last one of so many."""
        attempts, is_mute = self.state.summary_attempts, self.reporter.pacer.is_mute()
        return attempts >= most or (attempts >= MOST_MUTE_ATTEMPTS and is_mute)

    def _count_attempt(self) -> bool:
        """Whether this call may try to write the summary before the repository is deleted. Counts the calls."""
        if not self._has_tried:
            if self.state.summary_attempts >= MOST_ATTEMPTS_BEFORE:
                return False
            self.state.try_summary()
            self._has_tried = True
        return True

    def _check_summary(self) -> bool:
        """Whether the summary that was written still counts the whole report. Raises OutOfTimeError.

        The context says that a call wrote it. Calls that were killed since may have reported more, so S3 is asked, once
        a call.
        """
        report = self._report()
        if self.state.told is None or report is None:
            return False
        if not self._is_checked:
            try:
                self._is_checked = report.written().objects == self.state.objects
            except ReportError:
                self._is_checked = True  # no further request could say more
        if not self._is_checked:
            self.state.forget_summary()
        return self._is_checked

    def close(self, ending: Ending) -> str:
        """Write the summary once the repository is gone, unless there is a summary that counts everything.

        Returns a sentence for the user. Raises OutOfTimeError where there is no time left; but not for ever, because
        only the summary is missing.
        """
        if self.state.place is None:
            return ""
        self._is_checked = False  # A second copy of the call may have reported more since it was counted.
        try:
            if self._check_summary():
                return self.state.told or ""
        except OutOfTimeError:
            self.state.try_summary()
            if not self._is_last_of(MOST_SUMMARY_ATTEMPTS):
                raise
            return self.state.told or ""
        try:
            self.state.try_summary()
            is_last = self._is_last_of(MOST_SUMMARY_ATTEMPTS)
            self._write_summary(ending, gone_since=self.reporter.now(), with_earlier=not is_last, is_gone=True)
            return self.state.told or ""
        except OutOfTimeError:
            if not self._is_last_of(MOST_SUMMARY_ATTEMPTS):
                raise
            reason = messages.S3_SILENT
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
        LOG.warning(messages.summary_not_written(self.reporter.origin.repository, reason))

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

    def _write_summary(
        self, ending: Ending, gone_since: float | None, *, with_earlier: bool, is_gone: bool = False
    ) -> bool:
        """Complete the report, and the reports of earlier deletes, as far as it is known what is gone.

        False if images may lack a result, and fewer than ENOUGH_WALKS found no image left; then nothing is written.
        """
        report, state = self._report(), self.state
        if report is None:
            return True
        written, earlier = report.written(), Earlier()
        if with_earlier:
            self._find_earlier(report, earlier)
        elif gone_since is not None:
            earlier.impossible[""] = messages.NO_TIME_LEFT
        if self._is_sure(written) and not earlier.is_incomplete:
            found, more = Reconciliation(Tally(state.confirmed, 0, state.bytes, state.archived)), 0
        elif gone_since is not None and not is_gone and self._walks < ENOUGH_WALKS:
            state.doubt()
            return False
        else:
            earlier.read_results()
            found, more = self._reconcile(report, written, gone_since, earlier.keys)
            if gone_since is not None:
                earlier.complete(self.identity, found.seen, gone_since, self._summary_of_another)
        about_earlier = messages.earlier_reports(earlier.completed, earlier.impossible)
        if written.intents or earlier.completed:
            lacking = messages.not_in_report(self._missing(ending, found))
            message = " ".join(each for each in (ending.message, lacking, about_earlier) if each)
            summary = self._summary(ending, message, found.tally, len(found.unresolved), written.objects + more)
            report.write_summary(summary | {"completed": earlier.completed})
            told = " ".join(each for each in (lacking, about_earlier) if each)
            about_earlier = messages.report_written(report.address, told)
        state.tell(shortened(about_earlier, _MOST_TOLD), written.objects + more)
        self._is_checked = True
        return True

    def _find_earlier(self, report: Report, earlier: Earlier) -> None:
        """Look for the reports of earlier deletes of the repository. Never a reason to fail."""
        try:
            earlier.find(report, self.identity)
        except ReportError as error:
            if self.state.intents:  # else perhaps nothing was deleted, and the bucket may not even exist
                earlier.impossible[""] = error.words

    def _reconcile(
        self, report: Report, written: Written, gone_since: float | None, elsewhere: Collection[int]
    ) -> tuple[Reconciliation, int]:
        """Count each image of the report once, by the objects in the bucket. Also returns how many objects were added.

        Images with a result neither here nor ``elsewhere`` get one: gone since ``gone_since``. If that is None, these
        images are only counted.
        """
        found, late = Reconciliation(), Part()
        for _, records in report.records(written.results):
            found.add_results(records)
        for _, records in report.records(written.intents):
            for record in found.add_intent(records, gone_since, elsewhere):
                late.add(line_of(record))
        if late.count:
            report.put_all([report.results(late)])
        return found, int(late.count > 0)

    def _missing(self, ending: Ending, found: Reconciliation) -> int:
        """Deleted images that this report lacks because PurgeReport changed during the purge."""
        if not self.state.place_changed:
            return 0
        return ending.deleted - found.tally.deleted - len(found.unresolved)

    def _summary(self, ending: Ending, message: str, tally: Tally, unresolved: int, objects: int) -> dict[str, Any]:
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
            "objects": objects,
            "bytes": tally.bytes,
            "failures": ending.failures,
            "replicatedTo": self.state.destinations,
            "archived": {"images": tally.archived, "note": messages.ARCHIVED_NOTE if tally.archived else None},
            "completed": [],
            "completedBy": None,
        }

    def _summary_of_another(
        self, began: str, tally: Tally, sample: Record, operation: str, objects: int
    ) -> dict[str, Any]:
        """The summary of an earlier delete that has written none, as its lines tell."""
        this = self.reporter.origin.operation
        ending = Ending("INTERRUPTED", "", None, 0, 0, {})
        summary = self._summary(ending, messages.completed_by(this), tally, 0, objects)
        asked = {key: sample[key] for key in ("stackId", "logicalId")}
        more: dict[str, Any] = {
            "passes": None,
            "replicatedTo": [],
            "operation": operation,
            "beganAt": began,
            "completedBy": this,
        }
        return summary | asked | more
