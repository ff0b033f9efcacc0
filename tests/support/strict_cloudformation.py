"""CloudFormation for tests of the command line: stacks as a test says they are, and the registry of the sandbox."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from sandbox import in_process
from sandbox.registry.actions import Parameters, RegistryActions
from sandbox.registry.package import Package
from sandbox.registry.types import Registry, RegistryError
from sandbox.registry.wire import error_xml, result_xml
from tests.support.project_copy import SCHEMA, TYPE_NAME

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

Json = dict[str, Any]
_NOW = datetime(2026, 9, 21, tzinfo=UTC)


@dataclass
class FakeStack:
    """A stack: ``resources`` and ``events`` in the shapes of ListStackResources and DescribeStackEvents."""

    name: str
    stack_id: str
    status: str = "CREATE_COMPLETE"
    resources: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    template: Json = field(default_factory=dict)

    def add(self, logical_id: str, name: str, type_name: str = TYPE_NAME, **resource: Any) -> FakeStack:
        """A repository, as a resource of the stack; further attributes go into the template."""
        self.resources.append(
            {
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": name,
                "ResourceType": type_name,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": _NOW,
            }
        )
        self.template.setdefault("Resources", {})[logical_id] = {"Type": type_name, **resource}
        return self

    def becomes(self, logical_id: str, status: str, reason: str | None = None) -> None:
        """The resource has another status."""
        for each in self.resources:
            if each["LogicalResourceId"] == logical_id:
                each["ResourceStatus"] = status
        self.events.insert(
            0,
            {
                "StackId": self.stack_id,
                "EventId": uuid.uuid4(),
                "StackName": self.name,
                "LogicalResourceId": logical_id,
                "Timestamp": _NOW,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            },
        )


class StrictCloudFormation:
    """The stacks of an account and Region, and the registry with our type. ``calls`` counts by action."""

    def __init__(self, account: str, region: str) -> None:
        self.account, self.region = account, region
        self.stacks: dict[str, FakeStack] = {}
        self.calls: Counter[str] = Counter()
        self.denied: set[str] = set()
        self.registry = Registry(account, region, lambda _: None)
        nothing: Any = None
        self.registry.register(Package(SCHEMA, "", "", Path()), nothing, "role", {}, "token")
        registry = RegistryActions(self.registry, nothing, nothing, "role")
        self._actions: dict[str, Callable[[Parameters], Json]] = {
            **registry.handlers,
            "DescribeStacks": lambda asked: {"Stacks": [self._summary(self._find(asked.need("StackName")))]},
            "ListStacks": self._list_stacks,
            "ListStackResources": lambda asked: {
                "StackResourceSummaries": self._find(asked.need("StackName")).resources
            },
            "DescribeStackEvents": lambda asked: {"StackEvents": self._find(asked.need("StackName")).events},
            "GetTemplate": lambda asked: {"TemplateBody": json.dumps(self._find(asked.need("StackName")).template)},
        }

    @property
    def configuration(self) -> Json | None:
        """The type configuration."""
        return self.registry.types[TYPE_NAME].configuration

    @configuration.setter
    def configuration(self, document: Json | None) -> None:
        self.registry.types[TYPE_NAME].configuration = document

    def stack(self, name: str, **attributes: Any) -> FakeStack:
        """A new stack."""
        stack_id = f"arn:aws:cloudformation:{self.region}:{self.account}:stack/{name}/{uuid.uuid4()}"
        self.stacks[name] = FakeStack(name, attributes.pop("stack_id", stack_id), **attributes)
        return self.stacks[name]

    def client(self) -> CloudFormationClient:
        """A real boto3 client that is answered here."""
        return cast("CloudFormationClient", in_process.make_client("cloudformation", self.region, self._answer))

    def _answer(self, request: AWSPreparedRequest) -> AWSResponse:
        body: Any = request.body
        asked = dict(parse_qsl(body.decode() if isinstance(body, bytes) else str(body), keep_blank_values=True))
        action = asked.pop("Action")
        self.calls[action] += 1
        try:
            if action in self.denied:
                words = f"User: operator is not authorized to perform: cloudformation:{action}"
                raise RegistryError("AccessDenied", words)
            status, headers, content = result_xml(action, self._actions[action](Parameters(asked)))
        except RegistryError as error:
            status, headers, content = error_xml(error.code, str(error))
        return in_process.response(request, status, headers, content)

    def _find(self, name: str) -> FakeStack:
        for stack in self.stacks.values():
            if name == stack.stack_id or (name == stack.name and stack.status != "DELETE_COMPLETE"):
                return stack
        raise RegistryError("ValidationError", f"Stack with id {name} does not exist")

    def _list_stacks(self, asked: Parameters) -> Json:
        wanted = {each for key, each in asked.values.items() if key.startswith("StackStatusFilter.")}
        return {"StackSummaries": [self._summary(each) for each in self.stacks.values() if each.status in wanted]}

    def _summary(self, stack: FakeStack) -> Json:
        return {
            "StackName": stack.name,
            "StackId": stack.stack_id,
            "StackStatus": stack.status,
            "CreationTime": _NOW,
        }
