"""The five handlers: unwrap, call, answer. What happens on delete stands in purge.py."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from cloudformation_cli_python_lib import Action, HandlerErrorCode, ProgressEvent, SessionProxy

from . import purge, report, repository, update
from .configuration import Configuration
from .errors import HandlerError
from .models import ResourceHandlerRequest, ResourceModel
from .pacing import CONNECT_SECONDS, READ_SECONDS, ThreadPool
from .provider import AutoPurgeResource

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"

resource = AutoPurgeResource(TYPE_NAME, ResourceModel)
test_entrypoint = resource.test_entrypoint


def ecr_client(session: SessionProxy | None, attempts: int = 3, connections: int = 1) -> ECRClient:
    """A client with the caller's credentials. ``attempts`` is how often it makes a request at most."""
    if session is None:
        raise HandlerError(HandlerErrorCode.InvalidCredentials, "The request came without credentials for ECR.")
    client: ECRClient = session.client("ecr", config=_config(CONNECT_SECONDS, READ_SECONDS, attempts, connections))
    return client


def s3_client(session: SessionProxy, connections: int) -> S3Client:
    """A client with the caller's credentials, which makes each request once."""
    client: S3Client = session.client("s3", config=_config(report.CONNECT_SECONDS, report.READ_SECONDS, 1, connections))
    return client


def _config(connect_seconds: float, read_seconds: float, attempts: int, connections: int) -> Config:
    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )


def configuration_of(request: ResourceHandlerRequest) -> Configuration:
    """The account's configuration, which the provider has read and checked."""
    return cast("Configuration | None", request.typeConfiguration) or Configuration()


@resource.handler(Action.CREATE)
def create_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, _callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """Create a repository."""
    return repository.create(ecr_client(session), request)


@resource.handler(Action.READ)
def read_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, _callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """Read a repository."""
    return repository.read(ecr_client(session), request)


@resource.handler(Action.UPDATE)
def update_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, _callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """Update a repository."""
    return update.update(ecr_client(session), request)


@resource.handler(Action.DELETE)
def delete_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """Purge and delete a repository. The purge repeats requests itself, as it knows when the call must end."""
    configuration = configuration_of(request)
    client = ecr_client(session, attempts=1, connections=configuration.concurrency)
    make_s3 = partial(s3_client, cast("SessionProxy", session), configuration.concurrency)
    with ThreadPool(configuration.concurrency) as pool:
        return purge.delete(client, request, configuration, callback_context, time, pool, make_s3)


@resource.handler(Action.LIST)
def list_handler(
    session: SessionProxy | None, request: ResourceHandlerRequest, _callback_context: MutableMapping[str, Any]
) -> ProgressEvent:
    """List the repositories of the account and Region."""
    return repository.list_page(ecr_client(session), request)
