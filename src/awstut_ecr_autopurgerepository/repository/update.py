"""Update of a repository."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from .. import ecr as calls
from ..errors import HandlerError, handler_code, invalid_request
from ..models import ResourceHandlerRequest, ResourceModel
from ..pacing import Clock, OutOfTimeError, Pool
from ..request_fields import owner_of, required_name
from ..rules import existing, push_block, reserved_tags
from ..rules.merge import settings_after_update, without_new_patterns
from ..rules.policy_meaning import same_access_policy, same_lifecycle_policy
from ..rules.settings import Settings, Stored
from . import encryption, translate
from .encryption import Kms
from .read import fetch
from .requests import Requests
from .translate import Repository
from .update_state import UpdateState
from .validate import check_model, check_report, check_room_for_tags
from .visibility import wait_until_shown

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


ON_MARKED_ONLY = (
    "DeletionProtection",
    "PurgeProtection",
    "PurgeReport",
    "FreezeOnDelete",
    "AllowReplicatedDeletes",
)

CALLBACK_DELAY_SECONDS = 1

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.INFO)


@dataclass(frozen=True)
class Change:
    """What an update changes: from a previous state to the wanted one.

    An update that takes the repository over knows no previous state but the name, whatever CloudFormation sends:
    so it removes nothing and resets nothing. ``previous_tags`` are the previous tags of the stack.
    """

    wanted: ResourceModel
    previous: ResourceModel
    previous_tags: Mapping[str, Any] | None
    takes_over: bool


def update(
    ecr: ECRClient,
    request: ResourceHandlerRequest,
    context: Mapping[str, Any],
    make_kms: Callable[[], Kms],
    clock: Clock,
    pool: Pool,
) -> ProgressEvent:
    """Bring the repository to the desired state: only what differs is changed, and puts come before removals.

    Exception: old tags are removed first if ECR has no room for both old and new ones.

    A policy or a tag is removed only where the previous state had it: what somebody else put there stays. A push block
    that an earlier delete left in the policy is removed. Ends when reads show what was changed, or after 20 s.

    The clients must make each request once: repeating is done here, so that every call ends within 55 s. A call that
    has no time left answers IN_PROGRESS, and the next one begins again with a look at the repository, like the call
    after one that was killed. An update that is repeated from its beginning, with the same token, has the same result.
    That holds because the settings after an update are the same when it has happened already, and because a take-over
    is known by its token. ``make_kms`` makes a client of KMS, where one is needed. Raises HandlerError.
    """
    state, requests = UpdateState.from_context(context), Requests.of_change(ecr, clock, pool)
    state.begin(clock.time())
    wanted = request.desiredResourceState or translate.model()
    try:
        live = _bring_up_to_date(requests, request, wanted, make_kms, state)
    except OutOfTimeError as error:
        return _to_be_continued(requests, wanted, state, error)
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=translate.model_of(live, wanted))


def _bring_up_to_date(
    requests: Requests,
    request: ResourceHandlerRequest,
    wanted: ResourceModel,
    make_kms: Callable[[], Kms],
    state: UpdateState,
) -> Repository:
    """The repository after the update. Raises HandlerError, what AWS raises, and OutOfTimeError."""
    live = fetch(requests, required_name(wanted))
    before = replace(live)
    change = _change(request, wanted, live)
    _check_create_only(requests, change, live, make_kms)
    check_model(wanted, request.awsAccountId)
    check_report(request, reserved_tags.read_tags(live.tags).settings.report)
    tags = _tags_after(request, change, live)

    if reserved_tags.MARK not in tags:
        live.policy = push_block.remove_from(live.policy)  # an unmarked repository's policy is not ours to fix
    _change_policies(requests, change, live)
    _change_configuration(requests, change, live)
    if len(live.tags.keys() | tags.keys()) > reserved_tags.MOST_TAGS:
        # If the update stops here, a rule tag that is removed before the mark is written counts as protection.
        _remove_tags(requests, tags, live)
    tags = _put_tags(requests, change, tags, live)
    _remove_policies(requests, change, live)
    _remove_tags(requests, tags, live)
    live.tags = tags
    wait_until_shown(requests, before, live, state.all_is_changed(requests.pacer.clock.time()))
    return live


def _to_be_continued(
    requests: Requests, wanted: ResourceModel, state: UpdateState, error: OutOfTimeError
) -> ProgressEvent:
    """The answer of a call that ran out of time. Raises HandlerError where another call would be of no use."""
    name = required_name(wanted)
    if requests.pacer.is_mute() or state.is_overdue(requests.pacer.clock.time()):
        raise requests.out_of_time(f"the repository {name}") from error
    return ProgressEvent(
        status=OperationStatus.IN_PROGRESS,
        message=f"Updating the repository {name}. ECR answers slowly, so another call continues.",
        callbackContext=state.to_context(),
        callbackDelaySeconds=CALLBACK_DELAY_SECONDS,
        resourceModel=wanted,
    )


def _change(request: ResourceHandlerRequest, wanted: ResourceModel, live: Repository) -> Change:
    token, previous = request.clientRequestToken or "", request.previousResourceState or translate.model()
    if existing.is_taken_over(live.tags, owner_of(request), reserved_tags.request_hash(token)):
        return Change(wanted, translate.model(RepositoryName=previous.RepositoryName), None, takes_over=True)
    return Change(wanted, previous, request.previousResourceTags, takes_over=False)


def _check_create_only(requests: Requests, change: Change, live: Repository, make_kms: Callable[[], Kms]) -> None:
    wanted, previous = change.wanted, change.previous
    if previous.RepositoryName and previous.RepositoryName != wanted.RepositoryName:
        changed = "RepositoryName"
    elif encryption.is_changed(wanted, previous, live, requests.pacer, make_kms):
        changed = "EncryptionConfiguration"
    else:
        return
    raise HandlerError(
        HandlerErrorCode.NotUpdatable,
        f"{changed} of the repository {live.description['repositoryName']} cannot be changed. "
        "Create a new repository instead; a change in a template does that.",
    )


def _tags_after(request: ResourceHandlerRequest, change: Change, live: Repository) -> dict[str, str]:
    """All tags that the repository is to have after the update."""
    desired = translate.user_tags(change.wanted, request.desiredResourceTags)
    dropped = translate.tag_keys(change.previous, change.previous_tags) - desired.keys()
    after = {key: value for key, value in live.tags.items() if key not in dropped} | desired
    stored = reserved_tags.read_tags(live.tags)
    if not _is_to_be_marked(request, change, stored):
        return after
    after = {key: value for key, value in after.items() if key not in reserved_tags.SETTING_TAGS}
    chosen = _settings_after(change, stored, users=sum(map(reserved_tags.is_user, after)))
    taken_over = reserved_tags.taken_over_tag(request.clientRequestToken) if change.takes_over else {}
    return {**after, **reserved_tags.write_tags(chosen), **reserved_tags.owner_tags(owner_of(request)), **taken_over}


def _is_to_be_marked(request: ResourceHandlerRequest, change: Change, stored: Stored) -> bool:
    """Whether the update writes reserved tags. Raises HandlerError for settings that it would not write.

    A stack takes the repository over. Cloud Control marks it only when told to by EmptyOnDelete: a patch of a tag says
    nothing about deletes.
    """
    told = change.wanted.EmptyOnDelete is not None and change.previous.EmptyOnDelete is None
    if stored.marked or request.stackId or told:
        return True
    unheeded = [name for name in ON_MARKED_ONLY if getattr(change.wanted, name) is not None]
    if unheeded:
        raise invalid_request(
            f"Not set: {', '.join(unheeded)}. The repository {change.wanted.RepositoryName} does not have the tag "
            f"{reserved_tags.MARK}, so this resource type never deletes it. To mark it, set EmptyOnDelete too."
        )
    return False


def _settings_after(change: Change, stored: Stored, users: int) -> Settings:
    """The settings after the update, of a repository with so many tags of users. Raises HandlerError without room."""
    chosen = settings_after_update(
        stored.settings,
        translate.settings_of(change.previous),
        translate.settings_of(change.wanted),
        told_to_empty=change.wanted.EmptyOnDelete is True and change.previous.EmptyOnDelete is None,
    )
    if users > reserved_tags.tags_left(chosen):
        chosen = without_new_patterns(chosen, stored.settings)
    check_room_for_tags(users, chosen)
    return chosen


def _change_policies(requests: Requests, change: Change, live: Repository) -> None:
    name = live.description["repositoryName"]
    access, lifecycle = translate.policy_text(change.wanted), translate.lifecycle_text(change.wanted)
    if access is not None and not same_access_policy(access, live.policy):
        _log_replaced(change, name, "repository policy", live.policy)
        live.policy = requests.until_answered(calls.put_policy, name, access)
    if lifecycle is not None and not same_lifecycle_policy(lifecycle, live.lifecycle):
        _log_replaced(change, name, "lifecycle policy", live.lifecycle)
        live.lifecycle = requests.until_answered(calls.put_lifecycle_policy, name, lifecycle)


def _log_replaced(change: Change, name: str, kind: str, text: str | None) -> None:
    """Log a policy that is replaced and may be in no template."""
    if change.takes_over and text is not None:
        LOG.info("Replacing the %s of %s, which was: %s", kind, name, text)


def _change_configuration(requests: Requests, change: Change, live: Repository) -> None:
    """Change mutability and scanning where the model has them, and reset them where it no longer has them."""
    wanted, previous = change.wanted, change.previous
    name, description = live.description["repositoryName"], live.description
    if wanted.ImageTagMutability or previous.ImageTagMutability:
        mutability = translate.mutability_request(wanted)
        if mutability != translate.live_mutability(description):
            requests.until_answered(calls.put_mutability, name, mutability)
            description.pop("imageTagMutabilityExclusionFilters", None)
            description.update(mutability)  # type: ignore[typeddict-item]
    if wanted.ImageScanningConfiguration or previous.ImageScanningConfiguration:
        scan = translate.wants_scan_on_push(wanted)
        if scan != translate.scan_on_push(description):
            requests.until_answered(calls.put_scan_on_push, name, scan)
            description["imageScanningConfiguration"] = {"scanOnPush": scan}


def _put_tags(requests: Requests, change: Change, after: dict[str, str], live: Repository) -> dict[str, str]:
    """Put the tags that differ, in one call. Returns the tags that the repository is to have.

    A role that is limited to marked repositories may not mark one. If nothing but the mark is left to do, the update
    succeeds without it: otherwise the rollback would be denied as well, and the stack be stuck.
    """
    changed = {key: value for key, value in after.items() if live.tags.get(key) != value}
    if not changed:
        return after
    try:
        requests.until_answered(calls.tag_repository, live.arn, changed)
    except ClientError as error:
        denied = handler_code(error) is HandlerErrorCode.AccessDenied
        marks_only = reserved_tags.MARK not in live.tags and all(map(reserved_tags.is_reserved, changed))
        if not (denied and marks_only and change.takes_over):
            raise
        LOG.info("The repository %s is not marked, because ecr:TagResource was denied.", change.wanted.RepositoryName)
        return dict(live.tags)
    return after


def _remove_policies(requests: Requests, change: Change, live: Repository) -> None:
    wanted, previous = change.wanted, change.previous
    name = live.description["repositoryName"]
    if translate.policy_text(wanted) is None:
        left = None if translate.policy_text(previous) else push_block.remove_from(live.policy)
        if left != live.policy:
            requests.until_answered(calls.replace_policy, name, left)
            live.policy = left
    if live.lifecycle is not None and translate.lifecycle_text(wanted) is None and translate.lifecycle_text(previous):
        requests.until_answered(calls.delete_lifecycle_policy, name)
        live.lifecycle = None


def _remove_tags(requests: Requests, after: dict[str, str], live: Repository) -> None:
    surplus = sorted(live.tags.keys() - after.keys())
    if surplus:
        requests.until_answered(calls.untag_repository, live.arn, surplus)
        live.tags = {key: value for key, value in live.tags.items() if key in after}
