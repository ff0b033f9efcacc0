"""The operations that change a stack: an update, a change set that removes resources, a change set that imports them.

Each method waits until its operation has ended.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository.errors import service_message

from .account import Clients, Json, described, outputs_of, template_of, updated
from .checks import unexpected, unretained
from .journal import Checked, Journal, Reached
from .planning import LONGEST_BODY, Plan, Repository

_NO_UPDATES = "No updates are to be performed"
_MOST_LOOKS = 6  # at a stack that does not show yet that its operation began
_BEING_MADE = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
_PREFIX = "autopurge-adopt"


class StepError(Exception):
    """A step did not happen, or failed; the message says which and why. The stack is in a stable state."""


class StackSteps:
    """The operations of one stack's plan. With a journal, they use the change set that a killed run left."""

    def __init__(self, clients: Clients, plan: Plan, journal: Journal | None = None) -> None:
        self._clients = clients
        self._plan = plan
        self._journal = journal
        self._seen: Json | None = None

    def wait(self, begun: Callable[[Json], None] | None = None) -> Json:
        """Wait until no operation runs, and return the stack.

        Just after an operation was started, the stack may still show its earlier status. `begun` is called once, with
        the stack, as soon as the stack shows that its update began.
        """
        looks = 0
        while True:
            stack = described(self._clients, self._plan.stack_id)
            looks += 1
            if begun and self._newer(stack):
                begun(stack)
                begun = None
            shown = self._seen is None or updated(stack) != updated(self._seen)
            if not str(stack["StackStatus"]).endswith("_IN_PROGRESS") and (shown or looks > _MOST_LOOKS):
                self._seen = stack
                return stack
            self._clients.sleep(self._clients.pause)

    def _newer(self, stack: Json) -> bool:
        """Whether it was updated since the last wait."""
        return self._seen is not None and stack.get("LastUpdatedTime") != self._seen.get("LastUpdatedTime")

    def look(self) -> Json:
        """The stack as it is now."""
        return described(self._clients, self._plan.stack_id)

    def update(self, state: str, new_outputs: bool = False) -> None:
        """Update the stack to the template of a state. Raises StepError.

        `new_outputs` allows outputs with other values: a custom resource that is created again may have another id.
        """
        try:
            self._clients.cloudformation.update_stack(**self._request(state))
        except ClientError as error:
            if _NO_UPDATES in service_message(error):
                return
            raise StepError(f"The update was refused: {service_message(error)}") from error
        self._done(state, "UPDATE_COMPLETE", new_outputs)

    def release(self, state: str, leaving: Iterable[str]) -> None:
        """Remove the resources `leaving` from the stack without deleting them.

        Raises StepError; if the stack would not retain a resource, before anything is changed. To check that, the
        processed template is read after the change set was created. An update by somebody else makes the change set
        obsolete, so the change set is only applied to the template that was checked.
        """
        names = tuple(leaving)
        with self._change_set(state, "UPDATE") as (identifier, changes):
            why = unexpected(changes, names) or self._unretained(identifier, names)
            if why:
                raise StepError(f"Nothing was released. {why}")
            self._execute(identifier)
        self._done(state, "UPDATE_COMPLETE")

    def _unretained(self, change_set: str, names: tuple[str, ...]) -> str | None:
        """Why the processed template does not retain these resources; None if it does.

        If a killed run has checked the template for the same change set, the template is not read again. Nobody has
        updated the stack since; after an update, CloudFormation would not execute the change set.
        """
        checked = Checked(change_set, updated(self._seen)) if self._seen else None
        if checked and self._journal and self._journal.entries[self._plan.stack_id].checked == checked:
            return None
        why = unretained(template_of(self._clients, self._plan.stack_id, "Processed"), names)
        if why is None and checked and self._journal:
            self._journal.check(self._plan.stack_id, checked)
        return why

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
        self._done(state, "IMPORT_COMPLETE")

    def _check_outputs(self, stack: Json) -> None:
        """Raises StepError where an output has another value than before."""
        live = outputs_of(stack)
        differing = [key for key, value in self._plan.outputs.items() if live.get(key) != value]
        if differing:
            raise StepError(f"Outputs have other values than before: {', '.join(differing)}.")

    def _done(self, state: str, expected: str, new_outputs: bool = False) -> None:
        def begun(stack: Json) -> None:
            if self._journal:
                self._journal.reach(self._plan.stack_id, Reached(state, updated(stack, expected)))

        stack = self.wait(begun)
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
        """The id and the changes of a change set that can be executed. A StepError in the block deletes it."""
        identifier = self._change_set_left(state) or self._create_change_set(state, kind, **more)
        try:
            yield identifier, self._changes(identifier)
        except StepError:
            self._clients.cloudformation.delete_change_set(StackName=self._plan.stack_id, ChangeSetName=identifier)
            raise

    def _change_set_left(self, state: str) -> str | None:
        """The id of a change set that a killed run created and did not execute; None if none can be executed.

        CloudFormation makes it obsolete when anybody updates the stack.
        """
        cloudformation = self._clients.cloudformation
        name = self._journal.entries[self._plan.stack_id].change_sets.get(state) if self._journal else None
        if name is None:
            return None
        try:
            left = cloudformation.describe_change_set(StackName=self._plan.name, ChangeSetName=name)
        except cloudformation.exceptions.ChangeSetNotFoundException:
            return None
        usable = left["Status"] in _BEING_MADE or left["ExecutionStatus"] == "AVAILABLE"
        return left["ChangeSetId"] if usable else None

    def _create_change_set(self, state: str, kind: Any, **more: Any) -> str:
        """Write the name of a change set to the journal, create it, and return its id. Raises StepError."""
        name = f"{_PREFIX}-{uuid.uuid4().hex[:8]}"
        if self._journal:
            self._journal.name_change_set(self._plan.stack_id, state, name)
        try:
            made = self._clients.cloudformation.create_change_set(
                ChangeSetName=name, ChangeSetType=kind, **self._request(state), **more
            )
        except ClientError as error:
            raise StepError(f"The change set was refused: {service_message(error)}") from error
        return made["Id"]

    def _changes(self, identifier: str) -> list[Any]:
        while True:
            answer = self._clients.cloudformation.describe_change_set(ChangeSetName=identifier)
            if answer["Status"] not in _BEING_MADE:
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
