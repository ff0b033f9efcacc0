"""A function, made as on AWS, keeps the stack's repository until it is gone; the hardened role may look for it."""

from __future__ import annotations

from typing import Any

from sandbox.server import Sandbox
from tests.stack.support import IMAGES, Template, holds, run_command_in
from tests.support.roles import policies_of, put_policy, remove_policy
from tests.support.stack import ROLE_OF_FUNCTIONS, Stack, unique_name


def test_a_function_keeps_the_repository_of_a_stack_until_it_is_gone(
    box: Sandbox, stack: Stack, template: Template, repository_name: str
) -> None:
    wanted = {"RepositoryName": repository_name, "PurgeProtection": {"InUseBy": ["LAMBDA", "ECS"]}}
    assert stack.create(template(wanted)) == "CREATE_COMPLETE"
    box.control.seed(repository_name, *IMAGES)
    uri, function = stack.outputs["RepositoryUri"], unique_name("function")
    given: dict[str, Any] = {"PackageType": "Image", "Code": {"ImageUri": f"{uri}:v7"}, "Role": ROLE_OF_FUNCTIONS}
    box.client("lambda").create_function(FunctionName=function, **given)
    assert stack.delete() == "DELETE_FAILED"
    assert "1 image is in use: v7 (sha256:" in stack.reason("DELETE_FAILED", "Repository")
    assert f"by the Lambda function {function}" in stack.reason("DELETE_FAILED", "Repository")
    assert holds(box, repository_name) == 264
    box.client("lambda").delete_function(FunctionName=function)
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, repository_name) is None


def test_without_its_permissions_the_delete_refuses_and_names_one(
    box: Sandbox, stack: Stack, template: Template, repository_name: str, execution_role: str
) -> None:
    wanted = {"RepositoryName": repository_name, "PurgeProtection": {"InUseBy": ["LAMBDA"]}}
    assert stack.create(template(wanted)) == "CREATE_COMPLETE"
    box.control.seed(repository_name, *IMAGES)
    documents = policies_of(box, execution_role)[1]
    remove_policy(box, execution_role, "Use")
    try:
        assert stack.delete() == "DELETE_FAILED"
        reason = stack.reason("DELETE_FAILED", "Repository")
        assert "lambda:ListFunctions was denied to the role that runs this resource type" in reason
        assert holds(box, repository_name) == 264
        run_command_in(box, reason)
        assert stack.delete() == "DELETE_COMPLETE"
    finally:
        put_policy(box, execution_role, "Use", documents["Use"])
