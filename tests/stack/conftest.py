"""One sandbox for all stack tests, in which the type was submitted as a user would do it."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.build import copy_project
from sandbox.server import Sandbox, start_sandbox

TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"
LOGICAL_ID = "Repository"
PATIENCE = 60  # seconds
FAST = {"callback_delay_cap_seconds": 0.05, "retry_delay_seconds": 0.05}

Json = dict[str, Any]


@pytest.fixture(scope="session")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox, after `cfn submit --set-default`; it takes ten seconds, which pip needs for the package."""
    with start_sandbox() as box:
        project = copy_project(tmp_path_factory.mktemp("submit") / "project")
        command = ["cfn", "submit", "--set-default", "--region", "us-east-1"]
        done = subprocess.run(
            command,
            cwd=project,
            env=box.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield box


@pytest.fixture
def box(submitted: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, quick, and without faults of an earlier test."""
    submitted.control.clear_faults()
    submitted.control.reset_settings()
    submitted.control.settings(**FAST)
    yield submitted
    submitted.control.clear_faults()


@pytest.fixture
def repository_name() -> str:
    """A name that no other test uses."""
    return f"team/app-{uuid.uuid4().hex[:8]}"


@dataclass
class Stack:
    """A stack with one repository of our type, unless its template says otherwise."""

    box: Sandbox
    name: str
    stack_id: str = ""
    _seen: int = field(default=0, repr=False)

    def template(self, properties: Json | None = None, **attributes: Any) -> Json:
        """Attributes are those of a resource, such as DeletionPolicy."""
        resource: Json = {"Type": TYPE_NAME, **attributes}
        if properties is not None:
            resource["Properties"] = properties
        names = ("Arn", "RepositoryUri", "RegistryId")
        outputs: Json = {name: {"Value": {"Fn::GetAtt": [LOGICAL_ID, name]}} for name in names}
        return {"Resources": {LOGICAL_ID: resource}, "Outputs": {"Ref": {"Value": {"Ref": LOGICAL_ID}}, **outputs}}

    def create(self, template: Json, tags: dict[str, str] | None = None, wait: bool = True, **options: Any) -> str:
        """Returns the stack's status when it is done, or the one at once where `wait` is false."""
        made = self._client.create_stack(**self._request(template, tags), **options)
        self.stack_id = made["StackId"]
        return self.wait() if wait else self.status

    def update(self, template: Json, tags: dict[str, str] | None = None, wait: bool = True, **options: Any) -> str:
        self._seen = len(self._all_events())
        self._client.update_stack(**self._request(template, tags), **options)
        return self.wait() if wait else self.status

    def delete(self, wait: bool = True, **options: Any) -> str:
        self._seen = len(self._all_events())
        self._client.delete_stack(StackName=self.stack_id, **options)
        return self.wait() if wait else self.status

    def wait(self) -> str:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            status = self.status
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.02)
        raise AssertionError(f"{self.name} is still {status} after {PATIENCE} seconds")

    @property
    def status(self) -> str:
        status: str = self._describe()["StackStatus"]
        return status

    @property
    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self._describe().get("Outputs", [])}

    def events(self, logical_id: str = LOGICAL_ID) -> list[tuple[str, str]]:
        """Status and reason of each event of a resource during the last operation, oldest first."""
        events = self._all_events()[self._seen :]
        mine = [event for event in events if event["LogicalResourceId"] == logical_id]
        return [(event["ResourceStatus"], event.get("ResourceStatusReason", "")) for event in mine]

    def reason(self, status: str, logical_id: str = LOGICAL_ID) -> str:
        """The reason of the last event with a status. Fails where there is none."""
        reasons = [reason for found, reason in self.events(logical_id) if found == status]
        assert reasons, f"no {status} among {self.events(logical_id)}"
        return reasons[-1]

    def calls(self, action: str | None = None) -> list[Json]:
        """The calls of handlers for this stack so far."""
        matching = {"stack_id": self.stack_id, **({"action": action} if action else {})}
        return self.box.control.invocations(**matching)

    @property
    def _client(self) -> Any:
        return self.box.client("cloudformation")

    def _request(self, template: Json, tags: dict[str, str] | None) -> Json:
        request: Json = {"StackName": self.name, "TemplateBody": json.dumps(template)}
        if tags is not None:
            request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        return request

    def _describe(self) -> Json:
        found: Json = self._client.describe_stacks(StackName=self.stack_id)["Stacks"][0]
        return found

    def _all_events(self) -> list[Json]:
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=self.stack_id)
        return [event for page in pages for event in page["StackEvents"]][::-1]


@pytest.fixture
def make_stack(box: Sandbox) -> Callable[[], Stack]:
    """Makes stacks under names that no other test uses."""
    return lambda: Stack(box, f"stack-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def stack(make_stack: Callable[[], Stack]) -> Stack:
    """A stack that is not created yet."""
    return make_stack()


def create_stack(stack: Stack, properties: Json | None = None, **attributes: Any) -> list[tuple[str, str]]:
    """Create a stack with one repository, wait, and return the repository's events."""
    stack.create(stack.template(properties, **attributes))
    return stack.events()


def update_stack(stack: Stack, properties: Json | None = None, **attributes: Any) -> list[tuple[str, str]]:
    """Update it, wait, and return the repository's events of the update."""
    stack.update(stack.template(properties, **attributes))
    return stack.events()


def delete_stack(stack: Stack, **options: Any) -> list[tuple[str, str]]:
    """Delete it, wait, and return the repository's events of the delete."""
    stack.delete(**options)
    return stack.events()


@pytest.fixture
def package(request: pytest.FixtureRequest) -> Path:
    """The built package, made once for the same sources."""
    from sandbox.build import build_package

    cache = request.config.cache
    assert cache is not None
    return build_package(cache.mkdir("package"))
