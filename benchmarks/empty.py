"""What our handlers are compared with: the support library, the same model and the same client, and next to nothing.

``empty`` makes the client and answers; ``straight`` makes the four calls of our read, and answers what it was given.
"""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from cloudformation_cli_python_lib import Action, OperationStatus, ProgressEvent, Resource, SessionProxy

from awstut_ecr_autopurgerepository.models import ResourceHandlerRequest, ResourceModel

TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"
_CONFIG = Config(
    connect_timeout=3, read_timeout=10, max_pool_connections=1, retries={"mode": "standard", "total_max_attempts": 3}
)
empty = Resource(TYPE_NAME, ResourceModel)
straight = Resource(TYPE_NAME, ResourceModel)


@empty.handler(Action.READ)
def read_nothing(session: SessionProxy | None, request: ResourceHandlerRequest, _context: Any) -> ProgressEvent:
    """Make the client, and answer."""
    assert session is not None
    session.client("ecr", config=_CONFIG)
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=request.desiredResourceState)


@straight.handler(Action.READ)
def read_straight(session: SessionProxy | None, request: ResourceHandlerRequest, _context: Any) -> ProgressEvent:
    """Make the calls, and answer."""
    assert session is not None
    assert request.desiredResourceState is not None
    ecr: Any = session.client("ecr", config=_CONFIG)
    name = request.desiredResourceState.RepositoryName
    description = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    ecr.list_tags_for_resource(resourceArn=description["repositoryArn"])
    for missing, call in (
        (ecr.exceptions.RepositoryPolicyNotFoundException, ecr.get_repository_policy),
        (ecr.exceptions.LifecyclePolicyNotFoundException, ecr.get_lifecycle_policy),
    ):
        try:
            call(repositoryName=name)
        except missing:
            continue
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=request.desiredResourceState)
