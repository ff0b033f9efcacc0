"""Delete: empty the repository, page by page and in the right order, however many images there are; then delete it.

One call works for at most 55 s and answers IN_PROGRESS if that isn't enough. A pass looks at the repository's rules
anew, walks over all its images, and deletes what it found. Any call may be repeated, killed, or run twice at once: the
repository itself is the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from . import answers, freeze, protection, report, reporting, settings
from .configuration import Configuration
from .errors import AWS_ERRORS, HandlerError, failure, handler_code, invalid_request, not_found, service_code
from .inventory import BATCH_SIZE, Listing, Pass, Slice, list_images, refuse_protected
from .models import ResourceHandlerRequest
from .pacing import LAST_START_SECONDS, Clock, OutOfTimeError, Pacer, Pool, side_by_side, until_answered
from .progress import Progress
from .records import Gone
from .repository import describe, owner, required_name, tags_of

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import BatchDeleteImageResponseTypeDef, RepositoryTypeDef
    from mypy_boto3_s3 import S3Client

MOST_IDLE_PASSES = 3
MOST_STALE_PASSES = 20


def delete(
    ecr: ECRClient,
    request: ResourceHandlerRequest,
    configuration: Configuration,
    context: Mapping[str, Any],
    clock: Clock,
    pool: Pool,
    make_s3: Callable[[], S3Client],
) -> ProgressEvent:
    """Purge and delete the repository, as far as one call gets.

    The clients must make each request once: repeating is done here, within the deadline. That of S3 is made only where
    a purge report is asked for.
    """
    name, progress = required_name(request.desiredResourceState), Progress.from_context(context)
    began = clock.monotonic()
    progress.began = progress.began or int(clock.time())
    pacer = Pacer(clock, ends=began + LAST_START_SECONDS - answers.TAG_SECONDS)
    reporter = reporting.reporter(make_s3, request, name, pool, Pacer(clock, ends=began + report.LAST_START_SECONDS))
    work = Slice(ecr, name, owner(request), configuration, pacer, pool, progress, reporter, began)
    try:
        event = _one_slice(work, request)
    except HandlerError as error:
        pacer.ends = began + LAST_START_SECONDS
        failed = freeze.leave(work, error)
        if failed is not None:
            reporting.close_failed(work, failed.message)
            answers.log_slice(work, OperationStatus.FAILED, failed.message)
            raise failed from error.__cause__
        event = freeze.to_be_continued(work, request)
    answers.log_slice(work, event.status, event.message)
    return event


def _one_slice(work: Slice, request: ResourceHandlerRequest) -> ProgressEvent:
    before, ending = work.progress.deleted, freeze.ending(work.progress)
    if ending:
        raise ending
    try:
        _until_gone(work)
        message = reporting.close(work)
    except OutOfTimeError:
        return answers.to_be_continued(work, request, work.progress.deleted - before)
    return ProgressEvent(status=OperationStatus.SUCCESS, message=message)


def _until_gone(work: Slice) -> None:
    """Return when the repository is gone, by our hand or another's. Raises HandlerError."""
    try:
        _make_passes(work)
    except AWS_ERRORS as error:
        if not _means_gone(work, error):
            raise answers.stopped(work.progress, failure(error)) from error
    work.arn = None


def _means_gone(work: Slice, error: Exception) -> bool:
    """Whether a call failed because the repository that this operation began with is no longer there.

    To a role that may only change repositories with our mark, a change of one that is gone is denied: it bears no mark.
    """
    if service_code(error) == "RepositoryNotFoundException":
        return True
    if handler_code(error) is not HandlerErrorCode.AccessDenied or work.progress.created is None:
        return False
    try:
        return not _is_still_there(work)
    except (OutOfTimeError, *AWS_ERRORS):  # a next slice would be denied at its end again, and so for ever
        return False


def _make_passes(work: Slice) -> None:
    """Return when the repository is gone."""
    while True:
        this = _begin_pass(work)
        if this is None:
            return
        rules = protection.fingerprint(this.stored, work.configuration)
        if rules != work.progress.rules or (work.progress.checked and not this.stored.settings.empty_on_delete):
            work.progress.check_again(rules)
        if freeze.is_late(work, this) and not _freeze(work, this):
            return
        listing = list_images(work, this, this.listing()) if work.progress.checked else _check(work, this)
        if listing is None:
            continue
        if not _is_still_there(work) or (listing and not _freeze(work, this)) or _empty(work, this, listing):
            return


def _begin_pass(work: Slice) -> Pass | None:
    """Look at the repository and its rules as they are now; None if it is gone.

    Raises HandlerError if it never was there, or if the rules forbid to touch it.
    """
    repository = until_answered(work.pacer, lambda: describe(work.ecr, work.name))
    if repository is None or not _is_the_same(work.progress, repository):
        if work.progress.created is None:
            raise not_found(work.name)
        return None
    arn = work.arn = repository["repositoryArn"]
    stored = settings.read(until_answered(work.pacer, lambda: tags_of(work.ecr, arn)))
    work.may_be_frozen = freeze.may_be_left(stored, work.requester)
    refusal = protection.standing_refusal(stored, arn, work.requester, work.configuration)
    if refusal:
        raise answers.stopped(work.progress, invalid_request(refusal))
    now = datetime.fromtimestamp(work.pacer.clock.time(), UTC)
    rules = protection.rules(stored, work.configuration, now)
    return Pass(arn, stored, rules, reporting.open_report(work, stored))


def _is_still_there(work: Slice) -> bool:
    """Whether the repository of which the rules were read and the images listed is still the one that began it all.

    It may have been deleted and made anew between the first look and the listing: then what is listed is not ours.
    """
    repository = until_answered(work.pacer, lambda: describe(work.ecr, work.name))
    return repository is not None and _is_the_same(work.progress, repository)


def _freeze(work: Slice, this: Pass) -> bool:
    """Refuse pushes before images go, if the repository wants that. Whether it is still the one that began it all."""
    if freeze.begin(work, this) and not _is_still_there(work):
        freeze.thaw(work)  # another repository, made in this very moment
        return False
    return True


def _is_the_same(progress: Progress, repository: RepositoryTypeDef) -> bool:
    """Whether it is the repository that this operation began with; one made at another time is another one."""
    created = int(repository["createdAt"].timestamp() * 1_000)
    if progress.created is None:
        progress.created = created
    return progress.created == created


def _check(work: Slice, this: Pass) -> Listing | None:
    """Look at the whole inventory, over as many slices as that takes, before the first image goes.

    None if the look began in an earlier slice: what is to be deleted must then be listed anew.
    """
    progress, listing = work.progress, this.listing()
    try:
        list_images(work, this, listing, to_the_end=True)
    except OutOfTimeError:
        listing.protected.all_known = False
        refuse_protected(work, this, listing)
        raise
    if progress.found and not this.stored.settings.empty_on_delete:
        refusal = protection.not_empty_refusal(this.stored, this.arn, progress.found)
        raise answers.stopped(progress, invalid_request(refusal))
    progress.checked = True
    progress.restart_pass()
    return listing if listing.whole else None


def _empty(work: Slice, this: Pass, listing: Listing) -> bool:
    """Delete what was listed, and the repository if that was all. Whether the repository is gone."""
    progress = work.progress
    if _delete_images(work, this, listing) and _delete_repository(work):
        return True
    progress.found += len(listing)
    progress.token = listing.next_token
    if progress.token is None:
        _end_pass(work)
    return False


def _delete_images(work: Slice, this: Pass, listing: Listing) -> bool:
    """Delete what was listed: indexes first, as ECR refuses an image that an index still references.

    Whether the repository must be empty now, as all of its images were listed, and all that were listed were deleted.
    """
    before = work.progress.deleted
    with reporting.reported(work, this, listing) as gone:
        for digests in (listing.indexes, listing.others):
            batches = [digests[start : start + BATCH_SIZE] for start in range(0, len(digests), BATCH_SIZE)]
            side_by_side(
                work.pacer, work.pool, partial(_delete_batch, work), batches, partial(_count, work, listing, gone)
            )
    return listing.whole and work.progress.deleted - before == len(listing)


def _delete_batch(work: Slice, digests: list[str]) -> tuple[list[str], BatchDeleteImageResponseTypeDef]:
    image_ids = [{"imageDigest": digest} for digest in digests]
    return digests, work.ecr.batch_delete_image(repositoryName=work.name, imageIds=image_ids)  # type: ignore[arg-type]


def _count(
    work: Slice, listing: Listing, gone: Gone | None, answered: tuple[list[str], BatchDeleteImageResponseTypeDef]
) -> None:
    """Count what an answer says; ECR names a deleted image once for each of its tags."""
    progress, figures, now = work.progress, work.figures, work.pacer.clock.time()
    digests, answer = answered
    named = {each["imageDigest"] for each in answer.get("imageIds", ())}
    deleted = [digest for digest in digests if digest in named]  # the strings of the listing, which are there anyway
    if gone is not None:
        gone.confirmed.update(dict.fromkeys(deleted, now))
    progress.deleted += len(deleted)
    progress.moved += len(deleted)
    figures.images_deleted += len(deleted)
    figures.bytes_deleted += sum(listing.sizes.get(digest, 0) for digest in deleted)
    for each in answer.get("failures", ()):
        code, digest = each.get("failureCode", "unknown"), each.get("imageId", {}).get("imageDigest", "")
        if code == "ImageNotFound":
            progress.moved += 1
            if gone is not None:
                gone.unconfirmed[digest] = now
        else:
            figures.images_failed += 1
            progress.count_failure(code, digest)


def _delete_repository(work: Slice) -> bool:
    """Delete the empty repository, and wait until it is gone. False if it isn't empty after all. Never by force."""
    try:
        until_answered(work.pacer, lambda: work.ecr.delete_repository(repositoryName=work.name))
    except ClientError as error:
        if service_code(error) == "RepositoryNotEmptyException":
            return False
        raise
    while True:
        left = until_answered(work.pacer, lambda: describe(work.ecr, work.name))
        if left is None or not _is_the_same(work.progress, left):
            return True
        work.pacer.pause(1)


def _end_pass(work: Slice) -> None:
    """Judge a pass that did not end with the repository gone. Raises HandlerError when another makes no sense."""
    progress = work.progress
    progress.idle = 0 if progress.moved else progress.idle + 1
    progress.compare(int(work.pacer.clock.time()))
    if progress.idle >= MOST_IDLE_PASSES:
        raise answers.stopped(progress, HandlerError(HandlerErrorCode.NotStabilized, answers.stuck(work)))
    if progress.stale >= MOST_STALE_PASSES:
        since = datetime.fromtimestamp(progress.stale_since or 0, UTC)
        reason = protection.filling_up(work.name, progress.stale, since, frozen=progress.frozen)
        raise answers.stopped(progress, HandlerError(HandlerErrorCode.NotStabilized, reason))
    work.pacer.pause(progress.idle)
    progress.begin_pass()
