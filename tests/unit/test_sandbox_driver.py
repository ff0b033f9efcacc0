"""The driver calls handlers as CloudFormation does; here the handlers are functions of the test."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.driver import operations
from sandbox.driver.failures import HandlerError, InvalidPropertiesError, OperationError
from sandbox.driver.journal import Journal
from sandbox.driver.operation import Driver, Operation
from sandbox.driver.request import Caller, Json
from sandbox.driver.schema import Schema
from sandbox.driver.settings import Settings
from sandbox.stub import SCHEMA

Answer = Json | Callable[[Json], Json]
MODEL = {"Name": "app", "Size": 3}
DONE = {"status": "SUCCESS", "resourceModel": MODEL}


def failed(code: str, message: str = "no", **more: Any) -> Json:
    return {"status": "FAILED", "errorCode": code, "message": message, **more}


def in_progress(**more: Any) -> Json:
    return {"status": "IN_PROGRESS", "resourceModel": MODEL, "callbackDelaySeconds": 5, **more}


class Script:
    """Handlers that answer what the test wrote down, in that order; the last answer is repeated."""

    schema = Schema(SCHEMA)
    version = "00000001"
    role_arn = "arn:aws:iam::123456789012:role/execution"
    log_group = "logs"

    def __init__(self, **answers: list[Answer]) -> None:
        self.answers = {action: list(given) for action, given in answers.items()}
        self.events: list[Json] = []
        self.type_configuration: Json | None = None
        self.pool = ThreadPoolExecutor(4)

    def configuration(self) -> Json | None:
        return self.type_configuration

    def start(self, event: Json, _seconds: float) -> Future[Json]:
        self.events.append(event)
        answers = self.answers[event["action"]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return self.pool.submit(lambda: answer(event) if callable(answer) else answer)

    def called(self, action: str) -> list[Json]:
        return [event for event in self.events if event["action"] == action]


@dataclass
class Bench:
    settings: Settings = field(default_factory=Settings)
    journal: Journal = field(default_factory=Journal)
    slept: list[float] = field(default_factory=list)
    caller: Caller = field(
        default_factory=lambda: Caller("123456789012", "us-east-1", "arn:stack", "Thing", {"team": "a"}, {"team": "b"})
    )
    _keys: Iterator[int] = field(default_factory=itertools.count)

    def credentials(self, role_arn: str) -> Json:
        return {"accessKeyId": f"{role_arn}-{next(self._keys)}", "secretAccessKey": "s", "sessionToken": "t"}

    def operation(self, script: Script) -> Operation:
        driver = Driver(self.settings, self.journal, self.credentials, sleep=self.slept.append)
        return Operation(driver, script, self.caller)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@contextmanager
def blocked() -> Iterator[Callable[[Json], Json]]:
    """A handler that does not answer before the block is left."""
    released = threading.Event()

    def wait(_event: Json) -> Json:
        released.wait(5)
        return DONE

    try:
        yield wait
    finally:
        released.set()


# --- what a handler is given


def test_create_gives_all_primitives_as_strings(bench: Bench) -> None:
    script = Script(CREATE=[DONE], READ=[DONE])
    operations.create(bench.operation(script), {"Size": 3, "Flag": True, "Free": {"a": [1.5, False]}})
    data = script.called("CREATE")[0]["requestData"]
    assert data["resourceProperties"] == {"Size": "3", "Flag": "true", "Free": {"a": ["1.5", "false"]}}


def test_create_names_the_stack_the_resource_and_the_tags(bench: Bench) -> None:
    script = Script(CREATE=[DONE], READ=[DONE])
    operations.create(bench.operation(script), {"Size": 3})
    event = script.events[0]
    assert (event["stackId"], event["region"], event["awsAccountId"]) == ("arn:stack", "us-east-1", "123456789012")
    assert (event["resourceType"], event["resourceTypeVersion"]) == ("Test::Stub::Thing", "00000001")
    data = event["requestData"]
    assert (data["logicalResourceId"], data["stackTags"], data["previousStackTags"]) == (
        "Thing",
        {"team": "a"},
        {"team": "b"},
    )
    assert data["systemTags"] is None
    assert data["providerLogGroupName"] == "logs"


def test_type_configuration_comes_along(bench: Bench) -> None:
    script = Script(READ=[DONE])
    script.type_configuration = {"Limit": 3}
    operations.read(bench.operation(script), "app")
    assert script.events[0]["requestData"]["typeConfiguration"] == {"Limit": "3"}


def test_update_gives_previous_properties_and_the_identifier(bench: Bench) -> None:
    script = Script(UPDATE=[DONE], READ=[DONE])
    operations.update(bench.operation(script), "app", {"Size": 2}, {"Size": 3})
    data = script.called("UPDATE")[0]["requestData"]
    assert data["resourceProperties"] == {"Size": "3", "Name": "app"}
    assert data["previousResourceProperties"] == {"Size": "2", "Name": "app"}


def test_delete_gives_the_properties_and_the_identifier(bench: Bench) -> None:
    script = Script(DELETE=[{"status": "SUCCESS"}])
    operations.delete(bench.operation(script), "app", {"Size": 2})
    assert script.events[0]["requestData"]["resourceProperties"] == {"Size": "2", "Name": "app"}


def test_read_gives_the_identifier_only(bench: Bench) -> None:
    script = Script(READ=[DONE])
    operations.read(bench.operation(script), "app")
    assert script.events[0]["requestData"]["resourceProperties"] == {"Name": "app"}


def test_list_passes_the_token_on(bench: Bench) -> None:
    script = Script(LIST=[{"status": "SUCCESS", "resourceModels": [], "nextToken": "b"}])
    answer = operations.list_page(bench.operation(script), "a")
    assert script.events[0]["nextToken"] == "a"
    assert answer["nextToken"] == "b"


# --- callbacks


def test_in_progress_is_called_back_with_model_and_context_after_the_delay(bench: Bench) -> None:
    changed = {**MODEL, "Size": 4}
    script = Script(CREATE=[in_progress(resourceModel=changed, callbackContext={"at": 1}), DONE], READ=[DONE])
    operations.create(bench.operation(script), {"Size": 3})
    second = script.called("CREATE")[1]
    assert second["requestData"]["resourceProperties"] == {"Name": "app", "Size": "4"}
    assert second["callbackContext"] == {"at": 1}
    assert bench.slept == [5]


def test_one_operation_has_one_token_and_fresh_credentials_for_each_call(bench: Bench) -> None:
    script = Script(DELETE=[in_progress(), in_progress(), {"status": "SUCCESS"}])
    operations.delete(bench.operation(script), "app", {})
    assert len({event["bearerToken"] for event in script.events}) == 1
    keys = {event["requestData"]["callerCredentials"]["accessKeyId"] for event in script.events}
    assert len(keys) == 3


def test_the_delay_can_be_capped(bench: Bench) -> None:
    bench.settings.callback_delay_cap_seconds = 0.5
    operations.delete(bench.operation(Script(DELETE=[in_progress(), {"status": "SUCCESS"}])), "app", {})
    assert bench.slept == [0.5]


def test_an_operation_ends_after_the_time_in_the_schema(bench: Bench) -> None:
    script = Script(DELETE=[in_progress()])
    script.schema = Schema({**SCHEMA, "handlers": {"delete": {"timeoutInMinutes": 0}}})
    with pytest.raises(HandlerError, match="NotStabilized"):
        operations.delete(bench.operation(script), "app", {})


# --- failures


def test_failure_is_told_in_the_services_words(bench: Bench) -> None:
    operation = bench.operation(Script(CREATE=[failed("InvalidRequest", "Too big.")]))
    with pytest.raises(HandlerError) as raised:
        operations.create(operation, {"Size": 3})
    assert str(raised.value) == (
        f'Resource handler returned message: "Too big." (RequestToken: {operation.token}, '
        "HandlerErrorCode: InvalidRequest)"
    )


@pytest.mark.parametrize("code", ["NetworkFailure", "ResourceConflict", "ServiceInternalError", "Throttling"])
def test_retriable_codes_are_retried_with_backoff(bench: Bench, code: str) -> None:
    script = Script(DELETE=[in_progress(callbackContext={"at": 1}), failed(code), failed(code), {"status": "SUCCESS"}])
    operations.delete(bench.operation(script), "app", {})
    assert bench.slept == [5, 1, 2]
    assert [event["callbackContext"] for event in script.events[1:]] == [{"at": 1}] * 3


def test_retries_are_bounded(bench: Bench) -> None:
    script = Script(DELETE=[failed("Throttling")])
    with pytest.raises(HandlerError, match="Throttling"):
        operations.delete(bench.operation(script), "app", {})
    assert len(script.events) == 1 + bench.settings.retries


def test_other_codes_are_not_retried(bench: Bench) -> None:
    script = Script(DELETE=[failed("InvalidRequest")])
    with pytest.raises(HandlerError):
        operations.delete(bench.operation(script), "app", {})
    assert len(script.events) == 1


def test_delete_of_what_is_gone_succeeds(bench: Bench) -> None:
    operations.delete(bench.operation(Script(DELETE=[failed("NotFound")])), "app", {})


def test_a_crash_is_an_internal_failure(bench: Bench) -> None:
    def crash(_event: Json) -> Json:
        raise RuntimeError("out of memory")

    with pytest.raises(HandlerError, match=r"out of memory.*InternalFailure"):
        operations.read(bench.operation(Script(READ=[crash])), "app")


# --- time limits


def test_a_slow_call_is_started_a_second_time(bench: Bench) -> None:
    bench.settings.call_seconds = 0.05
    with blocked() as slow:
        script = Script(DELETE=[slow, {"status": "SUCCESS"}])
        operations.delete(bench.operation(script), "app", {})
        first, second = bench.journal.entries()
        assert (first["timed_out"], first["status"], second["status"]) == (True, None, "SUCCESS")
        assert first["token"] == second["token"]
        assert first["access_key"] != second["access_key"]


def test_a_call_that_never_answers_fails(bench: Bench) -> None:
    bench.settings.call_seconds = 0.02
    with blocked() as slow:
        script = Script(CREATE=[slow])
        with pytest.raises(HandlerError, match="ServiceTimeout"):
            operations.create(bench.operation(script), {"Size": 3})
        assert len(script.events) == bench.settings.copies


def test_a_slow_read_fails_and_is_not_repeated(bench: Bench) -> None:
    bench.settings.read_seconds = 0.02
    with blocked() as slow:
        script = Script(READ=[slow])
        with pytest.raises(HandlerError, match="ServiceTimeout"):
            operations.read(bench.operation(script), "app")
        assert len(script.events) == 1


def test_what_a_late_copy_answered_is_noted(bench: Bench) -> None:
    bench.settings.call_seconds = 0.02
    script = Script(DELETE=[lambda _: time.sleep(0.1) or {"status": "SUCCESS"}, {"status": "SUCCESS"}])
    operations.delete(bench.operation(script), "app", {})
    script.pool.shutdown(wait=True)
    assert [entry["status"] for entry in bench.journal.entries({"timed_out": True})] == ["SUCCESS"]


# --- what comes after a create


def test_attributes_come_from_read(bench: Bench) -> None:
    read = {"status": "SUCCESS", "resourceModel": {**MODEL, "Arn": "arn:thing", "Inner": {"Count": 2}}}
    script = Script(CREATE=[DONE], READ=[read])
    assert operations.create(bench.operation(script), {"Size": 3}) == ("app", {"Arn": "arn:thing", "Inner.Count": 2})


def test_a_failed_create_with_a_model_is_cleaned_up(bench: Bench) -> None:
    script = Script(CREATE=[failed("AccessDenied", resourceModel=MODEL)], DELETE=[{"status": "SUCCESS"}])
    with pytest.raises(HandlerError, match="AccessDenied"):
        operations.create(bench.operation(script), {"Size": 3})
    [delete] = script.called("DELETE")
    assert delete["requestData"]["resourceProperties"]["Name"] == "app"
    assert delete["bearerToken"] != script.called("CREATE")[0]["bearerToken"]


def test_a_failed_create_without_a_model_is_not(bench: Bench) -> None:
    script = Script(CREATE=[failed("AccessDenied")])
    with pytest.raises(HandlerError):
        operations.create(bench.operation(script), {"Size": 3, "Name": "app"})
    assert not script.called("DELETE")


def test_a_clean_up_that_fails_is_told(bench: Bench) -> None:
    script = Script(
        CREATE=[failed("AccessDenied", resourceModel=MODEL)], DELETE=[failed("InvalidRequest", "protected")]
    )
    with pytest.raises(OperationError, match=r"AccessDenied.*clean-up of app failed, too.*protected"):
        operations.create(bench.operation(script), {"Size": 3})


@pytest.mark.parametrize("switched_on", [True, False])
def test_delete_after_already_exists_is_a_switch(bench: Bench, switched_on: bool) -> None:
    bench.settings.delete_after_already_exists = switched_on
    script = Script(CREATE=[failed("AlreadyExists")], DELETE=[failed("InvalidRequest", "not yours")])
    with pytest.raises(OperationError, match="AlreadyExists"):
        operations.create(bench.operation(script), {"Size": 3, "Name": "app"})
    assert len(script.called("DELETE")) == switched_on


# --- properties are checked before any handler is called


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"Size": 3, "Bad": 1}, "#: extraneous key [Bad] is not permitted"),
        ({}, "#: required key [Size] not found"),
        ({"Size": 3, "Name": "UPPER"}, "#/Name: failed validation constraint for keyword [pattern]"),
        ({"Size": 3, "Colour": "blue"}, "#/Colour: failed validation constraint for keyword [enum]"),
        ({"Size": "many"}, "#/Size: expected type: Integer, found: String"),
        ({"Size": None}, "#/Size: expected type: Integer, found: Null"),
        ({"Size": 3, "Tags": {}}, "#/Tags: expected type: JSONArray, found: JSONObject"),
        ({"Size": 3, "Tags": [{"Key": "a"}]}, "#/Tags/0: required key [Value] not found"),
        ({"Size": 3, "Arn": "arn"}, "#: read-only properties [/properties/Arn] can't be given"),
    ],
)
def test_properties_that_do_not_fit(bench: Bench, properties: Json, words: str) -> None:
    script = Script()
    with pytest.raises(InvalidPropertiesError) as raised:
        operations.create(bench.operation(script), properties)
    assert str(raised.value) == f"Properties validation failed for resource Thing with message:\n{words}"
    assert not script.events


def test_several_problems_are_counted(bench: Bench) -> None:
    with pytest.raises(InvalidPropertiesError, match="#: 2 schema violations found"):
        operations.create(bench.operation(Script()), {"Size": 3, "Bad": 1, "Worse": 2})


def test_strings_count_as_what_the_schema_asks_for(bench: Bench) -> None:
    script = Script(CREATE=[DONE], READ=[DONE])
    operations.create(bench.operation(script), {"Size": "3", "Flag": "True", "Name": "app", "Behaviour": 5})
    given = script.events[0]["requestData"]["resourceProperties"]
    assert given == {"Size": "3", "Flag": "true", "Name": "app", "Behaviour": "5"}


# --- breaches of the contract


@pytest.mark.parametrize(
    ("action", "answer", "words"),
    [
        ("READ", in_progress(), "READ must not answer IN_PROGRESS"),
        ("LIST", in_progress(), "LIST must not answer IN_PROGRESS"),
        ("DELETE", DONE, "a DELETE that succeeded must answer without a model"),
        ("DELETE", {"status": "IN_PROGRESS"}, "the model lacks the primary identifier"),
        ("READ", {"status": "SUCCESS", "resourceModel": {"Size": 3}}, "the model lacks the primary identifier"),
        ("READ", {"status": "SUCCESS", "resourceModel": {**MODEL, "Bad": 1}}, "extraneous key"),
        ("READ", {"status": "FAILED"}, "FAILED came without an error code"),
        ("READ", {"status": "PERHAPS"}, "the status is 'PERHAPS'"),
        ("LIST", {"status": "SUCCESS"}, "must answer with a list of models"),
        ("DELETE", in_progress(callbackContext={"x": "y" * 5000}), "the callback context has 5009 bytes"),
    ],
)
def test_a_breach_of_the_contract_fails(bench: Bench, action: str, answer: Json, words: str) -> None:
    with pytest.raises(HandlerError, match=words) as raised:
        bench.operation(Script(**{action: [answer]})).run(action, MODEL)
    assert raised.value.code == "InternalFailure"


def test_an_update_must_not_change_the_identifier(bench: Bench) -> None:
    moved = {"status": "SUCCESS", "resourceModel": {**MODEL, "Name": "other"}}
    with pytest.raises(HandlerError, match="must not change the primary identifier"):
        operations.update(bench.operation(Script(UPDATE=[moved])), "app", {"Size": 2}, {"Size": 3})


# --- the journal


def test_the_journal_has_an_entry_for_each_call(bench: Bench) -> None:
    script = Script(DELETE=[in_progress(message="half"), {"status": "SUCCESS"}])
    operations.delete(bench.operation(script), "app", {"Size": 1})
    script.pool.shutdown(wait=True)
    entries = bench.journal.entries()
    assert [(each["action"], each["slice"], each["status"]) for each in entries] == [
        ("DELETE", 1, "IN_PROGRESS"),
        ("DELETE", 2, "SUCCESS"),
    ]
    assert entries[0]["message"] == "half"
    assert entries[0]["seconds"] < 1
    assert bench.journal.entries({"slice": 2}) == entries[1:]
