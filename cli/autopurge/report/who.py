"""Who asked for the deletes of a report: AWS CloudTrail knows, for 90 days, also without a trail.

CloudTrail answers two lookups a second in an account, and a page has 50 events. So a lookup asks for the events of one
service around the deletes, and deletes that are near to each other share one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ..aws import Aws
from ..repositories import stack_name
from .contents import Delete

MOST_PAGES = 100  # of all lookups together; some 50 seconds
_BEFORE = timedelta(hours=1)  # before a delete began: the update, or the stack set, that caused it
_AFTER = timedelta(minutes=1)
_NEAR = timedelta(hours=6)
_OF_STACKS = frozenset({"DeleteStack", "UpdateStack", "ExecuteChangeSet"})
_SOURCES = {True: "cloudformation.amazonaws.com", False: "cloudcontrolapi.amazonaws.com"}
_Window = tuple[datetime, datetime]


def find_callers(aws: Aws, deletes: Iterable[Delete]) -> bool:
    """Write the callers into the deletes. Returns whether all events were looked at, or only the first pages."""
    known = [each for each in deletes if each.began and each.ended]
    pages_left = MOST_PAGES
    for by_stack, source in _SOURCES.items():
        asked = [each for each in known if bool(each.stack_id) is by_stack]
        for start, end in windows(asked):
            request = {
                "LookupAttributes": [{"AttributeKey": "EventSource", "AttributeValue": source}],
                "StartTime": start,
                "EndTime": end,
            }
            pages: Any = aws.cloudtrail.get_paginator("lookup_events").paginate(**request)  # type: ignore[arg-type]
            for page in pages:
                events = [json.loads(each["CloudTrailEvent"]) for each in page["Events"]]
                for delete in asked:
                    delete.callers += _callers(delete, events)
                pages_left -= 1
                if not pages_left:
                    return False
                aws.clock.sleep(0.5)
    return True


def windows(deletes: Iterable[Delete]) -> list[_Window]:
    """The times in which the deletes were asked for; near ones are one."""
    merged: list[_Window] = []
    for start, end in sorted(_window(each) for each in deletes):
        if merged and start - merged[-1][1] < _NEAR:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _window(delete: Delete) -> _Window:
    return _time(str(delete.began)) - _BEFORE, _time(str(delete.ended)) + _AFTER


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _callers(delete: Delete, events: Iterable[dict[str, Any]]) -> Iterator[str]:
    start, end = _window(delete)
    for event in events:
        if _asks_for(event, delete) and start <= _time(event["eventTime"]) <= end:
            who = event.get("userIdentity", {}).get("arn", "somebody")
            caller = f"{who} by {event['eventName']} at {event['eventTime']}"
            if caller not in delete.callers:
                yield caller


def _asks_for(event: dict[str, Any], delete: Delete) -> bool:
    asked = event.get("requestParameters") or {}
    if delete.stack_id:
        names = (delete.stack_id, stack_name(delete.stack_id))
        return event["eventName"] in _OF_STACKS and asked.get("stackName") in names
    return event["eventName"] == "DeleteResource" and asked.get("identifier") == delete.repository
