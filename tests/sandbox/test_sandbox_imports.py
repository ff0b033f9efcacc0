"""Resources that CloudFormation did not make, or that were changed behind its back: import, and drift detection."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.control import ControlError
from sandbox.server import Sandbox, start_sandbox
from tests.support.stack import Stack, one_resource, unique_name
from tests.support.stub import TYPE_NAME, register

Json = dict[str, Any]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start_sandbox() as box:
        register(box)
        yield box


@pytest.fixture
def stack(box: Sandbox) -> Stack:
    return Stack(box, logical_id="Thing")


@pytest.fixture
def name() -> str:
    return unique_name("thing")


@pytest.fixture
def existing(box: Sandbox, name: str) -> str:
    """The name of a thing that belongs to no stack."""
    change(box, "create_resource", DesiredState=json.dumps({"Name": name, "Size": 3}))
    return name


def change(box: Sandbox, operation: str, **asked: Any) -> None:
    """By Cloud Control, which CloudFormation does not notice."""
    client = box.client("cloudcontrol")
    token = getattr(client, operation)(TypeName=TYPE_NAME, **asked)["ProgressEvent"]["RequestToken"]
    while client.get_resource_request_status(RequestToken=token)["ProgressEvent"]["OperationStatus"] != "SUCCESS":
        time.sleep(0.01)


def imported(name: str) -> Json:
    template = one_resource(TYPE_NAME, {"Name": name, "Size": 3}, (), "Thing", DeletionPolicy="Delete")
    del template["Outputs"]  # an import can't add any
    return template


def test_import_reads_the_resource_and_updates_it_to_the_template(box: Sandbox, stack: Stack, existing: str) -> None:
    template = imported(existing)
    template["Resources"]["Thing"]["Properties"]["Size"] = 4
    assert stack.import_resource(template, TYPE_NAME, {"Name": existing}) == "IMPORT_COMPLETE"
    calls = stack.calls()
    assert [call["action"] for call in calls] == ["READ", "UPDATE", "READ"]
    assert calls[1]["properties"] == {"Name": existing, "Size": "4"}
    assert described(box, existing)["Size"] == "4"
    assert stack.delete() == "DELETE_COMPLETE"
    assert stack.calls("DELETE")[0]["properties"]["Name"] == existing


def described(box: Sandbox, name: str) -> Json:
    found = box.client("cloudcontrol").get_resource(TypeName=TYPE_NAME, Identifier=name)["ResourceDescription"]
    properties: Json = json.loads(found["Properties"])
    return properties


@pytest.mark.parametrize(
    ("setting", "previous"),
    [("template", {"Size": "3"}), ("read", {"Size": "3", "Colour": "red"}), ("nothing", None)],
)
def test_import_sends_as_previous_what_the_settings_say(
    box: Sandbox, stack: Stack, name: str, setting: str, previous: Json | None
) -> None:
    change(box, "create_resource", DesiredState=json.dumps({"Name": name, "Size": 3, "Colour": "red"}))
    box.control.settings(import_previous=setting)
    try:
        assert stack.import_resource(imported(name), TYPE_NAME, {"Name": name}) == "IMPORT_COMPLETE"
    finally:
        box.control.reset_settings()
    [call] = stack.calls("UPDATE")
    sent = call["previous_properties"]
    if previous is None:
        assert sent is None
    else:
        assert {key: value for key, value in sent.items() if key not in ("Arn", "Inner")} == {"Name": name, **previous}
    assert (setting == "read") == ("Arn" in (sent or {}))


def test_import_sends_the_template_as_previous_unless_told_otherwise(box: Sandbox) -> None:
    assert box.control.settings()["import_previous"] == "template"
    with pytest.raises(ControlError, match="everything is not one of template, read, nothing"):
        box.control.settings(import_previous="everything")


def test_import_that_can_not_be_updated_is_rolled_back(stack: Stack, existing: str) -> None:
    template = imported(existing)
    template["Resources"]["Thing"]["Properties"]["Behaviour"] = "UPDATE:fail=InvalidRequest"
    assert stack.import_resource(template, TYPE_NAME, {"Name": existing}) == "ROLLBACK_COMPLETE"
    assert "HandlerErrorCode: InvalidRequest" in stack.reason("IMPORT_FAILED")


def test_import_of_a_reference_that_can_not_be_resolved_is_rolled_back(stack: Stack, existing: str) -> None:
    template = imported(existing)
    template["Resources"]["Thing"]["Properties"]["Colour"] = {"Fn::ImportValue": "nobody-exports-this"}
    assert stack.import_resource(template, TYPE_NAME, {"Name": existing}) == "ROLLBACK_COMPLETE"
    assert "nobody-exports-this" in stack.reason("IMPORT_FAILED")
    assert stack.calls("UPDATE") == []


def test_import_gives_the_stacks_tags_by_an_update(stack: Stack, existing: str) -> None:
    template = one_resource(TYPE_NAME, {"Size": 3}, (), "Thing")
    stack.create(template, {"team": "a"})
    template["Resources"]["Imported"] = imported(existing)["Resources"]["Thing"]
    assert stack.import_resource(template, TYPE_NAME, {"Name": existing}, "Imported") == "IMPORT_COMPLETE"
    calls = [call for call in stack.calls() if call["logical_id"] == "Imported"]
    assert [call["action"] for call in calls] == ["READ", "UPDATE", "READ"]
    assert calls[1]["stack_tags"] == {"team": "a"}


def test_import_of_what_does_not_exist(stack: Stack, name: str) -> None:
    assert stack.import_resource(imported(name), TYPE_NAME, {"Name": name}) == "ROLLBACK_COMPLETE"
    assert "HandlerErrorCode: NotFound" in stack.reason("IMPORT_FAILED")


def test_drift_is_found_by_read(box: Sandbox, stack: Stack, name: str) -> None:
    stack.create(one_resource(TYPE_NAME, {"Name": name, "Size": 3}, (), "Thing"))
    assert stack.detect_drift() == "IN_SYNC"
    patch = json.dumps([{"op": "replace", "path": "/Size", "value": 9}])
    change(box, "update_resource", Identifier=name, PatchDocument=patch)
    assert stack.detect_drift() == "DRIFTED"
    [difference] = stack.drifts()
    assert (difference["PropertyPath"], difference["ActualValue"]) == ("/Size", "9")


def test_tags_of_the_stack_are_no_drift(stack: Stack, name: str) -> None:
    own = [{"Key": "own", "Value": "1"}]
    stack.create(one_resource(TYPE_NAME, {"Name": name, "Size": 3, "Tags": own}, (), "Thing"), {"team": "a"})
    assert stack.detect_drift() == "IN_SYNC"


def test_what_is_gone_is_drift(box: Sandbox, stack: Stack, name: str) -> None:
    stack.create(one_resource(TYPE_NAME, {"Name": name, "Size": 3}, (), "Thing"))
    change(box, "delete_resource", Identifier=name)
    assert stack.detect_drift() == "DRIFTED"
