"""The statement of a freeze that a delete could not take out: not shown by read, taken out by update."""

from __future__ import annotations

import json

import pytest

from awstut_ecr_autopurgerepository.deletion.state import Identity, State
from awstut_ecr_autopurgerepository.rules import push_block
from sandbox.ecr import StrictEcr
from tests.support.samples import OTHER_POLICY, OURS, POLICY, policy_now
from tests.support.strict import Wire

NAME = {"RepositoryName": "app", "FreezeOnDelete": True}
WITH_POLICY = {**NAME, "RepositoryPolicyText": POLICY}


def leave_frozen(ecr: StrictEcr) -> None:
    """What a delete that was killed leaves behind."""
    repository = ecr.repositories["app"]
    repository.policy = push_block.add_to(repository.policy)


@pytest.mark.parametrize("properties", [NAME, WITH_POLICY], ids=["no policy", "a policy"])
def test_read_does_not_show_it_and_changes_nothing(wire: Wire, ecr: StrictEcr, properties: dict[str, object]) -> None:
    before = wire.succeed("CREATE", properties)
    leave_frozen(ecr)
    left = policy_now(ecr)
    assert wire.succeed("READ", {"RepositoryName": "app"}) == before
    assert policy_now(ecr) == left


def test_an_update_of_something_else_takes_it_out(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", WITH_POLICY)
    leave_frozen(ecr)
    ecr.reset_calls()
    wire.succeed("UPDATE", {**WITH_POLICY, "ImageTagMutability": "IMMUTABLE"}, previous=WITH_POLICY)
    assert policy_now(ecr) == POLICY
    assert ecr.calls["SetRepositoryPolicy"] == 1


def test_an_update_of_a_repository_that_has_no_policy_leaves_none(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    leave_frozen(ecr)
    wire.succeed("UPDATE", {**NAME, "ImageTagMutability": "IMMUTABLE"}, previous=NAME)
    assert policy_now(ecr) is None


def test_an_update_that_sets_a_policy_writes_it_without_the_statement(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", WITH_POLICY)
    leave_frozen(ecr)
    wire.succeed("UPDATE", {**NAME, "RepositoryPolicyText": OTHER_POLICY}, previous=WITH_POLICY)
    assert policy_now(ecr) == OTHER_POLICY


def test_an_update_that_removes_the_policy_removes_both(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", WITH_POLICY)
    leave_frozen(ecr)
    wire.succeed("UPDATE", NAME, previous=WITH_POLICY)
    assert policy_now(ecr) is None


def test_an_update_keeps_the_policy_that_somebody_else_put_there(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    ecr.repositories["app"].policy = json.dumps(OTHER_POLICY)
    leave_frozen(ecr)
    wire.succeed("UPDATE", {**NAME, "ImageTagMutability": "IMMUTABLE"}, previous=NAME)
    assert policy_now(ecr) == OTHER_POLICY


def test_an_update_that_switches_the_freeze_off_takes_it_out(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", WITH_POLICY)
    leave_frozen(ecr)
    model = wire.succeed("UPDATE", {**WITH_POLICY, "FreezeOnDelete": False}, previous=WITH_POLICY)
    assert policy_now(ecr) == POLICY
    assert model["RepositoryPolicyText"] == POLICY


def test_an_update_that_does_not_mark_leaves_an_unmarked_repository_as_it_is(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app")
    ecr.repositories["app"].policy = json.dumps(OTHER_POLICY)
    leave_frozen(ecr)
    left = policy_now(ecr)
    wire.stack_id = wire.logical_id = None
    read = wire.succeed("READ", {"RepositoryName": "app"})
    wire.succeed("UPDATE", {**read, "Tags": [{"Key": "a", "Value": "1"}]}, previous=read)
    assert policy_now(ecr) == left


@pytest.mark.parametrize("form", [dict, json.dumps], ids=["object", "text"])
@pytest.mark.parametrize("action", ["CREATE", "UPDATE"])
def test_a_template_cannot_use_the_reserved_sid(wire: Wire, ecr: StrictEcr, action: str, form: type) -> None:
    if action == "UPDATE":
        wire.succeed("CREATE", WITH_POLICY)
    wanted = {**NAME, "RepositoryPolicyText": form({**POLICY, "Statement": [*POLICY["Statement"], OURS]})}
    code, message = wire.fail(action, wanted, **({"previous": WITH_POLICY} if action == "UPDATE" else {}))
    assert code == "InvalidRequest"
    assert f"the Sid {push_block.SID}, which is reserved" in message
    assert action == "UPDATE" or ecr.names() == []


FAILURE = {"code": "InvalidRequest", "message": "why", "attempts": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"failure": {**FAILURE, "code": "Unheard"}, "phase": "fail"},
        {"failure": ["x"], "phase": "fail"},
        {"failure": {**FAILURE, "message": 1}, "phase": "fail"},
        {"failure": {**FAILURE, "attempts": -1}, "phase": "fail"},
        {"failure": FAILURE},
        {"phase": "fail"},
        {"freeze": {"applied": "yes"}},
    ],
)
def test_a_callback_context_that_was_tampered_with_deletes_nothing(
    wire: Wire, ecr: StrictEcr, change: dict[str, object]
) -> None:
    wire.succeed("CREATE", NAME)
    ecr.repository("app").with_images(30)
    context = {**State(identity=Identity(created=1)).to_context(), **change}
    code, message = wire.fail("DELETE", {"RepositoryName": "app"}, context=context)
    assert code == "InvalidRequest"
    assert "callback context" in message
    assert ecr.holds("app") == 30
