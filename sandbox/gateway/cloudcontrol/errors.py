"""Cloud Control's errors. https://docs.aws.amazon.com/cloudcontrolapi/latest/APIReference/CommonErrors.html"""

from __future__ import annotations

from sandbox.driver.failures import OperationError

_NAMES = {
    "NotFound": "ResourceNotFoundException",
    "InternalFailure": "HandlerInternalFailureException",
    "ServiceInternalError": "ServiceInternalErrorException",
    "AccessDenied": "AccessDeniedException",
}
_SAME = (
    "AlreadyExists", "GeneralServiceException", "InvalidCredentials", "InvalidRequest", "NetworkFailure",
    "NotStabilized", "NotUpdatable", "ResourceConflict", "ServiceLimitExceeded", "Throttling",
)  # fmt: skip


class CloudControlError(Exception):
    """A request is refused; `code` is the API's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def refused(error: OperationError) -> CloudControlError:
    """What the API answers where a read or list failed."""
    if error.code in _SAME:
        name = f"{error.code.removesuffix('Exception')}Exception"
    else:
        name = _NAMES.get(error.code, "HandlerFailureException")
    return CloudControlError(name, error.message)
