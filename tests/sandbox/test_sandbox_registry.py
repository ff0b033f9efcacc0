"""The registry's actions, as boto3 calls them, and types in stacks: with the stub type, in one sandbox."""

from __future__ import annotations

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from sandbox.registry.actions import Parameters, RegistryActions
from sandbox.registry.package import Package, unpack
from sandbox.registry.types import Registry
from sandbox.server import Sandbox
from tests.support.stub import SCHEMA, TYPE_NAME, make_package, register

BUCKET = "uploads"


@dataclass(frozen=True)
class Account:
    """An account of its own for each test, so that no test sees the types of another."""

    box: Sandbox
    number: str

    def client(self, service: str) -> Any:
        return self.box.client(service, account=self.number)

    def upload(self, package: bytes) -> str:
        s3, bucket, key = self.client("s3"), f"{BUCKET}-{self.number}", f"{uuid.uuid4()}.zip"
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=package)
        return f"s3://{bucket}/{key}"

    def register(self, package: bytes | None = None, name: str = TYPE_NAME) -> dict[str, Any]:
        answer: dict[str, Any] = register(self.box, package, name, self.number)
        return answer


@pytest.fixture
def account(box: Sandbox) -> Account:
    return Account(box, f"{uuid.uuid4().int % 10**12:012}")


def test_register_type(account: Account) -> None:
    answer = account.register()
    assert answer["ProgressStatus"] == "COMPLETE"
    arn = f"arn:aws:cloudformation:us-east-1:{account.number}:type/resource/Test-Stub-Thing"
    assert (answer["TypeArn"], answer["TypeVersionArn"]) == (arn, f"{arn}/00000001")


def test_register_type_satisfies_the_waiter_at_once(account: Account) -> None:
    cloudformation = account.client("cloudformation")
    address = account.upload(make_package())
    token = cloudformation.register_type(TypeName=TYPE_NAME, SchemaHandlerPackage=address)["RegistrationToken"]
    started = time.monotonic()
    cloudformation.get_waiter("type_registration_complete").wait(RegistrationToken=token)
    assert time.monotonic() - started < 20  # the waiter asks again after 30 s


def test_a_registration_is_in_progress_until_it_has_ended(tmp_path: Path) -> None:
    registry = Registry("123456789012", "us-east-1", lambda _name: None)
    seen: list[list[str]] = []

    def tokens(name: str = TYPE_NAME, **more: str) -> list[str]:
        found: list[str] = actions.list_type_registrations(Parameters({"TypeName": name, **more}))[
            "RegistrationTokenList"
        ]
        return found

    def look_and_unpack(_address: str) -> Package:
        seen.extend([tokens(), tokens("Test::Other::Thing"), tokens(RegistrationStatusFilter="COMPLETE")])
        return unpack(make_package(), tmp_path / "code")

    actions = RegistryActions(registry, look_and_unpack, lambda package: mock.Mock(), "")
    asked = Parameters({"TypeName": TYPE_NAME, "SchemaHandlerPackage": "s3://uploads/a.zip"})
    token = actions.register_type(asked)["RegistrationToken"]
    assert seen == [[token], [], []]
    assert (tokens(), tokens(RegistrationStatusFilter="COMPLETE")) == ([], [token])


def test_a_package_that_two_unpack_at_once_is_whole_for_both(tmp_path: Path) -> None:
    content = make_package()
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(unpack, content, tmp_path / "packages" / "one") for _ in range(8)]
    assert {each.result().code for each in found} == {tmp_path / "packages" / "one"}
    alone = unpack(content, tmp_path / "alone").code
    assert sorted(each.name for each in (tmp_path / "packages" / "one").iterdir()) == sorted(
        each.name for each in alone.iterdir()
    )
    assert [each.name for each in (tmp_path / "packages").iterdir()] == ["one"]


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (b"not a zip", "not what `cfn submit` uploads"),
        (make_package({"typeName": TYPE_NAME}), "The schema lacks properties, primaryIdentifier"),
        (make_package({**SCHEMA, "typeName": "Test::Other::Thing"}), "is of Test::Other::Thing"),
    ],
)
def test_register_type_bad_package(account: Account, package: bytes, words: str) -> None:
    answer = account.register(package)
    assert answer["ProgressStatus"] == "FAILED"
    assert words in answer["Description"]
    assert account.client("cloudformation").list_types()["TypeSummaries"] == []


def test_register_type_missing_package(account: Account) -> None:
    cloudformation = account.client("cloudformation")
    token = cloudformation.register_type(TypeName=TYPE_NAME, SchemaHandlerPackage="s3://nowhere/a.zip")
    answer = cloudformation.describe_type_registration(RegistrationToken=token["RegistrationToken"])
    assert answer["ProgressStatus"] == "FAILED"


def test_describe_type(account: Account) -> None:
    account.register()
    described = account.client("cloudformation").describe_type(Type="RESOURCE", TypeName=TYPE_NAME)
    assert json.loads(described["Schema"]) == SCHEMA
    assert described["DefaultVersionId"] == "00000001"
    assert described["IsDefaultVersion"] is True
    assert (described["ProvisioningType"], described["Visibility"]) == ("FULLY_MUTABLE", "PRIVATE")
    assert json.loads(described["ConfigurationSchema"]) == SCHEMA["typeConfiguration"]


def test_describe_type_not_found(account: Account) -> None:
    cloudformation = account.client("cloudformation")
    with pytest.raises(cloudformation.exceptions.TypeNotFoundException, match="cannot be found"):
        cloudformation.describe_type(Type="RESOURCE", TypeName=TYPE_NAME)


def test_the_first_version_stays_the_default_until_another_is_set(account: Account) -> None:
    account.register()
    second = account.register()
    cloudformation = account.client("cloudformation")
    assert cloudformation.describe_type(Type="RESOURCE", TypeName=TYPE_NAME)["DefaultVersionId"] == "00000001"
    cloudformation.set_type_default_version(Arn=second["TypeVersionArn"])
    assert cloudformation.describe_type(Type="RESOURCE", TypeName=TYPE_NAME)["DefaultVersionId"] == "00000002"
    versions = cloudformation.list_type_versions(Type="RESOURCE", TypeName=TYPE_NAME)["TypeVersionSummaries"]
    assert [(each["VersionId"], each["IsDefaultVersion"]) for each in versions] == [
        ("00000001", False),
        ("00000002", True),
    ]


def test_list_types_pages(account: Account) -> None:
    for name in ("Test::Stub::One", "Test::Stub::Two", "Test::Stub::Six"):
        account.register(make_package({**SCHEMA, "typeName": name}), name)
    cloudformation = account.client("cloudformation")
    first = cloudformation.list_types(MaxResults=2)
    second = cloudformation.list_types(MaxResults=2, NextToken=first["NextToken"])
    names = [each["TypeName"] for each in first["TypeSummaries"] + second["TypeSummaries"]]
    assert names == ["Test::Stub::One", "Test::Stub::Six", "Test::Stub::Two"]
    assert "NextToken" not in second


def test_deregister_type(account: Account) -> None:
    account.register()
    cloudformation = account.client("cloudformation")
    cloudformation.deregister_type(Type="RESOURCE", TypeName=TYPE_NAME)
    assert cloudformation.list_types()["TypeSummaries"] == []


def test_deregister_type_refuses_the_default_version(account: Account) -> None:
    first = account.register()
    account.register()
    cloudformation = account.client("cloudformation")
    with pytest.raises(ClientError, match="This is the default version"):
        cloudformation.deregister_type(Arn=first["TypeVersionArn"])
    cloudformation.deregister_type(Type="RESOURCE", TypeName=TYPE_NAME, VersionId="00000002")
    versions = cloudformation.list_type_versions(Type="RESOURCE", TypeName=TYPE_NAME)["TypeVersionSummaries"]
    assert [each["VersionId"] for each in versions] == ["00000001"]


def test_set_type_configuration(account: Account) -> None:
    account.register()
    cloudformation = account.client("cloudformation")
    asked_type = {"Type": "RESOURCE", "TypeName": TYPE_NAME}
    cloudformation.set_type_configuration(**asked_type, ConfigurationAlias="default", Configuration='{"Limit": 3}')
    asked = [asked_type, {"Type": "RESOURCE", "TypeName": "Test::No::Thing"}]
    answer = cloudformation.batch_describe_type_configurations(TypeConfigurationIdentifiers=asked)
    [found] = answer["TypeConfigurations"]
    assert (json.loads(found["Configuration"]), found["Alias"]) == ({"Limit": 3}, "default")
    assert [error["ErrorCode"] for error in answer["Errors"]] == ["TypeNotFoundException"]


@pytest.mark.parametrize("configuration", ['{"Limit": "many"}', '{"Other": 1}', "{"])
def test_set_type_configuration_that_does_not_fit(account: Account, configuration: str) -> None:
    account.register()
    asked = {"TypeName": TYPE_NAME, "ConfigurationAlias": "default", "Configuration": configuration}
    with pytest.raises(ClientError, match="configuration"):
        account.client("cloudformation").set_type_configuration(**asked)


@pytest.mark.parametrize(
    ("alias", "message"),
    [({}, "ConfigurationAlias is required"), ({"ConfigurationAlias": "mine"}, "knows the alias default only")],
)
def test_set_type_configuration_needs_the_alias_default(account: Account, alias: dict[str, str], message: str) -> None:
    account.register()
    cloudformation = account.client("cloudformation")
    asked = {"Type": "RESOURCE", "TypeName": TYPE_NAME}
    with pytest.raises(ClientError, match=message) as raised:
        cloudformation.set_type_configuration(**asked, **alias, Configuration='{"Limit": 3}')
    assert raised.value.response["Error"]["Code"] == "ValidationError"
    assert cloudformation.batch_describe_type_configurations(TypeConfigurationIdentifiers=[asked])["Errors"]


def test_an_account_has_its_own_types(account: Account) -> None:
    account.register()
    other = Account(account.box, "999999999999")
    assert other.client("cloudformation").list_types()["TypeSummaries"] == []
