"""Update of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from .. import ecr as calls
from ..errors import HandlerError, invalid_request
from ..models import ResourceHandlerRequest, ResourceModel
from ..request_fields import owner_of, required_name
from ..rules import push_block, reserved_tags
from ..rules.merge import settings_after_update
from ..rules.policy_meaning import same_access_policy, same_lifecycle_policy
from . import translate
from .read import fetch
from .translate import Repository
from .validate import check_model, check_room_for_tags

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


_ON_MARKED_ONLY = (
    "DeletionProtection",
    "PurgeProtection",
    "PurgeReport",
    "FreezeOnDelete",
    "AllowReplicatedDeletes",
)


def update(ecr: ECRClient, request: ResourceHandlerRequest) -> ProgressEvent:
    """Bring the repository to the desired state: only what differs is changed, and puts come before removals.

    Except that old tags go first where ECR has no room for both old and new ones.

    A policy or a tag is removed only where the previous state had it: what somebody else put there stays. A push block
    that an earlier delete left in the policy is removed.
    """
    wanted = request.desiredResourceState or translate.model()
    previous = request.previousResourceState or translate.model()
    live = fetch(ecr, required_name(wanted))
    _check_create_only(wanted, request.previousResourceState, live)
    check_model(wanted, request.awsAccountId)
    tags = _tags_after(request, wanted, previous, live)

    if reserved_tags.MARK not in tags:
        live.policy = push_block.remove_from(live.policy)  # an unmarked repository's policy is not ours to fix
    _change_policies(ecr, wanted, live)
    _change_configuration(ecr, wanted, previous, live)
    if len(live.tags.keys() | tags.keys()) > reserved_tags.MOST_TAGS:
        # If the update stops here, a rule tag that is removed before the mark is written counts as protection.
        _remove_tags(ecr, tags, live)
    _put_tags(ecr, tags, live)
    _remove_policies(ecr, wanted, previous, live)
    _remove_tags(ecr, tags, live)
    live.tags = tags
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=translate.model_of(live, wanted))


def _check_create_only(wanted: ResourceModel, previous: ResourceModel | None, live: Repository) -> None:
    changed = []
    if previous and previous.RepositoryName and previous.RepositoryName != wanted.RepositoryName:
        changed.append("RepositoryName")
    if translate.encryption_request(wanted) != translate.encryption_request(previous or translate.model_of(live)):
        changed.append("EncryptionConfiguration")
    if changed:
        raise HandlerError(
            HandlerErrorCode.NotUpdatable,
            f"{' and '.join(changed)} of the repository {live.description['repositoryName']} cannot be changed. "
            "Create a new repository instead; a change in a template does that.",
        )


def _tags_after(
    request: ResourceHandlerRequest, wanted: ResourceModel, previous: ResourceModel, live: Repository
) -> dict[str, str]:
    """All tags that the repository is to have after the update."""
    desired = translate.user_tags(wanted, request.desiredResourceTags)
    dropped = translate.tag_keys(previous, request.previousResourceTags) - desired.keys()
    after = {key: value for key, value in live.tags.items() if key not in dropped} | desired
    marks = _marks(request, wanted, previous, live)
    if marks is None:
        return after
    after = {key: value for key, value in after.items() if key not in reserved_tags.SETTING_TAGS} | marks
    check_room_for_tags(sum(map(reserved_tags.is_user, after)), reserved_tags.read_tags(after).settings)
    return after


def _marks(
    request: ResourceHandlerRequest, wanted: ResourceModel, previous: ResourceModel, live: Repository
) -> dict[str, str] | None:
    """The reserved tags that an update writes; None if it is not to mark an unmarked repository.

    A stack takes the repository over. Cloud Control marks it only when told to by EmptyOnDelete: a patch of a tag says
    nothing about deletes.
    """
    stored = reserved_tags.read_tags(live.tags)
    told = wanted.EmptyOnDelete is not None and previous.EmptyOnDelete is None
    if not (stored.marked or request.stackId or told):
        unheeded = [name for name in _ON_MARKED_ONLY if getattr(wanted, name) is not None]
        if unheeded:
            raise invalid_request(
                f"Not set: {', '.join(unheeded)}. The repository {live.description['repositoryName']} does not have "
                f"the tag {reserved_tags.MARK}, so this resource type never deletes it. To mark it, set "
                "EmptyOnDelete too."
            )
        return None
    chosen = settings_after_update(stored, translate.settings_of(previous), translate.settings_of(wanted))
    return {**reserved_tags.write_tags(chosen), **reserved_tags.owner_tags(owner_of(request))}


def _change_policies(ecr: ECRClient, wanted: ResourceModel, live: Repository) -> None:
    name = live.description["repositoryName"]
    access, lifecycle = translate.policy_text(wanted), translate.lifecycle_text(wanted)
    if access is not None and not same_access_policy(access, live.policy):
        live.policy = calls.put_policy(ecr, name, access)
    if lifecycle is not None and not same_lifecycle_policy(lifecycle, live.lifecycle):
        live.lifecycle = calls.put_lifecycle_policy(ecr, name, lifecycle)


def _change_configuration(ecr: ECRClient, wanted: ResourceModel, previous: ResourceModel, live: Repository) -> None:
    """Change mutability and scanning where the model has them, and reset them where it no longer has them."""
    name, description = live.description["repositoryName"], live.description
    if wanted.ImageTagMutability or previous.ImageTagMutability:
        mutability = translate.mutability_request(wanted)
        if mutability != translate.live_mutability(description):
            calls.put_mutability(ecr, name, mutability)
            description.pop("imageTagMutabilityExclusionFilters", None)
            description.update(mutability)  # type: ignore[typeddict-item]
    if wanted.ImageScanningConfiguration or previous.ImageScanningConfiguration:
        scan = translate.wants_scan_on_push(wanted)
        if scan != translate.scan_on_push(description):
            calls.put_scan_on_push(ecr, name, scan)
            description["imageScanningConfiguration"] = {"scanOnPush": scan}


def _put_tags(ecr: ECRClient, after: dict[str, str], live: Repository) -> None:
    changed = {key: value for key, value in after.items() if live.tags.get(key) != value}
    if changed:
        calls.tag_repository(ecr, live.arn, changed)


def _remove_policies(ecr: ECRClient, wanted: ResourceModel, previous: ResourceModel, live: Repository) -> None:
    name = live.description["repositoryName"]
    if translate.policy_text(wanted) is None:
        left = None if translate.policy_text(previous) else push_block.remove_from(live.policy)
        if left != live.policy:
            calls.replace_policy(ecr, name, left)
            live.policy = left
    if live.lifecycle is not None and translate.lifecycle_text(wanted) is None and translate.lifecycle_text(previous):
        calls.delete_lifecycle_policy(ecr, name)
        live.lifecycle = None


def _remove_tags(ecr: ECRClient, after: dict[str, str], live: Repository) -> None:
    surplus = sorted(live.tags.keys() - after.keys())
    if surplus:
        calls.untag_repository(ecr, live.arn, surplus)
        live.tags = {key: value for key, value in live.tags.items() if key in after}
