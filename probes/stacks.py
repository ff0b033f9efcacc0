"""Stacks in an account: operations that wait until they are done, and their events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from probes.made import Kind, Thing
from probes.place import Place, ProbeError

_PATIENCE = 900  # seconds
Json = dict[str, Any]


@dataclass
class Stack:
    """A stack that is not created yet. `logical_id` is the resource that is looked at."""

    place: Place
    name: str
    logical_id: str = "Thing"
    stack_id: str = ""
    _seen: int = field(default=0, repr=False)

    @property
    def client(self) -> Any:
        return self.place.client("cloudformation")

    def create(self, template: Json | str, tags: dict[str, str] | None = None, **options: Any) -> str:
        """The stack's status when it is done. A template may be a string, too."""
        thing = self._note()
        self.stack_id = self.client.create_stack(**self._request(template, tags), **options)["StackId"]
        self.place.made.confirm(thing)
        return self.wait()

    def update(self, template: Json, tags: dict[str, str] | None = None) -> str:
        self._seen = len(self._all_events())
        self.client.update_stack(**self._request(template, tags))
        return self.wait()

    def delete(self, **options: Any) -> str:
        self._seen = len(self._all_events())
        self.client.delete_stack(StackName=self.stack_id, **options)
        return self.wait()

    def import_thing(self, template: Json, type_name: str, identifier: dict[str, str]) -> str:
        """Import a resource that exists into a stack of its own, which has its tags before: an import can add none."""
        base = {"Base": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
        self.create({"Resources": base})
        asked = {"ResourceType": type_name, "LogicalResourceId": self.logical_id, "ResourceIdentifier": identifier}
        whole = {**template, "Resources": {**base, **template["Resources"]}}
        change_set = self.client.create_change_set(
            StackName=self.stack_id,
            TemplateBody=json.dumps(whole),
            ChangeSetName=f"{self.name}-import",
            ChangeSetType="IMPORT",
            ResourcesToImport=[asked],
        )
        self._wait_for_change_set(change_set["Id"])
        self._seen = len(self._all_events())
        self.client.execute_change_set(ChangeSetName=change_set["Id"])
        return self.wait("CREATE_COMPLETE")

    def wait(self, before: str = "") -> str:
        """Wait for the end of an operation, and return the status. The status `before` is no end yet."""
        until = self.place.clock.monotonic() + _PATIENCE
        while self.place.clock.monotonic() < until:
            status = self.status
            if status != before and not status.endswith("_IN_PROGRESS"):
                return status
            self.place.clock.sleep(self.place.poll)
        raise ProbeError(f"{self.name} is still {status} after {_PATIENCE} seconds.")

    def _wait_for_change_set(self, change_set: str) -> None:
        until = self.place.clock.monotonic() + _PATIENCE
        while self.place.clock.monotonic() < until:
            found = self.client.describe_change_set(ChangeSetName=change_set)
            if found["Status"] == "CREATE_COMPLETE":
                return
            if found["Status"] == "FAILED":
                raise ProbeError(f"The change set failed: {found.get('StatusReason', '')}")
            self.place.clock.sleep(self.place.poll)
        raise ProbeError("The change set was not created in time.")

    @property
    def status(self) -> str:
        status: str = self.client.describe_stacks(StackName=self.stack_id)["Stacks"][0]["StackStatus"]
        return status

    def events(self, logical_id: str = "") -> list[tuple[str, str]]:
        """Status and reason of each event of a resource during the last operation, oldest first."""
        wanted = logical_id or self.logical_id
        mine = [each for each in self._all_events()[self._seen :] if each["LogicalResourceId"] == wanted]
        return [(each["ResourceStatus"], each.get("ResourceStatusReason", "")) for each in mine]

    def statuses(self, logical_id: str = "") -> list[str]:
        return [status for status, _ in self.events(logical_id)]

    def outputs(self) -> dict[str, str]:
        found = self.client.describe_stacks(StackName=self.stack_id)["Stacks"][0]
        return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}

    def physical_id(self) -> str:
        found = self.client.describe_stack_resource(StackName=self.stack_id, LogicalResourceId=self.logical_id)
        physical: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return physical

    def _note(self) -> Thing:
        return self.place.made.note(Kind.STACK, self.name, self.place.region)

    def _request(self, template: Json | str, tags: dict[str, str] | None) -> Json:
        given = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        body = template if isinstance(template, str) else json.dumps(template)
        return {"StackName": self.name, "TemplateBody": body, "Tags": [*self.place.tags, *given]}

    def _all_events(self) -> list[Json]:
        if not self.stack_id:
            return []
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=self.stack_id)
        return [event for page in pages for event in page["StackEvents"]][::-1]


def new_stack(place: Place, label: str, logical_id: str = "Thing") -> Stack:
    return Stack(place, place.name(label), logical_id)


def one(type_name: str, properties: Json, **policies: Any) -> Json:
    """A template with one resource; `policies` are DeletionPolicy and the like."""
    return {"Resources": {"Thing": {"Type": type_name, "Properties": properties, **policies}}}
