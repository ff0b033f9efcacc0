"""The shape of the event that CloudFormation sends. Pure.

An event that is not understood must not reach the delete handler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from cloudformation_cli_python_lib import Action

from ..typed_json import Strictness, check

PROPERTIES = Strictness(unknown_keys=True, nulls=False, any_scalar=True)
_EVENT = Strictness(unknown_keys=True, secrets=frozenset({"callerCredentials", "providerCredentials"}))
_REQUIRED = ("action", "awsAccountId", "bearerToken", "region")
_HINTS = ("rollback", "snapshotRequested")


@dataclass
class _RequestData:
    """What the event says of the resource. CloudFormation may add to it."""

    logicalResourceId: str | None
    providerLogGroupName: str | None
    resourceProperties: dict[str, Any] | None
    previousResourceProperties: dict[str, Any] | None
    stackTags: dict[str, Any] | None
    previousStackTags: dict[str, Any] | None
    systemTags: dict[str, Any] | None
    previousSystemTags: dict[str, Any] | None
    callerCredentials: dict[str, Any] | None
    providerCredentials: dict[str, Any] | None


@dataclass
class _Event:
    """The event of one call. CloudFormation may add to it."""

    action: str
    awsAccountId: str
    bearerToken: str
    region: str
    requestData: _RequestData
    stackId: str | None
    nextToken: str | None
    resourceType: str | None
    callbackContext: dict[str, Any] | None


def check_event(event: object) -> None:
    """Raise ValueError, with the reason in words, for an event of another shape."""
    check(_Event, event, "the event", _EVENT)
    found = cast("Mapping[str, object]", event)
    for key in _REQUIRED:
        if not found[key]:
            raise ValueError(f"the event has no {key}")
    if found["action"] not in Action.__members__:
        raise ValueError(f"the event's action is {found['action']!r}, which is none of {', '.join(Action.__members__)}")


def hints(event: Mapping[str, Any]) -> dict[str, Any]:
    """What CloudFormation says of the circumstances, and the support library drops; nothing is decided by it.

    ``rollback``: whether the request is a part of a rollback. ``snapshotRequested``: whether a snapshot is asked for.
    It is not known whether CloudFormation sends them to types outside ``AWS::``.
    """
    return {key: each[key] for each in (event["requestData"], event) for key in _HINTS if key in each}
