"""Real boto3 clients, answered in process: their parsing, checking and repeating stay; no socket is opened."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from sandbox.ecr.errors import EcrError
from sandbox.ecr.service import Authorize, EcrService
from sandbox.raw import Raw

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


@functools.cache
def _session() -> botocore.session.Session:
    """One session for all clients, as it keeps the service's model, which takes long to read."""
    return botocore.session.Session()


def make_client(ecr: EcrService, **chosen: Any) -> ECRClient:
    """A client with made-up credentials."""
    credentials = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "aws_session_token": "token"}
    made: Any = _session().create_client("ecr", **({"region_name": ecr.region} | credentials | chosen))
    client: ECRClient = made
    connect(ecr, client)
    return client


def connect(ecr: EcrService, client: ECRClient) -> None:
    """Answer what a client sends."""

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        return _answer(ecr, request)

    events: Any = client.meta.events  # its type knows no answers
    events.register("before-send.ecr.*", answer)


def _answer(ecr: EcrService, request: AWSPreparedRequest) -> AWSResponse:
    target = request.headers["X-Amz-Target"]
    operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
    drop = ecr.faults.take_drop(operation)
    if drop == "before":
        raise ConnectionClosedError(endpoint_url=request.url)
    status, body = serve_json(ecr, operation, request.body, ecr.authorize)
    if drop == "after":
        raise ConnectionClosedError(endpoint_url=request.url)
    if drop == "slow":
        raise ReadTimeoutError(endpoint_url=request.url)
    headers: Any = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": f"request-{len(ecr.call_log)}"}
    return AWSResponse(request.url, status, headers, Raw(body))


def serve_json(ecr: EcrService, operation: str, body: Any, authorize: Authorize | None = None) -> tuple[int, bytes]:
    """Status and body for a request of the JSON API."""
    try:
        answer = ecr.serve(operation, json.loads(body or b"{}"), authorize)
    except EcrError as error:
        return error.status, json.dumps({"__type": error.code, "message": error.message}).encode()
    except KeyError as error:
        missing = {"__type": "InvalidParameterException", "message": f"Missing parameter {error}"}
        return 400, json.dumps(missing).encode()
    return 200, json.dumps(answer).encode()
