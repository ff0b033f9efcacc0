"""Update of a repository."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from . import checks, policy, settings, translate
from .errors import HandlerError, invalid_request, service_code
from .models import ResourceHandlerRequest, ResourceModel
from .repository import check_places, fetch, owner, put_policy, required_name
from .translate import Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


_ON_MARKED_ONLY = ("DeletionProtection", "PurgeProtection", "PurgeReport", "FreezeOnDelete")


def update(ecr: ECRClient, request: ResourceHandlerRequest) -> ProgressEvent:
    """Bring the repository to the desired state: only what differs is changed, and puts come before removals.

    Except that old tags go first where ECR has no room for both old and new ones.

    A policy or a tag is removed only where the previous state had it: what somebody else put there stays. The statement
    with which a delete refused pushes, and which it could not take out any more, goes.
    """
    wanted = request.desiredResourceState or translate.model()
    previous = request.previousResourceState or translate.model()
    live = fetch(ecr, required_name(wanted))
    _check_create_only(wanted, request.previousResourceState, live)
    checks.check(wanted, request.awsAccountId)
    tags = _tags_after(request, wanted, previous, live)

    if settings.MARK not in tags:
        live.policy = policy.thawed(live.policy)  # an unmarked repository's policy is not ours to mend
    _change_policies(ecr, wanted, live)
    _change_configuration(ecr, wanted, previous, live)
    if len(live.tags.keys() | tags.keys()) > settings.LIMIT:
        # A rule tag that goes before the mark is written anew counts as protection, should the update stop here.
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
    after = {key: value for key, value in after.items() if key not in settings.RULE_TAGS} | marks
    check_places(sum(map(settings.is_user, after)), settings.read(after).settings)
    return after


def _marks(
    request: ResourceHandlerRequest, wanted: ResourceModel, previous: ResourceModel, live: Repository
) -> dict[str, str] | None:
    """The reserved tags that an update writes; None if it is not to mark an unmarked repository.

    A stack takes the repository over. Cloud Control marks it only when told to by EmptyOnDelete: a patch of a tag says
    nothing about deletes.
    """
    stored = settings.read(live.tags)
    told = wanted.EmptyOnDelete is not None and previous.EmptyOnDelete is None
    if not (stored.marked or request.stackId or told):
        unheeded = [name for name in _ON_MARKED_ONLY if getattr(wanted, name) is not None]
        if unheeded:
            raise invalid_request(
                f"Not set: {', '.join(unheeded)}. The repository {live.description['repositoryName']} does not bear "
                f"the tag {settings.MARK}, so this resource type never deletes it. Set EmptyOnDelete too, to mark it."
            )
        return None
    chosen = settings.merge(stored, translate.settings_of(previous), translate.settings_of(wanted))
    return {**settings.write(chosen), **settings.owner_tags(owner(request))}


def _change_policies(ecr: ECRClient, wanted: ResourceModel, live: Repository) -> None:
    name = live.description["repositoryName"]
    access, lifecycle = translate.policy_text(wanted), translate.lifecycle_text(wanted)
    if access is not None and not translate.same_json(access, live.policy):
        live.policy = ecr.set_repository_policy(repositoryName=name, policyText=access)["policyText"]
    if lifecycle is not None and not translate.same_json(lifecycle, live.lifecycle):
        answer = ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=lifecycle)
        live.lifecycle = answer["lifecyclePolicyText"]


def _change_configuration(ecr: ECRClient, wanted: ResourceModel, previous: ResourceModel, live: Repository) -> None:
    """Change mutability and scanning where the model has them, and reset them where it no longer has them."""
    name, description = live.description["repositoryName"], live.description
    if wanted.ImageTagMutability or previous.ImageTagMutability:
        mutability = translate.mutability_request(wanted)
        if mutability != translate.live_mutability(description):
            ecr.put_image_tag_mutability(repositoryName=name, **mutability)
            description.pop("imageTagMutabilityExclusionFilters", None)
            description.update(mutability)  # type: ignore[typeddict-item]
    if wanted.ImageScanningConfiguration or previous.ImageScanningConfiguration:
        scan = translate.wants_scan_on_push(wanted)
        if scan != translate.scan_on_push(description):
            configuration = {"scanOnPush": scan}
            ecr.put_image_scanning_configuration(
                repositoryName=name,
                imageScanningConfiguration=configuration,  # type: ignore[arg-type]
            )
            description["imageScanningConfiguration"] = configuration  # type: ignore[typeddict-item]


def _put_tags(ecr: ECRClient, after: dict[str, str], live: Repository) -> None:
    changed = {key: value for key, value in after.items() if live.tags.get(key) != value}
    if changed:
        ecr.tag_resource(resourceArn=live.arn, tags=translate.tag_list(changed))  # type: ignore[arg-type]


def _remove_policies(ecr: ECRClient, wanted: ResourceModel, previous: ResourceModel, live: Repository) -> None:
    name = live.description["repositoryName"]
    if translate.policy_text(wanted) is None:
        left = None if translate.policy_text(previous) else policy.thawed(live.policy)
        if left != live.policy:
            put_policy(ecr, name, left)
            live.policy = left
    if live.lifecycle is not None and translate.lifecycle_text(wanted) is None and translate.lifecycle_text(previous):
        with _gone_is_done("LifecyclePolicyNotFoundException"):
            ecr.delete_lifecycle_policy(repositoryName=name)
        live.lifecycle = None


@contextmanager
def _gone_is_done(code: str) -> Iterator[None]:
    """Take the error that says that somebody else was quicker for success."""
    try:
        yield
    except ClientError as error:
        if service_code(error) != code:
            raise


def _remove_tags(ecr: ECRClient, after: dict[str, str], live: Repository) -> None:
    surplus = sorted(live.tags.keys() - after.keys())
    if surplus:
        ecr.untag_resource(resourceArn=live.arn, tagKeys=surplus)
        live.tags = {key: value for key, value in live.tags.items() if key in after}
