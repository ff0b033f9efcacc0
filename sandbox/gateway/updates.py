"""What CloudFormation does with updates of a stack, and ministack does not.

An update can't change the type of a resource, or an export that is in use. The clean-up has events of its own. It tries
three times to delete an old resource, and then leaves it behind, outside the stack.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.gateway import ministack

CLEANUP = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
LEFT_BEHIND = "Update successful. One or more resources could not be deleted."
_TRIES = 3
_CLEANING, _FAILED = "_sandbox_cleaning", "_sandbox_cleanup_failed"  # in the record of a stack

Stack = dict[str, Any]
Delete = Callable[[str, str, Any, str | None, str | None], None]


def install() -> None:
    """Put all this into the stack engine. Once a process."""
    ministack.check_updates(type_change)
    ministack.check_exports(export_change)
    ministack.wrap_stack_delete(_delete_in_cleanup)
    ministack.before_update_complete(_end_cleanup)


def type_change(stack: Stack, template: Stack) -> str | None:
    """Why a template can't replace the one of a stack; None if it can."""
    present: dict[str, Stack] = stack.get("_resources", {})
    definitions: dict[str, Stack] = template.get("Resources", {})
    changed = [
        logical_id
        for logical_id, definition in definitions.items()
        if logical_id in present and definition.get("Type") != present[logical_id]["ResourceType"]
    ]
    if not changed:
        return None
    listed = ", ".join(sorted(changed))
    return (
        "Update of resource type is not permitted. "
        f"The new template modifies resource type of the following resources: [{listed}]"
    )


def export_change(name: str, value: str | None, importers: list[str]) -> str | None:
    """Why an export can't be changed or deleted; None if it can.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
    """
    if not importers:
        return None
    return f"Export {name} cannot be {'deleted' if value is None else 'updated'} as it is in use by {importers[0]}"


def _delete_in_cleanup(delete: Delete) -> Delete:
    """Treat a delete during an update as clean-up. Rollbacks and deletes of a stack record their events themselves."""

    def delete_in_cleanup(
        kind: str, physical_id: str, properties: Any, stack_name: str | None = None, logical_id: str | None = None
    ) -> None:
        stack = ministack.stack_by_name(stack_name)
        if stack.get("StackStatus") not in ("UPDATE_IN_PROGRESS", CLEANUP):
            delete(kind, physical_id, properties, stack_name, logical_id)
            return
        _begin_cleanup(stack)
        resource = (str(logical_id), kind, physical_id)
        for _ in range(_TRIES):
            ministack.add_event(stack, resource, "DELETE_IN_PROGRESS")
            try:
                delete(kind, physical_id, properties, stack_name, logical_id)
            except Exception as error:  # of any handler; the event tells it
                ministack.add_event(stack, resource, "DELETE_FAILED", str(error))
            else:
                ministack.add_event(stack, resource, "DELETE_COMPLETE")
                return
        stack[_FAILED] = True

    return delete_in_cleanup


def _begin_cleanup(stack: Stack) -> None:
    if not stack.get(_CLEANING):
        stack[_CLEANING] = True
        stack["StackStatus"] = CLEANUP
        ministack.add_event(stack, ministack.itself(stack), CLEANUP)


def _end_cleanup(stack: Stack) -> str:
    """End the clean-up, which each update has, before the update's last event. Returns the reason for that event."""
    status = stack["StackStatus"]
    _begin_cleanup(stack)
    stack["StackStatus"] = status
    stack.pop(_CLEANING)
    return LEFT_BEHIND if stack.pop(_FAILED, False) else ""
