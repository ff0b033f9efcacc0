"""How an operation fails, in the service's words."""

from __future__ import annotations

from typing import Any

# CloudFormation repeats a call that failed with one of these; all others end the operation.
# https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html
RETRIABLE = frozenset({"NetworkFailure", "ResourceConflict", "ServiceInternalError", "Throttling"})


class OperationError(Exception):
    """An operation failed. The message is the reason that a stack event shows."""

    def __init__(self, reason: str, code: str, message: str) -> None:
        super().__init__(reason)
        self.code = code
        self.message = message


class HandlerError(OperationError):
    """The handler answered FAILED, or broke the contract. `model` is from that answer, or from an earlier one."""

    def __init__(self, code: str, message: str, token: str, model: dict[str, Any] | None = None) -> None:
        super().__init__(
            f'Resource handler returned message: "{message}" (RequestToken: {token}, HandlerErrorCode: {code})',
            code,
            message,
        )
        self.model = model


class AssumeRoleError(Exception):
    """CloudFormation may not assume an execution role; the message says why."""


class InvalidPropertiesError(OperationError):
    """The properties do not fit the schema: no handler was called."""

    def __init__(self, name: str, problems: str) -> None:
        super().__init__(
            f"Properties validation failed for resource {name} with message:\n{problems}", "InvalidRequest", problems
        )
