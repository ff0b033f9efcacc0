"""Fixtures for tests on the strict ECR: in process, without a socket, in virtual time.

They are not in tests/conftest.py, as `cfn test` would load that, and it knows nothing of src/.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.config import Config
from cloudformation_cli_python_lib import OperationStatus, ProgressEvent
from hypothesis import HealthCheck, settings

from awstut_ecr_autopurgerepository import deletion, handlers
from awstut_ecr_autopurgerepository.errors import HandlerError
from awstut_ecr_autopurgerepository.models import ResourceHandlerRequest
from awstut_ecr_autopurgerepository.repository import translate
from awstut_ecr_autopurgerepository.rules.account import DEFAULT_CONCURRENCY, AccountRules
from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.workloads import StrictEcs, StrictInspector, StrictLambda
from sandbox.workloads.wire import make_client
from tests.support.direct_client import direct_client
from tests.support.strict_kms import StrictKms
from tests.support.strict_s3 import StrictS3
from tests.support.virtual import VirtualPool

ACCOUNT = "123456789012"
REGION = "eu-west-1"
STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/shop/6f2c1a50-c8a1-11f0-9e1b-0a58a9feac02"
OWNED = {"awstut:auto-purge": "on", "awstut:stack-id": STACK, "awstut:logical-id": "Repository"}
MARKED = {"awstut:auto-purge": "on"}
# A slow machine is no finding.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("unhurried")

CREDENTIALS = {"accessKeyId": "key", "secretAccessKey": "secret", "sessionToken": "token"}


class Killed(BaseException):
    """Acts as SIGKILL: it ends a handler at any point, and nothing catches it."""


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def ecr(clock: VirtualClock) -> StrictEcr:
    return StrictEcr(clock=clock, account=ACCOUNT, region=REGION)


@pytest.fixture
def s3(clock: VirtualClock) -> StrictS3:
    return StrictS3(clock=clock, account=ACCOUNT, region=REGION)


@dataclass
class Users:
    """Who uses images: the strict Lambda, ECS and Inspector of one account and Region. ``made`` are clients made."""

    clock: VirtualClock
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        place: dict[str, Any] = {"clock": self.clock, "account": ACCOUNT, "region": REGION}
        self.functions, self.containers, self.inspector = (
            StrictLambda(**place),
            StrictEcs(**place),
            StrictInspector(**place),
        )

    def client(self, service: str, **chosen: Any) -> Any:
        """A client by botocore's name of its service."""
        self.made.append(service)
        services = {each.action_prefix: each for each in (self.functions, self.containers, self.inspector)}
        return make_client(services[service], **chosen)


@pytest.fixture
def users(clock: VirtualClock) -> Users:
    return Users(clock)


@dataclass
class Wire:
    """Calls the handlers as CloudFormation does: the production entry point, JSON in, JSON out."""

    ecr: StrictEcr
    stack_id: str | None = STACK
    logical_id: str | None = "Repository"
    stack_tags: dict[str, str] = field(default_factory=dict)

    def event(self, action: str, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        data = {
            "resourceProperties": properties,
            "previousResourceProperties": more.get("previous"),
            "logicalResourceId": self.logical_id,
            "stackTags": more.get("stack_tags", self.stack_tags),
            "previousStackTags": more.get("previous_stack_tags", self.stack_tags),
            "callerCredentials": CREDENTIALS,
        }
        event = {
            "action": action,
            "awsAccountId": ACCOUNT,
            "region": REGION,
            "bearerToken": more.get("token", "token-1"),
            "resourceType": handlers.TYPE_NAME,
            "stackId": self.stack_id,
            "nextToken": more.get("next_token"),
            "callbackContext": more.get("context"),
            "requestData": {key: value for key, value in data.items() if value is not None},
        }
        return {key: value for key, value in event.items() if value is not None}

    def call(self, action: str, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        event = json.loads(json.dumps(self.event(action, properties, **more)))
        answer: dict[str, Any] = json.loads(json.dumps(handlers.resource(event, None)))
        return answer

    def finish(self, action: str, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """The last answer of an operation: calls the handler again for as long as it answers IN_PROGRESS."""
        answer = self.call(action, properties, **more)
        while answer["status"] == "IN_PROGRESS":
            self.ecr.clock.sleep(answer["callbackDelaySeconds"])
            answer = self.call(action, answer["resourceModel"], **more | {"context": answer["callbackContext"]})
        return answer

    def succeed(self, action: str, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        answer = self.finish(action, properties, **more)
        assert answer["status"] == "SUCCESS", answer
        return answer.get("resourceModel") or {}

    def fail(self, action: str, properties: dict[str, Any] | None = None, **more: Any) -> tuple[str, str]:
        answer = self.finish(action, properties, **more)
        assert answer["status"] == "FAILED", answer
        assert "resourceModel" not in answer
        return answer["errorCode"], answer["message"]


@pytest.fixture
def kms(ecr: StrictEcr) -> StrictKms:
    return StrictKms(ecr)


@pytest.fixture
def wire(
    ecr: StrictEcr, s3: StrictS3, kms: StrictKms, users: Users, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> Wire:
    made: dict[tuple[str, str], Any] = {}  # to make a client takes longer than most calls of a handler

    def client(service: str, config: Any) -> Any:
        options = json.dumps([config.connect_timeout, config.read_timeout, config.max_pool_connections, config.retries])
        services: dict[str, Any] = {"ecr": ecr.client, "s3": s3.client, "kms": kms.client}
        make = services.get(service, functools.partial(users.client, service))
        if (service, options) not in made:
            made[service, options] = make(config=config)
        return made[service, options]

    monkeypatch.setattr(
        "awstut_ecr_autopurgerepository.provider.resource.session_of",
        lambda credentials: SimpleNamespace(client=client) if credentials else None,
    )
    monkeypatch.setattr(handlers, "time", clock)
    monkeypatch.setattr(handlers, "ThreadPool", lambda size: contextlib.nullcontext(VirtualPool(size, clock)))
    return Wire(ecr)


@dataclass
class Purge:
    """Deletes a repository as CloudFormation does, in virtual time. A *slice* is one call of the handler."""

    ecr: StrictEcr
    clock: VirtualClock
    concurrency: int = DEFAULT_CONCURRENCY
    configuration: AccountRules = field(default_factory=AccountRules)
    s3: StrictS3 = field(default_factory=StrictS3)
    users: Users = field(default_factory=lambda: Users(VirtualClock()))
    token: str = "token-9"
    client: Any = None  # one that does without botocore, which is ten times as quick, unless another is given
    events: list[ProgressEvent] = field(default_factory=list)
    slice_seconds: list[float] = field(default_factory=list)

    def request(self, name: str, stack_id: str | None, logical_id: str | None) -> ResourceHandlerRequest:
        return ResourceHandlerRequest(
            clientRequestToken=self.token,
            desiredResourceState=translate.model(RepositoryName=name),
            previousResourceState=None,
            desiredResourceTags=None,
            previousResourceTags=None,
            systemTags=None,
            previousSystemTags=None,
            awsAccountId=ACCOUNT,
            logicalResourceIdentifier=logical_id,
            typeConfiguration=None,
            nextToken=None,
            stackId=stack_id,
            region=REGION,
            awsPartition="aws",
        )

    def one_slice(
        self, context: dict[str, Any], name: str = "app", stack_id: str | None = None, logical_id: str | None = None
    ) -> ProgressEvent:
        """The answer of one call."""
        once = Config(retries={"mode": "standard", "total_max_attempts": 1})
        client = self.client or direct_client(self.ecr)
        make_s3 = functools.cache(lambda: self.s3.client(config=once))
        make = functools.partial(self.users.client, config=once)
        started = self.clock.monotonic()
        pool = VirtualPool(self.concurrency, self.clock)
        request = self.request(name, stack_id, logical_id)
        try:
            event = deletion.delete(client, request, self.configuration, context, self.clock, pool, make_s3, make)
        except HandlerError as error:
            event = ProgressEvent.failed(error.code, error.message)
        self.slice_seconds.append(self.clock.monotonic() - started)
        self.events.append(event)
        return event

    def slices(
        self, name: str = "app", *, context: dict[str, Any] | None = None, **owner: str | None
    ) -> Iterator[ProgressEvent]:
        """Each slice's answer; the last one is SUCCESS or FAILED. ``context`` is that of an earlier slice."""
        while True:
            event = self.one_slice(context or {}, name, **owner)
            yield event
            if event.status is not OperationStatus.IN_PROGRESS:
                return
            context = json.loads(json.dumps(event.callbackContext))
            self.clock.advance(event.callbackDelaySeconds)

    def __call__(self, name: str = "app", **owner: Any) -> ProgressEvent:
        """The last answer."""
        return list(self.slices(name, **owner))[-1]


@pytest.fixture
def delete(ecr: StrictEcr, clock: VirtualClock, s3: StrictS3, users: Users) -> Purge:
    return Purge(ecr, clock, s3=s3, users=users)


def run_command_in(ecr: StrictEcr, message: str) -> None:
    """Do what the command in a message says, as a shell and the AWS CLI would read it."""
    command = message[message.index("aws ecr tag-resource") :]
    words = shlex.split(command)
    region, arn = (words[words.index(option) + 1] for option in ("--region", "--resource-arn"))
    assert region == REGION
    pairs = [re.fullmatch("Key=([^,]+),Value=(.*)", word) for word in words[words.index("--tags") + 1 :]]
    tags = [{"Key": pair[1], "Value": pair[2]} for pair in pairs if pair]
    ecr.call("TagResource", {"resourceArn": arn, "tags": tags})
