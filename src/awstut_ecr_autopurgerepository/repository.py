"""Create, read and list of the repository itself. Its update is in update.py, its delete in purge.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from . import checks, settings, translate
from .errors import AWS_ERRORS, HandlerError, failure, invalid_request, not_found, service_code
from .models import ResourceHandlerRequest, ResourceModel
from .translate import Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef

PAGE_SIZE = 1_000  # repositories that DescribeRepositories answers at most


def describe(ecr: ECRClient, name: str) -> RepositoryTypeDef | None:
    """The description of a repository, or None if it doesn't exist. One call."""
    try:
        return ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    except ClientError as error:
        if service_code(error) == "RepositoryNotFoundException":
            return None
        raise


def tags_of(ecr: ECRClient, arn: str) -> dict[str, str]:
    """All tags of a repository. One call."""
    return translate.tag_map(ecr.list_tags_for_resource(resourceArn=arn)["tags"])


def create(ecr: ECRClient, request: ResourceHandlerRequest) -> ProgressEvent:
    """Create the repository, with mark, rules and tags in the same call; then put its policies.

    Idempotent for one request token: the repository that an earlier try of the same request made is taken up where
    that try stopped. If a policy is refused, the new, empty repository is deleted again.
    """
    wanted = request.desiredResourceState or translate.model()
    checks.check(wanted, request.awsAccountId)
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
    check_places(len(user), chosen)
    return {
        **settings.write(chosen),
        **settings.request_tag(request.clientRequestToken),
        **settings.owner_tags(owner(request)),
        **user,
    }


def owner(request: ResourceHandlerRequest) -> settings.Owner:
    """The stack that a request comes from."""
    return settings.Owner(request.stackId, request.logicalResourceIdentifier if request.stackId else None)


def check_places(count: int, chosen: settings.Settings) -> None:
    """Raise HandlerError (InvalidRequest) if so many tags of users' don't fit beside those of the settings."""
    places = settings.places_left(chosen)
    if count > places:
        raise invalid_request(
            f"The repository would have {count} tags, those of the stack included, and there is room for {places}: ECR "
            f"allows {settings.LIMIT}, and {settings.LIMIT - places} are kept for the settings of this resource type. "
            f"Remove {count - places}."
        )


def _create_or_resume(ecr: ECRClient, wanted: ResourceModel, name: str, tags: dict[str, str]) -> RepositoryTypeDef:
    try:
        return ecr.create_repository(**translate.create_request(wanted, name, tags))["repository"]
    except ClientError as error:
        if service_code(error) != "RepositoryAlreadyExistsException":
            raise
    existing, mine = describe(ecr, name), tags.get(settings.REQUEST)
    if existing and mine and tags_of(ecr, existing["repositoryArn"]).get(settings.REQUEST) == mine:
        return existing
    raise HandlerError(
        HandlerErrorCode.AlreadyExists,
        f"The repository {name} already exists, and was left as it is. "
        "Choose another RepositoryName, or bring the repository into the stack by an import.",
    )


def _put_policies(ecr: ECRClient, wanted: ResourceModel, name: str) -> tuple[str | None, str | None]:
    policy, lifecycle = translate.policy_text(wanted), translate.lifecycle_text(wanted)
    if policy is not None:
        policy = ecr.set_repository_policy(repositoryName=name, policyText=policy)["policyText"]
    if lifecycle is not None:
        answer = ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=lifecycle)
        lifecycle = answer["lifecyclePolicyText"]
    return policy, lifecycle


def _undo(ecr: ECRClient, created: Repository, reason: HandlerError) -> ProgressEvent:
    """Take back a create that failed half-way. Only if that fails too does the model come along, for the rollback."""
    name = created.description["repositoryName"]
    progress = ProgressEvent.failed(reason.code, reason.message)
    try:
        ecr.delete_repository(repositoryName=name)
    except AWS_ERRORS as error:
        if service_code(error) != "RepositoryNotFoundException":
            progress.resourceModel = translate.model_of(created)
            progress.message += f" The new repository {name} could not be deleted again: {failure(error).message}"
    return progress


def fetch(ecr: ECRClient, name: str) -> Repository:
    """All that ECR holds about a repository, its images aside. Four calls.

    Raises HandlerError (NotFound) if it doesn't exist.
    """
    description = describe(ecr, name)
    if description is None:
        raise not_found(name)
    return Repository(
        description=description,
        tags=tags_of(ecr, description["repositoryArn"]),
        policy=policy_of(ecr, name),
        lifecycle=_lifecycle(ecr, name),
    )


def policy_of(ecr: ECRClient, name: str) -> str | None:
    """The repository policy's text, or None if there is none. One call."""
    try:
        return ecr.get_repository_policy(repositoryName=name)["policyText"]
    except ClientError as error:
        if service_code(error) == "RepositoryPolicyNotFoundException":
            return None
        raise


def put_policy(ecr: ECRClient, name: str, text: str | None) -> None:
    """Make this the repository policy; None: let there be none. One call."""
    if text is not None:
        ecr.set_repository_policy(repositoryName=name, policyText=text)
        return
    try:
        ecr.delete_repository_policy(repositoryName=name)
    except ClientError as error:
        if service_code(error) != "RepositoryPolicyNotFoundException":
            raise


def _lifecycle(ecr: ECRClient, name: str) -> str | None:
    try:
        return ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    except ClientError as error:
        if service_code(error) == "LifecyclePolicyNotFoundException":
            return None
        raise


def required_name(wanted: ResourceModel | None) -> str:
    """The repository's name, without which nothing can be read, updated or deleted."""
    if wanted is None or not wanted.RepositoryName:
        raise HandlerError(HandlerErrorCode.NotFound, "The request names no repository: RepositoryName is missing.")
    return wanted.RepositoryName


def read(ecr: ECRClient, request: ResourceHandlerRequest) -> ProgressEvent:
    """What ECR says about the repository, in the template's shapes."""
    wanted = request.desiredResourceState
    repository = fetch(ecr, required_name(wanted))
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=translate.model_of(repository, wanted))


def list_page(ecr: ECRClient, request: ResourceHandlerRequest) -> ProgressEvent:
    """One page of the Region's repositories, and the token of the next. One call for up to 1,000."""
    page: dict[str, Any] = {"maxResults": PAGE_SIZE}
    if request.nextToken:
        page["nextToken"] = request.nextToken
    answer = ecr.describe_repositories(**page)
    return ProgressEvent(
        status=OperationStatus.SUCCESS,
        resourceModels=[translate.model(RepositoryName=each["repositoryName"]) for each in answer["repositories"]],
        nextToken=answer.get("nextToken"),
    )
