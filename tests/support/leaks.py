"""Where secrets would be seen, if handlers let them out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sandbox.environment import SECRET_PREFIX
from sandbox.server import Sandbox


def texts(box: Sandbox) -> Iterator[tuple[str, str]]:
    """All that handlers wrote, and all that was told of them, each with the name of its place."""
    yield "the output of the handlers' processes", box.control.handler_log()
    for entry in box.control.invocations():
        yield f"call {entry['number']}", json.dumps(entry)
    for group, stream, event in delivered(box):
        yield f"log group {group}, stream {stream}", event
    for stack in _pages(box, "cloudformation", "list_stacks", "StackSummaries"):
        for event in _pages(box, "cloudformation", "describe_stack_events", "StackEvents", StackName=stack["StackId"]):
            yield f"an event of the stack {stack['StackName']}", json.dumps(event, default=str)
    for request in _pages(box, "cloudcontrol", "list_resource_requests", "ResourceRequestStatusSummaries"):
        yield f"Cloud Control's request {request['RequestToken']}", json.dumps(request, default=str)


def delivered(box: Sandbox) -> Iterator[tuple[str, str, str]]:
    """The log events in the account: group, stream, message."""
    for group in _pages(box, "logs", "describe_log_groups", "logGroups"):
        for stream in _pages(box, "logs", "describe_log_streams", "logStreams", logGroupName=group["logGroupName"]):
            place = {"logGroupName": group["logGroupName"], "logStreamName": stream["logStreamName"]}
            events = box.client("logs").get_log_events(**place, startFromHead=True)["events"]
            for event in events:
                yield (*place.values(), event["message"])


def leaks(box: Sandbox) -> list[str]:
    """The places where a secret key or a session token of the sandbox is seen."""
    return sorted({place for place, text in texts(box) if SECRET_PREFIX in text})


def _pages(box: Sandbox, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
    for page in box.client(service).get_paginator(operation).paginate(**parameters):
        yield from page[key]
