"""Delete: empty the repository, page by page and in the right order, however many images it has; then delete it.

One call of the handler works for at most 55 s and answers IN_PROGRESS if that isn't enough. Each pass looks at the
repository and its rules again, walks over all images, and deletes them. Any call may be repeated, killed, or run twice
at once: the repository itself is the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from cloudformation_cli_python_lib import ProgressEvent

from ..errors import AWS_ERRORS, HandlerError, RefusalError, failure
from ..models import ResourceHandlerRequest
from ..pacing import Clock, OutOfTimeError, Pool
from ..rules.account import AccountRules
from .call import Call
from .freeze import Freezing
from .inventory import Listing
from .look import Repository
from .verdict import Verdict

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

__all__ = ["delete"]


class Outcome(Enum):
    """What became of the repository that the operation began with."""

    GONE = auto()
    STILL_THERE = auto()


def delete(
    ecr: ECRClient,
    request: ResourceHandlerRequest,
    account: AccountRules,
    context: Mapping[str, Any],
    clock: Clock,
    pool: Pool,
    make_s3: Callable[[], S3Client],
) -> ProgressEvent:
    """Purge and delete the repository, as far as one call gets. Raises HandlerError.

    The clients must make each request once: repeating is done here, within the deadline. The client of S3 is made only
    if a purge report is asked for. What happens to a repository is in ``_until_gone``, from top to bottom.
    """
    call = Call.begin(ecr, request, account, context, clock, pool, make_s3)
    try:
        event = _one_call(call)
    except HandlerError as error:  # it fails, but not before pushes are allowed again
        event = call.fail(error)
    call.log(event.status, event.message)
    return event


def _one_call(call: Call) -> ProgressEvent:
    if call.state.failure:  # an earlier call failed, and could not allow pushes again
        raise call.state.failure.error
    try:
        _until_gone(call)
        return call.done()
    except OutOfTimeError:
        return call.to_be_continued()


def _until_gone(call: Call) -> None:
    """Return when the repository is gone. Raises HandlerError, and OutOfTimeError if another call has to go on."""
    try:
        while _one_pass(call) is not Outcome.GONE:
            continue
    except AWS_ERRORS as error:
        if not call.look.means_gone(error):
            raise failure(error) from error


def _one_pass(call: Call) -> Outcome:
    """One pass over the images, or a part of one: the rows of the README's table, from top to bottom."""
    repository = call.look.at_repository()
    if repository is None:  # The repository is gone: somebody else deleted it.
        return Outcome.GONE

    verdict = call.verdict(repository)
    _refuse(verdict.against_any_touch())  # It is not ours, or it is locked.

    call.report.open(repository, deleted=call.state.counts.deleted)
    call.state.follow(verdict.fingerprint, may_purge=verdict.may_purge)  # New rules: check everything again.

    if not call.state.is_purging:
        listing = _check_everything(call, verdict)  # It may not be emptied, or an image is protected.
        if not listing.is_everything:
            return Outcome.STILL_THERE  # The check began in an earlier call: list again what to delete.
    else:
        if call.freeze.is_missing(repository) and _refuse_pushes(call, repository) is Outcome.GONE:
            return Outcome.GONE
        listing = call.inventory.next_part(verdict, call.report.spool())
        _refuse(verdict.against_images())  # An image is protected that arrived during the purge.

    if call.look.is_gone():  # It was deleted, or recreated, while its images were listed.
        return Outcome.GONE
    if listing and _refuse_pushes(call, repository) is Outcome.GONE:  # Freeze.
        return Outcome.GONE

    with call.report.of_deletes(repository, listing.spool) as outcomes:  # Write the intent; then the results.
        is_empty = call.purge.delete_images(listing, outcomes)

    if is_empty and call.purge.delete_repository():
        call.look.wait_until_gone()
        return Outcome.GONE

    call.purge.end_part(listing, frozen=call.state.freeze.applied)  # Give up, or go on with the next pass.
    return Outcome.STILL_THERE


def _check_everything(call: Call, verdict: Verdict) -> Listing:
    """Check all images, over as many calls as that takes, before the first one is deleted."""
    try:
        listing = call.inventory.everything(verdict, call.report.spool())
    except OutOfTimeError:
        _refuse(verdict.against_images(all_known=False))
        raise
    _refuse(verdict.against_images())
    _refuse(verdict.against_purge())
    call.state.everything_is_checked()
    return listing


def _refuse_pushes(call: Call, repository: Repository) -> Outcome:
    """Refuse pushes, if the repository wants that; allow them again if another repository has taken its name."""
    if call.freeze.apply(repository) is Freezing.JUST_APPLIED and call.look.is_gone():
        call.freeze.lift()
        return Outcome.GONE
    return Outcome.STILL_THERE


def _refuse(reason: str | None) -> None:
    if reason:
        raise RefusalError(reason)
