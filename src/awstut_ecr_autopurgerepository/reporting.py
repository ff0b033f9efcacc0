"""When a purge reports: before it deletes, when it has deleted, and at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import answers, protection, settings
from .errors import AWS_ERRORS, HandlerError
from .inventory import Listing, Pass, Slice
from .models import ResourceHandlerRequest
from .pacing import OutOfTimeError, Pacer, Pool
from .progress import Progress
from .records import Gone, Recount, timestamp
from .report import ARCHIVED_NOTE, Origin, Report, Reporter, ReportError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_CLOSING_SLICES = 3

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.INFO)


def reporter(
    make_s3: Callable[[], S3Client], request: ResourceHandlerRequest, name: str, pool: Pool, pacer: Pacer
) -> Reporter:
    """What opens the report of the operation that a request belongs to."""
    origin = Origin(
        repository=name,
        operation=settings.request_hash(request.clientRequestToken or ""),
        account=str(request.awsAccountId),
        stack_id=request.stackId,
        logical_id=request.logicalResourceIdentifier if request.stackId else None,
    )
    return Reporter(make_s3, origin, pool, pacer)


def open_report(work: Slice, stored: settings.Stored) -> Report | None:
    """The report that the repository asks for, or else its account."""
    place, progress = stored.settings.report or work.configuration.report, work.progress
    wanted = str(place) if place else None
    if wanted != progress.report and (progress.report or progress.deleted):
        progress.scattered = True
    if place is None:
        return None
    progress.report = wanted
    return work.reporter.at(place)


@contextmanager
def reported(work: Slice, this: Pass, listing: Listing) -> Iterator[Gone | None]:
    """Write what is to be deleted; delete it in the block; then write what is gone, whatever happened.

    Gives the block what is to be filled with images that are gone; None where nobody asks for a report. Raises
    HandlerError before the block where the intent can't be written: then nothing may be deleted.
    """
    report, parts = this.report, listing.spool.parts if listing.spool else []
    if report is None or not parts:
        yield None
        return
    gone = Gone()
    try:
        names = report.write_intent(parts)
    except ReportError as error:
        raise _refusal(work, this, report, error) from error
    raised: Exception | None = None
    try:
        yield gone
    except (OutOfTimeError, *AWS_ERRORS) as error:
        raised = error
    try:
        work.progress.count_results(len(parts), report.write_results(names, parts, gone))
    except (OutOfTimeError, ReportError) as error:
        work.progress.unsure = True
        refusal = _refusal(work, this, report, error) if isinstance(error, ReportError) else error
        raised = refusal if raised is None or isinstance(raised, OutOfTimeError) else raised
    if raised:
        work.progress.unsure |= work.pacer.unanswered > 0
        raise raised


def _refusal(work: Slice, this: Pass, report: Report, error: ReportError) -> HandlerError:
    sentence = protection.report_refusal(this.stored, this.arn, str(report.place), error.words)
    return answers.stopped(work.progress, HandlerError(error.code, sentence))


def close(work: Slice) -> str:
    """Write the summary of a purge after which the repository is gone. Returns a sentence for the user.

    Raises OutOfTimeError where there is no time left; but not for ever, as nothing but the summary is missing.
    """
    progress = work.progress
    if progress.report is None:
        return ""
    progress.closing += 1
    try:
        return _write_summary(work, "SUCCESS", "", gone_since=work.pacer.clock.time())
    except OutOfTimeError:
        if progress.closing < MOST_CLOSING_SLICES:
            raise
        words = "S3 did not answer"
    except ReportError as error:
        words = error.words
    LOG.warning("The summary of the purge report of %s could not be written: %s.", work.name, words)
    return f"The repository is gone. The summary of the purge report could not be written: {words}."


def close_failed(work: Slice, message: str) -> None:
    """Write the summary of a purge that failed, if it has reported anything and there is time."""
    progress = work.progress
    if progress.report is None or not (progress.parts or progress.unsure):
        return
    try:
        _write_summary(work, "FAILED", message, gone_since=None)
    except (OutOfTimeError, ReportError) as error:
        LOG.warning("The summary of the purge report of %s could not be written: %s.", work.name, error)


def _write_summary(work: Slice, status: str, message: str, gone_since: float | None) -> str:
    progress = work.progress
    place = settings.ReportPlace.parse(progress.report or "")
    if place is None:
        return ""
    report = work.reporter.at(place)
    recount = report.recount(progress.parts, progress.tally(), gone_since, sure=not progress.unsure)
    if recount is None:
        return ""
    lacking = _lacking(progress, recount)
    report.write_summary(_summary(work, status, f"{message} {lacking}".strip(), recount))
    return f"The purge report is s3://{place.bucket}/{report.folder}summary.json. {lacking}".strip()


def _lacking(progress: Progress, recount: Recount) -> str:
    """What the report does not tell, as it was to be written elsewhere, or not at all, for a part of the purge."""
    tally = recount.tally
    images = progress.deleted - tally.confirmed - tally.unconfirmed - len(recount.unresolved)
    if not progress.scattered or images <= 0:
        return ""
    return (
        f"{protection.image_count(images)} that this delete removed are not in this report: PurgeReport named another "
        "place, or none, when they went."
    )


def _summary(work: Slice, status: str, message: str, recount: Recount) -> dict[str, Any]:
    progress, origin, tally = work.progress, work.reporter.origin, recount.tally
    return {
        "version": 1,
        **origin.fields(),
        "logicalId": origin.logical_id,
        "account": origin.account,
        "status": status,
        "message": message,
        "beganAt": timestamp(progress.began or 0),
        "endedAt": timestamp(work.pacer.clock.time()),
        "passes": progress.passes,
        "images": {
            "deleted": tally.confirmed + tally.unconfirmed,
            "confirmed": tally.confirmed,
            "goneUnconfirmed": tally.unconfirmed,
            "unresolved": len(recount.unresolved),
        },
        "bytes": tally.bytes,
        "failures": progress.failures,
        "archived": {"images": tally.archived, "note": ARCHIVED_NOTE if tally.archived else None},
    }
