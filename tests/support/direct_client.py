"""A client without botocore, for tests that make calls by the hundred thousand: ten times as quick.

It takes and answers what botocore's client does, for the operations that the handlers call, and raises the same errors;
requests are not checked against the service's model, and nothing becomes JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from botocore import xform_name
from botocore.exceptions import ClientError

from sandbox.connections import InProcess
from sandbox.ecr.errors import EcrError
from sandbox.ecr.service import OPERATIONS, EcrService

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

_TIMES = frozenset({"createdAt", "imagePushedAt", "lastRecordedPullTime", "lastArchivedAt", "lastActivatedAt"})
_CONTAINERS = (dict, list)  # all that JSON has


class _DirectClient:
    """Looks up an operation by the name of its method."""

    def __init__(self, ecr: EcrService, operations: dict[str, str]) -> None:
        self._ecr = ecr
        self._operations = operations
        self.meta = SimpleNamespace(region_name=ecr.region, partition="aws")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            operation = self._operations[name]
        except KeyError:
            raise AttributeError(name) from None

        def call(**parameters: Any) -> Any:
            return _call(self._ecr, operation, parameters)

        return call


def direct_client(ecr: EcrService) -> ECRClient:
    """A client of a strict ECR in this process."""
    return cast("ECRClient", _DirectClient(ecr, {xform_name(operation): operation for operation in OPERATIONS}))


def _call(ecr: EcrService, operation: str, parameters: dict[str, Any]) -> Any:
    try:
        with ecr.faults.connection(operation, InProcess()):
            answer = ecr.serve(operation, parameters, ecr.authorize)
    except EcrError as error:
        raise _client_error(operation, error) from error
    return _parsed(answer)


def _client_error(operation: str, error: EcrError) -> ClientError:
    answer: Any = {
        "Error": {"Code": error.code, "Message": error.message},
        "ResponseMetadata": {"HTTPStatusCode": error.status},
    }
    return ClientError(answer, operation)


def _parsed(value: Any) -> Any:
    """A value as botocore's parser would leave it: times as datetimes, all else as a copy that the caller may keep."""
    if isinstance(value, list):
        return [_parsed(each) if type(each) in _CONTAINERS else each for each in value]
    parsed = {}
    for key, each in value.items():
        if key in _TIMES:
            parsed[key] = datetime.fromtimestamp(each, UTC)
        else:
            parsed[key] = _parsed(each) if type(each) in _CONTAINERS else each
    return parsed
