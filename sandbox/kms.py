"""KMS, as far as the handlers call it: DescribeKey, of the keys that the strict ECR knows."""

from __future__ import annotations

import functools
import json
from collections import Counter
from typing import Any

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError

from sandbox.ecr.errors import EcrError
from sandbox.ecr.faults import Faults
from sandbox.ecr.state import RegistryState
from sandbox.raw import Raw

Answer = tuple[int, dict[str, Any]]


@functools.cache
def _session() -> botocore.session.Session:
    """One session for all clients, as it keeps the service's model, which takes long to read."""
    return botocore.session.Session()


def describe_key(ecr: RegistryState, spelling: str) -> Answer:
    """Status and body of DescribeKey, or of KMS's error for a key that does not exist."""
    arn = ecr.find_key(spelling)
    if arn is None:
        whole = spelling if spelling.startswith("arn:") else f"arn:aws:kms:{ecr.region}:{ecr.account}:{spelling}"
        kind = "Alias" if ":alias/" in whole else "Key"
        return 400, {"__type": "NotFoundException", "message": f"{kind} {whole} is not found."}
    return 200, {"KeyMetadata": {"KeyId": arn.rpartition("/")[2], "Arn": arn, "AWSAccountId": ecr.account}}


class StrictKms:
    """KMS in process. ``faults`` are those of the strict ECR, by the names of KMS's operations."""

    def __init__(self, ecr: RegistryState) -> None:
        self._ecr = ecr
        self.faults = Faults(ecr.clock)
        self.denied = False  # kms:DescribeKey
        self.calls: Counter[str] = Counter()

    def client(self, **chosen: Any) -> Any:
        """A real boto3 client that is answered here. Takes what boto3's client takes, config above all."""
        credentials = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "aws_session_token": "token"}
        place = {"region_name": self._ecr.region}
        made: Any = _session().create_client("kms", **(place | credentials | chosen))
        made.meta.events.register("before-send.kms.*", self._answer)
        return made

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        target: Any = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        if self.faults.take_drop(operation):
            raise ConnectionClosedError(endpoint_url=request.url)
        body: Any = request.body
        status, answer = self._serve(operation, json.loads(body))
        headers: Any = {"content-type": "application/x-amz-json-1.1"}
        return AWSResponse(request.url, status, headers, Raw(json.dumps(answer).encode()))

    def _serve(self, operation: str, parameters: dict[str, str]) -> Answer:
        self.calls[operation] += 1
        if operation != "DescribeKey":
            return 400, {"__type": "UnknownOperationException"}
        if self.denied:
            return 400, denial(self._ecr.caller, parameters["KeyId"])
        try:
            self.faults.check(operation, self._ecr.caller, parameters["KeyId"])
        except EcrError as error:
            return error.status, {"__type": error.code, "message": error.message}
        return describe_key(self._ecr, parameters["KeyId"])


def denial(caller: str, resource: str) -> dict[str, str]:
    """KMS's answer to a DescribeKey that no policy allows."""
    return {
        "__type": "AccessDeniedException",
        "message": f"User: {caller} is not authorized to perform: kms:DescribeKey on resource: {resource} because no "
        "identity-based policy allows the kms:DescribeKey action",
    }
