"""What a call of the delete handler answers: how far it is, why it stopped; and its line in the log."""

from __future__ import annotations

import contextlib
import logging
from datetime import UTC, datetime

from cloudformation_cli_python_lib import OperationStatus, ProgressEvent

from . import protection, settings, telemetry
from .errors import AWS_ERRORS, HandlerError, failure
from .inventory import Slice
from .models import ResourceHandlerRequest
from .progress import Progress

MOST_SILENT_SLICES = 5
CALLBACK_DELAY_SECONDS = 1
TAG_SECONDS = 1.5  # of the time for starting requests, kept for the tag that shows the progress

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.INFO)


_ADVICE = {
    "KmsError": "KmsError: the KMS key is disabled, about to be deleted, or denies ECR; enable it, or mend its policy.",
    "ImageInaccessible": "ImageInaccessible: ECR cannot reach the image at present, as when it is being archived or "
    "restored; wait until that is done.",
    "Upstream": "The Upstream codes: the registry behind a pull-through cache refuses, throttles or does not answer; "
    "mend its credentials, or remove the pull-through cache rule.",
}


def stuck(work: Slice) -> str:
    """Why images are left after passes in which nothing could be deleted."""
    progress = work.progress
    if not progress.failures:
        return f"ECR lists no image in the repository {work.name}, and yet says that it is not empty. Delete it again."
    counts = ", ".join(f"{code} ({count:,})" for code, count in sorted(progress.failures.items()))
    advice = [text for code, text in _ADVICE.items() if any(each.startswith(code) for each in progress.failures)]
    sentence = (
        f"ECR refuses to delete {protection.image_count(progress.found)} of the repository {work.name}: {counts}; "
        f"among them {', '.join(progress.samples)}. Remove the cause, and delete again."
    )
    return " ".join([sentence, *advice])


def stopped(progress: Progress, reason: HandlerError) -> HandlerError:
    """The same failure, with what was deleted before it."""
    if not progress.deleted:
        return reason
    counts = f"{progress.deleted:,} of about {progress.known:,} images were deleted before this. "
    return HandlerError(reason.code, counts + reason.message)


def to_be_continued(work: Slice, request: ResourceHandlerRequest, deleted: int) -> ProgressEvent:
    """``deleted`` is how many images this slice has deleted."""
    progress, pacer = work.progress, work.pacer
    show_progress(work)
    mute = next((each for each in (pacer, work.reporter.pacer) if each.is_mute()), None)
    progress.silent = progress.silent + 1 if mute else 0
    if progress.silent >= MOST_SILENT_SLICES and mute and mute.last_error:
        raise stopped(progress, failure(mute.last_error, "ECR" if mute is pacer else "S3"))
    if progress.deleted or progress.checked:
        message = (
            f"Purged {progress.deleted:,} of about {progress.known:,} images from {work.name}, pass {progress.passes}, "
            f"{deleted / max(1.0, pacer.clock.monotonic() - work.began):,.0f} a second."
        )
    else:
        message = f"Looked at {progress.found:,} images of {work.name}; none is deleted before all were looked at."
    return ProgressEvent(
        status=OperationStatus.IN_PROGRESS,
        message=message,
        callbackContext=progress.to_context(),
        callbackDelaySeconds=CALLBACK_DELAY_SECONDS,
        resourceModel=request.desiredResourceState,
    )


def show_progress(work: Slice) -> None:
    """Write how far the purge is to a tag of the repository, where its owner can see it. Never a reason to fail."""
    if work.arn is None or work.pacer.seconds_left() < -TAG_SECONDS:
        return
    now = datetime.fromtimestamp(work.pacer.clock.time(), UTC)
    progress = work.progress
    value = f"{progress.deleted}/{progress.known} pass {progress.passes} at {now:%Y-%m-%dT%H:%M:%SZ}"
    with contextlib.suppress(*AWS_ERRORS):
        work.ecr.tag_resource(resourceArn=work.arn, tags=[{"Key": settings.PROGRESS, "Value": value}])


def log_slice(work: Slice, status: OperationStatus, message: str) -> None:
    work.figures.throttled_calls = work.pacer.throttled
    work.figures.seconds = work.pacer.clock.monotonic() - work.began
    more = {"Deleted": work.progress.deleted, "Known": work.progress.known, "Pass": work.progress.passes}
    LOG.info(telemetry.line(work.name, work.figures, status.name, message, work.pacer.clock.time(), **more))
