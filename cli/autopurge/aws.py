"""Clients of AWS, with credentials, Region, profile and endpoint as the AWS CLI takes them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

import boto3
from botocore.config import Config

from awstut_ecr_autopurgerepository.pacing import Clock

if TYPE_CHECKING:
    from cloudformation_cli_python_lib import SessionProxy
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

MOST_ATTEMPTS = 5  # of one request; botocore waits longer before each
AT_ONCE = 8  # requests side by side
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": MOST_ATTEMPTS},
    max_pool_connections=AT_ONCE,
    connect_timeout=5,
    read_timeout=30,
    user_agent_extra="autopurge",
)


@dataclass(frozen=True)
class Target:
    """Where the commands go. None leaves the choice to the environment and the files of the AWS CLI."""

    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None


class MakeClient(Protocol):
    """Makes the client of a service, with a configuration of its own if need be."""

    def __call__(self, service: str, config: Config | None = None, /) -> Any: ...


Connect = Callable[[Target], MakeClient]


def connect(target: Target) -> MakeClient:
    """A function that makes the client of a service."""
    session: Any = boto3.Session(region_name=target.region, profile_name=target.profile)

    def make(service: str, config: Config | None = None, /) -> Any:
        return session.client(service, config=config or _CONFIG, endpoint_url=target.endpoint_url)

    return make


class HandlerSession:
    """Replaces the session of a handler, so that clients are made as the handlers make them."""

    def __init__(self, make_client: MakeClient) -> None:
        self._make = make_client

    def client(self, service: str, config: Config) -> Any:
        """A client with the handlers' own configuration."""
        return self._make(service, config)


class Aws:
    """The clients that the commands use; each is made when it is first asked for."""

    def __init__(self, make_client: MakeClient, clock: Clock) -> None:
        self._make: Callable[[str], Any] = functools.cache(make_client)
        self.handler_session = cast("SessionProxy", HandlerSession(make_client))
        self.clock = clock

    def now(self) -> datetime:
        """The time of day, with its zone."""
        return datetime.fromtimestamp(self.clock.time(), UTC)

    def client(self, service: str) -> Any:
        """The client of any service, such as ``lambda``."""
        return self._make(service)

    @property
    def ecr(self) -> ECRClient:
        """Amazon ECR."""
        client: ECRClient = self._make("ecr")
        return client

    @property
    def cloudformation(self) -> CloudFormationClient:
        """AWS CloudFormation."""
        client: CloudFormationClient = self._make("cloudformation")
        return client

    @property
    def s3(self) -> S3Client:
        """Amazon S3."""
        client: S3Client = self._make("s3")
        return client

    @property
    def cloudtrail(self) -> CloudTrailClient:
        """AWS CloudTrail."""
        client: CloudTrailClient = self._make("cloudtrail")
        return client
