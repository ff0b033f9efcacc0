"""The freeze: while a purge runs, a statement in the repository policy refuses pushes.

It is put there before the first image goes, looked after in each pass, and taken out before a delete ends in a failure.
What a delete that was killed has left behind is taken out by the next one, or by the next update (see update.py).
"""

from __future__ import annotations

import textwrap

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from . import answers, policy, protection, settings
from .errors import AWS_ERRORS, HandlerError, handler_code, invalid_request, service_code
from .inventory import Pass, Slice
from .models import ResourceHandlerRequest
from .pacing import OutOfTimeError, until_answered
from .progress import Progress
from .repository import policy_of, put_policy

MOST_THAWS = 5  # slices in which it is tried to take the statement out
_SLOW_SECONDS = 4  # for an answer
_SHORTEST_SENTENCE = 150  # characters that are left of a failure's own words, if need be


def may_be_left(stored: settings.Stored, requester: settings.Owner) -> bool:
    """Whether an earlier delete may have left the statement in the policy, and this request may take it out."""
    may_touch = stored.marked and (requester.stack_id is None or stored.owner == requester)
    return stored.knows_freeze and may_touch


def is_late(work: Slice, this: Pass) -> bool:
    """Whether images may go, and pushes are not refused yet: an earlier slice had no time for that after its look."""
    return work.progress.checked and this.stored.settings.freeze and not work.progress.freeze_seen


def begin(work: Slice, this: Pass) -> bool:
    """Refuse pushes from now on, if the repository wants that; allow them again if it no longer does.

    Whether the statement was put into the policy just now. Raises HandlerError if it cannot be added to the policy.
    """
    progress = work.progress
    if not this.stored.settings.freeze:
        if progress.frozen or work.may_be_frozen:
            thaw(work)
        return False
    if progress.freeze_seen and _is_slow(work):
        return False
    live = until_answered(work.pacer, lambda: policy_of(work.ecr, work.name))
    if policy.is_frozen(live):
        progress.freeze_seen = progress.frozen = True
        progress.frozen_alone = policy.thawed(live) is None
        return False
    try:
        wanted = policy.frozen(live)
    except ValueError as error:
        refusal = protection.freeze_refusal(this.stored, this.arn, str(error))
        raise answers.stopped(progress, invalid_request(refusal)) from error
    until_answered(work.pacer, lambda: _put_frozen(work, wanted))
    progress.freeze_seen = True
    return True


def _put_frozen(work: Slice, wanted: str) -> None:
    # Before the request, as its answer may be lost.
    work.progress.frozen, work.progress.frozen_alone = True, policy.thawed(wanted) is None
    put_policy(work.ecr, work.name, wanted)


def _is_slow(work: Slice) -> bool:
    """Whether answers take so long that one more look would leave no time for deletes, in this slice and in others."""
    return work.pacer.clock.monotonic() - work.began > work.pacer.answered * _SLOW_SECONDS


def thaw(work: Slice) -> None:
    """Take the statement out of the policy, if it is there. Raises what ECR raises, and OutOfTimeError."""
    work.progress.freeze_seen = False
    live = until_answered(work.pacer, lambda: policy_of(work.ecr, work.name))
    left = policy.thawed(live)
    if left != live:
        work.progress.frozen, work.progress.frozen_alone = True, left is None
        until_answered(work.pacer, lambda: put_policy(work.ecr, work.name, left))
    work.progress.frozen = False


def ending(progress: Progress) -> HandlerError | None:
    """The failure with which the delete ends, once pushes are allowed again; None if it goes on."""
    return HandlerError(HandlerErrorCode[progress.ending], progress.reason) if progress.ending else None


def leave(work: Slice, failed: HandlerError) -> HandlerError | None:
    """Allow pushes again, as the delete fails. The failure to end with; None if another slice is needed for that.

    A slice that fails at its end has no time left, and credentials may have expired: the failure is kept for the next
    one, in which nothing but this is done.
    """
    progress = work.progress
    if not (progress.frozen or work.may_be_frozen):
        return failed
    try:
        thaw(work)
    except OutOfTimeError:
        last = work.pacer.last_error
        why, may_work_later = _words(last) if last else "there was no time left", True
    except AWS_ERRORS as error:
        if service_code(error) == "RepositoryNotFoundException":
            return failed
        why, may_work_later = _words(error), handler_code(error) is HandlerErrorCode.InvalidCredentials
    else:
        return failed
    if not progress.frozen:
        return failed
    if may_work_later and progress.thaws < MOST_THAWS:
        progress.end(failed.code, protection.shortened(failed.message))
        return None
    return HandlerError(failed.code, left_frozen(failed.message, work, why))


def _words(error: Exception) -> str:
    """An error in few words."""
    if isinstance(error, ClientError):
        return f"ecr:{error.operation_name} failed with {service_code(error)}"
    return f"ECR could not be called ({handler_code(error).name})"


def to_be_continued(work: Slice, request: ResourceHandlerRequest) -> ProgressEvent:
    """The answer of a slice that could not allow pushes again, and leaves that to the next."""
    return ProgressEvent(
        status=OperationStatus.IN_PROGRESS,
        message=protection.shortened(f"Allows pushes to {work.name} again before it ends: {work.progress.reason}"),
        callbackContext=work.progress.to_context(),
        callbackDelaySeconds=answers.CALLBACK_DELAY_SECONDS,
        resourceModel=request.desiredResourceState,
    )


def left_frozen(message: str, work: Slice, why: str) -> str:
    """The message of a failure after which pushes are still refused, with the command that allows them.

    It fits. The command by which the message itself ends stays whole; if both have no room, it is the one that counts.
    """
    sentence, separator, rest = message.partition(settings.TAG_COMMAND)
    own = separator + rest
    whole = (
        f"Pushes to it are still refused, as the statement {policy.SID} could not be taken out of its repository "
        f"policy: {why}. The next update or delete tries again. By hand: `{command(work)}`"
    )
    short = f"Pushes to it are still refused: take the statement {policy.SID} out of its repository policy."
    room = protection.LONGEST_MESSAGE - len(own) - 2
    notice = whole if room - len(whole) >= min(_SHORTEST_SENTENCE, len(sentence)) else short
    sentence = textwrap.shorten(sentence, room - len(notice), placeholder=" ...")
    return f"{notice} {sentence} {own}" if own else f"{sentence} {notice}"


def command(work: Slice) -> str:
    """The command that takes the statement out of the policy, as it can be typed in a shell with jq."""
    place = f"--region {work.ecr.meta.region_name} --repository-name {work.name}"
    if work.progress.frozen_alone:
        return f"aws ecr delete-repository-policy {place}"
    return (
        f'aws ecr set-repository-policy {place} --policy-text "$(aws ecr get-repository-policy {place} '
        f"""--query policyText --output text | jq -c '.Statement|=map(select(.Sid!="{policy.SID}"))')\""""
    )
