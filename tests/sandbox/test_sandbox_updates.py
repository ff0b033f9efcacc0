"""What CloudFormation refuses of an update, and how it cleans up after one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.server import Sandbox, start_sandbox
from tests.support.stack import Stack, one_resource, unique_name
from tests.support.stub import SCHEMA, TYPE_NAME, make_package, register

Json = dict[str, Any]
OTHER = "Test::Other::Thing"
CLEANUP = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
NOT_PERMITTED = (
    "Update of resource type is not permitted. The new template modifies resource type of the following resources: "
)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start_sandbox() as box:
        register(box)
        register(box, make_package({**SCHEMA, "typeName": OTHER}), OTHER)
        yield box


def template(kind: str = TYPE_NAME, size: int = 3, **properties: Any) -> Json:
    return one_resource(kind, {"Name": unique_name("thing"), "Size": size, **properties}, (), "Thing")


def ends(stack: Stack) -> list[str]:
    """The statuses of the stack during the last operation."""
    return [status for status, _ in stack.events(stack.name)]


# A change of the type


@pytest.mark.parametrize("kind", [OTHER, "AWS::ECR::Repository"])
def test_a_type_can_not_be_changed(stack: Stack, kind: str) -> None:
    stack.create(template())
    with pytest.raises(ClientError) as raised:
        stack.update(one_resource(kind, {}, (), "Thing"))
    error = raised.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("ValidationError", f"{NOT_PERMITTED}[Thing]")
    assert stack.status == "CREATE_COMPLETE"
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_change_set_that_changes_a_type_fails(stack: Stack) -> None:
    stack.create(template())
    asked = {"StackName": stack.name, "ChangeSetName": "change", "TemplateBody": json.dumps(template(OTHER))}
    stack.client.create_change_set(**asked)
    found = stack.client.describe_change_set(StackName=stack.name, ChangeSetName="change")
    assert (found["Status"], found["ExecutionStatus"], found["Changes"]) == ("FAILED", "UNAVAILABLE", [])
    assert found["StatusReason"] == f"{NOT_PERMITTED}[Thing]"


def test_a_type_can_be_changed_with_the_logical_id(stack: Stack) -> None:
    stack.create(template())
    renamed = {"Resources": {"Other": template(OTHER)["Resources"]["Thing"]}}
    assert stack.update(renamed) == "UPDATE_COMPLETE"


def test_other_templates_are_validated_as_before(stack: Stack) -> None:
    stack.create(template())
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        stack.update(template("Test::Not::There"))


# The clean-up


def test_the_replaced_resource_is_deleted_in_view(stack: Stack) -> None:
    stack.create(template())
    old = stack.outputs["Ref"]
    assert stack.update(template()) == "UPDATE_COMPLETE"
    assert [status for status, _ in stack.events()][-3:] == ["UPDATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    assert ends(stack) == ["UPDATE_IN_PROGRESS", CLEANUP, "UPDATE_COMPLETE"]
    events = stack.client.describe_stack_events(StackName=stack.name)["StackEvents"]
    [deleted] = [event for event in events if event["ResourceStatus"] == "DELETE_COMPLETE"]
    assert deleted["PhysicalResourceId"] == old


def test_the_stack_is_cleaning_up_while_the_old_resource_is_deleted(stack: Stack) -> None:
    stack.create(template(Behaviour="DELETE:first-sleeps=0.5"))
    stack.update(template(), wait=False)
    seen = set()
    while (status := stack.status).endswith("_IN_PROGRESS"):
        seen.add(status)
    assert (status, CLEANUP in seen) == ("UPDATE_COMPLETE", True)


def test_an_old_resource_that_can_not_be_deleted_is_tried_three_times_and_left_behind(stack: Stack) -> None:
    stack.create(template(Behaviour="DELETE:fail=InvalidRequest"))
    assert stack.update(template()) == "UPDATE_COMPLETE"
    assert [status for status, _ in stack.events()][-6:] == ["DELETE_IN_PROGRESS", "DELETE_FAILED"] * 3
    assert "failed as asked" in stack.reason("DELETE_FAILED")
    reason = stack.reason("UPDATE_COMPLETE", stack.name)
    assert reason == "Update successful. One or more resources could not be deleted."
    assert len(stack.calls("DELETE")) == 3
    assert stack.delete() == "DELETE_COMPLETE"
    assert len(stack.calls("DELETE")) == 4


def test_a_second_try_can_succeed(stack: Stack) -> None:
    stack.create(template(Behaviour="DELETE:fail=InvalidRequest,times=1"))
    assert stack.update(template()) == "UPDATE_COMPLETE"
    assert stack.events()[-1][0] == "DELETE_COMPLETE"
    assert stack.reason("UPDATE_COMPLETE", stack.name) == ""


def two_things(**behaviour: Any) -> Json:
    first, second = (template(**behaviour)["Resources"]["Thing"] for _ in range(2))
    return {"Resources": {"Thing": first, "Other": second}}


def test_a_removed_resource_is_deleted_in_view(stack: Stack) -> None:
    both = two_things()
    stack.create(both)
    del both["Resources"]["Thing"]
    assert stack.update(both) == "UPDATE_COMPLETE"
    assert [status for status, _ in stack.events()] == ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]


def test_a_removed_resource_that_can_not_be_deleted_leaves_the_stack(stack: Stack) -> None:
    both = two_things(Behaviour="DELETE:fail=InvalidRequest")
    stack.create(both)
    del both["Resources"]["Thing"]
    assert stack.update(both) == "UPDATE_COMPLETE"
    assert [status for status, _ in stack.events()] == ["DELETE_IN_PROGRESS", "DELETE_FAILED"] * 3
    listed = stack.client.list_stack_resources(StackName=stack.name)["StackResourceSummaries"]
    assert [each["LogicalResourceId"] for each in listed] == ["Other"]


def test_each_update_has_a_clean_up(stack: Stack) -> None:
    first = template()
    stack.create(first)
    first["Resources"]["Thing"]["Properties"]["Size"] = 4
    for _ in range(2):
        assert stack.update(first) == "UPDATE_COMPLETE"
        assert ends(stack) == ["UPDATE_IN_PROGRESS", CLEANUP, "UPDATE_COMPLETE"]
        first["Resources"]["Thing"]["Properties"]["Size"] += 1


def test_a_create_and_a_rollback_have_the_events_they_had(stack: Stack) -> None:
    first = template()
    stack.create(first)
    assert ends(stack) == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    first["Resources"]["Thing"]["Properties"]["Behaviour"] = "UPDATE:fail=InvalidRequest,times=1"
    assert stack.update(first) == "UPDATE_ROLLBACK_COMPLETE"
    assert CLEANUP not in ends(stack)


# Exports


@pytest.mark.parametrize("word", ["deleted", "updated"])
def test_an_export_that_is_in_use_can_not_be_changed(box: Sandbox, word: str) -> None:
    def exporting(**outputs: Json) -> Json:
        return {"Resources": {"A": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}, "Outputs": outputs}

    export = unique_name("export")
    one = {"Value": "one", "Export": {"Name": export}}
    exporter, importer = Stack(box), Stack(box)
    exporter.create(exporting(One=one))
    importing = exporting(Two={"Value": {"Fn::ImportValue": export}})
    importer.create(importing)
    changed = exporting() if word == "deleted" else exporting(One=one | {"Value": "two"})
    assert exporter.update(changed) == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [reason for _, reason in exporter.events(exporter.name)]
    assert f"Export {export} cannot be {word} as it is in use by {importer.name}" in reasons
    assert exporter.outputs == {"One": "one"}
    same = exporting(Other={"Value": "1"}, One=one | {"Value": {"Fn::Join": ["", ["o", "ne"]]}})
    assert exporter.update(same) == "UPDATE_COMPLETE"
    assert importer.delete() == "DELETE_COMPLETE"
    assert exporter.update(changed) == "UPDATE_COMPLETE"
