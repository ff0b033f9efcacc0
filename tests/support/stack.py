"""A stack in the sandbox, for tests: operations that wait until they are done, and what happened meanwhile."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from sandbox.environment import ACCOUNT
from sandbox.server import Sandbox

_PATIENCE = 240  # seconds: on a busy machine
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25  # seconds between two looks; each look costs some milliseconds of a core

ROLE_OF_FUNCTIONS = f"arn:aws:iam::{ACCOUNT}:role/function"  # ministack takes any

Json = dict[str, Any]


def unique_name(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def one_resource(
    kind: str,
    properties: Json | None,
    gettable: tuple[str, ...] = (),
    logical_id: str = "Repository",
    **policies: Any,
) -> Json:
    """A template with one resource. Its outputs are Ref and what is `gettable`; `policies` are e.g. DeletionPolicy."""
    resource: Json = {"Type": kind, **policies}
    if properties is not None:
        resource["Properties"] = properties
    outputs = {name.replace(".", ""): {"Value": {"Fn::GetAtt": f"{logical_id}.{name}"}} for name in gettable}
    return {"Resources": {logical_id: resource}, "Outputs": {"Ref": {"Value": {"Ref": logical_id}}, **outputs}}


@dataclass
class Stack:
    """A stack that is not created yet. Methods that look at one resource use `logical_id` unless they get another."""

    box: Sandbox
    name: str = field(default_factory=lambda: unique_name("stack"))
    logical_id: str = "Repository"
    stack_id: str = ""
    _seen: int = field(default=0, repr=False)

    @property
    def client(self) -> Any:
        return self.box.client("cloudformation")

    def create(
        self, template: Json | str, tags: dict[str, str] | None = None, wait: bool = True, **options: Any
    ) -> str:
        """Returns the stack's status when it is done, or the one at once where `wait` is false.

        A template may be a string, too, and is sent as it is.
        """
        options.setdefault("Capabilities", ["CAPABILITY_IAM"])
        made = self.client.create_stack(**self._request(template, tags), **options)
        self.stack_id = made["StackId"]
        return self.wait() if wait else self.status

    def update(
        self, template: Json | str, tags: dict[str, str] | None = None, wait: bool = True, **options: Any
    ) -> str:
        """Returns the status as `create` does. Tags that are not given stay as they are."""
        seen = len(self._all_events())
        options.setdefault("Capabilities", ["CAPABILITY_IAM"])
        self.client.update_stack(**self._request(template, tags), **options)
        self._seen = seen
        return self.wait() if wait else self.status

    def delete(self, wait: bool = True, **options: Any) -> str:
        """Returns the status as `create` does."""
        self._seen = len(self._all_events())
        self.client.delete_stack(StackName=self.stack_id, **options)
        return self.wait() if wait else self.status

    def import_resource(self, template: Json, kind: str, identifier: dict[str, str], logical_id: str = "") -> str:
        """Take a resource that exists into the stack, which is created where it is missing. The template has all."""
        asked = {
            "ResourceType": kind,
            "LogicalResourceId": logical_id or self.logical_id,
            "ResourceIdentifier": identifier,
        }
        made = self.client.create_change_set(
            StackName=self.name,
            ChangeSetName=unique_name("import"),
            ChangeSetType="IMPORT",
            TemplateBody=json.dumps(template),
            ResourcesToImport=[asked],
        )
        self.stack_id = made["StackId"]
        self._seen = len(self._all_events())
        self.client.execute_change_set(ChangeSetName=made["Id"])
        return self.wait()

    def detect_drift(self) -> str:
        """IN_SYNC or DRIFTED; `drifts` has the details."""
        detection = self.client.detect_stack_drift(StackName=self.stack_id)["StackDriftDetectionId"]
        answer = self.client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        status: str = answer["StackDriftStatus"]
        return status

    def drifts(self) -> list[Json]:
        """What differs from the template, after `detect_drift`."""
        found = self.client.describe_stack_resource_drifts(StackName=self.stack_id)["StackResourceDrifts"]
        return [difference for each in found for difference in each.get("PropertyDifferences", [])]

    def wait(self, patience: float = _PATIENCE) -> str:
        """The stack's status when it is done. Raises AssertionError after so many seconds."""
        until, pause = time.monotonic() + patience, _FIRST_PAUSE
        while time.monotonic() < until:
            status = self.status
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(pause)
            pause = min(1.3 * pause, _LONGEST_PAUSE)
        raise AssertionError(f"{self.name} is still {status} after {patience} seconds")

    @property
    def status(self) -> str:
        status: str = self._describe()["StackStatus"]
        return status

    @property
    def outputs(self) -> dict[str, str]:
        return {each["OutputKey"]: each["OutputValue"] for each in self._describe().get("Outputs", [])}

    def events(self, logical_id: str = "") -> list[tuple[str, str]]:
        """Status and reason of each event of a resource during the last operation, oldest first."""
        wanted = logical_id or self.logical_id
        mine = [event for event in self._all_events()[self._seen :] if event["LogicalResourceId"] == wanted]
        return [(event["ResourceStatus"], event.get("ResourceStatusReason", "")) for event in mine]

    def finished(self, status: str) -> list[str]:
        """The logical ids of the resources that came to a status during the last operation, in that order."""
        events = self._all_events()[self._seen :]
        return [event["LogicalResourceId"] for event in events if event["ResourceStatus"] == status]

    def reason(self, status: str, logical_id: str = "") -> str:
        """The reason of the last event with a status. Fails where there is none."""
        events = self.events(logical_id)
        reasons = [reason for found, reason in events if found == status]
        assert reasons, f"no {status} among {events}"
        return reasons[-1]

    def calls(self, action: str | None = None) -> list[Json]:
        """The calls of handlers for this stack so far."""
        matching: Json = {"stack_id": self.stack_id, **({"action": action} if action else {})}
        return self.box.control.invocations(**matching)

    def _request(self, template: Json | str, tags: dict[str, str] | None) -> Json:
        body = template if isinstance(template, str) else json.dumps(template)
        request: Json = {"StackName": self.name, "TemplateBody": body}
        if tags is not None:
            request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        return request

    def _describe(self) -> Json:
        found: Json = self.client.describe_stacks(StackName=self.stack_id)["Stacks"][0]
        return found

    def _all_events(self) -> list[Json]:
        if not self.stack_id:
            return []
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=self.stack_id)
        return [event for page in pages for event in page["StackEvents"]][::-1]
