"""The calls that change a stack: an update, a change set that removes, one that imports. Each waits for its end."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository.errors import service_message

from .account import Clients, Json, described, outputs_of, template_of
from .checks import unexpected, unretained
from .planning import LONGEST_BODY, Plan, Repository

_NO_UPDATES = "No updates are to be performed"
_LATE = 6  # looks at a stack that does not show yet that its operation began
_PREFIX = "autopurge-adopt"


class StepError(Exception):
    """A step did not happen, or failed; the text says which and why. The stack is in a stable state."""


class StackSteps:
    """One stack whose plan is known."""

    def __init__(self, clients: Clients, plan: Plan) -> None:
        self._clients = clients
        self._plan = plan
        self._seen = ""

    def wait(self) -> Json:
        """The stack when no operation runs. Just after one was started, its status may still be the one before."""
        looks = 0
        while True:
            stack = described(self._clients, self._plan.stack_id)
            status = str(stack["StackStatus"])
            at = f"{status} {stack.get('LastUpdatedTime')}"
            looks += 1
            if not status.endswith("_IN_PROGRESS") and (at != self._seen or looks > _LATE):
                self._seen = at
                return stack
            self._clients.sleep(self._clients.pause)

    def look(self) -> Json:
        """The stack as it is now."""
        return described(self._clients, self._plan.stack_id)

    def update(self, state: str, new_outputs: bool = False) -> None:
        """Update the stack to the template of a state. Raises StepError.

        `new_outputs`: the id of a custom resource that was created again may be another, and so an output.
        """
        try:
            self._clients.cloudformation.update_stack(**self._request(state))
        except ClientError as error:
            if _NO_UPDATES in service_message(error):
                return
            raise StepError(f"The update was refused: {service_message(error)}") from error
        self._done("UPDATE_COMPLETE", new_outputs)

    def release(self, state: str, leaving: Iterable[str]) -> None:
        """Remove what is retained. Raises StepError, before anything happened, where it is not.

        The change set is made first: an update by somebody else makes it obsolete. Then the processed template is read
        back, so what is checked is what the change set is applied to.
        """
        names = tuple(leaving)
        with self._change_set(state, "UPDATE") as (identifier, changes):
            processed = template_of(self._clients, self._plan.stack_id, "Processed")
            why = unretained(processed, names) or unexpected(changes, names)
            if why:
                raise StepError(f"Nothing was released. {why}")
            self._execute(identifier)
        self._done("UPDATE_COMPLETE")

    def bring_in(self, state: str, kind: str, repositories: Iterable[Repository]) -> None:
        """Import repositories as resources of a type. Raises StepError."""
        wanted = [
            {
                "ResourceType": kind,
                "LogicalResourceId": each.logical_id,
                "ResourceIdentifier": {"RepositoryName": each.name},
            }
            for each in repositories
        ]
        with self._change_set(state, "IMPORT", ResourcesToImport=wanted) as (identifier, _):
            self._execute(identifier)
        self._done("IMPORT_COMPLETE")

    def _check_outputs(self, stack: Json) -> None:
        """Raises StepError where an output has another value than before."""
        live = outputs_of(stack)
        differing = [key for key, value in self._plan.outputs.items() if live.get(key) != value]
        if differing:
            raise StepError(f"Outputs have other values than before: {', '.join(differing)}.")

    def _done(self, expected: str, new_outputs: bool = False) -> None:
        stack = self.wait()
        if stack["StackStatus"] != expected:
            raise StepError(f"The stack is in {stack['StackStatus']}: {self._first_failure()}")
        if not new_outputs:
            self._check_outputs(stack)

    def _first_failure(self) -> str:
        """The reason of the first event that failed in the last operation."""
        events = self._clients.cloudformation.describe_stack_events(StackName=self._plan.stack_id)["StackEvents"]
        failure = "see its events"
        for event in events:  # newest first
            if event["ResourceStatus"].endswith("_FAILED"):
                failure = f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            begins = event["ResourceStatus"] in ("UPDATE_IN_PROGRESS", "IMPORT_IN_PROGRESS")
            if begins and event.get("PhysicalResourceId") == self._plan.stack_id:
                break
        return failure

    @contextmanager
    def _change_set(self, state: str, kind: Any, **more: Any) -> Iterator[tuple[str, list[Any]]]:
        """A change set that can be executed, and its changes. It is deleted again where it was not."""
        cloudformation = self._clients.cloudformation
        name = f"{_PREFIX}-{uuid.uuid4().hex[:8]}"
        try:
            made = cloudformation.create_change_set(
                ChangeSetName=name, ChangeSetType=kind, **self._request(state), **more
            )
        except ClientError as error:
            raise StepError(f"The change set was refused: {service_message(error)}") from error
        try:
            yield made["Id"], self._changes(made["Id"])
        except StepError:
            cloudformation.delete_change_set(StackName=self._plan.stack_id, ChangeSetName=made["Id"])
            raise

    def _changes(self, identifier: str) -> list[Any]:
        while True:
            answer = self._clients.cloudformation.describe_change_set(ChangeSetName=identifier)
            if answer["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                break
            self._clients.sleep(self._clients.pause)
        if answer["ExecutionStatus"] != "AVAILABLE":
            raise StepError(f"The change set failed: {answer.get('StatusReason', answer['Status'])}")
        changes: list[Any] = list(answer["Changes"])
        while answer.get("NextToken"):
            answer = self._clients.cloudformation.describe_change_set(
                ChangeSetName=identifier, NextToken=answer["NextToken"]
            )
            changes += answer["Changes"]
        return changes

    def _execute(self, identifier: str) -> None:
        try:
            self._clients.cloudformation.execute_change_set(StackName=self._plan.stack_id, ChangeSetName=identifier)
        except ClientError as error:
            raise StepError(f"The change set can't be executed: {service_message(error)}") from error

    def _request(self, state: str) -> dict[str, Any]:
        """What an update and a change set have in common. Tags, role and notifications stay as they are."""
        return {
            "StackName": self._plan.stack_id,
            **self._body(self._plan.templates[state]),
            "Parameters": [{"ParameterKey": key, "UsePreviousValue": True} for key in self._plan.parameters],
            "Capabilities": list(self._plan.capabilities),
        }

    def _body(self, text: str) -> dict[str, str]:
        """The template itself, or where it was put."""
        body = text.encode()
        if len(body) <= LONGEST_BODY:
            return {"TemplateBody": text}
        s3, bucket = self._clients.s3, self._clients.bucket
        if bucket is None:
            raise StepError("A template is too long for a request. Say --s3-bucket, where it can be put.")
        key = f"{_PREFIX}/{self._plan.name}/{hashlib.sha256(body).hexdigest()[:16]}.template"
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        return {"TemplateURL": f"{s3.meta.endpoint_url}/{bucket}/{key}"}
