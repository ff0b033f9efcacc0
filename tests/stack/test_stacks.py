"""The type in stacks, through CloudFormation in the sandbox; the handlers run from what `cfn submit` uploaded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Json, Template, holds, read, user_tags
from tests.support.roles import REPORTS
from tests.support.samples import LIFECYCLE, POLICY
from tests.support.stack import Stack


def test_create_and_delete_with_images(box: Sandbox, stack: Stack, template: Template, repository_name: str) -> None:
    assert stack.create(template({"RepositoryName": repository_name})) == "CREATE_COMPLETE"
    box.control.seed(repository_name, *IMAGES)
    assert holds(box, repository_name) == 250 + 9 + 5
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None
    mine = [each for each in box.control.deletions() if each["repository"] == repository_name]
    assert len(mine) == 264
    assert not any(each["by_force"] for each in mine)


def test_ref_and_attributes(stack: Stack, template: Template, repository_name: str) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    outputs = stack.outputs
    account = outputs["RegistryId"]
    assert re.fullmatch("[0-9]{12}", account)
    assert outputs["Ref"] == repository_name
    assert outputs["Arn"] == f"arn:aws:ecr:us-east-1:{account}:repository/{repository_name}"
    assert outputs["RepositoryUri"].endswith(f"/{repository_name}")
    stack.delete()


def test_a_name_is_made_where_none_is_given(box: Sandbox, stack: Stack, template: Template) -> None:
    assert stack.create(template()) == "CREATE_COMPLETE"
    name = stack.outputs["Ref"]
    assert re.fullmatch(rf"{stack.name}-repository-[0-9a-f]{{12}}", name)
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, name) is None


CHANGES: dict[str, tuple[Json, Json]] = {
    "ImageScanningConfiguration": ({}, {"ImageScanningConfiguration": {"ScanOnPush": True}}),
    "ImageTagMutability": ({}, {"ImageTagMutability": "IMMUTABLE"}),
    "ImageTagMutabilityExclusionFilters": (
        {},
        {
            "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "ImageTagMutabilityExclusionFilters": [
                {
                    "ImageTagMutabilityExclusionFilterType": "WILDCARD",
                    "ImageTagMutabilityExclusionFilterValue": "dev-*",
                }
            ],
        },
    ),
    "EncryptionConfiguration": ({}, {"EncryptionConfiguration": {"EncryptionType": "AES256"}}),
    "LifecyclePolicy": ({}, {"LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}}),
    "RepositoryPolicyText": ({}, {"RepositoryPolicyText": POLICY}),
    "Tags": ({"Tags": [{"Key": "a", "Value": "1"}]}, {"Tags": [{"Key": "b", "Value": "2"}]}),
    "EmptyOnDelete": ({"EmptyOnDelete": False}, {"EmptyOnDelete": True}),
    "DeletionProtection": ({"DeletionProtection": True}, {"DeletionProtection": False}),
    "PurgeProtection": (
        {"PurgeProtection": {"TagPatterns": ["v*"], "PulledWithinDays": 30}},
        {"PurgeProtection": {"TagPatterns": ["release-*"]}},
    ),
    "PurgeReport": (
        {"PurgeReport": {"BucketName": REPORTS["ReportBucketName"], "Prefix": "purges/before"}},
        {"PurgeReport": {"BucketName": REPORTS["ReportBucketName"], "Prefix": "purges/after"}},
    ),
    "AllowReplicatedDeletes": ({}, {"AllowReplicatedDeletes": True}),
    "FreezeOnDelete": ({"FreezeOnDelete": False}, {"FreezeOnDelete": True}),
}


def test_every_property_that_can_change_is_tested(box: Sandbox) -> None:
    answer = box.client("cloudformation").describe_type(Type="RESOURCE", TypeName="Awstut::ECR::AutoPurgeRepository")
    schema = json.loads(answer["Schema"])
    fixed = {path.split("/")[2] for path in schema["readOnlyProperties"] + schema["createOnlyProperties"]}
    assert set(CHANGES) == set(schema["properties"]) - fixed


@pytest.mark.parametrize("name", CHANGES)
def test_update_without_replacement(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, name: str
) -> None:
    before, after = ({"RepositoryName": repository_name} | each for each in CHANGES[name])
    assert stack.create(template(before)) == "CREATE_COMPLETE"
    box.control.seed(repository_name, ("with_images", {"count": 2, "tag": "image-{n}", "pushed_days_ago": 400}))
    assert stack.update(template(after)) == "UPDATE_COMPLETE"
    model = read(box, repository_name)
    assert {key: model.get(key) for key in after} == after
    assert holds(box, repository_name) == 2
    assert not stack.calls("DELETE")
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_new_name_replaces_the_repository_and_purges_the_old_one(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    box.control.seed(repository_name, *IMAGES)
    assert stack.update(template({"RepositoryName": f"{repository_name}-new"})) == "UPDATE_COMPLETE"
    assert holds(box, repository_name) is None
    assert holds(box, f"{repository_name}-new") == 0
    assert stack.outputs["Ref"] == f"{repository_name}-new"
    stack.delete()


@pytest.mark.parametrize(
    ("before", "together"),
    [
        ({"DeletionProtection": False}, {"DeletionProtection": True}),
        ({"EmptyOnDelete": True}, {"EmptyOnDelete": False}),
        ({"EmptyOnDelete": True}, {"PurgeProtection": {"TagPatterns": ["*"]}}),
    ],
)
def test_protection_in_the_same_update_as_a_new_name_comes_too_late(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, before: Json, together: Json
) -> None:
    stack.create(template({"RepositoryName": repository_name, **before}))
    box.control.seed(repository_name, *IMAGES)
    stack.update(template({"RepositoryName": f"{repository_name}-new", **together}))
    assert holds(box, repository_name) is None
    if "DeletionProtection" in together:
        stack.update(template({"RepositoryName": f"{repository_name}-new", **before}))
    stack.delete()


def test_protection_that_was_applied_before_keeps_the_old_repository(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    stack.create(template({"RepositoryName": repository_name, "DeletionProtection": True}))
    box.control.seed(repository_name, *IMAGES)
    stack.update(template({"RepositoryName": f"{repository_name}-new"}))
    assert holds(box, repository_name) == 264
    stack.delete()


def without(repository: Json) -> Json:
    """A template in which another resource is left, as a stack needs one."""
    return {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}, **repository}}


def test_an_update_that_removes_the_resource_purges_and_deletes(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    stack.create(without(template({"RepositoryName": repository_name})["Resources"]))
    box.control.seed(repository_name, *IMAGES)
    assert stack.update(without({})) == "UPDATE_COMPLETE"
    assert holds(box, repository_name) is None
    stack.delete()


@pytest.mark.parametrize(
    "protection",
    [{"DeletionProtection": True}, {"EmptyOnDelete": False}, {"PurgeProtection": {"TagPatterns": ["build-*"]}}],
    ids=lambda protection: next(iter(protection)),
)
def test_an_update_that_removes_the_resource_obeys_what_was_applied_before(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, protection: Json
) -> None:
    """The stack lets go of it: a clean-up that fails is no failure of the update."""
    stack.create(without(template({"RepositoryName": repository_name, **protection})["Resources"]))
    box.control.seed(repository_name, *IMAGES)
    assert stack.update(without({})) == "UPDATE_COMPLETE"
    assert holds(box, repository_name) == 264
    assert re.search("are not touched|was not deleted", stack.reason("DELETE_FAILED"))
    stack.delete()
    assert holds(box, repository_name) == 264


def test_an_update_under_a_name_that_was_made_changes_the_same_repository(
    box: Sandbox, stack: Stack, template: Template
) -> None:
    stack.create(template())
    name = stack.outputs["Ref"]
    assert stack.update(template({"ImageTagMutability": "IMMUTABLE"})) == "UPDATE_COMPLETE"
    assert stack.outputs["Ref"] == name
    assert read(box, name)["ImageTagMutability"] == "IMMUTABLE"
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_create_that_fails_leaves_nothing(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    broken = {"RepositoryName": repository_name, "RepositoryPolicyText": {"Version": "2012-10-17"}}
    assert stack.create(template(broken)) == "ROLLBACK_COMPLETE"
    assert "ecr:SetRepositoryPolicy failed" in stack.reason("CREATE_FAILED")
    assert holds(box, repository_name) is None
    assert stack.delete() == "DELETE_COMPLETE"


def test_retain_keeps_the_repository(box: Sandbox, stack: Stack, template: Template, repository_name: str) -> None:
    stack.create(template({"RepositoryName": repository_name}, DeletionPolicy="Retain"))
    box.control.seed(repository_name, *IMAGES)
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) == 264


def test_a_failed_delete_can_retain_the_repository(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    stack.create(template({"RepositoryName": repository_name, "DeletionProtection": True}))
    assert stack.delete() == "DELETE_FAILED"
    assert stack.delete(RetainResources=["Repository"]) == "DELETE_COMPLETE"
    assert holds(box, repository_name) == 0


def test_stack_tags_reach_the_repository_and_follow_the_stack(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    wanted = template({"RepositoryName": repository_name, "Tags": [{"Key": "own", "Value": "1"}]})
    stack.create(wanted, tags={"cost": "42", "old": "x"})
    assert user_tags(box, repository_name) == {"own": "1", "cost": "42", "old": "x"}
    stack.update(wanted, tags={"cost": "43"})
    assert user_tags(box, repository_name) == {"own": "1", "cost": "43"}
    stack.delete()


def test_two_stacks_at_once(
    box: Sandbox, make_stack: Callable[[], Stack], template: Template, repository_name: str
) -> None:
    stacks = [make_stack(), make_stack()]
    names = [f"{repository_name}-{number}" for number in range(2)]
    for each, name in zip(stacks, names, strict=True):
        each.create(template({"RepositoryName": name}), wait=False)
    assert [each.wait() for each in stacks] == ["CREATE_COMPLETE"] * 2
    for name in names:
        box.control.seed(name, *IMAGES)
    for each in stacks:
        each.delete(wait=False)
    assert [each.wait() for each in stacks] == ["DELETE_COMPLETE"] * 2
    assert [holds(box, name) for name in names] == [None, None]


def test_drift_is_detected(box: Sandbox, stack: Stack, template: Template, repository_name: str) -> None:
    wanted = {
        "RepositoryName": repository_name,
        "ImageTagMutability": "MUTABLE",
        "EmptyOnDelete": True,
        "PurgeProtection": {"TagPatterns": ["v*"]},
    }
    stack.create(template(wanted))
    assert stack.detect_drift() == "IN_SYNC"
    client = box.client("ecr")
    client.put_image_tag_mutability(repositoryName=repository_name, imageTagMutability="IMMUTABLE")
    tags = [{"Key": "awstut:auto-purge", "Value": "off protect-tags"}, {"Key": "awstut:protect-tags", "Value": "w@"}]
    client.tag_resource(resourceArn=stack.outputs["Arn"], tags=tags)
    assert stack.detect_drift() == "DRIFTED"
    changed = {each["PropertyPath"].split("/")[1] for each in stack.drifts()}
    assert changed == {"ImageTagMutability", "EmptyOnDelete", "PurgeProtection"}
    stack.delete()
