"""Whether a stack policy allows an update. Pure.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html
"""

from __future__ import annotations

import fnmatch
import json
from typing import Any

Statement = dict[str, Any]


def allows(policy: str | None, action: str, logical_id: str, kind: str) -> bool:
    """Whether `Update:Modify` or `Update:Delete` of a resource is allowed. An unreadable policy allows nothing."""
    if not policy:
        return True
    try:
        statements = json.loads(policy)["Statement"]
        listed: list[Statement] = statements if isinstance(statements, list) else [statements]
        effects = {each["Effect"] for each in listed if _matches(each, action, logical_id, kind)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return effects == {"Allow"}


def _matches(statement: Statement, action: str, logical_id: str, kind: str) -> bool:
    return (
        _names(statement, "Action", action)
        and _names(statement, "Resource", f"LogicalResourceId/{logical_id}")
        and _is_met(statement.get("Condition") or {}, kind)
    )


def _names(statement: Statement, key: str, value: str) -> bool:
    negated = f"Not{key}" in statement
    given = statement[f"Not{key}" if negated else key]
    patterns = given if isinstance(given, list) else [given]
    return any(fnmatch.fnmatchcase(value.lower(), str(each).lower()) for each in patterns) != negated


def _is_met(condition: dict[str, Any], kind: str) -> bool:
    """A condition on the resource's type; any other is taken as met by a Deny, and so by an Allow."""
    for operator, tests in condition.items():
        given = tests.get("ResourceType") if isinstance(tests, dict) else None
        if given is None:
            continue
        patterns = given if isinstance(given, list) else [given]
        if any(fnmatch.fnmatchcase(kind, str(each)) for each in patterns) == ("Not" in operator):
            return False
    return True
