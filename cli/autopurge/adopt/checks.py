"""What must hold before a repository leaves a stack. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .planning import PLACEHOLDER
from .templates import Template


def unretained(processed: Template, leaving: Iterable[str]) -> str | None:
    """Why these resources may not leave a stack that has this processed template; None if they may."""
    for logical_id in leaving:
        resource = processed.resources.get(logical_id)
        if resource is None:
            return f"{logical_id} is not in the stack's template any more."
        policy = resource.get("DeletionPolicy")
        if policy != "Retain":
            return f"The DeletionPolicy of {logical_id} in the stack's template is {policy}, not Retain."
    return None


def unexpected(changes: Iterable[Any], leaving: Iterable[str]) -> str | None:
    """Why a change set must not be executed; None if it removes exactly these resources, and deletes none of them."""
    expected = set(leaving)
    removed = set()
    for change in (each["ResourceChange"] for each in changes if "ResourceChange" in each):
        logical_id, action = change["LogicalResourceId"], change["Action"]
        if action == "Remove":
            removed.add(logical_id)
            if change.get("PolicyAction", "Retain") != "Retain":
                return f"The change set would delete {logical_id}."
        elif action != "Modify" and logical_id != PLACEHOLDER:
            return f"The change set has another change: {action} of {logical_id}."
    if removed != expected:
        differing = ", ".join(sorted(removed ^ expected))
        return f"The change set does not remove just what was planned: {differing}."
    return None
