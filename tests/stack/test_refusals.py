"""Stacks that must fail: with a reason, a command that helps, and without touching what is not theirs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Json, Template, holds, run_command_in
from tests.support.stack import Stack


@pytest.mark.parametrize("images", [0, 3])
@pytest.mark.parametrize("maker", ["another stack", "another resource", "hand"])
def test_a_name_that_is_taken_leaves_the_repository_that_was_there(
    box: Sandbox,
    make_stack: Callable[[], Stack],
    template: Template,
    repository_name: str,
    maker: str,
    images: int,
) -> None:
    """CloudFormation may call delete after the create that failed: users have seen it."""
    box.control.settings(delete_after_already_exists=True)
    wanted = template({"RepositoryName": repository_name})
    first, second = make_stack(), make_stack()
    if maker == "hand":
        # Without a tag, a create would wait for two minutes: the tags of a repository that is so new may be invisible.
        tag = {"Key": "owner", "Value": "somebody"}
        box.client("ecr").create_repository(repositoryName=repository_name, tags=[tag])
    else:
        first.create(wanted)
    if images:
        box.control.seed(repository_name, ("with_images", {"count": images}))
    tags = box.control.repository(repository_name)["tags"]  # type: ignore[index]
    if maker == "another resource":
        twice = {"Resources": {**wanted["Resources"], "Second": wanted["Resources"]["Repository"]}}
        assert first.update(twice) == "UPDATE_ROLLBACK_COMPLETE"
        assert any("already exists, and was left as it is" in reason for _, reason in first.events("Second"))
    else:
        assert second.create(wanted) == "ROLLBACK_COMPLETE"
        assert "already exists, and was left as it is" in second.reason("CREATE_FAILED")
        assert second.calls("DELETE")
        second.delete()
    assert holds(box, repository_name) == images
    assert box.control.repository(repository_name)["tags"] == tags  # type: ignore[index]
    if maker != "hand":
        assert first.delete() == "DELETE_COMPLETE"


REFUSALS: dict[str, tuple[Json, str]] = {
    "emptying is off": ({"EmptyOnDelete": False}, "has 264 images, and EmptyOnDelete is false"),
    "deletion protection": ({"DeletionProtection": True}, "its deletion protection is on"),
    "protected tags": (
        {"PurgeProtection": {"TagPatterns": ["build-*"]}},
        "3 images are protected by tag pattern build-*",
    ),
    "lately pulled": ({"PurgeProtection": {"PulledWithinDays": 30}}, "1 image is protected by pulled within 30 days"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_delete_that_is_refused_names_the_command_that_allows_it(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, case: str
) -> None:
    properties, reason = REFUSALS[case]
    stack.create(template({"RepositoryName": repository_name, **properties}))
    box.control.seed(repository_name, *IMAGES)
    if case == "lately pulled":
        box.control.seed(repository_name, ("with_images", {"count": 1, "pulled_days_ago": 1}))
    images = holds(box, repository_name)
    assert stack.delete() == "DELETE_FAILED"
    message = stack.reason("DELETE_FAILED")
    assert reason in message
    assert holds(box, repository_name) == images
    run_command_in(box, message)
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


def test_a_repository_that_belongs_to_another_stack_by_its_tags_is_taken_over_by_command(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    arn = stack.outputs["Arn"]
    tag = {"Key": "awstut:stack-id", "Value": stack.stack_id.replace(stack.name, "elsewhere")}
    box.client("ecr").tag_resource(resourceArn=arn, tags=[tag])
    assert stack.delete() == "DELETE_FAILED"
    message = stack.reason("DELETE_FAILED")
    assert "belongs to the resource Repository of the stack elsewhere" in message
    run_command_in(box, message)
    assert stack.delete() == "DELETE_COMPLETE"


BAD: dict[str, tuple[Json, str]] = {
    "an unknown property": ({"RepositryName": "app"}, "RepositryName"),
    "a name that is not valid": ({"RepositoryName": "App"}, "RepositoryName"),
    "a read-only property": ({"Arn": "arn:aws:ecr:us-east-1:123456789012:repository/app"}, "Arn"),
    "a lifecycle policy that is too short": ({"LifecyclePolicy": {"LifecyclePolicyText": "{}"}}, "LifecyclePolicyText"),
    "a number of days that is too small": ({"PurgeProtection": {"PulledWithinDays": 0}}, "PulledWithinDays"),
    "an empty list of patterns": ({"PurgeProtection": {"TagPatterns": []}}, "TagPatterns"),
    "the pattern off": ({"PurgeProtection": {"TagPatterns": ["off"]}}, "TagPatterns"),
    "a reserved tag": ({"Tags": [{"Key": "awstut:auto-purge", "Value": "off"}]}, "are reserved"),
    "a tag twice": ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "the key a twice"),
    "a KMS key that does not exist": (
        {"EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": "alias/missing"}},
        "could not use the KMS key",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_fails_with_a_reason(box: Sandbox, stack: Stack, template: Template, case: str) -> None:
    properties, reason = BAD[case]
    before = box.control.repositories()
    assert stack.create(template(properties)) == "ROLLBACK_COMPLETE"
    assert reason in stack.reason("CREATE_FAILED")
    assert box.control.repositories() == before
    stack.delete()
