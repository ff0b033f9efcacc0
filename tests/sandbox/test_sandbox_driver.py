"""The driver calls handlers as CloudFormation does; here the handlers are functions of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sandbox.driver import operations
from sandbox.driver.failures import HandlerError, OperationError
from sandbox.driver.request import Json
from sandbox.driver.schema import Schema
from tests.support.stub import SCHEMA
from tests.support.stub.script import DONE, MODEL, Bench, Script, failed, in_progress


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
    assert script.events[0]["requestData"]["typeConfiguration"] == {"Limit": 3}


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
    script = Script(DELETE=[failed("NotFound")])
    operations.delete(bench.operation(script), "app", {})
    assert [event["action"] for event in script.events] == ["DELETE"]


def test_a_crash_is_an_internal_failure(bench: Bench) -> None:
    def crash(_event: Json) -> Json:
        raise RuntimeError("out of memory")

    with pytest.raises(HandlerError, match=r"out of memory.*InternalFailure"):
        operations.read(bench.operation(Script(READ=[crash])), "app")


# --- time limits


def test_a_slow_call_is_started_a_second_time(bench: Bench) -> None:
    bench.settings.call_seconds = 1  # the second call must not time out on a busy machine
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
    bench.settings.call_seconds = 1
    answered = threading.Event()

    def late(_: Json) -> Json:
        answered.wait()
        return {"status": "SUCCESS"}

    def second(_: Json) -> Json:
        answered.set()
        return {"status": "SUCCESS"}

    script = Script(DELETE=[late, second])
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


def test_a_failed_create_that_gave_an_identifier_before_is_cleaned_up(bench: Bench) -> None:
    script = Script(CREATE=[in_progress(), failed("AccessDenied")], DELETE=[{"status": "SUCCESS"}])
    with pytest.raises(HandlerError, match="AccessDenied"):
        operations.create(bench.operation(script), {"Size": 3})
    assert len(script.called("DELETE")) == 1


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


# --- the journal


def test_the_journal_has_an_entry_for_each_call(bench: Bench) -> None:
    script = Script(DELETE=[in_progress(message="half"), {"status": "SUCCESS"}])
    began = time.time()
    operations.delete(bench.operation(script), "app", {"Size": 1})
    lasted = time.time() - began
    script.pool.shutdown(wait=True)
    entries = bench.journal.entries()
    assert [(each["action"], each["slice"], each["status"]) for each in entries] == [
        ("DELETE", 1, "IN_PROGRESS"),
        ("DELETE", 2, "SUCCESS"),
    ]
    assert entries[0]["message"] == "half"
    assert began <= entries[0]["started"] <= began + lasted
    assert 0 <= entries[0]["seconds"] <= lasted
    assert bench.journal.entries({"slice": 2}) == entries[1:]
