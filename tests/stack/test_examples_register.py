"""examples/register.yaml with the package of `make package`: registered, used, upgraded, rolled back, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cfn_flip
import pytest

from sandbox.server import Sandbox, start_sandbox
from tests.stack.support import holds
from tests.support.project_copy import ROOT, TYPE_NAME
from tests.support.stack import Stack

REGISTER = (ROOT / "examples" / "register.yaml").read_text(encoding="utf-8")
BUCKET = "packages"
KEYS = ("type-1.0.0.zip", "type-1.0.1.zip")


@pytest.fixture(scope="module")
def empty(versioned_package: Path) -> Iterator[Sandbox]:
    """A sandbox in which no type is registered, and a bucket with the package under two keys."""
    with start_sandbox() as box:
        s3 = box.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for key in KEYS:
            s3.upload_file(str(versioned_package), BUCKET, key)
        yield box


def options(key: str = KEYS[0], **more: str) -> dict[str, Any]:
    values = {"PackageBucket": BUCKET, "PackageKey": key, **more}
    return {"Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]}


@pytest.fixture
def registered(empty: Sandbox) -> Iterator[Stack]:
    stack = Stack(empty, logical_id="Version")
    assert stack.create(REGISTER, **options()) == "CREATE_COMPLETE"
    yield stack
    if stack.status != "DELETE_COMPLETE":
        stack.delete()


@pytest.fixture
def make_repository(empty: Sandbox, registered: Stack) -> Callable[[str], Stack]:
    """Makes the stack of examples/repository.yaml, with some images."""

    def make(name: str) -> Stack:
        stack = Stack(empty)
        template = (ROOT / "examples" / "repository.yaml").read_text(encoding="utf-8")
        parameters = [{"ParameterKey": "RepositoryName", "ParameterValue": name}]
        assert stack.create(template, Parameters=parameters) == "CREATE_COMPLETE"
        empty.control.seed(name, ("with_images", {"count": 5}))
        return stack

    return make


def default_version(box: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = box.client("cloudformation").describe_type(Type="RESOURCE", TypeName=TYPE_NAME)
    return found


def live_versions(box: Sandbox) -> list[str]:
    found = box.client("cloudformation").list_type_versions(Type="RESOURCE", TypeName=TYPE_NAME)
    return [each["VersionId"] for each in found["TypeVersionSummaries"]]


def test_register_gives_the_type_its_role_and_a_log_with_retention(empty: Sandbox, registered: Stack) -> None:
    described = default_version(empty)
    assert described["ExecutionRoleArn"] == registered.outputs["ExecutionRoleArn"]
    [group] = empty.client("logs").describe_log_groups(logGroupNamePrefix=described["LoggingConfig"]["LogGroupName"])[
        "logGroups"
    ]
    assert group["retentionInDays"] == 90
    assert registered.outputs["TypeVersionArn"].endswith(f"/{described['DefaultVersionId']}")


def test_a_stack_uses_the_type_that_was_registered(empty: Sandbox, make_repository: Callable[[str], Stack]) -> None:
    stack = make_repository("app/first")
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(empty, "app/first") is None


def test_upgrade_and_roll_back_by_the_package_s_key(
    empty: Sandbox, registered: Stack, make_repository: Callable[[str], Stack]
) -> None:
    stack = make_repository("app/upgraded")
    before = registered.outputs["TypeVersionArn"]
    assert registered.update(REGISTER, **options(KEYS[1])) == "UPDATE_COMPLETE"
    upgraded = registered.outputs["TypeVersionArn"]
    assert upgraded != before
    assert live_versions(empty) == [upgraded.rsplit("/", 1)[1]]
    assert registered.update(REGISTER, **options(KEYS[0])) == "UPDATE_COMPLETE"
    assert default_version(empty)["DefaultVersionId"] not in (before.rsplit("/", 1)[1], upgraded.rsplit("/", 1)[1])
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(empty, "app/upgraded") is None


def test_an_upgrade_that_fails_leaves_the_version_that_was_there(
    empty: Sandbox, registered: Stack, make_repository: Callable[[str], Stack]
) -> None:
    stack = make_repository("app/kept")
    before = default_version(empty)["DefaultVersionId"]
    assert registered.update(REGISTER, **options("missing.zip")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "There is no package" in registered.reason("UPDATE_FAILED")
    assert live_versions(empty) == [before]
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_change_of_the_log_retention_registers_nothing(empty: Sandbox, registered: Stack) -> None:
    before = live_versions(empty)
    assert registered.update(REGISTER, **options(LogRetentionDays="30")) == "UPDATE_COMPLETE"
    assert live_versions(empty) == before


def test_remove(empty: Sandbox, registered: Stack) -> None:
    assert registered.delete() == "DELETE_COMPLETE"
    assert empty.client("cloudformation").list_types()["TypeSummaries"] == []


def test_register_in_a_second_region(empty: Sandbox, registered: Stack) -> None:
    """As a StackSet does it: roles are the account's, so none may have a fixed name."""
    assert "RoleName" not in REGISTER
    client = empty.client("cloudformation", region="eu-west-1")
    client.create_stack(StackName="elsewhere", TemplateBody=REGISTER, Capabilities=["CAPABILITY_IAM"], **options())
    client.get_waiter("stack_create_complete").wait(StackName="elsewhere", WaiterConfig={"Delay": 1})
    assert client.describe_type(Type="RESOURCE", TypeName=TYPE_NAME)["IsDefaultVersion"]


def test_register_gives_the_hardened_role() -> None:
    role = (ROOT / "examples" / "execution-role.yaml").read_text(encoding="utf-8")
    ours, theirs = (cfn_flip.load(text)[0] for text in (REGISTER, role))
    assert ours["Resources"]["ExecutionRole"] == theirs["Resources"]["ExecutionRole"]
    assert ours["Conditions"] == theirs["Conditions"]
    assert {name: ours["Parameters"].get(name) for name in theirs["Parameters"]} == theirs["Parameters"]
