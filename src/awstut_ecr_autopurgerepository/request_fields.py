"""What more than one handler takes from a request."""

from __future__ import annotations

from cloudformation_cli_python_lib import HandlerErrorCode

from .errors import HandlerError
from .models import ResourceHandlerRequest, ResourceModel
from .rules.settings import Owner


def required_name(wanted: ResourceModel | None) -> str:
    """The repository's name, without which nothing can be read, updated or deleted. Raises HandlerError."""
    if wanted is None or not wanted.RepositoryName:
        raise HandlerError(HandlerErrorCode.NotFound, "The request names no repository: RepositoryName is missing.")
    return wanted.RepositoryName


def owner_of(request: ResourceHandlerRequest) -> Owner:
    """The stack, and the resource in it, that a request comes from."""
    return Owner.of_request(request.stackId, request.logicalResourceIdentifier)
