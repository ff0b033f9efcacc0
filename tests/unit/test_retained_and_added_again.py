"""A retained resource that is added again: the create is refused, and nothing that follows purges the repository."""

from __future__ import annotations

from typing import Any

import pytest

from awstut_ecr_autopurgerepository.rules.existing import Whose, is_retained, release_tag, whose
from awstut_ecr_autopurgerepository.rules.settings import Owner
from sandbox.ecr import StrictEcr
from tests.support.samples import NAME, put_tag, tags_of
from tests.support.strict import ACCOUNT, OWNED, REGION, STACK, Wire

RELEASED = f"released:{STACK}"


def create_and_retain(wire: Wire, ecr: StrictEcr, **properties: Any) -> dict[str, str]:
    """A stack made a repository, pushed to it, and then removed the resource under DeletionPolicy: Retain."""
    wire.succeed("CREATE", NAME | properties, token="first")
    ecr.repository("app").with_images(3)
    return tags_of(ecr)


def rollback_deletes_no_image(wire: Wire, ecr: StrictEcr) -> str:
    """CloudFormation deletes what the failed create names, and is refused. Returns why."""
    code, message = wire.fail("DELETE", NAME, token="rollback")
    assert code == "InvalidRequest"
    assert ecr.holds("app") == 3
    return message


def test_a_resource_that_is_added_again_is_refused_released_and_kept(wire: Wire, ecr: StrictEcr) -> None:
    before = create_and_retain(wire, ecr)
    code, message = wire.fail("CREATE", NAME, token="second")
    assert code == "AlreadyExists"
    assert "this resource created it earlier, and it was retained" in message
    assert "by an import, for example by a change set with ImportExistingResources" in message
    assert tags_of(ecr) == before | {"awstut:stack-id": RELEASED}
    rollback_deletes_no_image(wire, ecr)


def test_a_repeated_create_says_the_same_and_writes_nothing_more(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr)
    wire.fail("CREATE", NAME, token="second")
    ecr.reset_calls()
    assert wire.fail("CREATE", NAME, token="second")[0] == "AlreadyExists"
    assert not ecr.calls["TagResource"]
    rollback_deletes_no_image(wire, ecr)


def test_an_import_takes_a_released_repository_over_and_its_stack_may_delete_it(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr)
    wire.fail("CREATE", NAME, token="second")
    wire.succeed("UPDATE", NAME, previous=NAME, token="import")
    assert tags_of(ecr)["awstut:stack-id"] == STACK
    wire.succeed("DELETE", NAME, token="delete")
    assert ecr.names() == []


def test_a_replacement_with_a_fixed_name_releases_and_the_next_update_owns_it_again(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr)
    kms = {"EncryptionConfiguration": {"EncryptionType": "KMS"}}
    assert wire.fail("CREATE", NAME | kms, token="replacement")[0] == "AlreadyExists"
    rollback_deletes_no_image(wire, ecr)
    wire.succeed("UPDATE", NAME | {"ImageTagMutability": "IMMUTABLE"}, previous=NAME, token="next")
    assert tags_of(ecr)["awstut:stack-id"] == STACK


def test_a_name_that_is_renamed_and_back_under_retain_is_released(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr)
    wire.succeed("CREATE", {"RepositoryName": "other"}, token="renamed")
    assert wire.fail("CREATE", NAME, token="back")[0] == "AlreadyExists"
    assert tags_of(ecr, "app")["awstut:stack-id"] == RELEASED
    assert tags_of(ecr, "other")["awstut:stack-id"] == STACK
    rollback_deletes_no_image(wire, ecr)


def test_a_name_that_is_renamed_and_back_under_delete_is_created_again(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr)
    wire.succeed("CREATE", {"RepositoryName": "other"}, token="renamed")
    wire.succeed("DELETE", NAME, token="clean-up")
    wire.succeed("CREATE", NAME, token="back")
    assert ecr.holds("app") == 0


def test_a_repository_that_was_imported_and_retained_has_no_request_and_is_released(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr)
    ecr.call("UntagResource", {"resourceArn": ecr.arn("app"), "tagKeys": ["awstut:request"]})
    assert wire.fail("CREATE", NAME, token="second")[0] == "AlreadyExists"
    assert tags_of(ecr)["awstut:stack-id"] == RELEASED


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("awstut:stack-id", STACK.replace("6f2c1a50", "00000000")),  # a second stack of the same name
        ("awstut:logical-id", "Other"),
        ("awstut:stack-id", RELEASED),
    ],
)
def test_a_repository_of_another_owner_is_left_as_it_is(wire: Wire, ecr: StrictEcr, key: str, value: str) -> None:
    create_and_retain(wire, ecr)
    put_tag(ecr, key, value)
    before = tags_of(ecr)
    code, message = wire.fail("CREATE", NAME, token="second")
    assert code == "AlreadyExists"
    assert "was left as it is" in message
    assert "ImportExistingResources" in message
    assert tags_of(ecr) == before
    rollback_deletes_no_image(wire, ecr)


def test_a_stackset_instance_that_is_made_again_releases(wire: Wire, ecr: StrictEcr) -> None:
    """With the same stack id, as far as that happens: then it is the same owner."""
    wire.logical_id = "Registry"
    create_and_retain(wire, ecr)
    assert wire.fail("CREATE", NAME, token="instance")[0] == "AlreadyExists"
    rollback_deletes_no_image(wire, ecr)


def test_a_create_without_a_stack_writes_nothing(wire: Wire, ecr: StrictEcr) -> None:
    """Cloud Control, and the create-create of cfn test."""
    wire.stack_id = wire.logical_id = None
    before = create_and_retain(wire, ecr)
    assert wire.fail("CREATE", NAME, token="second")[0] == "AlreadyExists"
    assert tags_of(ecr) == before


def test_a_second_copy_whose_tags_are_not_visible_yet_releases_nothing(wire: Wire, ecr: StrictEcr) -> None:
    ecr.lateness.new_tags = 30
    first = wire.call("CREATE", NAME)
    assert first["status"] == "SUCCESS"
    wire.succeed("CREATE", NAME)
    assert tags_of(ecr)["awstut:stack-id"] == STACK


def test_a_repository_with_fifty_tags_is_released(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr, Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(44)])
    put_tag(ecr, "operator", "1")
    put_tag(ecr, "awstut:deletion-protection", "off")
    assert len(tags_of(ecr)) == 50
    wire.fail("CREATE", NAME, token="second")
    assert tags_of(ecr)["awstut:stack-id"] == RELEASED


def test_a_throttled_release_is_repeated(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr)
    ecr.faults.fail_next("TagResource", "ThrottlingException", "Rate exceeded", times=5)
    assert wire.fail("CREATE", NAME, token="second")[0] == "AlreadyExists"
    assert tags_of(ecr)["awstut:stack-id"] == RELEASED


def test_a_release_that_is_throttled_for_too_long_is_answered_with_a_code_that_is_repeated(
    wire: Wire, ecr: StrictEcr
) -> None:
    create_and_retain(wire, ecr)
    ecr.faults.fail_next("TagResource", "ThrottlingException", "Rate exceeded", times=1_000)
    code, message = wire.fail("CREATE", NAME, token="second")
    assert code == "Throttling"
    assert "Rate exceeded" in message


@pytest.mark.parametrize("seconds", [1, 5, 20])
def test_a_release_is_answered_once_it_is_visible(wire: Wire, ecr: StrictEcr, seconds: int) -> None:
    create_and_retain(wire, ecr)
    ecr.lateness.changed_tags = seconds
    assert wire.fail("CREATE", NAME, token="second")[0] == "AlreadyExists"
    assert tags_of(ecr)["awstut:stack-id"] == RELEASED


def test_a_release_that_is_denied_says_how_to_keep_the_repository(wire: Wire, ecr: StrictEcr) -> None:
    create_and_retain(wire, ecr)
    ecr.faults.deny.add("ecr:TagResource")
    # CreateRepository itself needs ecr:TagResource, too: only the release is denied here.
    ecr.before("TagResource", lambda _: None)
    ecr.faults.check_permission = _only_for("TagResource", ecr)  # type: ignore[method-assign]
    code, message = wire.fail("CREATE", NAME, token="second")
    assert code == "AccessDenied"
    assert "could not be released from the stack" in message
    assert f"aws ecr tag-resource --region {REGION}" in message
    assert f":{ACCOUNT}:repository/app --tags Key=awstut:deletion-protection,Value=on" in message


def _only_for(operation: str, ecr: StrictEcr) -> Any:
    """A check of permissions that lets CreateRepository get as far as the name."""
    check, calls = type(ecr.faults).check_permission, ecr.calls

    def checked(asked: str, caller: str, resource: str) -> None:
        if asked != operation or calls[operation]:
            check(ecr.faults, asked, caller, resource)

    return checked


# The decisions alone


@pytest.mark.parametrize(
    ("tags", "age", "found"),
    [
        ({"awstut:request": "mine"}, 0, Whose.OURS),
        ({"awstut:request": "mine"}, 10_000, Whose.OURS),
        ({"awstut:request": "other"}, 0, Whose.ANOTHERS),
        ({"team": "shop"}, 0, Whose.ANOTHERS),
        ({}, 119, Whose.UNDECIDED),
        ({}, 120, Whose.ANOTHERS),
    ],
)
def test_whose_a_repository_is(tags: dict[str, str], age: float, found: Whose) -> None:
    assert whose(tags, age, "mine") is found


@pytest.mark.parametrize(
    ("tags", "owner", "retained"),
    [
        (OWNED, Owner(STACK, "Repository"), True),
        (OWNED, Owner(STACK, "Other"), False),
        (OWNED, Owner(), False),
        ({"awstut:auto-purge": "on"}, Owner(), False),
        ({key: value for key, value in OWNED.items() if key != "awstut:auto-purge"}, Owner(STACK, "Repository"), False),
        (OWNED | release_tag(STACK), Owner(STACK, "Repository"), False),
    ],
)
def test_which_repository_was_retained(tags: dict[str, str], owner: Owner, retained: bool) -> None:
    assert is_retained(tags, owner) is retained


def test_the_longest_stack_id_can_be_released() -> None:
    longest = STACK.replace("/shop/", f"/{'s' * 128}/").replace("eu-west-1", "ap-southeast-4")
    [value] = release_tag(longest).values()
    assert len(value) <= 256
