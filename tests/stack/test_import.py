"""Repositories that exist are brought under a stack by an import: nothing of their own is lost or changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Template, holds, read, user_tags
from tests.support.project_copy import TYPE_NAME
from tests.support.samples import POLICY
from tests.support.stack import Stack

Json = dict[str, Any]


def to_import(name: str, policy: str = "Retain") -> Json:
    """An import may not add outputs."""
    resource = {"Type": TYPE_NAME, "DeletionPolicy": policy, "Properties": {"RepositoryName": name}}
    return {"Resources": {"Repository": resource}}


def test_import_loses_and_changes_nothing_and_the_delete_then_works(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, made_by_somebody: str
) -> None:
    before = read(box, repository_name)
    images = holds(box, repository_name)
    client = box.client("ecr")
    client.tag_resource(resourceArn=made_by_somebody, tags=[{"Key": "awstut:auto-purge", "Value": "on"}])
    wanted = {"RepositoryName": repository_name}
    assert stack.import_resource(to_import(repository_name), TYPE_NAME, wanted) == "IMPORT_COMPLETE"
    marked = {"EmptyOnDelete": True, "DeletionProtection": False, "FreezeOnDelete": False}
    marked["AllowReplicatedDeletes"] = False
    assert read(box, repository_name) == before | marked
    assert holds(box, repository_name) == images

    owned = template(wanted | {"Tags": [{"Key": "owner", "Value": "shop"}]})
    assert stack.update(owned) == "UPDATE_COMPLETE"
    after = read(box, repository_name)
    assert after == before | marked | {"Tags": [{"Key": "owner", "Value": "shop"}]}
    assert holds(box, repository_name) == images
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


def test_the_update_of_an_import_makes_the_stack_the_owner(
    box: Sandbox, stack: Stack, repository_name: str, made_by_somebody: str
) -> None:
    client = box.client("ecr")
    client.tag_resource(resourceArn=made_by_somebody, tags=[{"Key": "awstut:auto-purge", "Value": "on"}])
    wanted = {"RepositoryName": repository_name}
    stack.import_resource(to_import(repository_name, "Delete"), TYPE_NAME, wanted)
    assert holds(box, repository_name) == 264
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


def test_import_from_the_native_type_keeps_every_image(
    box: Sandbox, make_stack: Callable[[], Stack], repository_name: str
) -> None:
    old, new = make_stack(), make_stack()
    native = {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": repository_name}}
    other = {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": f"{repository_name}-other"}}
    kept = {**native, "DeletionPolicy": "Retain"}
    old.create({"Resources": {"Repository": native, "Other": other}})
    box.control.seed(repository_name, *IMAGES)
    assert old.update({"Resources": {"Repository": kept, "Other": other}}) == "UPDATE_COMPLETE"
    assert old.update({"Resources": {"Other": other}}) == "UPDATE_COMPLETE"
    assert holds(box, repository_name) == 264
    described = box.client("ecr").describe_repositories(repositoryNames=[repository_name])["repositories"][0]
    tag = {"Key": "awstut:auto-purge", "Value": "on"}
    box.client("ecr").tag_resource(resourceArn=described["repositoryArn"], tags=[tag])
    wanted = {"RepositoryName": repository_name}
    assert new.import_resource(to_import(repository_name), TYPE_NAME, wanted) == "IMPORT_COMPLETE"
    assert holds(box, repository_name) == 264
    assert old.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) == 264


def test_stack_tags_are_added_by_an_import(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, made_by_somebody: str
) -> None:
    assert user_tags(box, repository_name) == {"owner": "somebody"}
    client = box.client("ecr")
    client.tag_resource(resourceArn=made_by_somebody, tags=[{"Key": "awstut:auto-purge", "Value": "on"}])
    wanted = {"RepositoryName": repository_name}
    stack.import_resource(to_import(repository_name), TYPE_NAME, wanted)
    assert stack.update(template(wanted), tags={"cost": "42"}) == "UPDATE_COMPLETE"
    assert user_tags(box, repository_name) == {"owner": "somebody", "cost": "42"}
    assert stack.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize("previous", ["template", "read", "nothing"])
def test_import_loses_nothing_whatever_is_sent_as_previous_state(
    box: Sandbox, stack: Stack, repository_name: str, made_by_somebody: str, previous: str
) -> None:
    client = box.client("ecr")
    client.tag_resource(resourceArn=made_by_somebody, tags=[{"Key": "awstut:auto-purge", "Value": "on"}])
    client.set_repository_policy(repositoryName=repository_name, policyText=json.dumps(POLICY))
    before = read(box, repository_name)
    box.control.settings(import_previous=previous)
    wanted = {"RepositoryName": repository_name}
    try:
        assert stack.import_resource(to_import(repository_name, "Delete"), TYPE_NAME, wanted) == "IMPORT_COMPLETE"
    finally:
        box.control.reset_settings()
    after = read(box, repository_name)
    assert {name: after[name] for name in before} == before
    assert holds(box, repository_name) == 264
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None
