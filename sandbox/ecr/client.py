"""Real boto3 clients that the strict ECR answers in process, without a socket. They parse, validate and retry."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from sandbox import in_process
from sandbox.connections import InProcess
from sandbox.ecr.errors import EcrError
from sandbox.ecr.service import Authorize, EcrService

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


def make_client(ecr: EcrService, **chosen: Any) -> ECRClient:
    """A client with made-up credentials."""
    client: ECRClient = in_process.make_client("ecr", ecr.region, functools.partial(_answer, ecr), **chosen)
    return client


def connect(ecr: EcrService, client: ECRClient) -> None:
    """Answer what a client sends."""
    in_process.connect(client, "ecr", functools.partial(_answer, ecr))


def _answer(ecr: EcrService, request: AWSPreparedRequest) -> AWSResponse:
    operation = in_process.operation_of(request)
    with ecr.faults.connection(operation, InProcess(request.url)):
        status, body = serve_json(ecr, operation, request.body, ecr.authorize)
    headers = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": f"request-{len(ecr.call_log)}"}
    return in_process.response(request, status, headers, body)


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
