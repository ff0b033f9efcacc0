"""Stacks and their repositories, as CloudFormation lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .aws import Aws
from .repositories import NATIVE_TYPE_NAME, TYPE_NAME, at_once, stack_name

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.literals import StackStatusType
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

# All but DELETE_COMPLETE: stacks that are gone are listed for 90 days.
_STATUSES = cast(
    "list[StackStatusType]",
    [
        *("CREATE_IN_PROGRESS", "CREATE_FAILED", "CREATE_COMPLETE", "ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"),
        *("ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        *("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS"),
        *("UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
        *("REVIEW_IN_PROGRESS", "IMPORT_IN_PROGRESS", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_IN_PROGRESS"),
        *("IMPORT_ROLLBACK_FAILED", "IMPORT_ROLLBACK_COMPLETE"),
    ],
)


@dataclass(frozen=True)
class RepositoryInStack:
    """A repository as a resource of a stack. ``name`` is empty while it has none yet."""

    stack_id: str
    logical_id: str
    name: str
    status: str
    type_name: str

    @property
    def stack(self) -> str:
        """The name of the stack."""
        return stack_name(self.stack_id)


def describe(aws: Aws, stack: str) -> StackTypeDef:
    """The stack of this name or id. Raises what CloudFormation raises where there is none."""
    return aws.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]


def repositories_in(aws: Aws, stack_id: str, type_name: str = TYPE_NAME) -> list[RepositoryInStack]:
    """The repositories of a type in a stack. One call for each 100 resources."""
    pages = aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return [
        RepositoryInStack(
            stack_id,
            each["LogicalResourceId"],
            each.get("PhysicalResourceId", ""),
            each["ResourceStatus"],
            each["ResourceType"],
        )
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == type_name
    ]


def native_repositories(aws: Aws) -> dict[str, RepositoryInStack]:
    """The repositories of AWS::ECR::Repository in the stacks of the Region, by name. A call for each stack."""
    pages = aws.cloudformation.get_paginator("list_stacks").paginate(StackStatusFilter=_STATUSES)
    stacks = [each["StackId"] for page in pages for each in page["StackSummaries"]]
    found = at_once(lambda stack_id: repositories_in(aws, stack_id, NATIVE_TYPE_NAME), stacks)
    return {each.name: each for one_stack in found for each in one_stack if each.status != "DELETE_COMPLETE"}
