"""The hardened execution role at work: what it refuses, and what its users see then; nothing secret is logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Template, holds
from tests.support.leaks import delivered, leaks
from tests.support.project_copy import TYPE_NAME
from tests.support.roles import REPORTS, put_policy, remove_policy
from tests.support.stack import Stack

Json = dict[str, Any]


def imported(name: str) -> Json:
    """An import may not add outputs, and needs a DeletionPolicy."""
    resource = {"Type": TYPE_NAME, "DeletionPolicy": "Delete", "Properties": {"RepositoryName": name}}
    return {"Resources": {"Repository": resource}}


def test_a_repository_that_no_operator_has_marked_is_imported_but_never_deleted(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, made_by_somebody: str
) -> None:
    """In the import and the rollback only the mark is denied, which fails neither. Else the stack would be stuck."""
    before = box.control.repository(repository_name)
    wanted = {"RepositoryName": repository_name}
    assert stack.import_resource(imported(repository_name), TYPE_NAME, wanted) == "IMPORT_COMPLETE"
    changed = template(wanted | {"ImageTagMutability": "IMMUTABLE"})
    assert stack.update(changed) == "UPDATE_ROLLBACK_COMPLETE"
    reason = stack.reason("UPDATE_FAILED")
    assert "ecr:PutImageTagMutability was denied. Allow it to the role that runs this resource type" in reason
    assert "HandlerErrorCode: AccessDenied" in reason
    assert stack.delete() == "DELETE_FAILED"
    assert "does not have the tag awstut:auto-purge" in stack.reason("DELETE_FAILED")
    assert box.control.repository(repository_name) == before


def test_a_repository_that_an_operator_has_marked_is_taken_over(
    box: Sandbox, stack: Stack, repository_name: str, made_by_somebody: str
) -> None:
    mark = [{"Key": "awstut:auto-purge", "Value": "on"}]
    box.client("ecr").tag_resource(resourceArn=made_by_somebody, tags=mark)
    wanted = {"RepositoryName": repository_name}
    assert stack.import_resource(imported(repository_name), TYPE_NAME, wanted) == "IMPORT_COMPLETE"
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


DENIED_IN = {
    "create": "ecr:CreateRepository",
    "tag on create": "ecr:TagResource",
    "policy of a create": "ecr:SetRepositoryPolicy",
}


@pytest.fixture
def deny(box: Sandbox, execution_role: str) -> Iterator[Any]:
    """Take actions from the role for the rest of a test."""

    def put(*actions: str) -> None:
        statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
        put_policy(box, execution_role, "Denied", {"Version": "2012-10-17", "Statement": [statement]})

    yield put
    remove_policy(box, execution_role, "Denied")


POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}],
}


@pytest.mark.parametrize("case", DENIED_IN)
def test_a_create_names_the_action_that_the_role_lacks(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, deny: Any, case: str
) -> None:
    deny(DENIED_IN[case])
    wanted = {"RepositoryName": repository_name, "RepositoryPolicyText": POLICY}
    stack.create(template(wanted), wait=False)
    assert stack.wait(patience=150) == "ROLLBACK_COMPLETE"  # a role may not see the mark yet: denials are repeated
    reason = stack.reason("CREATE_FAILED")
    assert f"{DENIED_IN[case]} was denied." in reason
    assert "HandlerErrorCode: AccessDenied" in reason
    assert holds(box, repository_name) is None
    stack.delete()


READ_BY_DELETE = ("ecr:DescribeImages", "ecr:ListTagsForResource", "ecr:DescribeRepositories")


@pytest.mark.parametrize("action", [*READ_BY_DELETE, "ecr:BatchDeleteImage", "ecr:DeleteRepository"])
def test_a_delete_names_the_action_that_the_role_lacks(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, deny: Any, action: str
) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    box.control.seed(repository_name, *IMAGES)
    deny(action)
    assert stack.delete() == "DELETE_FAILED"
    reason = stack.reason("DELETE_FAILED")
    assert f"{action} was denied." in reason
    assert "HandlerErrorCode: AccessDenied" in reason
    assert holds(box, repository_name) == (0 if action == "ecr:DeleteRepository" else 264)
    deny("iam:*")
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_purge_goes_on_without_the_tag_that_shows_its_progress(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, deny: Any
) -> None:
    stack.create(template({"RepositoryName": repository_name}))
    box.control.seed(repository_name, *IMAGES)
    deny("ecr:TagResource")
    assert stack.delete() == "DELETE_COMPLETE"


def test_the_role_is_not_assumed_for_another_type(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, execution_role: str
) -> None:
    role, client = execution_role.rpartition("/")[2], box.client("iam")
    trust = client.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    other = json.dumps(trust).replace("Awstut-ECR-AutoPurgeRepository", "Awstut-ECR-Other")
    client.update_assume_role_policy(RoleName=role, PolicyDocument=other)
    try:
        assert stack.create(template({"RepositoryName": repository_name})) == "ROLLBACK_COMPLETE"
    finally:
        client.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    assert "does not let resources.cloudformation.amazonaws.com assume it" in stack.reason("CREATE_FAILED")
    assert holds(box, repository_name) is None


@pytest.fixture
def buckets(box: Sandbox) -> tuple[str, str]:
    """The bucket that the role may write to, and another one."""
    names = REPORTS["ReportBucketName"], "somebody-elses"
    for name in names:
        box.client("s3").create_bucket(Bucket=name)  # which succeeds again for its owner
    return names


def test_a_purge_report_is_written_to_the_bucket_of_the_role(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, buckets: tuple[str, str]
) -> None:
    report = {"BucketName": buckets[0], "Prefix": REPORTS["ReportPrefix"].rstrip("/")}
    stack.create(template({"RepositoryName": repository_name, "PurgeReport": report}))
    box.control.seed(repository_name, *IMAGES)
    assert stack.delete() == "DELETE_COMPLETE"
    folder = f"{REPORTS['ReportPrefix']}{repository_name}/"
    keys = [each["Key"] for each in box.client("s3").list_objects_v2(Bucket=buckets[0], Prefix=folder)["Contents"]]
    assert len([key for key in keys if key.endswith("/summary.json")]) == 1


@pytest.mark.parametrize("place", ["another bucket", "another prefix"])
def test_a_purge_report_elsewhere_is_refused_before_the_first_image(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, buckets: tuple[str, str], place: str
) -> None:
    elsewhere = {
        "another bucket": {"BucketName": buckets[1], "Prefix": "purges"},
        "another prefix": {"BucketName": buckets[0], "Prefix": "others"},
    }
    stack.create(template({"RepositoryName": repository_name, "PurgeReport": elsewhere[place]}))
    box.control.seed(repository_name, *IMAGES)
    assert stack.delete() == "DELETE_FAILED"
    reason = stack.reason("DELETE_FAILED")
    assert "s3:PutObject" in reason
    assert "HandlerErrorCode: AccessDenied" in reason
    assert holds(box, repository_name) == 264
    bucket = elsewhere[place]["BucketName"]
    prefix = elsewhere[place]["Prefix"]
    assert box.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/{repository_name}")["KeyCount"] == 0


def test_nothing_secret_is_logged_or_told(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, deny: Any
) -> None:
    """This holds also where calls fail, are repeated, or crash. The fixture checks the logs of the other tests."""
    stack.create(template({"RepositoryName": repository_name}))
    box.control.seed(repository_name, *IMAGES)
    deny("ecr:BatchDeleteImage")
    assert stack.delete() == "DELETE_FAILED"
    deny("iam:*")
    box.control.set_faults(("server_errors", {"every_nth": 3}))
    assert stack.delete() == "DELETE_COMPLETE"
    assert any(repository_name in message for _, _, message in delivered(box))
    assert leaks(box) == []
