"""An update that takes a repository over - an import, a move between stacks - loses nothing of it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from sandbox.ecr import StrictEcr
from sandbox.iam.ecr import authorizer
from sandbox.iam.policies import Policies
from tests.support.samples import LIFECYCLE, NAME, OTHER_POLICY, POLICY, policies_of, put_tag, tags_of
from tests.support.strict import STACK, Wire
from tests.unit.test_create_late import LIMITED_TO_MARKED

OTHER_STACK = STACK.replace("/shop/", "/moved/")
TEMPLATE = NAME | {"Tags": [{"Key": "team", "Value": "shop"}], "RepositoryPolicyText": OTHER_POLICY}
WRITES = {
    "SetRepositoryPolicy", "DeleteRepositoryPolicy", "PutLifecyclePolicy", "DeleteLifecyclePolicy", "TagResource",
    "UntagResource", "PutImageTagMutability", "PutImageScanningConfiguration",
}  # fmt: skip
ANY_PREVIOUS = pytest.mark.parametrize("sent", ["the template", "what READ answered", "nothing"])


def made_by_somebody(ecr: StrictEcr, **tags: str) -> None:
    """A repository that somebody made, with policies, tags and settings of their own."""
    ecr.repository("app", tags={"owner": "somebody", "team": "old"} | tags).with_images(3)
    ecr.call("SetRepositoryPolicy", {"repositoryName": "app", "policyText": json.dumps(POLICY)})
    ecr.call("PutLifecyclePolicy", {"repositoryName": "app", "lifecyclePolicyText": LIFECYCLE})
    ecr.call("PutImageTagMutability", {"repositoryName": "app", "imageTagMutability": "IMMUTABLE"})
    scan = {"repositoryName": "app", "imageScanningConfiguration": {"scanOnPush": True}}
    ecr.call("PutImageScanningConfiguration", scan)


def previous_state(wire: Wire, sent: str, template: dict[str, Any]) -> dict[str, Any] | None:
    return {"the template": template, "what READ answered": wire.succeed("READ", NAME), "nothing": None}[sent]


@ANY_PREVIOUS
def test_an_import_removes_and_resets_nothing(wire: Wire, ecr: StrictEcr, sent: str) -> None:
    made_by_somebody(ecr)
    before = wire.succeed("READ", NAME)
    after = wire.succeed("UPDATE", NAME, previous=previous_state(wire, sent, NAME))
    ours = {
        "EmptyOnDelete": False,
        "DeletionProtection": False,
        "FreezeOnDelete": False,
        "AllowReplicatedDeletes": False,
    }
    assert after == before | ours
    assert wire.succeed("READ", NAME) == after
    assert ecr.holds("app") == 3


@ANY_PREVIOUS
def test_an_import_puts_what_the_template_names_and_adds_the_rest(wire: Wire, ecr: StrictEcr, sent: str) -> None:
    made_by_somebody(ecr)
    wire.succeed("UPDATE", TEMPLATE, previous=previous_state(wire, sent, TEMPLATE))
    tags = tags_of(ecr)
    assert policies_of(ecr) == (OTHER_POLICY, json.loads(LIFECYCLE))
    assert (tags["team"], tags["owner"]) == ("shop", "somebody")
    assert (tags["awstut:auto-purge"], tags["awstut:stack-id"]) == ("off", STACK)
    assert "awstut:request" not in tags


@ANY_PREVIOUS
def test_an_import_that_repeats_encryption_changes_nothing_of_it(wire: Wire, ecr: StrictEcr, sent: str) -> None:
    made_by_somebody(ecr)
    template = NAME | {"EncryptionConfiguration": {"EncryptionType": "AES256"}}
    before = ecr.repositories["app"].encryption
    model = wire.succeed("UPDATE", template, previous=previous_state(wire, sent, template))
    assert model["RepositoryName"] == "app"
    assert ecr.repositories["app"].encryption == before


def test_the_text_of_a_policy_that_is_replaced_is_logged_first(
    wire: Wire, ecr: StrictEcr, caplog: pytest.LogCaptureFixture
) -> None:
    made_by_somebody(ecr)
    logged: list[str] = []
    ecr.before("SetRepositoryPolicy", lambda _: logged.extend(caplog.messages))
    with caplog.at_level(logging.INFO):
        wire.succeed("UPDATE", TEMPLATE, previous=TEMPLATE)
    assert any("Replacing the repository policy of app, which was: " in each and "pull" in each for each in logged)


@pytest.mark.parametrize("said", [None, True, False])
def test_an_unmarked_repository_is_purged_only_if_the_template_says_so(
    wire: Wire, ecr: StrictEcr, said: bool | None
) -> None:
    made_by_somebody(ecr)
    template = NAME if said is None else NAME | {"EmptyOnDelete": said}
    assert wire.succeed("UPDATE", template, previous=template)["EmptyOnDelete"] is (said is True)


def test_empty_on_delete_that_is_said_later_counts(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr)
    wire.succeed("UPDATE", NAME, previous=NAME, token="import")
    _, message = wire.fail("DELETE", NAME, token="delete")
    assert "EmptyOnDelete is false" in message
    wire.succeed("UPDATE", NAME | {"EmptyOnDelete": True}, previous=NAME, token="later")
    wire.succeed("DELETE", NAME, token="delete again")
    assert ecr.names() == []


def test_a_mark_that_an_operator_put_counts(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr, **{"awstut:auto-purge": "on"})
    assert wire.succeed("UPDATE", NAME, previous=NAME)["EmptyOnDelete"] is True


def test_protection_that_an_operator_put_is_kept(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr, **{"awstut:deletion-protection": "on", "awstut:protect-tags": "v@"})
    template = NAME | {"PurgeProtection": {"TagPatterns": ["release-*"]}}
    model = wire.succeed("UPDATE", template, previous=template)
    assert model["DeletionProtection"] is True
    assert model["PurgeProtection"]["TagPatterns"] == ["release-*", "v*"]


def test_owner_and_token_are_written_in_one_call(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr)
    wire.succeed("UPDATE", TEMPLATE, previous=TEMPLATE)
    [written] = [each.parameters["tags"] for each in ecr.call_log if each.operation == "TagResource"]
    assert {"awstut:stack-id", "awstut:logical-id", "awstut:taken-over"} <= {each["Key"] for each in written}


@ANY_PREVIOUS
@pytest.mark.parametrize("operation", ["SetRepositoryPolicy", "TagResource"])
@pytest.mark.parametrize("how", ["killed before", "killed after", "throttled"])
def test_an_import_that_is_interrupted_and_repeated_ends_the_same(
    wire: Wire, ecr: StrictEcr, sent: str, operation: str, how: str
) -> None:
    made_by_somebody(ecr)
    previous = previous_state(wire, sent, TEMPLATE)
    if how == "throttled":
        ecr.faults.fail_next(
            operation, "ThrottlingException", "Rate exceeded", times=999
        )  # for longer than a call lasts
    elif how == "killed before":
        ecr.faults.drop_before(operation, times=999)
    else:
        ecr.faults.drop_after(operation, times=999)
    assert wire.call("UPDATE", TEMPLATE, previous=previous, token="import")["status"] == "IN_PROGRESS"
    ecr.faults.clear()  # the call's answer is lost as well: CloudFormation repeats the update without its context
    for _ in range(2):  # the repeated call, and a second copy of it
        wire.succeed("UPDATE", TEMPLATE, previous=previous, token="import")
        assert policies_of(ecr) == (OTHER_POLICY, json.loads(LIFECYCLE))
        assert tags_of(ecr)["owner"] == "somebody"
        assert wire.succeed("READ", NAME)["ImageTagMutability"] == "IMMUTABLE"


def test_an_import_that_is_repeated_after_its_end_still_removes_nothing(wire: Wire, ecr: StrictEcr) -> None:
    """What READ answered names policies, tags and mutability that the template lacks."""
    made_by_somebody(ecr)
    read = wire.succeed("READ", NAME)
    for _ in range(2):
        wire.succeed("UPDATE", NAME, previous=read, token="import")
    assert policies_of(ecr) == (POLICY, json.loads(LIFECYCLE))
    assert tags_of(ecr)["owner"] == "somebody"
    assert wire.succeed("READ", NAME)["ImageTagMutability"] == "IMMUTABLE"


@ANY_PREVIOUS
def test_an_import_with_tags_of_the_stack_only(wire: Wire, ecr: StrictEcr, sent: str) -> None:
    made_by_somebody(ecr)
    previous = previous_state(wire, sent, NAME)
    wire.succeed("UPDATE", NAME, previous=previous, stack_tags={"cost": "42"}, previous_stack_tags={"owner": "x"})
    tags = tags_of(ecr)
    assert (tags["cost"], tags["owner"], tags["team"]) == ("42", "somebody", "old")


@ANY_PREVIOUS
def test_a_move_between_stacks_loses_nothing(wire: Wire, ecr: StrictEcr, sent: str) -> None:
    full = TEMPLATE | {"DeletionProtection": True, "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}}
    wire.succeed("CREATE", full, token="create")
    request = tags_of(ecr)["awstut:request"]
    wire.stack_id, wire.logical_id = OTHER_STACK, "Moved"
    wire.succeed("UPDATE", NAME, previous=previous_state(wire, sent, NAME), token="move")
    tags = tags_of(ecr)
    assert policies_of(ecr) == (OTHER_POLICY, json.loads(LIFECYCLE))
    assert (tags["team"], tags["awstut:deletion-protection"]) == ("shop", "on")
    assert (tags["awstut:stack-id"], tags["awstut:logical-id"]) == (OTHER_STACK, "Moved")
    assert tags["awstut:request"] == request


def test_the_rollback_of_an_update_after_an_import(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr)
    wire.succeed("UPDATE", NAME, previous=NAME, token="import")
    before = wire.succeed("READ", NAME)
    changed = NAME | {"RepositoryPolicyText": OTHER_POLICY, "Tags": [{"Key": "new", "Value": "1"}]}
    wire.succeed("UPDATE", changed, previous=NAME, token="update")
    wire.succeed("UPDATE", NAME, previous=changed, token="rollback")
    after = wire.succeed("READ", NAME)
    assert after == {key: value for key, value in before.items() if key != "RepositoryPolicyText"}
    assert policies_of(ecr)[1] == json.loads(LIFECYCLE)


def test_the_next_update_may_remove_what_the_import_put(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr)
    wire.succeed("UPDATE", TEMPLATE, previous=TEMPLATE, token="import")
    wire.succeed("UPDATE", NAME, previous=TEMPLATE, token="next")
    assert policies_of(ecr)[0] is None
    assert "team" not in tags_of(ecr)
    assert tags_of(ecr)["owner"] == "somebody"


@ANY_PREVIOUS
def test_under_a_role_limited_to_marked_repositories_update_and_rollback_pass(
    wire: Wire, ecr: StrictEcr, sent: str
) -> None:
    made_by_somebody(ecr)
    before = tags_of(ecr)
    ecr.authorize = authorizer(Policies([_cannot_mark()]), "role")
    model = wire.succeed("UPDATE", NAME, previous=previous_state(wire, sent, NAME), token="import")
    assert "EmptyOnDelete" not in model
    changed = NAME | {"ImageTagMutability": "MUTABLE"}
    assert wire.fail("UPDATE", changed, previous=NAME, token="update")[0] == "AccessDenied"
    wire.succeed("UPDATE", NAME, previous=changed, token="rollback")
    assert tags_of(ecr) == before
    _, message = wire.fail("DELETE", NAME, token="delete")
    assert "does not have the tag awstut:auto-purge" in message
    assert ecr.holds("app") == 3


def _cannot_mark() -> dict[str, Any]:
    """The policy of the role in the examples: it allows TagResource for marked repositories, and in a create."""
    document = json.loads(json.dumps(LIMITED_TO_MARKED))
    document["Statement"][0]["Action"].remove("ecr:TagResource")
    document["Statement"].append(
        {
            "Effect": "Allow",
            "Action": "ecr:TagResource",
            "Resource": "*",
            "Condition": {"Null": {"aws:RequestTag/awstut:request": "false"}},
        }
    )
    return dict(document)


def test_under_that_role_a_tag_of_a_user_is_not_silently_left_out(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr)
    ecr.authorize = authorizer(Policies([_cannot_mark()]), "role")
    code, message = wire.fail("UPDATE", TEMPLATE | {"RepositoryPolicyText": POLICY}, previous=None, token="import")
    assert code == "AccessDenied"
    assert "ecr:TagResource was denied" in message


def test_a_denied_tag_of_a_marked_repository_fails_the_update(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr, **{"awstut:auto-purge": "on"})
    ecr.faults.deny.add("ecr:TagResource")
    assert wire.fail("UPDATE", NAME, previous=NAME)[0] == "AccessDenied"


def test_a_request_without_a_stack_takes_nothing_over(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", NAME)
    wire.stack_id = wire.logical_id = None
    wire.succeed("UPDATE", NAME | {"ImageTagMutability": "IMMUTABLE"}, previous=NAME, token="other")
    tags = tags_of(ecr)
    assert tags["awstut:stack-id"] == STACK
    assert "awstut:taken-over" not in tags


def test_an_import_with_fifty_tags_says_how_many_are_too_many(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={f"k{n}": "v" for n in range(50)})
    code, message = wire.fail("UPDATE", NAME, previous=NAME)
    assert code == "InvalidRequest"
    assert "The repository would have 50 tags" in message


def test_an_update_that_changes_nothing_makes_four_reads_and_no_write(wire: Wire, ecr: StrictEcr) -> None:
    made_by_somebody(ecr)
    wire.succeed("UPDATE", NAME, previous=NAME, token="import")
    put_tag(ecr, "watched", "1")
    ecr.reset_calls()
    wire.succeed("UPDATE", NAME, previous=NAME, token="next")
    assert not WRITES & ecr.calls.keys()
    assert sum(ecr.calls.values()) == 4
