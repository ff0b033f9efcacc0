"""Delete: empty the repository, page by page and in the right order, however many images it has; then delete it.

An *operation* is one delete, from CloudFormation's request to its end. A *call* of the handler (the tests name it a
slice) works for at most 55 s. A call that needs more time answers IN_PROGRESS, and CloudFormation calls again with the
callback context. It stops calling after the schema's timeoutInMinutes for a delete: the stack fails, the push block
stays in the policy, and the next delete continues the purge. A *pass* is one walk over all images, over as many calls
as it takes. A pass has *parts*: each part lists images, looks at the repository and its rules, and deletes the images.
Any call may be repeated, killed, or run twice at once: what counts is in the repository, and a callback context that
is lost costs only a new check.

To *freeze* is to add the *push block* to the repository policy: a statement that refuses pushes. To *lift* is to
remove the push block. An operation that fails lifts first. If a later call may be able to lift, the operation answers
IN_PROGRESS, and up to MOST_LIFT_ATTEMPTS further calls only try to lift. If the push block cannot be removed, the
operation fails with its reason, and with the command that removes the push block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from cloudformation_cli_python_lib import ProgressEvent

from ..errors import AWS_ERRORS, HandlerError, failure
from ..models import ResourceHandlerRequest
from ..pacing import Clock, OutOfTimeError, Pool
from ..rules.account import AccountRules
from .call import Call
from .freeze import Freezing
from .inventory import Listing
from .look import Sight, says_not_found
from .verdict import Verdict

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

__all__ = ["delete"]


class Fate(Enum):
    """What became of the repository that the operation began with."""

    GONE = auto()
    STILL_THERE = auto()  # the next part begins


def delete(
    ecr: ECRClient,
    request: ResourceHandlerRequest,
    account: AccountRules,
    context: Mapping[str, Any],
    clock: Clock,
    pool: Pool,
    make_s3: Callable[[], S3Client],
    make_client: Callable[[str], Any],
) -> ProgressEvent:
    """Purge and delete the repository, as far as one call gets. Raises HandlerError if it fails.

    The clients must make each request once: repeating is done here, within the deadline. The client of S3 is made only
    if a purge report is asked for, and clients of lambda, ecs and inspector2 (``make_client``) only if use is to be
    checked. What happens to a repository is in ``_one_part``, from top to bottom.
    """
    call = Call.begin(ecr, request, account, context, clock, pool, make_s3, make_client)
    try:
        event = _one_call(call)
    except HandlerError as error:
        event = call.fail(error)  # IN_PROGRESS if another call has to lift; otherwise raises the failure.
    call.log(event.status, event.message)
    return event


def _one_call(call: Call) -> ProgressEvent:
    if call.state.failure:  # An earlier call failed, and could not remove the push block.
        raise call.state.failure.error
    try:
        call.resume_report()
        _until_gone(call)
        return call.done()  # SUCCESS, once the report is complete.
    except OutOfTimeError:
        return call.to_be_continued()  # IN_PROGRESS; raises if ten minutes bring neither progress nor throttling.


def _until_gone(call: Call) -> None:
    """Return when the repository is gone. Raises HandlerError, and OutOfTimeError if another call has to continue."""
    while True:
        try:
            fate = _one_part(call)
        except AWS_ERRORS as error:
            fate = _after(call, error)
        if fate is Fate.GONE:
            break
    if call.look.is_replaced and call.state.freeze.unconfirmed:
        call.freeze.lift_from_replacement()  # The push block may have been written to the one that has the name now.


def _after(call: Call, error: Exception) -> Fate:
    """What became of the repository, after a request to ECR failed.

    Raises HandlerError if the delete cannot continue, or if ECR's answers about the repository contradict each other.
    """
    if call.look.after(error) is not Sight.SAME:
        return Fate.GONE
    if not says_not_found(error):
        raise failure(error) from error
    call.purge.restart_pass_after_old_answer()  # The answer that it is not found was old.
    return Fate.STILL_THERE


def _one_part(call: Call) -> Fate:
    """The rows of the README's "What happens on delete", from top to bottom, for as many images as time allows."""
    call.freeze.wait_until_it_holds()  # Before the look, so that it sees rules that are set meanwhile.
    repository = call.look.at_repository()  # Raises NotFound if it was not there when the operation began.
    if repository is None:  # It is gone: deleted by an earlier call, or by somebody else, or replaced by another one.
        return Fate.GONE
    call.freeze.confirm()  # If the push block was written, it was written to this repository.

    verdict = call.verdict(repository)
    call.stop_if_refused(verdict)  # It is not ours, or it is locked. This counts for an empty repository, too.

    call.report.open(repository, deleted=call.state.counts.deleted)
    call.state.follow(verdict.fingerprint, may_purge=verdict.may_purge)  # If the rules are new, check everything again.

    if not call.state.is_purging:
        listing = _check_everything(call, verdict)  # Fails if a single image has to be kept.
        if not listing.is_complete:
            return Fate.STILL_THERE  # Pages that an earlier call checked, or records, are missing: list again.
    else:
        if call.freeze.is_pending(repository) and call.apply_freeze(verdict) is Freezing.JUST_APPLIED:
            return _check_again_after_freeze(call)  # The call that finished the check had no time left to freeze.
        call.ask_about_use(verdict)  # Only if the check had no time for it, or if the answer is ten minutes old.
        listing = call.inventory.next_part(verdict, call.report.spool())  # Folds each image into the verdict.
        call.stop_if_refused(verdict)  # An image arrived, or got a tag, and is protected; or one is in use.

    if listing:
        call.start_replica_check(verdict)  # At the same time as the next look.
    if call.look.at_repository() != repository:  # It was deleted, replaced or changed meanwhile, or one look was old.
        return Fate.STILL_THERE if call.look.seen else Fate.GONE  # Nothing is seen: it is gone. Else: a new part.
    if listing:
        call.finish_replica_check(verdict)
        call.stop_if_refused(verdict)  # ECR would delete the images elsewhere, too.
        if call.apply_freeze(verdict) is Freezing.JUST_APPLIED:
            return _check_again_after_freeze(call)

    # An empty repository comes here with an empty listing: nothing is frozen, and no image is deleted.
    with call.report.of_deletes(verdict, listing.spool) as journal:  # Writes each intent first, then results.
        is_empty = call.purge.delete_images(listing, journal)  # Indexes first: ECR refuses what they reference.

    return _delete_repository(call, listing) if is_empty else _begin_next_part(call, listing, more_than_listed=False)


def _delete_repository(call: Call, listing: Listing) -> Fate:
    """Delete the repository once the report is complete. The images in ``listing`` have been deleted before."""
    if not call.complete_report(images_listed=len(listing)):  # It needs a second listing, or took long: look again.
        call.purge.restart_pass_for_report()
        return Fate.STILL_THERE
    if call.purge.delete_repository():  # Never by force: False if ECR says that an image is left.
        call.look.wait_until_gone()
        return Fate.GONE
    return _begin_next_part(call, listing, more_than_listed=True)


def _check_everything(call: Call, verdict: Verdict) -> Listing:
    """Check all images, over as many calls as that takes, before the first one is deleted."""
    listing = call.inventory.everything(verdict, call.report.spool())
    # If there are images: EmptyOnDelete is false, a rule protects one of them, or the report's bucket is not allowed.
    call.stop_if_refused(verdict)
    call.state.everything_is_checked()
    if verdict.images_found:
        call.ask_about_use(verdict)
        call.stop_if_refused(verdict)  # A function, a task or a service uses an image, or nobody can tell.
    return listing


def _check_again_after_freeze(call: Call) -> Fate:
    """Go on with a new check now that pushes are refused: an image may have arrived since the last one."""
    call.state.check_everything_and_use_again()
    return Fate.STILL_THERE


def _begin_next_part(call: Call, listing: Listing, *, more_than_listed: bool) -> Fate:
    """Begin the next part, or pass. ``more_than_listed``: ECR says that it has an image that it did not list."""
    call.purge.end_part(listing, frozen=call.state.freeze.applied)  # Fails if no pass gets further.
    if more_than_listed:  # An image arrived, or the listing was old: then not every image was checked.
        call.state.check_everything_again()
    return Fate.STILL_THERE
