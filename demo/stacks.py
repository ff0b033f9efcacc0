"""Stacks, by the AWS CLI, with their events as a table."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from demo.shell import Shell, UnexpectedError, expect

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_POLL = 0.2  # seconds; `aws cloudformation wait` asks every 30
_PATIENCE = 60  # seconds
_STYLES = {"COMPLETE": "green", "FAILED": "bold red", "PROGRESS": "dim"}


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
        status = stack.wait()
        if status != "CREATE_COMPLETE":
            stack.show_events()
        expect(status == "CREATE_COMPLETE", f"the stack {name} is {status}")
        return stack

    def outputs(self) -> dict[str, str]:
        command = ("aws", "cloudformation", "describe-stacks", "--stack-name", self.name)
        said = self.shell.run(*command, "--query", "Stacks[0].Outputs[].[OutputKey,OutputValue]", "--output", "json")
        return dict(json.loads(said))

    def delete(self, watch: str | None = None) -> str:
        """Delete the stack and return its last status, DELETE_COMPLETE or DELETE_FAILED.

        `watch` is the repository whose delete `autopurge watch` shows meanwhile; it must succeed.
        """
        self.shell.run("aws", "cloudformation", "delete-stack", "--stack-name", self.name)
        if watch is not None:
            self.shell.run("autopurge", "watch", watch)
        return self.wait()

    def wait(self) -> str:
        until = time.monotonic() + _PATIENCE
        with self.shell.console.status(f"waiting for the stack {self.name}") as shown:
            while time.monotonic() < until:
                status = self.client.describe_stacks(StackName=self.stack_id)["Stacks"][0]["StackStatus"]
                if not status.endswith("_IN_PROGRESS"):
                    return str(status)
                shown.update(f"the stack {self.name} is {status}")
                time.sleep(_POLL)
        raise UnexpectedError(f"the stack {self.name} took more than {_PATIENCE} seconds")

    def show_events(self, since: int = 0) -> list[dict[str, Any]]:
        """Show the stack's events, oldest first, without the first `since`; return those that were shown."""
        command = ("aws", "cloudformation", "describe-stack-events", "--stack-name", self.stack_id)
        events: list[dict[str, Any]] = json.loads(self.shell.run(*command, show_output=False))["StackEvents"]
        events = list(reversed(events))[since:]
        table = Table(box=None, header_style="bold")
        for column in ("Resource", "Status", "Reason"):
            table.add_column(column, overflow="fold")
        for event in events:
            status = str(event["ResourceStatus"])
            style = _STYLES.get(status.rsplit("_", 1)[-1], "")
            resource, reason = event["LogicalResourceId"], event.get("ResourceStatusReason", "")
            table.add_row(Text(resource), Text(status, style=style), Text(reason))
        self.shell.console.print(table)
        return events

    def event_count(self) -> int:
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=self.stack_id)
        return sum(len(page["StackEvents"]) for page in pages)
