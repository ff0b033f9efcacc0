"""AWS::ECR::Repository and custom resources in stacks, on the strict ECR."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.support.stack import Stack, one_resource, unique_name

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


def repository(**properties: Any) -> Json:
    return one_resource("AWS::ECR::Repository", properties, ("Arn",))


@pytest.fixture
def name() -> str:
    return unique_name("native")


def test_create_and_delete(box: Sandbox, name: str) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}]}
    properties = {
        "RepositoryName": name,
        "ImageScanningConfiguration": {"ScanOnPush": True},
        "ImageTagMutability": "IMMUTABLE",
        "RepositoryPolicyText": policy,
        "Tags": [{"Key": "team", "Value": "a"}],
    }
    stack = Stack(box)
    assert stack.create(repository(**properties)) == "CREATE_COMPLETE"
    found = box.control.repository(name)
    assert found is not None
    assert (found["tags"], found["imageTagMutability"]) == ({"team": "a"}, "IMMUTABLE")
    assert json.loads(found["policy"]) == policy
    assert stack.outputs == {
        "Arn": f"arn:aws:ecr:us-east-1:123456789012:repository/{name}",
        "Ref": name,
    }
    assert stack.delete() == "DELETE_COMPLETE"
    assert box.control.repository(name) is None


def test_update(box: Sandbox, name: str) -> None:
    stack = Stack(box)
    stack.create(repository(RepositoryName=name, Tags=[{"Key": "old", "Value": "1"}]))
    changed = repository(RepositoryName=name, ImageTagMutability="IMMUTABLE", Tags=[{"Key": "n", "Value": "2"}])
    assert stack.update(changed) == "UPDATE_COMPLETE"
    found = box.control.repository(name)
    assert found is not None
    assert (found["tags"], found["imageTagMutability"]) == ({"n": "2"}, "IMMUTABLE")


def test_a_name_that_is_taken(box: Sandbox, name: str) -> None:
    box.client("ecr").create_repository(repositoryName=name)
    stack = Stack(box)
    assert stack.create(repository(RepositoryName=name)) == "ROLLBACK_COMPLETE"
    assert "HandlerErrorCode: AlreadyExists" in stack.reason("CREATE_FAILED")
    assert box.control.repository(name) is not None


def test_delete_of_a_repository_with_images_fails(box: Sandbox, name: str) -> None:
    stack = Stack(box)
    stack.create(repository(RepositoryName=name))
    box.control.seed(name, ("with_images", {"count": 1}))
    assert stack.delete() == "DELETE_FAILED"
    assert 'Resource handler returned message: "The repository with name' in stack.reason("DELETE_FAILED")
    found = box.control.repository(name)
    assert found is not None
    assert found["images"] == 1


def test_empty_on_delete_deletes_by_force(box: Sandbox, name: str) -> None:
    stack = Stack(box)
    stack.create(repository(RepositoryName=name, EmptyOnDelete=True))
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
    template = repository(RepositoryName=name)
    template["Resources"] |= {
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        "Emptying": {"Type": "Custom::Emptying", "Properties": emptying},
    }
    return template


@pytest.mark.parametrize(("images", "status", "left"), [(100, "DELETE_COMPLETE", None), (150, "DELETE_FAILED", 50)])
def test_a_custom_resource_empties_only_what_it_would_empty_on_aws(
    box: Sandbox, name: str, images: int, status: str, left: int | None
) -> None:
    stack = Stack(box)
    assert stack.create(with_custom_resource(name)) == "CREATE_COMPLETE"
    box.control.seed(name, ("with_images", {"count": images}))
    assert stack.delete() == status
    found = box.control.repository(name)
    assert (found and found["images"]) == left


def test_a_stack_waits_until_a_new_repository_is_found(box: Sandbox, name: str) -> None:
    policy = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}]}
    box.control.set_lateness(new_repository=0.3)
    stack = Stack(box)
    status = stack.create(repository(RepositoryName=name, RepositoryPolicyText=policy))
    box.control.clear_lateness()
    assert status == "CREATE_COMPLETE"
    assert stack.delete() == "DELETE_COMPLETE"


# Import and drift


def retained(name: str, **more: Any) -> Json:
    return {"Resources": {"Repository": repository(RepositoryName=name, **more)["Resources"]["Repository"]}}


def test_a_retained_repository_leaves_the_stack_and_is_imported_again(box: Sandbox, name: str) -> None:
    stack = Stack(box)
    kept = retained(name)
    kept["Resources"]["Repository"]["DeletionPolicy"] = "Retain"
    other = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    kept["Resources"]["Other"] = other
    stack.create(kept)
    assert stack.update({"Resources": {"Other": other}}) == "UPDATE_COMPLETE"
    assert box.control.repository(name) is not None
    identifier = {"RepositoryName": name}
    assert stack.import_resource(kept, "AWS::ECR::Repository", identifier) == "IMPORT_COMPLETE"
    assert box.control.repository(name) is not None


def test_an_import_of_a_repository_that_is_not_there_fails(box: Sandbox, name: str) -> None:
    stack = Stack(box)
    kept = retained(name)
    kept["Resources"]["Repository"]["DeletionPolicy"] = "Retain"
    status = stack.import_resource(kept, "AWS::ECR::Repository", {"RepositoryName": name})
    assert status == "ROLLBACK_COMPLETE"


@pytest.mark.parametrize("removes", [False, True])
def test_an_import_may_remove_a_policy_that_the_template_does_not_have(box: Sandbox, name: str, removes: bool) -> None:
    client = box.client("ecr")
    client.create_repository(repositoryName=name)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}]}
    client.set_repository_policy(repositoryName=name, policyText=json.dumps(policy))
    box.control.settings(native_import_removes_policy=removes)
    kept = retained(name)
    kept["Resources"]["Repository"]["DeletionPolicy"] = "Retain"
    try:
        status = Stack(box).import_resource(kept, "AWS::ECR::Repository", {"RepositoryName": name})
    finally:
        box.control.reset_settings()
    found = box.control.repository(name)
    assert found is not None
    assert (status, found["policy"] is None) == ("IMPORT_COMPLETE", removes)


def test_drift_of_what_the_template_says(box: Sandbox, name: str) -> None:
    stack = Stack(box)
    stack.create(repository(RepositoryName=name, ImageTagMutability="IMMUTABLE"), tags={"cost": "42"})
    assert stack.detect_drift() == "IN_SYNC"
    box.client("ecr").put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    assert stack.detect_drift() == "DRIFTED"
    assert [each["PropertyPath"] for each in stack.drifts()] == ["/ImageTagMutability"]
