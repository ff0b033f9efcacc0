"""AWS::ECR::Repository and custom resources in stacks, on the strict ECR."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.server import Sandbox, start_sandbox

Json = dict[str, Any]

EMPTY_ONE_PAGE = """
import json, urllib.request, boto3
ecr = boto3.client("ecr")
def handler(event, context):
    if event["RequestType"] == "Delete":
        name = event["ResourceProperties"]["RepositoryName"]
        images = ecr.list_images(repositoryName=name)["imageIds"]
        if images:
            ecr.batch_delete_image(repositoryName=name, imageIds=images)
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "emptying"}
    data = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data, {"Content-Type": ""}, method="PUT"))
"""


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start_sandbox() as box:
        yield box


@dataclass
class Stack:
    box: Sandbox
    resources: Json
    name: str = field(default_factory=lambda: f"stack-{uuid.uuid4().hex[:8]}")
    stack_id: str = ""

    def body(self) -> Json:
        outputs = {"Arn": {"Value": {"Fn::GetAtt": "Repository.Arn"}}, "Ref": {"Value": {"Ref": "Repository"}}}
        return {"TemplateBody": json.dumps({"Resources": self.resources, "Outputs": outputs})}

    def create(self) -> str:
        client = self.box.client("cloudformation")
        made = client.create_stack(StackName=self.name, Capabilities=["CAPABILITY_IAM"], **self.body())
        self.stack_id = made["StackId"]
        return self.wait()

    def update(self) -> str:
        self.box.client("cloudformation").update_stack(StackName=self.name, **self.body())
        return self.wait()

    def delete(self) -> str:
        self.box.client("cloudformation").delete_stack(StackName=self.stack_id)
        return self.wait()

    def wait(self) -> str:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            status: str = self.describe()["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.02)
        raise AssertionError(f"{self.name} is still {status}")

    def describe(self) -> Json:
        found: Json = self.box.client("cloudformation").describe_stacks(StackName=self.stack_id)["Stacks"][0]
        return found

    def reasons(self) -> str:
        events = self.box.client("cloudformation").describe_stack_events(StackName=self.stack_id)["StackEvents"]
        return "\n".join(event.get("ResourceStatusReason", "") for event in events)


def repository(**properties: Any) -> Json:
    return {"Repository": {"Type": "AWS::ECR::Repository", "Properties": properties}}


@pytest.fixture
def name() -> str:
    return f"native-{uuid.uuid4().hex[:8]}"


def test_create_and_delete(box: Sandbox, name: str) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}]}
    properties = {
        "RepositoryName": name,
        "ImageScanningConfiguration": {"ScanOnPush": True},
        "ImageTagMutability": "IMMUTABLE",
        "RepositoryPolicyText": policy,
        "Tags": [{"Key": "team", "Value": "a"}],
    }
    stack = Stack(box, repository(**properties))
    assert stack.create() == "CREATE_COMPLETE"
    found = box.control.repository(name)
    assert found is not None
    assert (found["tags"], found["imageTagMutability"]) == ({"team": "a"}, "IMMUTABLE")
    assert json.loads(found["policy"]) == policy
    assert {each["OutputKey"]: each["OutputValue"] for each in stack.describe()["Outputs"]} == {
        "Arn": f"arn:aws:ecr:us-east-1:123456789012:repository/{name}",
        "Ref": name,
    }
    assert stack.delete() == "DELETE_COMPLETE"
    assert box.control.repository(name) is None


def test_update(box: Sandbox, name: str) -> None:
    stack = Stack(box, repository(RepositoryName=name, Tags=[{"Key": "old", "Value": "1"}]))
    stack.create()
    stack.resources = repository(RepositoryName=name, ImageTagMutability="IMMUTABLE", Tags=[{"Key": "n", "Value": "2"}])
    assert stack.update() == "UPDATE_COMPLETE"
    found = box.control.repository(name)
    assert found is not None
    assert (found["tags"], found["imageTagMutability"]) == ({"n": "2"}, "IMMUTABLE")


def test_a_name_that_is_taken(box: Sandbox, name: str) -> None:
    box.client("ecr").create_repository(repositoryName=name)
    stack = Stack(box, repository(RepositoryName=name))
    assert stack.create() == "ROLLBACK_COMPLETE"
    assert "HandlerErrorCode: AlreadyExists" in stack.reasons()
    assert box.control.repository(name) is not None


def test_delete_of_a_repository_with_images_fails(box: Sandbox, name: str) -> None:
    stack = Stack(box, repository(RepositoryName=name))
    stack.create()
    box.control.seed(name, ("with_images", {"count": 1}))
    assert stack.delete() == "DELETE_FAILED"
    assert 'Resource handler returned message: "The repository with name' in stack.reasons()
    found = box.control.repository(name)
    assert found is not None
    assert found["images"] == 1


def test_empty_on_delete_deletes_by_force(box: Sandbox, name: str) -> None:
    stack = Stack(box, repository(RepositoryName=name, EmptyOnDelete=True))
    stack.create()
    box.control.seed(name, ("with_images", {"count": 150}), ("with_archived", {"count": 1}))
    assert stack.delete() == "DELETE_COMPLETE"


def with_custom_resource(name: str) -> Json:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    function = {
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Timeout": 30,
        "Role": {"Fn::GetAtt": "Role.Arn"},
        "Code": {"ZipFile": EMPTY_ONE_PAGE},
    }
    emptying = {"ServiceToken": {"Fn::GetAtt": "Function.Arn"}, "RepositoryName": {"Ref": "Repository"}}
    return {
        **repository(RepositoryName=name),
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        "Emptying": {"Type": "Custom::Emptying", "Properties": emptying},
    }


@pytest.mark.parametrize(("images", "status", "left"), [(100, "DELETE_COMPLETE", None), (150, "DELETE_FAILED", 50)])
def test_a_custom_resource_works_on_the_strict_ecr(
    box: Sandbox, name: str, images: int, status: str, left: int | None
) -> None:
    stack = Stack(box, with_custom_resource(name))
    assert stack.create() == "CREATE_COMPLETE", stack.reasons()
    box.control.seed(name, ("with_images", {"count": images}))
    assert stack.delete() == status
    found = box.control.repository(name)
    assert (found and found["images"]) == left
