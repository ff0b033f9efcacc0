"""One look at the repositories that are being deleted: what ECR, CloudFormation, Cloud Control and the log say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from awstut_ecr_autopurgerepository.errors import AWS_ERRORS
from awstut_ecr_autopurgerepository.rules.reserved_tags import PURGE_PROGRESS, RELEASED

from ..aws import Aws
from ..progress import Progress, read_progress
from ..repositories import TYPE_NAME, Repository, at_once, find
from ..stacks import RepositoryInStack, describe, repositories_in

_MOST_REQUESTS = 100  # of Cloud Control that are looked through: the latest come first
_MOST_LOG_LINES = 100
_RUNNING, _FAILED = "DELETE_IN_PROGRESS", "DELETE_FAILED"


@dataclass(frozen=True)
class Seen:
    """What one look saw of a repository.

    ``exists`` is False once ECR no longer describes it. ``running`` is True if CloudFormation or Cloud Control says
    that it is being deleted; ``failed`` is the message of a delete that failed, None if none did.
    """

    exists: bool
    progress: Progress | None = None
    running: bool = False
    failed: str | None = None
    arn: str | None = None


@dataclass
class Looker:
    """Looks at some repositories, whose owners it finds in their tags. ``since`` is in seconds since 1970."""

    aws: Aws
    names: list[str]
    stack_ids: dict[str, str] = field(default_factory=dict)
    since: float = 0
    arns: dict[str, str] = field(default_factory=dict)
    _log_group: str | None = None
    _asked_for_log: bool = False

    def look(self) -> dict[str, Seen]:
        """All repositories once: two calls of ECR for each, one or two for each stack, and one of Cloud Control."""
        found = dict(zip(self.names, at_once(lambda name: find(self.aws, name), self.names), strict=True))
        for name, repository in found.items():
            self._remember(name, repository)
        by_stack = self._in_stacks()
        requests = self._requests()
        return {name: self._seen(name, found[name], by_stack.get(name), requests.get(name)) for name in self.names}

    def _remember(self, name: str, repository: Repository | None) -> None:
        if repository is None:
            return
        self.arns[name] = repository.arn
        owner = repository.stored.owner.stack_id
        if owner and not owner.startswith(RELEASED):
            self.stack_ids.setdefault(name, owner)

    def _seen(
        self, name: str, repository: Repository | None, status: tuple[str, str] | None, request: dict[str, Any] | None
    ) -> Seen:
        arn = self.arns.get(name)
        if repository is None:
            return Seen(False, arn=arn)
        progress = read_progress(repository.tags.get(PURGE_PROGRESS))
        fresh = progress if progress and progress.is_running(self.aws.now()) else None
        running = bool(status and status[0] == _RUNNING)
        failed = status[1] if status and status[0] == _FAILED else None
        if request is not None:
            running = running or request["OperationStatus"] in ("PENDING", "IN_PROGRESS")
            if request["OperationStatus"] in ("FAILED", "CANCEL_COMPLETE"):
                failed = failed or request.get("StatusMessage") or "The delete by Cloud Control failed."
        return Seen(True, fresh, running, None if running else failed, arn)

    def _in_stacks(self) -> dict[str, tuple[str, str]]:
        """Status and reason of the repositories' resources; none for those that no stack has any more."""
        found: dict[str, tuple[str, str]] = {}
        for stack_id in dict.fromkeys(self.stack_ids.values()):
            try:
                running = describe(self.aws, stack_id)["StackStatus"] == _RUNNING
                for each in repositories_in(self.aws, stack_id):
                    if each.name in self.names:
                        found[each.name] = self._in_stack(each, running)
            except AWS_ERRORS:  # the stack is gone, or the user may not see it: the repository itself tells
                continue
        return found

    def _in_stack(self, resource: RepositoryInStack, running: bool) -> tuple[str, str]:
        """Status and reason. While the stack is being deleted, a failure counts as running: it may be an old one."""
        if resource.status != _FAILED:
            return resource.status, ""
        return (_RUNNING, "") if running else (_FAILED, self._reason(resource.stack_id, resource.logical_id))

    def _reason(self, stack_id: str, logical_id: str) -> str:
        """Why the last delete of a resource failed, in the words of its event."""
        events = self.aws.cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
        for event in events:
            if event.get("LogicalResourceId") == logical_id and event.get("ResourceStatus") == _FAILED:
                return event.get("ResourceStatusReason", "")
        return "The stack's events say more."

    def _requests(self) -> dict[str, dict[str, Any]]:
        """The latest request of Cloud Control to delete each repository, since the watch began."""
        asked = {"Operations": ["DELETE"]}
        try:
            answer = self.aws.client("cloudcontrol").list_resource_requests(
                MaxResults=_MOST_REQUESTS, ResourceRequestStatusFilter=asked
            )
        except AWS_ERRORS:  # not allowed, or not there: stacks and tags tell
            return {}
        events = [each for each in answer["ResourceRequestStatusSummaries"] if each.get("TypeName") == TYPE_NAME]
        events.sort(key=lambda each: each["EventTime"])
        return {
            each["Identifier"]: each
            for each in events
            if each["OperationStatus"] in ("PENDING", "IN_PROGRESS") or each["EventTime"].timestamp() >= self.since
        }

    def throttled(self) -> dict[str, int]:
        """How many calls ECR throttled since the watch began, by repository, as the type's log tells.

        Empty where the type has no log, or where the user may not read it.
        """
        try:
            group = self._group()
            return {} if group is None else self._count(group)
        except AWS_ERRORS:
            return {}

    def _group(self) -> str | None:
        if not self._asked_for_log:
            self._asked_for_log = True
            described: Any = self.aws.cloudformation.describe_type(Type="RESOURCE", TypeName=TYPE_NAME)
            self._log_group = described.get("LoggingConfig", {}).get("LogGroupName")
        return self._log_group

    def _count(self, group: str) -> dict[str, int]:
        answer = self.aws.client("logs").filter_log_events(
            logGroupName=group,
            startTime=int(self.since * 1_000),
            filterPattern="ThrottledCalls",
            limit=_MOST_LOG_LINES,
        )
        return throttled_calls((each["message"] for each in answer["events"]), self.names)


def throttled_calls(lines: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    """Throttled calls by repository, from lines of the type's log."""
    counted = dict.fromkeys(names, 0)
    for line in lines:
        start = line.find("{")
        try:
            document = json.loads(line[start:]) if start >= 0 else {}
        except ValueError:
            continue
        if document.get("Repository") in counted:
            counted[document["Repository"]] += int(document.get("ThrottledCalls", 0))
    return counted


def owners_in(aws: Aws, stack: str) -> tuple[str, dict[str, str]]:
    """The id of a stack, and its repositories of this type with that id."""
    stack_id = describe(aws, stack)["StackId"]
    return stack_id, {each.name: stack_id for each in repositories_in(aws, stack_id) if each.name}
