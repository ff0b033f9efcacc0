"""Cloud Control with a registered type: the stub type, in one sandbox."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.server import Sandbox, start_sandbox
from tests.support.stub import TYPE_NAME, register

Json = dict[str, Any]


@dataclass(frozen=True)
class CloudControl:
    box: Sandbox
    client: Any

    def create(self, **properties: Any) -> Json:
        event = self.client.create_resource(TypeName=TYPE_NAME, DesiredState=json.dumps(properties))["ProgressEvent"]
        return self.wait(event)

    def update(self, name: str, *patch: Json) -> Json:
        document = json.dumps(patch)
        answer = self.client.update_resource(TypeName=TYPE_NAME, Identifier=name, PatchDocument=document)
        return self.wait(answer["ProgressEvent"])

    def delete(self, name: str) -> Json:
        return self.wait(self.client.delete_resource(TypeName=TYPE_NAME, Identifier=name)["ProgressEvent"])

    def status(self, event: Json) -> Json:
        token = event["RequestToken"]
        found: Json = self.client.get_resource_request_status(RequestToken=token)["ProgressEvent"]
        return found

    def wait(self, event: Json) -> Json:
        until = time.monotonic() + 120
        while event["OperationStatus"].endswith("IN_PROGRESS"):
            assert time.monotonic() < until
            time.sleep(0.03)
            event = self.status(event)
        return event

    def get(self, name: str) -> Json:
        answer = self.client.get_resource(TypeName=TYPE_NAME, Identifier=name)
        model: Json = json.loads(answer["ResourceDescription"]["Properties"])
        return model

    def calls(self, token: str) -> list[Json]:
        return self.box.control.invocations(token=token)


@pytest.fixture(scope="module")
def control() -> Iterator[CloudControl]:
    with start_sandbox() as box:
        register(box)
        box.control.settings(callback_delay_cap_seconds=0.2, retry_delay_seconds=0.01)
        yield CloudControl(box, box.client("cloudcontrol"))


@pytest.fixture
def name() -> str:
    return f"thing-{uuid.uuid4().hex[:8]}"


def test_create_resource(control: CloudControl, name: str) -> None:
    event = control.create(Name=name, Size=3)
    assert (event["OperationStatus"], event["Identifier"], event["Operation"]) == ("SUCCESS", name, "CREATE")
    assert json.loads(event["ResourceModel"])["Arn"] == f"arn:thing:{name}"


def test_a_request_has_no_stack(control: CloudControl, name: str) -> None:
    event = control.create(Name=name, Size=3)
    [call] = control.calls(event["RequestToken"])
    assert (call["stack_id"], call["logical_id"], call["stack_tags"]) == (None, None, {})


def test_create_resource_is_asynchronous_and_tells_how_far_it_is(control: CloudControl, name: str) -> None:
    state = json.dumps({"Name": name, "Size": 3, "Behaviour": "slices=3"})
    event = control.client.create_resource(TypeName=TYPE_NAME, DesiredState=state)["ProgressEvent"]
    assert event["OperationStatus"] == "IN_PROGRESS"
    messages = set()
    while event["OperationStatus"] == "IN_PROGRESS":
        event = control.status(event)
        messages.add(event.get("StatusMessage"))
        time.sleep(0.02)
    assert {"slice 1", "slice 2"} <= messages


def test_create_resource_that_fails(control: CloudControl, name: str) -> None:
    event = control.create(Name=name, Size=3, Behaviour="fail=AccessDenied,model=")
    assert (event["OperationStatus"], event["ErrorCode"]) == ("FAILED", "AccessDenied")
    assert event["StatusMessage"] == "failed as asked"


def test_cloud_control_never_rolls_back(control: CloudControl, name: str) -> None:
    control.create(Name=name, Size=3, Behaviour="fail=AccessDenied,model=")
    assert control.get(name)["Name"] == name


def test_create_resource_with_properties_that_do_not_fit(control: CloudControl, name: str) -> None:
    event = control.create(Name=name, Size=3, Bad=1)
    assert (event["OperationStatus"], event["ErrorCode"]) == ("FAILED", "InvalidRequest")
    assert event["StatusMessage"] == "Model validation failed (#: extraneous key [Bad] is not permitted)"


def test_get_resource(control: CloudControl, name: str) -> None:
    control.create(Name=name, Size=3)
    assert control.get(name) == {"Name": name, "Size": "3", "Arn": f"arn:thing:{name}", "Inner": {"Count": 0}}


def test_get_resource_not_found(control: CloudControl, name: str) -> None:
    with pytest.raises(control.client.exceptions.ResourceNotFoundException, match="does not exist"):
        control.get(name)


def test_update_resource_starts_from_what_read_returns(control: CloudControl, name: str) -> None:
    control.create(Name=name, Size=3, Colour="red")
    event = control.update(name, {"op": "replace", "path": "/Size", "value": 4})
    assert event["OperationStatus"] == "SUCCESS"
    [call] = control.calls(event["RequestToken"])
    assert call["properties"]["Size"] == "4"
    assert (call["properties"]["Colour"], call["previous_properties"]["Size"]) == ("red", "3")


@pytest.mark.parametrize(
    ("patch", "code", "words"),
    [
        ({"op": "replace", "path": "/Arn", "value": "x"}, "InvalidRequestException", "readOnlyProperties"),
        ({"op": "replace", "path": "/Name", "value": "other"}, "NotUpdatableException", "createOnlyProperties"),
        ({"op": "remove", "path": "/Flag"}, "InvalidRequestException", "can't be applied"),
        ({"op": "add", "path": "/Colour", "value": "blue"}, "InvalidRequestException", "Model validation failed"),
    ],
)
def test_update_resource_bad_patch(control: CloudControl, name: str, patch: Json, code: str, words: str) -> None:
    control.create(Name=name, Size=3)
    with pytest.raises(ClientError, match=words) as raised:
        control.update(name, patch)
    assert raised.value.response["Error"]["Code"] == code


def test_delete_resource_carries_the_identifier_only(control: CloudControl, name: str) -> None:
    control.create(Name=name, Size=3)
    event = control.delete(name)
    assert event["OperationStatus"] == "SUCCESS"
    [call] = control.calls(event["RequestToken"])
    assert call["properties"] == {"Name": name}


def test_delete_resource_not_found(control: CloudControl, name: str) -> None:
    with pytest.raises(control.client.exceptions.ResourceNotFoundException):
        control.delete(name)


def test_list_resources_pages(control: CloudControl) -> None:
    names = {f"list-{number}-{uuid.uuid4().hex[:8]}" for number in range(5)}
    for each in names:
        control.create(Name=each, Size=3)
    pages = list(control.client.get_paginator("list_resources").paginate(TypeName=TYPE_NAME))
    assert len(pages) >= 3
    found = [each["Identifier"] for page in pages for each in page["ResourceDescriptions"]]
    assert names <= set(found)
    assert len(found) == len(set(found))


def test_a_client_token_makes_a_request_only_once(control: CloudControl, name: str) -> None:
    state = json.dumps({"Name": name, "Size": 3})
    asked = {"TypeName": TYPE_NAME, "DesiredState": state, "ClientToken": name}
    first, second = (control.client.create_resource(**asked)["ProgressEvent"] for _ in range(2))
    assert first["RequestToken"] == second["RequestToken"]
    with pytest.raises(control.client.exceptions.ClientTokenConflictException):
        control.client.create_resource(**{**asked, "DesiredState": "{}"})


def test_two_operations_on_one_resource_at_once_are_refused(control: CloudControl, name: str) -> None:
    control.create(Name=name, Size=3, Behaviour="DELETE:slices=3")
    event = control.client.delete_resource(TypeName=TYPE_NAME, Identifier=name)["ProgressEvent"]
    with pytest.raises(control.client.exceptions.ConcurrentOperationException):
        control.client.delete_resource(TypeName=TYPE_NAME, Identifier=name)
    assert control.wait(event)["OperationStatus"] == "SUCCESS"


def test_cancel_resource_request(control: CloudControl, name: str) -> None:
    control.create(Name=name, Size=3, Behaviour="DELETE:slices=50")
    event = control.client.delete_resource(TypeName=TYPE_NAME, Identifier=name)["ProgressEvent"]
    cancelled = control.client.cancel_resource_request(RequestToken=event["RequestToken"])["ProgressEvent"]
    assert cancelled["OperationStatus"] == "CANCEL_IN_PROGRESS"
    assert control.wait(cancelled)["OperationStatus"] == "CANCEL_COMPLETE"


def test_list_resource_requests(control: CloudControl, name: str) -> None:
    made = control.create(Name=name, Size=3)
    listed = control.client.list_resource_requests(
        ResourceRequestStatusFilter={"Operations": ["CREATE"], "OperationStatuses": ["SUCCESS"]}, MaxResults=5
    )["ResourceRequestStatusSummaries"]
    assert listed[0]["RequestToken"] == made["RequestToken"]
    assert {(each["Operation"], each["OperationStatus"]) for each in listed} == {("CREATE", "SUCCESS")}


def test_a_type_that_is_not_registered(control: CloudControl) -> None:
    with pytest.raises(control.client.exceptions.TypeNotFoundException):
        control.client.get_resource(TypeName="Test::Not::There", Identifier="x")


def test_an_unknown_request_token(control: CloudControl) -> None:
    with pytest.raises(control.client.exceptions.RequestTokenNotFoundException):
        control.client.get_resource_request_status(RequestToken="nothing")
