"""The commands of the guides, typed as they are, and what they promise."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from awstut_ecr_autopurgerepository.rules import push_block
from sandbox.build import ROOT
from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Template, blocks, holds, read, type_in
from tests.support.project_copy import TYPE_NAME
from tests.support.samples import POLICY
from tests.support.stack import Stack

Json = dict[str, Any]
TUTORIAL = ROOT / "demo" / "tutorial.yaml"


def test_protection_stop_and_unlock(box: Sandbox, stack: Stack, template: Template, repository_name: str) -> None:
    lock, stop_all, unlock, *_ = blocks("protection.md", "sh")
    stack.create(template({"RepositoryName": repository_name}))
    arn = stack.outputs["Arn"]
    type_in(box, lock, ARN=arn)
    assert stack.delete() == "DELETE_FAILED"
    type_in(box, unlock, ARN=arn)
    type_in(box, stop_all)
    assert stack.delete() == "DELETE_FAILED"
    assert "type configuration" in stack.reason("DELETE_FAILED")
    type_in(box, stop_all.replace('{"DeletionProtection": true}', "{}"))
    assert stack.delete() == "DELETE_COMPLETE"


def test_protection_freeze(box: Sandbox, stack: Stack, template: Template, repository_name: str) -> None:
    *_, switch_on, take_out = blocks("protection.md", "sh")
    stack.create(template({"RepositoryName": repository_name, "RepositoryPolicyText": POLICY}))
    type_in(box, switch_on, ARN=stack.outputs["Arn"])
    assert read(box, repository_name)["FreezeOnDelete"] is True
    client = box.client("ecr")
    client.set_repository_policy(repositoryName=repository_name, policyText=push_block.add_to(json.dumps(POLICY)))
    type_in(box, take_out, NAME=repository_name)
    assert json.loads(client.get_repository_policy(repositoryName=repository_name)["policyText"]) == POLICY
    stack.delete()


def test_protection_patterns_do_what_the_table_says() -> None:
    text = (ROOT / "guides" / "protection.md").read_text().partition("## Patterns")[2].partition("## Pulls")[0]
    rows = [
        [re.findall("`([^`]+)`", cell) for cell in line.split("|")[1:4]] for line in text.splitlines() if "`" in line
    ]
    rows = [row for row in rows if len(row) == 3]
    assert len(rows) == 6
    for [pattern], protected, others in rows:
        assert all(fnmatch.fnmatchcase(tag, pattern) for tag in protected)
        assert not any(fnmatch.fnmatchcase(tag, pattern) for tag in others)


def import_by_guide(box: Sandbox, new: Stack, repository_name: str) -> None:
    """Steps 3 to 5 of the guide."""
    set_variables, mark, importing = blocks("import.md", "sh")
    [written] = blocks("import.md", "yaml")
    described = box.client("ecr").describe_repositories(repositoryNames=[repository_name])["repositories"][0]
    (box.home / "template.yaml").write_text(
        written.replace("RepositoryName: app", f"RepositoryName: {repository_name}")
    )
    variables = {"ARN": described["repositoryArn"], "NAME": repository_name, "STACK": new.name}
    named = set_variables.replace("NAME=app\n", f"NAME={repository_name}\n")
    assert type_in(box, named + 'echo "$ARN"') == f"{described['repositoryArn']}\n"
    type_in(box, mark, **variables)
    importing, _, wait = importing.rstrip().rpartition("\n")
    type_in(box, importing, **variables)
    new.stack_id = box.client("cloudformation").describe_stacks(StackName=new.name)["Stacks"][0]["StackId"]
    assert new.wait() == "IMPORT_COMPLETE"  # so that the wait of the CLI, which polls every 30 s, ends at once
    type_in(box, wait, **variables)


def delete_by_stack(box: Sandbox, new: Stack, repository_name: str) -> None:
    """Step 6, and the delete that follows."""
    resource = {
        "Type": TYPE_NAME,
        "Properties": {"RepositoryName": repository_name, "Tags": [{"Key": "a", "Value": "1"}]},
    }
    assert new.update({"Resources": {"Repository": resource}}) == "UPDATE_COMPLETE"
    assert holds(box, repository_name) == 264
    assert new.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


def test_import_from_the_native_type(box: Sandbox, make_stack: Callable[[], Stack], repository_name: str) -> None:
    old, new = make_stack(), make_stack()
    native: Json = {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": repository_name}}
    other: Json = {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": f"{repository_name}-other"}}
    old.create({"Resources": {"Repository": native, "Other": other}})
    box.control.seed(repository_name, *IMAGES)
    before = read(box, repository_name)
    old.update({"Resources": {"Repository": {**native, "DeletionPolicy": "Retain"}, "Other": other}})
    old.update({"Resources": {"Other": other}})
    import_by_guide(box, new, repository_name)
    assert read(box, repository_name) == before | {
        "EmptyOnDelete": True,
        "DeletionProtection": False,
        "FreezeOnDelete": False,
        "AllowReplicatedDeletes": False,
    }
    delete_by_stack(box, new, repository_name)
    old.delete()


def test_import_from_a_repository_and_a_custom_resource(
    box: Sandbox, make_stack: Callable[[], Stack], repository_name: str
) -> None:
    old, new = make_stack(), make_stack()
    client = box.client("cloudformation")
    text = TUTORIAL.read_text()
    asked = {
        "StackName": old.name,
        "Capabilities": ["CAPABILITY_IAM"],
        "Parameters": [{"ParameterKey": "RepositoryName", "ParameterValue": repository_name}],
    }
    old.stack_id = client.create_stack(TemplateBody=text, **asked)["StackId"]
    assert old.wait() == "CREATE_COMPLETE"
    box.control.seed(repository_name, *IMAGES)
    kept = text
    for kind in ("AWS::ECR::Repository", "Custom::EmptyRepository"):
        kept = kept.replace(f"Type: {kind}\n", f"Type: {kind}\n    DeletionPolicy: Retain\n")
    client.update_stack(TemplateBody=kept, **asked)
    assert old.wait() == "UPDATE_COMPLETE"
    topic = "Parameters:\n  RepositoryName:\n    Type: String\nResources:\n  Topic:\n    Type: AWS::SNS::Topic\n"
    client.update_stack(TemplateBody=topic, **asked)
    assert old.wait() == "UPDATE_COMPLETE"
    assert holds(box, repository_name) == 264
    import_by_guide(box, new, repository_name)
    delete_by_stack(box, new, repository_name)
    old.delete()


@pytest.mark.parametrize("guide", sorted(path.name for path in (ROOT / "guides").glob("*.md")))
def test_every_guide_starts_from_a_question(guide: str) -> None:
    first = (ROOT / "guides" / guide).read_text().splitlines()[0]
    assert re.fullmatch(r"# .*\?", first)
