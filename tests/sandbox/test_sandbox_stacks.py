"""Stacks with a registered type: the stub type, in one sandbox, whose handlers run in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.server import Sandbox, start_sandbox
from tests.support.stack import Stack, one_resource, unique_name
from tests.support.stub import SCHEMA, TYPE_NAME, make_package, register

Json = dict[str, Any]
UNTAGGED = "Test::Bare::Thing"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start_sandbox() as box:
        register(box)
        register(box, make_package({**SCHEMA, "typeName": UNTAGGED, "tagging": {"taggable": False}}), UNTAGGED)
        yield box


def template(properties: Json, kind: str = TYPE_NAME, **policies: Any) -> Json:
    return one_resource(kind, properties, ("Arn", "Inner.Count"), "Thing", **policies)


def name() -> str:
    return unique_name("thing")


def test_create_gives_ref_and_attributes(stack: Stack) -> None:
    wanted = name()
    assert stack.create(template({"Name": wanted, "Size": 3})) == "CREATE_COMPLETE"
    assert stack.outputs == {"Ref": wanted, "Arn": f"arn:thing:{wanted}", "InnerCount": "0"}


def test_ref_is_the_identifier_that_the_handler_made_up(stack: Stack) -> None:
    stack.create(template({"Size": 3}))
    assert stack.outputs["Ref"].startswith("generated-")
    assert stack.delete() == "DELETE_COMPLETE"


def test_create_calls_create_then_read(stack: Stack) -> None:
    stack.create(template({"Name": name(), "Size": 3}))
    calls = stack.calls()
    assert [call["action"] for call in calls] == ["CREATE", "READ"]
    assert calls[0]["logical_id"] == "Thing"


def test_properties_that_do_not_fit_fail_before_any_call(stack: Stack) -> None:
    assert stack.create(template({"Name": name(), "Size": 3, "Bad": 1})) == "ROLLBACK_COMPLETE"
    words = "Properties validation failed for resource Thing with message:\n#: extraneous key [Bad] is not permitted"
    assert ("CREATE_FAILED", words) in stack.events()
    assert stack.calls() == []


def test_a_failed_create_shows_the_handlers_message(stack: Stack) -> None:
    assert (
        stack.create(template({"Name": name(), "Size": 3, "Behaviour": "fail=InvalidRequest"})) == "ROLLBACK_COMPLETE"
    )
    reason = stack.reason("CREATE_FAILED")
    assert reason.startswith('Resource handler returned message: "failed as asked" (RequestToken: ')
    assert reason.endswith("HandlerErrorCode: InvalidRequest)")
    assert stack.calls("DELETE") == []


def test_a_failed_create_with_a_model_leaves_nothing(stack: Stack) -> None:
    stack.create(template({"Name": name(), "Size": 3, "Behaviour": "fail=AccessDenied,model="}))
    [delete] = stack.calls("DELETE")
    assert delete["status"] == "SUCCESS"


def test_a_name_that_is_taken(box: Sandbox, stack: Stack) -> None:
    wanted = name()
    first = Stack(box)
    first.create(template({"Name": wanted, "Size": 3}))
    box.control.settings(delete_after_already_exists=True)
    assert stack.create(template({"Name": wanted, "Size": 4})) == "ROLLBACK_COMPLETE"
    [delete] = stack.calls("DELETE")
    assert delete["properties"]["Name"] == wanted
    assert (delete["stack_id"], delete["logical_id"]) == (stack.stack_id, "Thing")


def test_update_in_place(stack: Stack) -> None:
    wanted = name()
    stack.create(template({"Name": wanted, "Size": 3}))
    assert stack.update(template({"Name": wanted, "Size": 4})) == "UPDATE_COMPLETE"
    [call] = stack.calls("UPDATE")
    assert (call["previous_properties"]["Size"], call["properties"]["Size"]) == ("3", "4")


def test_update_of_a_create_only_property_replaces(stack: Stack) -> None:
    old, new = name(), name()
    stack.create(template({"Name": old, "Size": 3}))
    assert stack.update(template({"Name": new, "Size": 3})) == "UPDATE_COMPLETE"
    assert stack.outputs["Ref"] == new
    assert [call["action"] for call in stack.calls()][-3:] == ["CREATE", "READ", "DELETE"]
    [delete] = stack.calls("DELETE")
    assert delete["properties"]["Name"] == old


def test_a_conditionally_create_only_property_is_up_to_the_handler(stack: Stack) -> None:
    wanted = name()
    stack.create(template({"Name": wanted, "Size": 3, "Colour": "red"}))
    assert stack.update(template({"Name": wanted, "Size": 3, "Colour": "green"})) == "UPDATE_COMPLETE"
    assert stack.outputs["Ref"] == wanted
    assert stack.calls("DELETE") == []


def test_what_the_handler_can_not_update_is_replaced_for_such_a_property(stack: Stack) -> None:
    refusing = {"Size": 3, "Behaviour": "UPDATE:fail=NotUpdatable"}
    stack.create(template({**refusing, "Colour": "red"}))
    old = stack.outputs["Ref"]
    assert stack.update(template({**refusing, "Colour": "green"})) == "UPDATE_COMPLETE"
    assert stack.outputs["Ref"] != old
    assert [call["properties"]["Name"] for call in stack.calls("DELETE")] == [old]


def test_what_the_handler_can_not_update_fails_for_any_other_property(stack: Stack) -> None:
    refusing = {"Name": name(), "Behaviour": "UPDATE:fail=NotUpdatable,times=1"}
    stack.create(template({**refusing, "Size": 3}))
    assert stack.update(template({**refusing, "Size": 4})) == "UPDATE_ROLLBACK_COMPLETE"
    assert "failed as asked" in stack.reason("UPDATE_FAILED")


def test_the_replaced_resource_can_be_retained(stack: Stack) -> None:
    stack.create(template({"Name": name(), "Size": 3}, UpdateReplacePolicy="Retain"))
    stack.update(template({"Name": name(), "Size": 3}, UpdateReplacePolicy="Retain"))
    assert stack.calls("DELETE") == []


def test_a_failed_update_is_sent_back(stack: Stack) -> None:
    wanted = name()
    stack.create(template({"Name": wanted, "Size": 3}))
    changed = {"Name": wanted, "Size": 4, "Behaviour": "fail=InvalidRequest"}
    assert stack.update(template(changed)) == "UPDATE_ROLLBACK_COMPLETE"
    assert [call["properties"]["Size"] for call in stack.calls("UPDATE")] == ["4", "3"]


def test_an_update_without_a_change_is_refused(stack: Stack) -> None:
    properties = {"Name": name(), "Size": 3}
    stack.create(template(properties))
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stack.update(template(properties))


def test_stack_tags_reach_the_handler_apart_from_its_own(stack: Stack) -> None:
    own = [{"Key": "own", "Value": "1"}]
    stack.create(template({"Name": name(), "Size": 3, "Tags": own}), {"team": "a"})
    [call] = stack.calls("CREATE")
    assert call["stack_tags"] == {"team": "a"}
    assert call["properties"]["Tags"] == own


def test_a_change_of_stack_tags_alone_is_an_update(stack: Stack) -> None:
    properties = {"Name": name(), "Size": 3}
    stack.create(template(properties), {"team": "a"})
    assert stack.update(template(properties), {"team": "b"}) == "UPDATE_COMPLETE"
    [call] = stack.calls("UPDATE")
    assert (call["previous_stack_tags"], call["stack_tags"]) == ({"team": "a"}, {"team": "b"})


def test_a_type_that_takes_no_tags_gets_none(stack: Stack) -> None:
    stack.create(template({"Name": name(), "Size": 3}, UNTAGGED), {"team": "a"})
    [call] = stack.calls("CREATE")
    assert call["stack_tags"] == {}


def test_delete_goes_through_all_slices(stack: Stack) -> None:
    stack.create(template({"Name": name(), "Size": 3, "Behaviour": "DELETE:slices=4"}))
    assert stack.delete() == "DELETE_COMPLETE"
    calls = stack.calls("DELETE")
    assert [(call["slice"], call["status"]) for call in calls] == [
        (1, "IN_PROGRESS"),
        (2, "IN_PROGRESS"),
        (3, "IN_PROGRESS"),
        (4, "SUCCESS"),
    ]
    assert len({call["token"] for call in calls}) == 1
    assert calls[0]["properties"]["Size"] == "3"


def test_delete_failed_shows_the_message_and_can_be_repeated(stack: Stack) -> None:
    stack.create(template({"Name": name(), "Size": 3, "Behaviour": "DELETE:fail=InvalidRequest,times=1"}))
    assert stack.delete() == "DELETE_FAILED"
    assert 'Resource handler returned message: "failed as asked"' in stack.reason("DELETE_FAILED")
    assert stack.delete() == "DELETE_COMPLETE"


def test_delete_can_retain_what_failed(stack: Stack) -> None:
    stack.create(template({"Name": name(), "Size": 3, "Behaviour": "DELETE:fail=InvalidRequest"}))
    stack.delete()
    assert stack.delete(RetainResources=["Thing"]) == "DELETE_COMPLETE"
    assert stack.events()[-1][0] == "DELETE_SKIPPED"


def test_delete_retries_what_is_throttled(stack: Stack) -> None:
    stack.create(template({"Name": name(), "Size": 3, "Behaviour": "DELETE:fail=Throttling,times=2"}))
    assert stack.delete() == "DELETE_COMPLETE"
    assert [call["status"] for call in stack.calls("DELETE")] == ["FAILED", "FAILED", "SUCCESS"]


def test_delete_that_is_slow_runs_twice_at_once(box: Sandbox, stack: Stack) -> None:
    box.control.settings(call_seconds=2)  # the second call must not time out on a busy machine
    stack.create(template({"Name": name(), "Size": 3, "Behaviour": "DELETE:first-sleeps=5"}))
    assert stack.delete() == "DELETE_COMPLETE"
    first, second = stack.calls("DELETE")
    assert first["timed_out"]
    assert second["status"] == "SUCCESS"


@pytest.mark.parametrize("behaviour", ["crash", "exit"])
def test_a_handler_that_crashes(stack: Stack, behaviour: str) -> None:
    assert stack.create(template({"Name": name(), "Size": 3, "Behaviour": behaviour})) == "ROLLBACK_COMPLETE"
    reason = stack.reason("CREATE_FAILED")
    assert "HandlerErrorCode: InternalFailure" in reason


def test_two_stacks_run_side_by_side(box: Sandbox, stack: Stack) -> None:
    other = Stack(box, logical_id="Thing")
    stacks = [stack, other]
    for each in stacks:
        each.create(template({"Name": name(), "Size": 3, "Behaviour": "DELETE:first-sleeps=3"}))
    for each in stacks:
        each.delete(wait=False)
    assert [each.wait() for each in stacks] == ["DELETE_COMPLETE"] * 2
    first, second = sorted((each.calls("DELETE")[0] for each in stacks), key=itemgetter("started"))
    assert second["started"] < first["started"] + first["seconds"]  # one after the other: it would begin later


def test_a_template_with_a_type_that_is_not_registered(stack: Stack) -> None:
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        stack.create(template({"Size": 3}, "Test::Not::There"))
