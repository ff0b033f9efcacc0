"""What the driver checks: properties before a handler is called, and what the handler answers."""

from __future__ import annotations

import pytest

from sandbox.driver import operations
from sandbox.driver.failures import HandlerError, InvalidPropertiesError
from sandbox.driver.request import Json
from tests.support.stub.script import DONE, MODEL, Bench, Script, in_progress

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
