"""Stacks with a registered type: the stub type, in one sandbox, whose handlers run in processes of their own."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.server import Sandbox, start_sandbox
from sandbox.stub import SCHEMA, TYPE_NAME, make_package

Json = dict[str, Any]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start_sandbox() as box:
        s3, cloudformation = box.client("s3"), box.client("cloudformation")
        s3.create_bucket(Bucket="uploads")
        for name, schema in ((TYPE_NAME, SCHEMA), ("Test::Bare::Thing", {**SCHEMA, "tagging": {"taggable": False}})):
            s3.put_object(Bucket="uploads", Key=name, Body=make_package({**schema, "typeName": name}))
            cloudformation.register_type(TypeName=name, SchemaHandlerPackage=f"s3://uploads/{name}")
        yield box


@dataclass
class Stack:
    """A stack with one resource, Thing, under a name of its own."""

    box: Sandbox
    kind: str = TYPE_NAME
    name: str = field(default_factory=lambda: f"stack-{uuid.uuid4().hex[:8]}")
    stack_id: str = ""

    @property
    def client(self) -> Any:
        return self.box.client("cloudformation")

    def template(self, properties: Json, with_outputs: bool = True, **attributes: Any) -> str:
        thing = {"Type": self.kind, "Properties": properties, **attributes}
        if not with_outputs:
            return json.dumps({"Resources": {"Thing": thing}})
        outputs = {
            "Ref": {"Value": {"Ref": "Thing"}},
            "Arn": {"Value": {"Fn::GetAtt": ["Thing", "Arn"]}},
            "Count": {"Value": {"Fn::GetAtt": "Thing.Inner.Count"}},
        }
        return json.dumps({"Resources": {"Thing": thing}, "Outputs": outputs})

    def create(self, properties: Json, tags: Json | None = None, **attributes: Any) -> str:
        body, listed = self.template(properties, **attributes), as_list(tags)
        made = self.client.create_stack(StackName=self.name, TemplateBody=body, Tags=listed)
        self.stack_id = made["StackId"]
        return self.wait()

    def update(self, properties: Json, tags: Json | None = None, **attributes: Any) -> str:
        body, listed = self.template(properties, **attributes), as_list(tags)
        self.client.update_stack(StackName=self.name, TemplateBody=body, Tags=listed)
        return self.wait()

    def delete(self, **options: Any) -> str:
        self.client.delete_stack(StackName=self.stack_id, **options)
        return self.wait()

    def wait(self) -> str:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            status: str = self.describe()["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.01)
        raise AssertionError(f"{self.name} is still {status}")

    def describe(self) -> Json:
        found: Json = self.client.describe_stacks(StackName=self.stack_id)["Stacks"][0]
        return found

    def outputs(self) -> Json:
        return {each["OutputKey"]: each["OutputValue"] for each in self.describe()["Outputs"]}

    def events(self) -> list[tuple[str, str]]:
        """Status and reason of the resource's events, oldest first."""
        events = self.client.describe_stack_events(StackName=self.stack_id)["StackEvents"]
        thing = [event for event in reversed(events) if event["LogicalResourceId"] == "Thing"]
        return [(event["ResourceStatus"], event.get("ResourceStatusReason", "")) for event in thing]

    def calls(self, action: str | None = None) -> list[Json]:
        matching = {"stack_id": self.stack_id} | ({"action": action} if action else {})
        return self.box.control.invocations(**matching)


def as_list(tags: Json | None) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


@pytest.fixture
def stack(box: Sandbox) -> Iterator[Stack]:
    box.control.settings(callback_delay_cap_seconds=0.01, retry_delay_seconds=0.01)
    yield Stack(box)
    box.control.reset_settings()


def name() -> str:
    return f"thing-{uuid.uuid4().hex[:8]}"


def test_create_gives_ref_and_attributes(stack: Stack) -> None:
    wanted = name()
    assert stack.create({"Name": wanted, "Size": 3}) == "CREATE_COMPLETE"
    assert stack.outputs() == {"Ref": wanted, "Arn": f"arn:thing:{wanted}", "Count": "0"}


def test_ref_is_the_identifier_that_the_handler_made_up(stack: Stack) -> None:
    stack.create({"Size": 3})
    assert stack.outputs()["Ref"].startswith("generated-")
    assert stack.delete() == "DELETE_COMPLETE"


def test_create_calls_create_then_read(stack: Stack) -> None:
    stack.create({"Name": name(), "Size": 3})
    calls = stack.calls()
    assert [call["action"] for call in calls] == ["CREATE", "READ"]
    assert calls[0]["logical_id"] == "Thing"


def test_properties_that_do_not_fit_fail_before_any_call(stack: Stack) -> None:
    assert stack.create({"Name": name(), "Size": 3, "Bad": 1}) == "ROLLBACK_COMPLETE"
    words = "Properties validation failed for resource Thing with message:\n#: extraneous key [Bad] is not permitted"
    assert ("CREATE_FAILED", words) in stack.events()
    assert stack.calls() == []


def test_a_failed_create_shows_the_handlers_message(stack: Stack) -> None:
    assert stack.create({"Name": name(), "Size": 3, "Behaviour": "fail=InvalidRequest"}) == "ROLLBACK_COMPLETE"
    [(_, reason)] = [event for event in stack.events() if event[0] == "CREATE_FAILED"]
    assert reason.startswith('Resource handler returned message: "failed as asked" (RequestToken: ')
    assert reason.endswith("HandlerErrorCode: InvalidRequest)")
    assert stack.calls("DELETE") == []


def test_a_failed_create_with_a_model_leaves_nothing(stack: Stack) -> None:
    stack.create({"Name": name(), "Size": 3, "Behaviour": "fail=AccessDenied,model="})
    [delete] = stack.calls("DELETE")
    assert delete["status"] == "SUCCESS"


def test_a_name_that_is_taken(box: Sandbox, stack: Stack) -> None:
    wanted = name()
    first = Stack(box)
    first.create({"Name": wanted, "Size": 3})
    box.control.settings(delete_after_already_exists=True)
    assert stack.create({"Name": wanted, "Size": 4}) == "ROLLBACK_COMPLETE"
    [delete] = stack.calls("DELETE")
    assert delete["properties"]["Name"] == wanted
    assert (delete["stack_id"], delete["logical_id"]) == (stack.stack_id, "Thing")


def test_update_in_place(stack: Stack) -> None:
    wanted = name()
    stack.create({"Name": wanted, "Size": 3})
    assert stack.update({"Name": wanted, "Size": 4}) == "UPDATE_COMPLETE"
    [call] = stack.calls("UPDATE")
    assert (call["previous_properties"]["Size"], call["properties"]["Size"]) == ("3", "4")


def test_update_of_a_create_only_property_replaces(stack: Stack) -> None:
    old, new = name(), name()
    stack.create({"Name": old, "Size": 3})
    assert stack.update({"Name": new, "Size": 3}) == "UPDATE_COMPLETE"
    assert stack.outputs()["Ref"] == new
    assert [call["action"] for call in stack.calls()][-3:] == ["CREATE", "READ", "DELETE"]
    [delete] = stack.calls("DELETE")
    assert delete["properties"]["Name"] == old


def test_the_replaced_resource_can_be_retained(stack: Stack) -> None:
    stack.create({"Name": name(), "Size": 3}, UpdateReplacePolicy="Retain")
    stack.update({"Name": name(), "Size": 3}, UpdateReplacePolicy="Retain")
    assert stack.calls("DELETE") == []


def test_a_failed_update_is_sent_back(stack: Stack) -> None:
    wanted = name()
    stack.create({"Name": wanted, "Size": 3})
    changed = {"Name": wanted, "Size": 4, "Behaviour": "fail=InvalidRequest"}
    assert stack.update(changed) == "UPDATE_ROLLBACK_COMPLETE"
    assert [call["properties"]["Size"] for call in stack.calls("UPDATE")] == ["4", "3"]


def test_an_update_without_a_change_is_refused(stack: Stack) -> None:
    properties = {"Name": name(), "Size": 3}
    stack.create(properties)
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stack.update(properties)


def test_stack_tags_reach_the_handler_apart_from_its_own(stack: Stack) -> None:
    own = [{"Key": "own", "Value": "1"}]
    stack.create({"Name": name(), "Size": 3, "Tags": own}, {"team": "a"})
    [call] = stack.calls("CREATE")
    assert call["stack_tags"] == {"team": "a"}
    assert call["properties"]["Tags"] == own


def test_a_change_of_stack_tags_alone_is_an_update(stack: Stack) -> None:
    properties = {"Name": name(), "Size": 3}
    stack.create(properties, {"team": "a"})
    assert stack.update(properties, {"team": "b"}) == "UPDATE_COMPLETE"
    [call] = stack.calls("UPDATE")
    assert (call["previous_stack_tags"], call["stack_tags"]) == ({"team": "a"}, {"team": "b"})


def test_a_type_that_takes_no_tags_gets_none(box: Sandbox) -> None:
    stack = Stack(box, "Test::Bare::Thing")
    stack.create({"Name": name(), "Size": 3}, {"team": "a"})
    [call] = stack.calls("CREATE")
    assert call["stack_tags"] == {}


def test_delete_goes_through_all_slices(stack: Stack) -> None:
    stack.create({"Name": name(), "Size": 3, "Behaviour": "DELETE:slices=4"})
    assert stack.delete() == "DELETE_COMPLETE"
    calls = stack.calls("DELETE")
    assert [(call["slice"], call["status"]) for call in calls] == [
        (1, "IN_PROGRESS"),
        (2, "IN_PROGRESS"),
        (3, "IN_PROGRESS"),
        (4, "SUCCESS"),
    ]
    assert len({call["token"] for call in calls}) == 1
    assert calls[0]["properties"]["Size"] == "3"


def test_delete_failed_shows_the_message_and_can_be_repeated(stack: Stack) -> None:
    stack.create({"Name": name(), "Size": 3, "Behaviour": "DELETE:fail=InvalidRequest,times=1"})
    assert stack.delete() == "DELETE_FAILED"
    assert 'Resource handler returned message: "failed as asked"' in stack.events()[-1][1]
    assert stack.delete() == "DELETE_COMPLETE"


def test_delete_can_retain_what_failed(stack: Stack) -> None:
    stack.create({"Name": name(), "Size": 3, "Behaviour": "DELETE:fail=InvalidRequest"})
    stack.delete()
    assert stack.delete(RetainResources=["Thing"]) == "DELETE_COMPLETE"
    assert stack.events()[-1][0] == "DELETE_SKIPPED"


def test_delete_retries_what_is_throttled(stack: Stack) -> None:
    stack.create({"Name": name(), "Size": 3, "Behaviour": "DELETE:fail=Throttling,times=2"})
    assert stack.delete() == "DELETE_COMPLETE"
    assert [call["status"] for call in stack.calls("DELETE")] == ["FAILED", "FAILED", "SUCCESS"]


def test_delete_that_is_slow_runs_twice_at_once(box: Sandbox, stack: Stack) -> None:
    box.control.settings(call_seconds=0.3)
    stack.create({"Name": name(), "Size": 3, "Behaviour": "DELETE:first-sleeps=0.8"})
    assert stack.delete() == "DELETE_COMPLETE"
    first, second = stack.calls("DELETE")
    assert first["timed_out"]
    assert second["status"] == "SUCCESS"


@pytest.mark.parametrize("behaviour", ["crash", "exit"])
def test_a_handler_that_crashes(stack: Stack, behaviour: str) -> None:
    assert stack.create({"Name": name(), "Size": 3, "Behaviour": behaviour}) == "ROLLBACK_COMPLETE"
    [(_, reason)] = [event for event in stack.events() if event[0] == "CREATE_FAILED"]
    assert "HandlerErrorCode: InternalFailure" in reason


def test_two_stacks_run_side_by_side(box: Sandbox, stack: Stack) -> None:
    other = Stack(box)
    stacks = [stack, other]
    for each in stacks:
        each.create({"Name": name(), "Size": 3, "Behaviour": "DELETE:first-sleeps=0.5"})
    for each in stacks:
        each.client.delete_stack(StackName=each.stack_id)
    assert [each.wait() for each in stacks] == ["DELETE_COMPLETE"] * 2
    first, second = (each.calls("DELETE")[0] for each in stacks)
    assert abs(first["started"] - second["started"]) < 0.4


def test_drift_is_found_by_read(box: Sandbox, stack: Stack) -> None:
    wanted = name()
    stack.create({"Name": wanted, "Size": 3, "Tags": as_list({"own": "1"})}, {"team": "a"})
    assert detect_drift(stack) == "IN_SYNC"
    control = box.client("cloudcontrol")
    patch = json.dumps([{"op": "replace", "path": "/Size", "value": 9}])
    control.update_resource(TypeName=TYPE_NAME, Identifier=wanted, PatchDocument=patch)
    assert detect_drift(stack) == "DRIFTED"
    [found] = stack.client.describe_stack_resource_drifts(StackName=stack.name)["StackResourceDrifts"]
    [difference] = found["PropertyDifferences"]
    assert (difference["PropertyPath"], difference["ActualValue"]) == ("/Size", "9")


def detect_drift(stack: Stack) -> str:
    detection = stack.client.detect_stack_drift(StackName=stack.name)["StackDriftDetectionId"]
    answer = stack.client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    status: str = answer["StackDriftStatus"]
    return status


def import_into(stack: Stack, template: str, logical_id: str, wanted: str) -> str:
    made = stack.client.create_change_set(
        StackName=stack.name,
        ChangeSetName="import",
        ChangeSetType="IMPORT",
        TemplateBody=template,
        ResourcesToImport=[
            {"ResourceType": TYPE_NAME, "LogicalResourceId": logical_id, "ResourceIdentifier": {"Name": wanted}}
        ],
    )
    stack.stack_id = made["StackId"]
    stack.client.execute_change_set(ChangeSetName=made["Id"])
    return stack.wait()


def import_alone(stack: Stack, wanted: str) -> str:
    """Into a stack that the import creates."""
    template = stack.template({"Name": wanted, "Size": 3}, with_outputs=False, DeletionPolicy="Delete")
    return import_into(stack, template, "Thing", wanted)


@pytest.fixture
def existing(box: Sandbox) -> str:
    wanted = name()
    state = json.dumps({"Name": wanted, "Size": 3})
    control = box.client("cloudcontrol")
    token = control.create_resource(TypeName=TYPE_NAME, DesiredState=state)["ProgressEvent"]["RequestToken"]
    while control.get_resource_request_status(RequestToken=token)["ProgressEvent"]["OperationStatus"] != "SUCCESS":
        time.sleep(0.01)
    return wanted


def test_import_reads_the_resource(stack: Stack, existing: str) -> None:
    assert import_alone(stack, existing) == "IMPORT_COMPLETE"
    assert [call["action"] for call in stack.calls()] == ["READ"]
    assert stack.delete() == "DELETE_COMPLETE"
    assert stack.calls("DELETE")[0]["properties"]["Name"] == existing


def test_import_gives_the_stacks_tags_by_an_update(stack: Stack, existing: str) -> None:
    stack.create({"Size": 3}, {"team": "a"})
    template = json.loads(stack.template({"Size": 3}))
    imported = {"Type": TYPE_NAME, "Properties": {"Name": existing, "Size": 3}, "DeletionPolicy": "Delete"}
    template["Resources"]["Imported"] = imported
    assert import_into(stack, json.dumps(template), "Imported", existing) == "IMPORT_COMPLETE"
    calls = [call for call in stack.calls() if call["logical_id"] == "Imported"]
    assert [call["action"] for call in calls] == ["READ", "UPDATE", "READ"]
    assert calls[1]["stack_tags"] == {"team": "a"}


def test_import_of_what_does_not_exist(stack: Stack) -> None:
    assert import_alone(stack, name()) == "ROLLBACK_COMPLETE"
    assert "HandlerErrorCode: NotFound" in dict(stack.events())["IMPORT_FAILED"]


def test_a_template_with_a_type_that_is_not_registered(box: Sandbox) -> None:
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        Stack(box, "Test::Not::There").create({"Size": 3})
