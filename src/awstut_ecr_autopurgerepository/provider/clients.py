"""Clients with the caller's credentials, and with the timeouts and retries that a handler can afford."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import IncompleteReadError
from cloudformation_cli_python_lib import HandlerErrorCode, SessionProxy

from ..errors import HandlerError
from ..pacing import CONNECT_SECONDS, READ_SECONDS, S3_CONNECT_SECONDS, S3_READ_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client


def ecr_client(session: SessionProxy | None, attempts: int = 3, connections: int = 1) -> ECRClient:
    """A client of ECR that makes a request at most ``attempts`` times. Raises HandlerError without credentials."""
    if session is None:
        raise HandlerError(HandlerErrorCode.InvalidCredentials, "The request came without credentials for ECR.")
    config = _config(CONNECT_SECONDS, READ_SECONDS, attempts, connections)
    client: ECRClient = session.client("ecr", config=config)
    client.meta.events.register("before-parse.ecr", _refuse_cut_off)
    return client


def s3_client(session: SessionProxy, connections: int) -> S3Client:
    """A client of S3 that makes each request once."""
    client: S3Client = session.client("s3", config=_config(S3_CONNECT_SECONDS, S3_READ_SECONDS, 1, connections))
    client.meta.events.register("before-parse.s3", _refuse_cut_off)
    return client


def client_of_users(session: SessionProxy, connections: int, service: str) -> Any:
    """A client of a service that uses images (lambda, ecs, inspector2), which makes each request once."""
    make: Any = session.client
    client = make(service, config=_config(CONNECT_SECONDS, READ_SECONDS, attempts=1, connections=connections))
    client.meta.events.register(f"before-parse.{service}", _refuse_cut_off)
    return client


def kms_client(session: SessionProxy) -> Any:
    """A client of KMS that makes each request once."""
    client = session.client("kms", config=_config(CONNECT_SECONDS, READ_SECONDS, attempts=1, connections=1))
    client.meta.events.register("before-parse.kms", _refuse_cut_off)
    return client


def _refuse_cut_off(response_dict: Mapping[str, Any], **_: object) -> None:
    """Raise IncompleteReadError for an answer whose end is missing.

    Since 1.44, botocore takes it for an empty answer: it lets urllib3 end early (measured with 1.44.5).
    """
    headers, body = response_dict["headers"], response_dict["body"]
    expected = headers.get("content-length")
    if expected is None or headers.get("content-encoding") or not isinstance(body, bytes):
        return  # the length is not that of the body, or the body is a stream, which checks its length itself
    if len(body) != int(expected):
        raise IncompleteReadError(actual_bytes=len(body), expected_bytes=int(expected))


def _config(connect_seconds: float, read_seconds: float, attempts: int, connections: int) -> Config:
    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
