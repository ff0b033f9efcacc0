"""Stacks, by the AWS CLI, with their events as a table."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.text import Text

from demo.shell import Shell, UnexpectedError, expect

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_POLL = 0.1  # seconds; `aws cloudformation wait` asks every 30
_PATIENCE = 60  # seconds
_SHORT = 70  # characters of a reason that has no line of its own
_HELPERS = {"AWS::IAM::Role", "AWS::Lambda::Function"}  # of a custom resource
_IDENTIFIERS = re.compile(r", Request ID: [^)]*| \(RequestToken: .*")
_STYLES = {"COMPLETE": "green", "FAILED": "bold red", "PROGRESS": "dim"}

Events = list[dict[str, Any]]


@dataclass(frozen=True)
class Stack:
    """A stack, made and deleted with the AWS CLI in `shell`; `client` only watches it."""

    shell: Shell
    client: CloudFormationClient
    stack_id: str
    name: str

    @classmethod
    def create(cls, shell: Shell, client: CloudFormationClient, name: str, template: str, repository: str) -> Stack:
        """Create the stack `name` from the file `template` and wait for it. Raises UnexpectedError where it fails."""
        said = shell.run(
            *("aws", "cloudformation", "create-stack", "--stack-name", name),
            *("--template-body", f"file://{template}", "--capabilities", "CAPABILITY_IAM"),
            *("--parameters", f"ParameterKey=RepositoryName,ParameterValue={repository}"),
        )
        stack = cls(shell, client, json.loads(said)["StackId"], name)
        with shell.console.status(f"waiting for the stack {name}"):
            status = stack.wait()
        if status != "CREATE_COMPLETE":
            stack.show(stack.events())
        expect(status == "CREATE_COMPLETE", f"the stack {name} is {status}")
        return stack

    def outputs(self) -> dict[str, str]:
        found = self.client.describe_stacks(StackName=self.name)["Stacks"][0]["Outputs"]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in found}
        for name, value in outputs.items():
            self.shell.detail(f"{name}: {value}")
        return outputs

    def delete(self) -> None:
        """Ask for the stack to be deleted; `wait` says how that ends, DELETE_COMPLETE or DELETE_FAILED."""
        self.shell.run("aws", "cloudformation", "delete-stack", "--stack-name", self.name)

    def wait(self, look: Callable[[], None] = lambda: None) -> str:
        """Wait until no operation runs, and return the stack's status. `look` is called between two requests."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            status = self.client.describe_stacks(StackName=self.stack_id)["Stacks"][0]["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                return str(status)
            look()
            time.sleep(_POLL)
        raise UnexpectedError(f"the stack {self.name} took more than {_PATIENCE} seconds")

    def events(self, since: int = 0) -> Events:
        """The events of the stack, oldest first, without the first `since`."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=self.stack_id)
        events: Events = [dict(event) for page in pages for event in page["StackEvents"]]
        return events[::-1][since:]

    def show(self, events: Events) -> None:
        """Show events; if the shell is not verbose, only what matters, without the identifiers that end a reason."""
        shown = [each for each in events if self.shell.verbose or _matters(each)]
        width = max(len(each["LogicalResourceId"]) for each in shown)
        for event in shown:
            status, reason = str(event["ResourceStatus"]), str(event.get("ResourceStatusReason", ""))
            line = Text(f"{event['Timestamp']:%H:%M:%S}  {event['LogicalResourceId']:{width}}  ")
            line.append(status, style=_STYLES.get(status.rsplit("_", 1)[-1], ""))
            if not self.shell.verbose:
                reason = _IDENTIFIERS.sub("", reason)
            if len(reason) <= _SHORT:
                self.shell.console.print(line.append(f"  {reason}" if reason else ""))
            else:
                self.shell.console.print(line)
                self.shell.console.print(Padding(Text(reason), (0, 0, 0, 4)))


def _matters(event: dict[str, Any]) -> bool:
    kind, status = event["ResourceType"], event["ResourceStatus"]
    return not status.endswith("_IN_PROGRESS") and kind not in _HELPERS


def seconds_of(events: Events) -> float:
    """From the first event to the last."""
    return float((events[-1]["Timestamp"] - events[0]["Timestamp"]).total_seconds())
