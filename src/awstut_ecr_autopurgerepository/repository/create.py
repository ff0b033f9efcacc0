"""Create of the repository, and its name where the template has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from .. import ecr as calls
from ..errors import AWS_ERRORS, HandlerError, failure, service_code
from ..models import ResourceHandlerRequest, ResourceModel
from ..request_fields import owner_of
from ..rules import reserved_tags
from . import translate
from .translate import Repository
from .validate import check_model, check_room_for_tags

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef


def create(ecr: ECRClient, request: ResourceHandlerRequest) -> ProgressEvent:
    """Create the repository, with mark, rules and tags in the same call; then put its policies.

    Idempotent for one request token: the repository that an earlier try of the same request made is taken up where
    that try stopped. If a policy is refused, the new, empty repository is deleted again.
    """
    wanted = request.desiredResourceState or translate.model()
    check_model(wanted, request.awsAccountId)
    tags = _all_tags(request, wanted)
    name = wanted.RepositoryName or translate.repository_name(
        request.stackId, request.logicalResourceIdentifier, request.clientRequestToken
    )
    description = _create_or_resume(ecr, wanted, name, tags)
    try:
        repository = Repository(description, tags, *_put_policies(ecr, wanted, name))
    except AWS_ERRORS as error:
        return _undo(ecr, Repository(description, tags), failure(error))
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=translate.model_of(repository, wanted))


def _all_tags(request: ResourceHandlerRequest, wanted: ResourceModel) -> dict[str, str]:
    chosen = translate.settings_of(wanted)
    user = translate.user_tags(wanted, request.desiredResourceTags)
    check_room_for_tags(len(user), chosen)
    return {
        **reserved_tags.write_tags(chosen),
        **reserved_tags.request_tag(request.clientRequestToken),
        **reserved_tags.owner_tags(owner_of(request)),
        **user,
    }


def _create_or_resume(ecr: ECRClient, wanted: ResourceModel, name: str, tags: dict[str, str]) -> RepositoryTypeDef:
    try:
        return calls.create_repository(ecr, translate.create_request(wanted, name, tags))
    except ClientError as error:
        if service_code(error) != "RepositoryAlreadyExistsException":
            raise
    existing, mine = calls.describe_repository(ecr, name), tags.get(reserved_tags.REQUEST)
    if existing and mine and calls.list_tags(ecr, existing["repositoryArn"]).get(reserved_tags.REQUEST) == mine:
        return existing
    raise HandlerError(
        HandlerErrorCode.AlreadyExists,
        f"The repository {name} already exists, and was left as it is. "
        "Choose another RepositoryName, or bring the repository into the stack by an import.",
    )


def _put_policies(ecr: ECRClient, wanted: ResourceModel, name: str) -> tuple[str | None, str | None]:
    policy, lifecycle = translate.policy_text(wanted), translate.lifecycle_text(wanted)
    if policy is not None:
        policy = calls.put_policy(ecr, name, policy)
    if lifecycle is not None:
        lifecycle = calls.put_lifecycle_policy(ecr, name, lifecycle)
    return policy, lifecycle


def _undo(ecr: ECRClient, created: Repository, reason: HandlerError) -> ProgressEvent:
    """Take back a create that failed half-way. Only if that fails too does the model come along, for the rollback."""
    name = created.description["repositoryName"]
    progress = ProgressEvent.failed(reason.code, reason.message)
    try:
        calls.delete_repository(ecr, name)
    except AWS_ERRORS as error:
        if service_code(error) != "RepositoryNotFoundException":
            progress.resourceModel = translate.model_of(created)
            progress.message += f" The new repository {name} could not be deleted again: {failure(error).message}"
    return progress
