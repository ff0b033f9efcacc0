"""The event that a handler receives, as CloudFormation fills it: HandlerRequest in the support library's utils."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.driver.schema import Schema, as_strings

Json = dict[str, Any]


class Handlers(Protocol):
    """One version of a registered type, as the driver needs it."""

    schema: Schema
    version: str
    role_arn: str

    @property
    def arn(self) -> str:
        """The version's ARN: aws:SourceArn when CloudFormation assumes the role."""

    @property
    def log_group(self) -> str | None:
        """Where the handlers' own log lines go."""

    def configuration(self) -> Json | None:
        """The type configuration that is set, if any."""

    def start(self, event: Json, seconds: float) -> Future[Json]:
        """Begin a call, in which the handler may take `seconds`; the future has its answer, or what it raised."""


@dataclass(frozen=True)
class Caller:
    """Who asks: a stack's resource, or, without a stack, Cloud Control."""

    account: str
    region: str
    stack_id: str | None = None
    logical_id: str | None = None
    stack_tags: Mapping[str, str] = field(default_factory=dict)
    previous_stack_tags: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """What messages call the resource."""
        return self.logical_id or "resource"


@dataclass(frozen=True)
class Call:
    """What changes from one call of an operation to the next."""

    action: str
    desired: Json | None
    previous: Json | None = None
    context: Json | None = None
    next_token: str | None = None


def make_event(
    handlers: Handlers, caller: Caller, token: str, call: Call, credentials: Callable[[str, str], Json]
) -> Json:
    """The event of one call. `credentials(role_arn, type_arn)` gives new temporary ones each time."""
    return {
        "action": call.action,
        "awsAccountId": caller.account,
        "bearerToken": token,
        "region": caller.region,
        "responseEndpoint": None,
        "resourceType": handlers.schema.type_name,
        "resourceTypeVersion": handlers.version,
        "stackId": caller.stack_id,
        "nextToken": call.next_token,
        "callbackContext": call.context,
        "requestData": {
            "callerCredentials": credentials(handlers.role_arn, handlers.arn),
            "providerCredentials": credentials(handlers.role_arn, handlers.arn),
            "providerLogGroupName": handlers.log_group,
            "logicalResourceId": caller.logical_id,
            "resourceProperties": as_strings(call.desired),
            "previousResourceProperties": as_strings(call.previous),
            "stackTags": dict(caller.stack_tags),
            "previousStackTags": None if caller.previous_stack_tags is None else dict(caller.previous_stack_tags),
            "systemTags": None,  # aws:cloudformation:* tags never reach the handlers of a registered type
            "previousSystemTags": None,
            "typeConfiguration": handlers.configuration(),  # as it was set: it is JSON text, not part of a template
        },
    }
