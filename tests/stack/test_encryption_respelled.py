"""Encryption in stacks: what the repository has may be spelled out; another one replaces it, unless nobody can tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Template, holds
from tests.support.project_copy import TYPE_NAME
from tests.support.roles import put_policy, remove_policy
from tests.support.stack import Stack, unique_name


class Key:
    """A key with an alias."""

    def __init__(self, box: Sandbox) -> None:
        self.alias = f"alias/{unique_name('key')}"
        made = box.client("kms").create_key()["KeyMetadata"]
        box.client("kms").create_alias(AliasName=self.alias, TargetKeyId=made["KeyId"])
        self.id, self.arn = made["KeyId"], made["Arn"]
        self.alias_arn = self.arn.replace(f"key/{self.id}", self.alias)


@pytest.fixture
def key(box: Sandbox) -> Key:
    return Key(box)


@pytest.fixture
def nobody_may_ask(box: Sandbox, execution_role: str) -> Iterator[None]:
    """The execution role is denied kms:DescribeKey, except by way of ECR."""
    statement = {
        "Effect": "Deny",
        "Action": "kms:DescribeKey",
        "Resource": "*",
        "Condition": {"Null": {"kms:ViaService": "true"}},
    }
    put_policy(box, execution_role, "NoKeys", {"Version": "2012-10-17", "Statement": [statement]})
    yield
    remove_policy(box, execution_role, "NoKeys")


def encrypted(key: str) -> dict[str, Any]:
    return {"EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": key}}


@pytest.mark.parametrize("spelling", ["id", "arn", "alias", "alias_arn"])
def test_the_same_key_in_another_spelling_replaces_nothing(
    box: Sandbox, stack: Stack, template: Template, key: Key, spelling: str
) -> None:
    before = key.alias if spelling in ("id", "arn") else key.arn
    assert stack.create(template(encrypted(before))) == "CREATE_COMPLETE"
    name = stack.outputs["Ref"]
    box.control.seed(name, *IMAGES)
    assert stack.update(template(encrypted(getattr(key, spelling)))) == "UPDATE_COMPLETE"
    assert (stack.outputs["Ref"], holds(box, name)) == (name, 264)
    assert stack.calls("DELETE") == []
    assert stack.delete() == "DELETE_COMPLETE"


def test_another_key_replaces_the_repository(box: Sandbox, stack: Stack, template: Template, key: Key) -> None:
    stack.create(template(encrypted(key.alias)))
    name = stack.outputs["Ref"]
    box.control.seed(name, *IMAGES)
    assert stack.update(template(encrypted(Key(box).alias))) == "UPDATE_COMPLETE"
    assert stack.outputs["Ref"] != name
    assert (holds(box, name), holds(box, stack.outputs["Ref"])) == (None, 0)
    assert stack.delete() == "DELETE_COMPLETE"


def test_another_key_under_a_fixed_name_loses_nothing(
    box: Sandbox, stack: Stack, template: Template, key: Key, repository_name: str
) -> None:
    fixed = {"RepositoryName": repository_name}
    stack.create(template(fixed | encrypted(key.alias)))
    box.control.seed(repository_name, *IMAGES)
    assert stack.update(template(fixed | encrypted(Key(box).alias))) == "UPDATE_ROLLBACK_COMPLETE"
    assert "already exists" in stack.reason("UPDATE_FAILED")
    assert holds(box, repository_name) == 264
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


@pytest.mark.usefixtures("nobody_may_ask")
def test_a_key_that_may_not_be_looked_up_replaces_nothing(
    box: Sandbox, stack: Stack, template: Template, key: Key
) -> None:
    stack.create(template(encrypted(key.arn)))
    name = stack.outputs["Ref"]
    box.control.seed(name, *IMAGES)
    assert stack.update(template(encrypted(key.alias))) == "UPDATE_ROLLBACK_COMPLETE"
    assert f"kms:DescribeKey was denied for {key.alias}" in stack.reason("UPDATE_FAILED")
    assert (stack.outputs["Ref"], holds(box, name)) == (name, 264)
    assert stack.delete() == "DELETE_COMPLETE"


def test_cloud_control_shows_another_key_as_an_error(box: Sandbox, stack: Stack, template: Template, key: Key) -> None:
    stack.create(template(encrypted(key.alias)))
    client, name = box.client("cloudcontrol"), stack.outputs["Ref"]

    def outcome(spelling: str) -> dict[str, Any]:
        patch = [{"op": "replace", "path": "/EncryptionConfiguration/KmsKey", "value": spelling}]
        asked = {"TypeName": TYPE_NAME, "Identifier": name, "PatchDocument": json.dumps(patch)}
        event: dict[str, Any] = client.update_resource(**asked)["ProgressEvent"]
        while event["OperationStatus"] in ("PENDING", "IN_PROGRESS"):
            event = client.get_resource_request_status(RequestToken=event["RequestToken"])["ProgressEvent"]
        return event

    assert outcome(key.alias)["OperationStatus"] == "SUCCESS"
    assert outcome(Key(box).alias)["ErrorCode"] == "NotUpdatable"
    assert stack.delete() == "DELETE_COMPLETE"
