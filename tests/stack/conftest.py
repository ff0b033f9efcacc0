"""One sandbox for all stack tests of a process, in which the type is registered as `cfn submit` does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.server import Sandbox, start_sandbox
from tests.stack.support import IMAGES, Template
from tests.support.leaks import leaks
from tests.support.packages import dry_run, package_command, submitted_package, unpacked_packages, versioned_package
from tests.support.project_copy import TYPE_NAME
from tests.support.roles import GENERATED, HARDENED, REPORTS, make_role, policies_of, put_policy, remove_policy
from tests.support.samples import LIFECYCLE, POLICY
from tests.support.stack import Stack, one_resource, unique_name
from tests.support.stub import register

FAST = {"callback_delay_cap_seconds": 0.05, "retry_delay_seconds": 0.05}


__all__ = ["dry_run", "package_command", "submitted_package", "unpacked_packages", "versioned_package"]

_LOG_GROUP = "awstut-ecr-autopurgerepository-logs"
_LOGGING_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "cloudformation.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture(scope="session")
def submitted(submitted_package: Path) -> Iterator[Sandbox]:
    """The sandbox, with the calls of `cfn submit --set-default` after its package is built.

    The command itself is typed by the tests of guides/get-started.md. The handlers run under the hardened role: the
    sandbox refuses what its policies don't allow.
    """
    with start_sandbox() as box:
        box.client("s3").create_bucket(Bucket=REPORTS["ReportBucketName"])
        _register(box, submitted_package, make_role(box, HARDENED, **REPORTS, ChecksUse="true"))
        yield box
        assert leaks(box) == []  # of all that was logged and told during these tests


def _register(box: Sandbox, package: Path, role: str) -> None:
    iam = box.client("iam")
    logging_role = iam.create_role(RoleName="cfn-logs", AssumeRolePolicyDocument=json.dumps(_LOGGING_TRUST))["Role"]
    logging = {"LogRoleArn": logging_role["Arn"], "LogGroupName": _LOG_GROUP}
    registered = register(box, package.read_bytes(), TYPE_NAME, LoggingConfig=logging, ExecutionRoleArn=role)
    assert registered["ProgressStatus"] == "COMPLETE", registered
    box.client("cloudformation").set_type_default_version(Arn=registered["TypeVersionArn"])


@pytest.fixture
def box(submitted: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, quick, and without faults or settings of an earlier test."""
    submitted.control.clear_faults()
    submitted.control.clear_lateness()
    submitted.control.reset_settings()
    submitted.control.settings(**FAST)
    yield submitted
    submitted.control.clear_faults()
    submitted.control.clear_lateness()


@pytest.fixture
def execution_role(submitted: Sandbox) -> str:
    """The ARN of the role under which the handlers run."""
    found = submitted.client("cloudformation").describe_type(Type="RESOURCE", TypeName=TYPE_NAME)
    role: str = found["ExecutionRoleArn"]
    return role


@pytest.fixture(scope="session")
def generated_policies(submitted: Sandbox) -> dict[str, dict[str, Any]]:
    """What the role of resource-role.yaml may do."""
    return policies_of(submitted, make_role(submitted, GENERATED))[1]


@pytest.fixture
def generated_role(
    submitted: Sandbox, execution_role: str, generated_policies: dict[str, dict[str, Any]]
) -> Iterator[None]:
    """For one test the handlers may do what the role of resource-role.yaml may, which has no conditions."""
    for name, document in generated_policies.items():
        put_policy(submitted, execution_role, name, document)
    yield
    for name in generated_policies:
        remove_policy(submitted, execution_role, name)


@pytest.fixture
def repository_name() -> str:
    """A name that no other test uses."""
    return unique_name("team/app")


@pytest.fixture
def template() -> Template:
    """Makes templates with one repository: `template({"RepositoryName": "app"}, DeletionPolicy="Retain")`.

    Ref, Arn, RepositoryUri and RegistryId are its outputs.
    """

    def make(properties: dict[str, Any] | None = None, **policies: Any) -> dict[str, Any]:
        return one_resource(TYPE_NAME, properties, ("Arn", "RepositoryUri", "RegistryId"), **policies)

    return make


@pytest.fixture
def make_stack(box: Sandbox) -> Callable[[], Stack]:
    """Makes stacks that are not created yet, under names that no other test uses."""
    return lambda: Stack(box)


@pytest.fixture
def stack(make_stack: Callable[[], Stack]) -> Stack:
    """A stack that is not created yet."""
    return make_stack()


@pytest.fixture
def made_by_somebody(box: Sandbox, repository_name: str) -> str:
    """A repository that somebody made, with images, policies and tags of its own; returns its ARN."""
    client = box.client("ecr")
    tags = [{"Key": "owner", "Value": "somebody"}]
    arn: str = client.create_repository(repositoryName=repository_name, tags=tags)["repository"]["repositoryArn"]
    client.set_repository_policy(repositoryName=repository_name, policyText=json.dumps(POLICY))
    client.put_lifecycle_policy(repositoryName=repository_name, lifecyclePolicyText=LIFECYCLE)
    box.control.seed(repository_name, *IMAGES)
    return arn
