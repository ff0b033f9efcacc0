"""One table: what ECR and botocore raise -> the error codes of CloudFormation's handler contract.

Sources of ECR's codes: botocore's service model of ECR 2015-09-21, and the errors that are common to all actions,
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html; of the handler codes:
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html
"""

from __future__ import annotations

import re
import textwrap

from botocore import exceptions as botocore_exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from cloudformation_cli_python_lib import HandlerErrorCode

AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)

# Codes that mean "the same call may succeed later"; CloudFormation itself retries them.
TRANSIENT = frozenset(
    {HandlerErrorCode.Throttling, HandlerErrorCode.ServiceInternalError, HandlerErrorCode.NetworkFailure}
)

_SERVICE_CODES = {
    "AccessDenied": HandlerErrorCode.AccessDenied,
    "AccessDeniedException": HandlerErrorCode.AccessDenied,
    "NotAuthorized": HandlerErrorCode.AccessDenied,
    "OptInRequired": HandlerErrorCode.AccessDenied,
    "UnauthorizedOperation": HandlerErrorCode.AccessDenied,
    "ExpiredToken": HandlerErrorCode.InvalidCredentials,
    "ExpiredTokenException": HandlerErrorCode.InvalidCredentials,
    "IncompleteSignature": HandlerErrorCode.InvalidCredentials,
    "InvalidClientTokenId": HandlerErrorCode.InvalidCredentials,
    "InvalidSignatureException": HandlerErrorCode.InvalidCredentials,
    "RequestExpired": HandlerErrorCode.InvalidCredentials,
    "UnrecognizedClientException": HandlerErrorCode.InvalidCredentials,
    "InvalidArnException": HandlerErrorCode.InvalidRequest,  # KMS, like NotFoundException: of a key in a template
    "InvalidParameterException": HandlerErrorCode.InvalidRequest,
    "InvalidTagParameterException": HandlerErrorCode.InvalidRequest,
    "KmsException": HandlerErrorCode.InvalidRequest,
    "NotFoundException": HandlerErrorCode.InvalidRequest,
    "TooManyTagsException": HandlerErrorCode.InvalidRequest,
    "ValidationError": HandlerErrorCode.InvalidRequest,
    "ValidationException": HandlerErrorCode.InvalidRequest,
    "RepositoryAlreadyExistsException": HandlerErrorCode.AlreadyExists,
    "RepositoryNotFoundException": HandlerErrorCode.NotFound,
    "RepositoryNotEmptyException": HandlerErrorCode.ResourceConflict,
    "LimitExceededException": HandlerErrorCode.ServiceLimitExceeded,
    "EC2ThrottledException": HandlerErrorCode.Throttling,
    "RequestLimitExceeded": HandlerErrorCode.Throttling,
    "RequestThrottled": HandlerErrorCode.Throttling,
    "RequestThrottledException": HandlerErrorCode.Throttling,
    "SlowDown": HandlerErrorCode.Throttling,
    "ThrottledException": HandlerErrorCode.Throttling,
    "Throttling": HandlerErrorCode.Throttling,
    "ThrottlingException": HandlerErrorCode.Throttling,
    "TooManyRequestsException": HandlerErrorCode.Throttling,
    "InternalFailure": HandlerErrorCode.ServiceInternalError,
    "InternalServerError": HandlerErrorCode.ServiceInternalError,
    "RequestAbortedException": HandlerErrorCode.ServiceInternalError,
    "RequestTimeout": HandlerErrorCode.ServiceInternalError,
    "RequestTimeoutException": HandlerErrorCode.ServiceInternalError,
    "ConditionalRequestConflict": HandlerErrorCode.ServiceInternalError,  # S3: another conditional write at that moment
    "ServerException": HandlerErrorCode.ServiceInternalError,
    "ServiceUnavailable": HandlerErrorCode.ServiceInternalError,
    "ServiceUnavailableException": HandlerErrorCode.ServiceInternalError,
}

_CLIENT_SIDE: tuple[tuple[type[Exception], HandlerErrorCode], ...] = (
    (botocore_exceptions.NoCredentialsError, HandlerErrorCode.InvalidCredentials),
    (botocore_exceptions.PartialCredentialsError, HandlerErrorCode.InvalidCredentials),
    (botocore_exceptions.ParamValidationError, HandlerErrorCode.InvalidRequest),
    (botocore_exceptions.ConnectionError, HandlerErrorCode.NetworkFailure),  # no connection
    (botocore_exceptions.HTTPClientError, HandlerErrorCode.NetworkFailure),  # a dropped one, or no answer in time
    (botocore_exceptions.IncompleteReadError, HandlerErrorCode.NetworkFailure),
    (botocore_exceptions.ResponseStreamingError, HandlerErrorCode.NetworkFailure),
    (ResponseParserError, HandlerErrorCode.NetworkFailure),  # an answer that something on the way has changed
)

LONGEST_MESSAGE = 1_024  # characters of StatusMessage in CloudFormation's RecordHandlerProgress; Cloud Control: 2,048

_TOO_MANY_REQUESTS = 429
_DENIED = re.compile(r"not authorized to perform: ([a-z0-9-]+:\w+)")


class HandlerError(Exception):
    """A failure that the user is told about: a handler error code and a sentence."""

    def __init__(self, code: HandlerErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RefusalError(HandlerError):
    """A delete that the rules forbid. Its message is complete: it also says what was deleted before."""

    def __init__(self, message: str, code: HandlerErrorCode = HandlerErrorCode.InvalidRequest) -> None:
        super().__init__(code, message)


def invalid_request(message: str) -> HandlerError:
    """A failure that no retry can fix: the request, or the repository's own rules, forbid it."""
    return HandlerError(HandlerErrorCode.InvalidRequest, message)


def shortened(sentence: str, length: int = LONGEST_MESSAGE) -> str:
    """A sentence of at most that many characters, cut between two words if need be."""
    return sentence if len(sentence) <= length else textwrap.shorten(sentence, length, placeholder=" ...")


def not_found(name: str) -> HandlerError:
    """The repository does not exist."""
    return HandlerError(HandlerErrorCode.NotFound, f"The repository {name} does not exist.")


def service_code(error: Exception) -> str:
    """The service's own name of an error, such as RepositoryNotFoundException; empty where it did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def service_message(error: Exception) -> str:
    """The service's own words about an error; those of botocore where it did not answer."""
    said = error.response.get("Error", {}).get("Message") if isinstance(error, ClientError) else None
    return said or service_code(error) or str(error)


def handler_code(error: Exception) -> HandlerErrorCode:
    """The handler error code of what ECR or botocore raised."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _SERVICE_CODES.get(service_code(error), _of_status(status))
    for kind, code in _CLIENT_SIDE:
        if isinstance(error, kind):
            return code
    return HandlerErrorCode.GeneralServiceException


def _of_status(status: int) -> HandlerErrorCode:
    """What the HTTP status says, where the error's name is not in the table."""
    if status == _TOO_MANY_REQUESTS:
        return HandlerErrorCode.Throttling
    return HandlerErrorCode.ServiceInternalError if status >= 500 else HandlerErrorCode.GeneralServiceException


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    return handler_code(error) in TRANSIENT


def denied_action(said: str) -> str | None:
    """The action, such as kms:GenerateDataKey, that a service says is denied; None if it does not say which."""
    denied = _DENIED.search(said)
    return denied[1] if denied else None


def failure(error: Exception, service: str = "ECR") -> HandlerError:
    """What to tell the user about an error of a service, or of botocore."""
    code = handler_code(error)
    if isinstance(error, botocore_exceptions.ParamValidationError):
        return HandlerError(code, f"{service} does not accept such a request: {' '.join(str(error).split())}")
    if not isinstance(error, ClientError):
        return HandlerError(code, f"{service} could not be called: {error}")
    action = f"{service.lower()}:{error.operation_name}"
    said = service_message(error)
    if code is HandlerErrorCode.AccessDenied:
        action = denied_action(said) or action  # CreateRepository, for one, needs ecr:TagResource too
        return HandlerError(
            code,
            f"{action} was denied. Allow it to the role that runs this resource type (the execution role it was "
            f"registered with), and look for a Deny in the repository policy. {service} said: {said}",
        )
    if service_code(error) == "KmsException":
        return HandlerError(code, f"{action} failed because ECR could not use the KMS key: {said}")
    return HandlerError(code, f"{action} failed: {said}")
