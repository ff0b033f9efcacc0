"""Updates, over the wire: what differs is changed, and what others put there stays."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from sandbox.ecr import StrictEcr
from tests.support.samples import (
    EVERYTHING,
    LIFECYCLE,
    OTHER_POLICY,
    POLICY,
    REFUSED_LIFECYCLE,
    policies_of,
    put_tag,
    tags_of,
)
from tests.support.strict import ACCOUNT, REGION, STACK, Wire
from tests.unit.test_bad_input import BAD

REPORT = {"BucketName": "audit", "Prefix": "purges/ecr", "BucketOwner": "210987654321"}
UPDATES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, int]]] = {
    "mutability": ({}, {"ImageTagMutability": "IMMUTABLE"}, {"PutImageTagMutability": 1}),
    "mutability with filters": (
        {"ImageTagMutability": "IMMUTABLE"},
        {name: EVERYTHING[name] for name in ("ImageTagMutability", "ImageTagMutabilityExclusionFilters")},
        {"PutImageTagMutability": 1},
    ),
    "mutability removed": ({"ImageTagMutability": "IMMUTABLE"}, {}, {"PutImageTagMutability": 1}),
    "scanning": ({}, {"ImageScanningConfiguration": {"ScanOnPush": True}}, {"PutImageScanningConfiguration": 1}),
    "scanning removed": (
        {"ImageScanningConfiguration": {"ScanOnPush": True}},
        {},
        {"PutImageScanningConfiguration": 1},
    ),
    "a policy": ({"RepositoryPolicyText": POLICY}, {"RepositoryPolicyText": OTHER_POLICY}, {"SetRepositoryPolicy": 1}),
    "a policy removed": ({"RepositoryPolicyText": POLICY}, {}, {"DeleteRepositoryPolicy": 1}),
    "a lifecycle policy": (
        {},
        {"LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}},
        {"PutLifecyclePolicy": 1},
    ),
    "a lifecycle policy removed": (
        {"LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}},
        {},
        {"DeleteLifecyclePolicy": 1},
    ),
    "tags": (
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]},
        {"Tags": [{"Key": "a", "Value": "9"}, {"Key": "c", "Value": "3"}]},
        {"TagResource": 1, "UntagResource": 1},
    ),
    "empty on delete": ({}, {"EmptyOnDelete": False}, {"TagResource": 1}),
    "deletion protection": ({}, {"DeletionProtection": True}, {"TagResource": 1}),
    "deletion protection removed": ({"DeletionProtection": True}, {}, {"TagResource": 1, "UntagResource": 1}),
    "days of pushes": ({}, {"PurgeProtection": {"PushedWithinDays": 3}}, {"TagResource": 1}),
    "other days of pushes": (
        {"PurgeProtection": {"PushedWithinDays": 3}},
        {"PurgeProtection": {"PushedWithinDays": 30}},
        {"TagResource": 1},
    ),
    "days of pushes removed": (
        {"PurgeProtection": {"PushedWithinDays": 3}},
        {},
        {"TagResource": 1, "UntagResource": 1},
    ),
    "replicated deletes": ({}, {"AllowReplicatedDeletes": True}, {"TagResource": 1}),
    "replicated deletes removed": ({"AllowReplicatedDeletes": True}, {}, {"UntagResource": 1}),
    "a report": ({}, {"PurgeReport": REPORT}, {"TagResource": 1}),
    "another report": ({"PurgeReport": {"BucketName": "old"}}, {"PurgeReport": REPORT}, {"TagResource": 1}),
    "a report removed": ({"PurgeReport": REPORT}, {}, {"TagResource": 1, "UntagResource": 1}),
    "freeze on delete": ({}, {"FreezeOnDelete": True}, {"TagResource": 1}),
    "freeze on delete removed": ({"FreezeOnDelete": True}, {}, {"TagResource": 1, "UntagResource": 1}),
    "nothing": ({"RepositoryPolicyText": POLICY}, {"RepositoryPolicyText": json.dumps(POLICY, indent=1)}, {}),
}
READS = {"DescribeRepositories": 1, "ListTagsForResource": 1, "GetRepositoryPolicy": 1, "GetLifecyclePolicy": 1}


def reads_after(calls: dict[str, int]) -> dict[str, int]:
    """One look at each kind of thing that was changed, because ECR may show it late."""
    kinds = {
        "ListTagsForResource": {"TagResource", "UntagResource"},
        "GetRepositoryPolicy": {"SetRepositoryPolicy", "DeleteRepositoryPolicy"},
    }
    return {look: 1 for look, changes in kinds.items() if changes & calls.keys()}


@pytest.mark.parametrize("case", UPDATES)
def test_update_changes_what_differs_and_no_more(wire: Wire, ecr: StrictEcr, case: str) -> None:
    previous, wanted, calls = UPDATES[case]
    name = {"RepositoryName": "app"}
    wire.succeed("CREATE", name | previous)
    ecr.reset_calls()
    updated = wire.succeed("UPDATE", name | wanted, previous=name | previous)
    assert dict(ecr.calls) == dict(Counter(READS) + Counter(calls) + Counter(reads_after(calls)))
    read = wire.succeed("READ", name)
    as_asked = {"RepositoryPolicyText": wanted["RepositoryPolicyText"]} if "RepositoryPolicyText" in wanted else {}
    assert updated == read | as_asked
    wire.succeed("CREATE", {"RepositoryName": "new", **wanted}, token="token-2")
    assert {**wire.succeed("READ", {"RepositoryName": "new"}), "RepositoryName": "app"} | _identity(read) == read


def _identity(model: dict[str, object]) -> dict[str, object]:
    return {name: model[name] for name in ("Arn", "RepositoryUri")}


def test_update_leaves_what_others_put_there(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    ecr.call("SetRepositoryPolicy", {"repositoryName": "app", "policyText": json.dumps(POLICY)})
    ecr.call("PutLifecyclePolicy", {"repositoryName": "app", "lifecyclePolicyText": LIFECYCLE})
    put_tag(ecr, "owner", "somebody")
    wire.succeed(
        "UPDATE", {"RepositoryName": "app", "ImageTagMutability": "IMMUTABLE"}, previous={"RepositoryName": "app"}
    )
    assert policies_of(ecr) == (POLICY, json.loads(LIFECYCLE))
    assert tags_of(ecr)["owner"] == "somebody"


def test_update_of_stack_tags_alone(wire: Wire, ecr: StrictEcr) -> None:
    name = {"RepositoryName": "app"}
    wire.succeed("CREATE", name, stack_tags={"cost": "1", "old": "x"})
    wire.succeed("UPDATE", name, previous=name, stack_tags={"cost": "2"}, previous_stack_tags={"cost": "1", "old": "x"})
    tags = tags_of(ecr)
    assert tags["cost"] == "2"
    assert "old" not in tags


def test_update_keeps_protection_that_an_operator_put_on(wire: Wire, ecr: StrictEcr) -> None:
    name = {"RepositoryName": "app"}
    wire.succeed("CREATE", name)
    put_tag(ecr, "awstut:deletion-protection", "on")
    model = wire.succeed("UPDATE", name | {"ImageTagMutability": "IMMUTABLE"}, previous=name)
    assert model["DeletionProtection"] is True
    assert tags_of(ecr)["awstut:auto-purge"] == "on deletion-protection"


def test_update_from_a_stack_keeps_protection_where_the_mark_was_stripped(wire: Wire, ecr: StrictEcr) -> None:
    name = {"RepositoryName": "app", "PurgeProtection": {"TagPatterns": ["v*"]}}
    wire.succeed("CREATE", name)
    put_tag(ecr, "awstut:deletion-protection", "on")
    put_tag(ecr, "awstut:protect-tags", "w@")
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"
    ecr.call("UntagResource", {"resourceArn": arn, "tagKeys": ["awstut:auto-purge"]})
    model = wire.succeed("UPDATE", name | {"ImageTagMutability": "IMMUTABLE"}, previous=name)
    assert model["EmptyOnDelete"] is False  # the mark is gone, so nobody knows whether it was on
    assert model["DeletionProtection"] is True
    assert sorted(model["PurgeProtection"]["TagPatterns"]) == ["v*", "w*"]


@pytest.mark.parametrize("left", [[], ["awstut:protect-tags-2"]])
def test_update_from_a_stack_restores_what_was_stripped(wire: Wire, ecr: StrictEcr, left: list[str]) -> None:
    patterns = [f"{n}{'*a' * 31}b" for n in range(10)]
    name = {"RepositoryName": "app", "DeletionProtection": True, "PurgeProtection": {"TagPatterns": patterns}}
    before = wire.succeed("CREATE", name)
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"
    ecr.call("UntagResource", {"resourceArn": arn, "tagKeys": [key for key in tags_of(ecr) if key not in left]})
    wanted = name | {"ImageTagMutability": "IMMUTABLE"}
    restored = before | {"ImageTagMutability": "IMMUTABLE", "EmptyOnDelete": False}
    assert wire.succeed("UPDATE", wanted, previous=name) == restored
    assert tags_of(ecr)["awstut:stack-id"] == STACK


def test_update_restores_a_rule_that_was_stripped(wire: Wire, ecr: StrictEcr) -> None:
    name = {"RepositoryName": "app", "DeletionProtection": True}
    wire.succeed("CREATE", name)
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"
    ecr.call("UntagResource", {"resourceArn": arn, "tagKeys": ["awstut:deletion-protection"]})
    wire.succeed("UPDATE", name | {"ImageTagMutability": "IMMUTABLE"}, previous=name)
    assert tags_of(ecr)["awstut:deletion-protection"] == "on"


def test_update_from_a_stack_takes_an_unmarked_repository_over(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={"owner": "somebody"}).with_images(2)
    wire.succeed("UPDATE", {"RepositoryName": "app"}, previous={"RepositoryName": "app"})
    tags = tags_of(ecr)
    assert tags["awstut:auto-purge"] == "off"
    assert tags["awstut:stack-id"] == STACK
    assert tags["owner"] == "somebody"


def test_update_from_another_stack_writes_that_stacks_id(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    wire.stack_id = STACK.replace("/shop/", "/moved/")
    wire.succeed("UPDATE", {"RepositoryName": "app"}, previous={"RepositoryName": "app"})
    assert tags_of(ecr)["awstut:stack-id"] == wire.stack_id


def test_update_without_a_stack_that_patches_a_tag_marks_nothing(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app").with_images(2)
    wire.stack_id = wire.logical_id = None
    read = wire.succeed("READ", {"RepositoryName": "app"})
    wire.succeed("UPDATE", {**read, "Tags": [{"Key": "a", "Value": "1"}]}, previous=read)
    assert tags_of(ecr) == {"a": "1"}


def test_update_without_a_stack_marks_when_told_by_empty_on_delete(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app")
    wire.stack_id = wire.logical_id = None
    read = wire.succeed("READ", {"RepositoryName": "app"})
    wire.succeed("UPDATE", {**read, "EmptyOnDelete": True}, previous=read)
    assert tags_of(ecr) == {"awstut:auto-purge": "on"}


@pytest.mark.parametrize(
    "unheeded",
    [
        {"DeletionProtection": True},
        {"PurgeProtection": {"PulledWithinDays": 3}},
        {"PurgeReport": REPORT},
        {"PurgeProtection": {"PushedWithinDays": 3}},
        {"FreezeOnDelete": True},
        {"AllowReplicatedDeletes": True},
    ],
)
def test_update_without_a_stack_does_not_protect_what_is_not_marked(
    wire: Wire, ecr: StrictEcr, unheeded: dict[str, object]
) -> None:
    ecr.repository("app")
    wire.stack_id = wire.logical_id = None
    read = wire.succeed("READ", {"RepositoryName": "app"})
    code, message = wire.fail("UPDATE", {**read, **unheeded}, previous=read)
    assert code == "InvalidRequest"
    assert "set EmptyOnDelete too" in message


def test_update_of_as_many_tags_as_there_is_room_for(wire: Wire, ecr: StrictEcr) -> None:
    """Old and new ones together are more than ECR allows at once."""
    old = {"RepositoryName": "app", "Tags": [{"Key": f"old-{n}", "Value": "v"} for n in range(44)]}
    new = {"RepositoryName": "app", "Tags": [{"Key": f"new-{n}", "Value": "v"} for n in range(44)]}
    wire.succeed("CREATE", old)
    updated = wire.succeed("UPDATE", new, previous=old)
    assert {tag["Key"] for tag in updated["Tags"]} == {f"new-{n}" for n in range(44)}
    assert wire.succeed("READ", {"RepositoryName": "app"}) == updated


def test_update_from_tags_to_rules_where_there_is_no_room_for_both(wire: Wire, ecr: StrictEcr) -> None:
    patterns = [f"{n}{'*a' * 31}b" for n in range(10)]
    old: dict[str, Any] = {"RepositoryName": "app", "Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(44)]}
    new = {"RepositoryName": "app", "Tags": old["Tags"][:40], "PurgeProtection": {"TagPatterns": patterns}}
    wire.succeed("CREATE", old)
    assert wire.succeed("UPDATE", new, previous=old)["PurgeProtection"] == {"TagPatterns": patterns}
    assert wire.succeed("UPDATE", old, previous=new)["Tags"] == sorted(old["Tags"], key=lambda tag: tag["Key"])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("EncryptionConfiguration", {"EncryptionConfiguration": {"EncryptionType": "KMS"}}),
        ("RepositoryName", {"RepositoryName": "new"}),
    ],
)
def test_update_of_a_create_only_property_is_not_updatable(
    wire: Wire, ecr: StrictEcr, name: str, change: dict[str, object]
) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    ecr.repository("new")
    code, message = wire.fail("UPDATE", {"RepositoryName": "app", **change}, previous={"RepositoryName": "app"})
    assert code == "NotUpdatable"
    assert message.startswith(name)


def test_update_with_a_policy_that_ecr_refuses_leaves_the_rest_unharmed(wire: Wire, ecr: StrictEcr) -> None:
    name = {"RepositoryName": "app"}
    before = wire.succeed("CREATE", name | {"RepositoryPolicyText": POLICY, "Tags": [{"Key": "a", "Value": "1"}]})
    wanted = name | {"RepositoryPolicyText": {"Version": "1"}, "ImageTagMutability": "IMMUTABLE"}
    code, message = wire.fail("UPDATE", wanted, previous=before)
    assert code == "InvalidRequest"
    assert "ecr:SetRepositoryPolicy failed" in message
    assert wire.succeed("READ", name) == before


def test_update_with_a_lifecycle_policy_that_ecr_refuses_leaves_the_rest_unharmed(wire: Wire, ecr: StrictEcr) -> None:
    name = {"RepositoryName": "app"}
    lifecycle = {"LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}}
    before = wire.succeed("CREATE", name | lifecycle | {"RepositoryPolicyText": POLICY})
    ecr.repository("app").with_images(3)
    wanted = name | {"LifecyclePolicy": {"LifecyclePolicyText": REFUSED_LIFECYCLE}, "ImageTagMutability": "IMMUTABLE"}
    code, message = wire.fail("UPDATE", wanted, previous=before)
    assert code == "InvalidRequest"
    assert "ecr:PutLifecyclePolicy failed" in message
    assert wire.succeed("READ", name) == before
    assert ecr.holds("app") == 3


@pytest.mark.parametrize(
    ("property_name", "operation"),
    [("RepositoryPolicyText", "DeleteRepositoryPolicy"), ("LifecyclePolicy", "DeleteLifecyclePolicy")],
)
def test_update_removes_a_policy_that_somebody_removes_at_the_same_time(
    wire: Wire, ecr: StrictEcr, property_name: str, operation: str
) -> None:
    name = {"RepositoryName": "app"}
    policies = {"RepositoryPolicyText": POLICY, "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}}
    before = name | {property_name: policies[property_name]}
    wire.succeed("CREATE", before)
    ecr.before(operation, lambda _: ecr.call(operation, {"repositoryName": "app"}))
    assert property_name not in wire.succeed("UPDATE", name, previous=before)


@pytest.mark.parametrize("case", ["a key twice", "too many tags", "a policy that is not JSON"])
def test_update_with_bad_input_changes_nothing(wire: Wire, ecr: StrictEcr, case: str) -> None:
    properties, reason = BAD[case]
    name = {"RepositoryName": "app"}
    before = wire.succeed("CREATE", name)
    code, message = wire.fail("UPDATE", name | {"ImageTagMutability": "IMMUTABLE"} | properties, previous=name)
    assert code == "InvalidRequest"
    assert reason in message
    assert wire.succeed("READ", name) == before


@pytest.mark.parametrize(
    "context", [{"phase": "purge"}, {"deleted": 3}, {"created": "yesterday"}, {"checked": True, "passes": -1}]
)
def test_delete_with_an_unreadable_callback_context_deletes_nothing(
    wire: Wire, ecr: StrictEcr, context: dict[str, object]
) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    ecr.repository("app").with_images(3)
    code, message = wire.fail("DELETE", {"RepositoryName": "app"}, context=context)
    assert code == "InvalidRequest"
    assert "callback context" in message
    assert ecr.holds("app") == 3


def test_delete_over_the_wire_carries_no_model(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    ecr.repository("app").with_images(250).with_multi_arch(3)
    answer = wire.call("DELETE", {"RepositoryName": "app"})
    assert answer["status"] == "SUCCESS"
    assert "resourceModel" not in answer
    assert ecr.names() == []
