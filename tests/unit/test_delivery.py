"""Logs and metrics reach the user's account where they can, and hurt nothing where they can't."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from awstut_ecr_autopurgerepository import handlers
from awstut_ecr_autopurgerepository.provider.log_delivery import DeliveredLogs
from sandbox.ecr import StrictEcr
from tests.support.strict import CREDENTIALS, STACK, Wire


class Service:
    """A fake of CloudWatch and CloudWatch Logs: it keeps what it receives, or fails."""

    def __init__(self, error: Exception | None = None, *, group_exists: bool = True) -> None:
        self.error = error
        self.streams: set[str] = set()
        self.groups = {"group"} if group_exists else set()
        self.events: list[tuple[str, str]] = []
        self.metrics: list[str] = []
        self.attempts = 0
        self.exceptions: Any = (
            botocore.session.get_session()
            .create_client("logs", region_name="eu-west-1", aws_access_key_id="key", aws_secret_access_key="secret")
            .exceptions
        )

    def _work(self) -> None:
        self.attempts += 1
        if self.error:
            raise self.error

    def put_log_events(self, **request: Any) -> dict[str, str]:
        self._work()
        if request["logGroupName"] not in self.groups:
            raise self._missing("The specified log group does not exist.")
        if request["logStreamName"] not in self.streams:
            raise self._missing("The specified log stream does not exist.")
        self.events += [(request["logStreamName"], event["message"]) for event in request["logEvents"]]
        return {"nextSequenceToken": "1"}

    def _missing(self, message: str) -> ClientError:
        error = {"Error": {"Code": "ResourceNotFoundException", "Message": message}}
        made: ClientError = self.exceptions.ResourceNotFoundException(error, "PutLogEvents")
        return made

    def create_log_group(self, **request: Any) -> None:
        self._work()
        self.groups.add(request["logGroupName"])

    def create_log_stream(self, **request: Any) -> None:
        self._work()
        self.streams.add(request["logStreamName"])

    def put_metric_data(self, **request: Any) -> None:
        self._work()
        self.metrics += [datum["MetricName"] for datum in request["MetricData"]]


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    root.handlers = before


def read(wire: Wire, monkeypatch: pytest.MonkeyPatch, service: Service, **credentials: Any) -> dict[str, Any]:
    """READ a repository with log delivery to a service."""

    def session(given: Any) -> Any:
        if given is None:
            return None
        if given.accessKeyId == "log-key":
            return SimpleNamespace(client=lambda name, config: service)
        return SimpleNamespace(client=lambda name, config: wire.ecr.client(config=config))

    monkeypatch.setattr("awstut_ecr_autopurgerepository.provider.resource.session_of", session)
    event = wire.event("READ", {"RepositoryName": "app"})
    event["requestData"] |= {
        "providerLogGroupName": "group",
        "providerCredentials": {**CREDENTIALS, "accessKeyId": "log-key"},
    } | credentials
    answer: dict[str, Any] = handlers.resource(event, None)
    return answer


def test_one_line_and_the_metrics_are_delivered(wire: Wire, ecr: StrictEcr, monkeypatch: pytest.MonkeyPatch) -> None:
    ecr.repository("app")
    service = Service(group_exists=False)
    assert read(wire, monkeypatch, service)["status"] == "SUCCESS"
    stream = f"{STACK}/Repository".replace(":", "__")
    assert [(name, message) for name, message in service.events] == [(stream, "READ: SUCCESS. ")]
    assert service.metrics == ["HandlerInvocationCount", "HandlerInvocationDuration"]


def test_only_our_own_records_are_delivered(wire: Wire, ecr: StrictEcr, monkeypatch: pytest.MonkeyPatch) -> None:
    ecr.repository("app")
    service = Service()
    ecr.before("DescribeRepositories", lambda _: logging.getLogger("urllib3").warning("pool is full"), nth=1)
    read(wire, monkeypatch, service)
    assert len(service.events) == 1


def test_a_warm_handler_logs_to_the_stream_of_each_event(
    wire: Wire, ecr: StrictEcr, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr.repository("app")
    service = Service()
    read(wire, monkeypatch, service)
    wire.logical_id = "Other"
    read(wire, monkeypatch, service)
    assert [stream.rpartition("/")[2] for stream, _ in service.events] == ["Repository", "Other"]
    assert sum(isinstance(each, DeliveredLogs) for each in logging.getLogger().handlers) == 1


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutLogEvents"),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "PutLogEvents"),
        ReadTimeoutError(endpoint_url="https://logs"),
        KeyError("nextSequenceToken"),
    ],
    ids=["no permission", "throttled", "no answer", "another answer"],
)
def test_a_delivery_that_fails_changes_no_answer_and_is_tried_once(
    wire: Wire, ecr: StrictEcr, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ecr.repository("app")
    if isinstance(error, KeyError):
        service = Service()
        monkeypatch.setattr(service, "put_log_events", lambda **_: {})
    else:
        service = Service(error)
    answer = read(wire, monkeypatch, service)
    assert answer["status"] == "SUCCESS"
    assert answer["resourceModel"]["RepositoryName"] == "app"
    assert service.attempts <= 2


def test_a_refusal_keeps_its_message_when_logs_fail(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutLogEvents")
    answer = read(wire, monkeypatch, Service(error))
    assert answer["errorCode"] == "NotFound"
    assert answer["message"] == "The repository app does not exist."


def test_an_event_without_a_log_group_logs_nowhere(wire: Wire, ecr: StrictEcr, monkeypatch: pytest.MonkeyPatch) -> None:
    ecr.repository("app")
    service = Service()
    read(wire, monkeypatch, service)
    read(wire, monkeypatch, service, providerLogGroupName=None)
    assert len(service.events) == 1
