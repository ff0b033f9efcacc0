"""One sandbox for all stack tests, in which the type was submitted as a user would do it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.build import copy_project
from sandbox.server import Sandbox, start_sandbox
from tests.stack.support import IMAGES, Template
from tests.support.leaks import leaks
from tests.support.packages import package_command, versioned_package
from tests.support.project_copy import TYPE_NAME
from tests.support.roles import GENERATED, HARDENED, REPORTS, make_role, policies_of, put_policy, remove_policy
from tests.support.samples import LIFECYCLE, POLICY
from tests.support.stack import Stack, one_resource, unique_name

FAST = {"callback_delay_cap_seconds": 0.05, "retry_delay_seconds": 0.05}


__all__ = ["package_command", "versioned_package"]


@pytest.fixture(scope="session")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox, after `cfn submit --set-default`; it takes ten seconds, which pip needs for the package.

    The handlers run under the hardened role: the sandbox refuses what its policies don't allow.
    """
    with start_sandbox() as box:
        project = copy_project(tmp_path_factory.mktemp("submit") / "project")
        role = make_role(box, HARDENED, **REPORTS, ChecksUse="true")
        box.client("s3").create_bucket(Bucket=REPORTS["ReportBucketName"])
        command = ["cfn", "submit", "--set-default", "--region", "us-east-1", "--role-arn", role]
        nothing = subprocess.DEVNULL
        done = subprocess.run(
            command, cwd=project, env=box.environment, capture_output=True, text=True, check=False, stdin=nothing
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield box
        assert leaks(box) == []  # of all that was logged and told during these tests


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
def by_hand(box: Sandbox, repository_name: str) -> str:
    """A repository that somebody made, with images, policies and tags of its own; returns its ARN."""
    client = box.client("ecr")
    tags = [{"Key": "owner", "Value": "somebody"}]
    arn: str = client.create_repository(repositoryName=repository_name, tags=tags)["repository"]["repositoryArn"]
    client.set_repository_policy(repositoryName=repository_name, policyText=json.dumps(POLICY))
    client.put_lifecycle_policy(repositoryName=repository_name, lifecyclePolicyText=LIFECYCLE)
    box.control.seed(repository_name, *IMAGES)
    return arn
