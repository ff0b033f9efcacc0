"""Requests as the clients send them, and answers as they read them: Lambda and Inspector by paths, ECS by a header."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from sandbox import in_process
from sandbox.connections import InProcess
from sandbox.ecr.errors import EcrError
from sandbox.workloads.service import Authorize, Parameters, Workloads

_FUNCTIONS = "/2015-03-31/functions"

Answer = tuple[int, dict[str, str], bytes]


def lambda_call(method: str, path: str, query: Mapping[str, list[str]]) -> tuple[str, Parameters] | None:
    """Operation and parameters of a request to Lambda; None for one that is not answered here."""
    place = unquote(path).rstrip("/")
    given: Parameters = {name: values[0] for name, values in query.items()}
    if method != "GET" or not place.startswith(_FUNCTIONS):
        return None
    name = place.removeprefix(_FUNCTIONS).removeprefix("/")
    if not name:
        return "ListFunctions", given
    return None if "/" in name else ("GetFunction", {**given, "FunctionName": name})


def inspector_call(method: str, path: str, body: bytes) -> tuple[str, Parameters] | None:
    """Operation and parameters of a request to Inspector; None for one that is not answered here."""
    if (method, path) != ("POST", "/coverage/list"):
        return None
    return "ListCoverage", json.loads(body or b"{}")


def serve(service: Workloads, operation: str, parameters: Parameters, authorize: Authorize | None = None) -> Answer:
    """Status, headers and body."""
    try:
        answer = service.serve(operation, parameters, authorize)
    except EcrError as error:
        return _error(service, error)
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def _error(service: Workloads, error: EcrError) -> Answer:
    code, status = error.code, error.status
    if code == "ThrottlingException" and service.action_prefix == "lambda":
        code, status = "TooManyRequestsException", 429
    elif code == "ThrottlingException" and service.action_prefix == "inspector2":
        status = 429
    if service.action_prefix == "ecs" and status == 403:
        status = 400
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": error.message}).encode()


def make_client(service: Workloads, **chosen: Any) -> Any:
    """A real boto3 client that is answered in process. Takes what boto3's client takes, config above all."""
    return in_process.make_client(service.action_prefix, service.region, functools.partial(_answer, service), **chosen)


def _answer(service: Workloads, request: AWSPreparedRequest) -> AWSResponse:
    address = urlsplit(str(request.url))
    body: Any = request.body or b""
    call: tuple[str, Parameters] | None
    if service.action_prefix == "ecs":
        call = in_process.operation_of(request), json.loads(body)
    elif service.action_prefix == "lambda":
        call = lambda_call(str(request.method), str(address.path), parse_qs(str(address.query)))
    else:
        call = inspector_call(str(request.method), str(address.path), body)
    if call is None:
        raise AssertionError(f"{request.method} {request.url} is not known here")
    with service.faults.connection(call[0], InProcess(request.url)):
        status, headers, answer = serve(service, *call)
    return in_process.response(request, status, headers, answer)
