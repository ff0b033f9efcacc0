"""Real boto3 clients that are answered in their own process: no socket is opened."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.utils import parse_timestamp

Answer = Callable[[AWSPreparedRequest], AWSResponse]


class Raw(io.BytesIO):
    """A response's body as botocore reads it: bytes that are there already."""

    def stream(self, **_: Any) -> Any:
        """All of it at once."""
        yield self.read()


@functools.cache
def _session() -> botocore.session.Session:
    """One session for all clients, because it keeps the services' models, which take long to read."""
    session = botocore.session.Session()
    parsers = session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=_point_in_time)
    return session


def _point_in_time(value: Any) -> datetime:
    """A point in time, in UTC. botocore's own parser gives local time, and takes half of a test's time for it."""
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else parse_timestamp(value)


def make_client(service: str, region: str, answer: Answer, **chosen: Any) -> Any:
    """A client with made-up credentials, which `answer` answers. Takes what boto3's client takes, config above all."""
    credentials = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "aws_session_token": "token"}
    client: Any = _session().create_client(service, **({"region_name": region} | credentials | chosen))
    connect(client, service, answer)
    return client


def connect(client: Any, service: str, answer: Answer) -> None:
    """Answer what a client of a service sends."""
    client.meta.events.register(f"before-send.{service}.*", lambda request, **_: answer(request))


def response(request: AWSPreparedRequest, status: int, headers: dict[str, str], body: bytes) -> AWSResponse:
    """What a client gets."""
    content: Any = Raw(body)  # botocore has no type for it
    found: Any = headers
    return AWSResponse(request.url, status, found, content)


def operation_of(request: AWSPreparedRequest) -> str:
    """The operation that a request of a JSON protocol names."""
    target: Any = request.headers["X-Amz-Target"]
    name: str = target.decode() if isinstance(target, bytes) else target
    return name.rpartition(".")[2]
