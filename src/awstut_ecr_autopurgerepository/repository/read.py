"""Read and list of repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudformation_cli_python_lib import OperationStatus, ProgressEvent

from .. import ecr as calls
from ..errors import not_found
from ..models import ResourceHandlerRequest
from ..request_fields import required_name
from . import translate
from .translate import Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


def read(ecr: ECRClient, request: ResourceHandlerRequest) -> ProgressEvent:
    """What ECR says about the repository, in the template's shapes."""
    wanted = request.desiredResourceState
    repository = fetch(ecr, required_name(wanted))
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=translate.model_of(repository, wanted))


def list_page(ecr: ECRClient, request: ResourceHandlerRequest) -> ProgressEvent:
    """One page of the Region's repositories, and the token of the next. One call for up to 1,000."""
    answer = calls.describe_repositories(ecr, request.nextToken)
    return ProgressEvent(
        status=OperationStatus.SUCCESS,
        resourceModels=[translate.model(RepositoryName=each["repositoryName"]) for each in answer["repositories"]],
        nextToken=answer.get("nextToken"),
    )


def fetch(ecr: ECRClient, name: str) -> Repository:
    """All that ECR has about a repository, except its images. Four calls.

    Raises HandlerError (NotFound) if it doesn't exist.
    """
    description = calls.describe_repository(ecr, name)
    if description is None:
        raise not_found(name)
    return Repository(
        description=description,
        tags=calls.list_tags(ecr, description["repositoryArn"]),
        policy=calls.get_policy(ecr, name),
        lifecycle=calls.get_lifecycle_policy(ecr, name),
    )
