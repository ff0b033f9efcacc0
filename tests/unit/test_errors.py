"""The table of errors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import botocore
import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ThrottledRetryableChecker
from cloudformation_cli_python_lib import HandlerErrorCode

from awstut_ecr_autopurgerepository.errors import _SERVICE_CODES, failure, handler_code, is_transient

OPERATIONS_USED = (
    "BatchDeleteImage",
    "CreateRepository",
    "DeleteLifecyclePolicy",
    "DeleteRepository",
    "DeleteRepositoryPolicy",
    "DescribeImages",
    "DescribeRepositories",
    "GetLifecyclePolicy",
    "GetRepositoryPolicy",
    "ListTagsForResource",
    "PutImageScanningConfiguration",
    "PutImageTagMutability",
    "PutLifecyclePolicy",
    "SetRepositoryPolicy",
    "TagResource",
    "UntagResource",
)
# Errors that are answers to a question, and handled where it is asked.
ANSWERS = {"RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException", "ImageNotFoundException"}


def client_error(code: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "DescribeImages")  # type: ignore[arg-type]


def test_every_error_that_ecr_declares_for_our_calls_is_in_the_table() -> None:
    path = Path(botocore.__file__).parent / "data/ecr/2015-09-21/service-2.json.gz"
    operations = json.loads(gzip.decompress(path.read_bytes()))["operations"]
    declared = {error["shape"] for name in OPERATIONS_USED for error in operations[name]["errors"]}
    assert declared - ANSWERS <= _SERVICE_CODES.keys()


def test_whatever_botocore_takes_for_throttling_is_throttling() -> None:
    codes = set(vars(ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"])
    # No call of ours answers with those; LimitExceededException is a quota in ECR.
    codes -= {"LimitExceededException", "ProvisionedThroughputExceededException", "TransactionInProgressException"}
    codes -= {"BandwidthLimitExceeded", "PriorRequestNotComplete"}
    assert {code for code in codes if handler_code(client_error(code)) is not HandlerErrorCode.Throttling} == set()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (client_error("ThrottlingException"), HandlerErrorCode.Throttling),
        (client_error("AccessDeniedException"), HandlerErrorCode.AccessDenied),
        (client_error("ExpiredTokenException"), HandlerErrorCode.InvalidCredentials),
        (client_error("LimitExceededException"), HandlerErrorCode.ServiceLimitExceeded),
        (client_error("ThrottleException", 429), HandlerErrorCode.Throttling),
        (client_error("NotAuthorized"), HandlerErrorCode.AccessDenied),
        (client_error("RequestExpired"), HandlerErrorCode.InvalidCredentials),
        (client_error("ValidationError"), HandlerErrorCode.InvalidRequest),
        (client_error("Surprise", 503), HandlerErrorCode.ServiceInternalError),
        (client_error("Surprise", 400), HandlerErrorCode.GeneralServiceException),
        (exceptions.ReadTimeoutError(endpoint_url="https://ecr"), HandlerErrorCode.NetworkFailure),
        (exceptions.ConnectTimeoutError(endpoint_url="https://ecr"), HandlerErrorCode.NetworkFailure),
        (exceptions.EndpointConnectionError(endpoint_url="https://ecr"), HandlerErrorCode.NetworkFailure),
        (exceptions.ConnectionClosedError(endpoint_url="https://ecr"), HandlerErrorCode.NetworkFailure),
        (ResponseParserError("no XML"), HandlerErrorCode.NetworkFailure),
        (exceptions.NoCredentialsError(), HandlerErrorCode.InvalidCredentials),
        (exceptions.ParamValidationError(report="bad"), HandlerErrorCode.InvalidRequest),
        (exceptions.DataNotFoundError(data_path="x"), HandlerErrorCode.GeneralServiceException),
    ],
)
def test_an_error_gets_its_code(error: Exception, code: HandlerErrorCode) -> None:
    assert handler_code(error) is code


def test_only_what_may_pass_is_transient() -> None:
    assert is_transient(client_error("ThrottlingException"))
    assert is_transient(client_error("ServerException", 500))
    assert is_transient(exceptions.ReadTimeoutError(endpoint_url="https://ecr"))
    assert not is_transient(client_error("AccessDeniedException"))
    assert not is_transient(client_error("InvalidParameterException"))


def test_a_failure_names_the_action_and_what_ecr_said() -> None:
    assert failure(client_error("InvalidParameterException")).message == "ecr:DescribeImages failed: words"


def test_a_denial_names_the_action_that_was_denied_and_not_the_call() -> None:
    said = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: ecr:TagResource on resource: x"
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": said}}, "CreateRepository")
    assert failure(error).message.startswith("ecr:TagResource was denied. ")


def test_a_failure_without_words_gives_the_code() -> None:
    error = ClientError({"Error": {"Code": "ServerException"}}, "DescribeImages")
    assert failure(error).message == "ecr:DescribeImages failed: ServerException"
