"""The two execution roles, made in a sandbox from their templates as an operator makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.environment import REGION
from sandbox.server import Sandbox
from tests.support.project_copy import ROOT
from tests.support.stack import unique_name

GENERATED = ROOT / "resource-role.yaml"
HARDENED = ROOT / "examples" / "execution-role.yaml"
REPORTS = {"ReportBucketName": "purge-reports", "ReportPrefix": "purges/"}

Json = dict[str, Any]


def make_role(box: Sandbox, template: Path, region: str = REGION, **parameters: str) -> str:
    """Deploy a template, and return the role's ARN."""
    name, client = unique_name("role"), box.client("cloudformation", region=region)
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    client.create_stack(
        StackName=name, TemplateBody=template.read_text(), Parameters=given, Capabilities=["CAPABILITY_IAM"]
    )
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
    [output] = client.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    role: str = output["OutputValue"]
    return role


def policies_of(box: Sandbox, role_arn: str) -> tuple[Json, dict[str, Json]]:
    """The trust policy of a role, and its other policies by name."""
    client, name = box.client("iam"), role_arn.rpartition("/")[2]
    trust: Json = client.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    names = client.list_role_policies(RoleName=name)["PolicyNames"]
    documents = {each: client.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in names}
    return trust, documents


def put_policy(box: Sandbox, role_arn: str, name: str, document: Json) -> None:
    """Give a role one more policy."""
    role = role_arn.rpartition("/")[2]
    box.client("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def remove_policy(box: Sandbox, role_arn: str, name: str) -> None:
    """Take a policy from a role."""
    box.client("iam").delete_role_policy(RoleName=role_arn.rpartition("/")[2], PolicyName=name)
