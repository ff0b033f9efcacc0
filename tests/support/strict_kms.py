"""KMS in process, as far as the handlers call it: DescribeKey, of the keys that the strict ECR knows."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from sandbox import in_process
from sandbox.connections import InProcess
from sandbox.ecr.errors import EcrError
from sandbox.ecr.faults import Faults
from sandbox.ecr.state import RegistryState
from sandbox.kms import Answer, describe_key


class StrictKms:
    """KMS in process. ``faults`` are those of the strict ECR, by the names of KMS's operations."""

    def __init__(self, ecr: RegistryState) -> None:
        self._ecr = ecr
        self.faults = Faults(ecr.clock)
        self.denied = False  # kms:DescribeKey
        self.calls: Counter[str] = Counter()

    def client(self, **chosen: Any) -> Any:
        """A real boto3 client that is answered here. Takes what boto3's client takes, config above all."""
        return in_process.make_client("kms", self._ecr.region, self._answer, **chosen)

    def _answer(self, request: AWSPreparedRequest) -> AWSResponse:
        operation = in_process.operation_of(request)
        body: Any = request.body
        with self.faults.connection(operation, InProcess(request.url)):
            status, answer = self._serve(operation, json.loads(body))
        headers = {"content-type": "application/x-amz-json-1.1"}
        return in_process.response(request, status, headers, json.dumps(answer).encode())

    def _serve(self, operation: str, parameters: dict[str, str]) -> Answer:
        self.calls[operation] += 1
        if operation != "DescribeKey":
            return 400, {"__type": "UnknownOperationException"}
        if self.denied:
            return 400, _denial(self._ecr.caller, parameters["KeyId"])
        try:
            self.faults.check(operation, self._ecr.caller, parameters["KeyId"])
        except EcrError as error:
            return error.status, {"__type": error.code, "message": error.message}
        return describe_key(self._ecr, parameters["KeyId"])


def _denial(caller: str, resource: str) -> dict[str, str]:
    """KMS's answer to a DescribeKey that no policy allows."""
    return {
        "__type": "AccessDeniedException",
        "message": f"User: {caller} is not authorized to perform: kms:DescribeKey on resource: {resource} because no "
        "identity-based policy allows the kms:DescribeKey action",
    }
