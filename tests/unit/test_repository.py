"""Create, read, update and list, over the wire: what ECR holds afterwards, and what the user reads."""

from __future__ import annotations

import json
import re

import pytest

from awstut_ecr_autopurgerepository.translate import repository_name
from sandbox.ecr import EcrError, StrictEcr
from tests.strict import ACCOUNT, REGION, STACK, Wire

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "pull",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ],
}
OTHER_POLICY = {"Version": "2012-10-17", "Statement": [{**POLICY["Statement"][0], "Sid": "other"}]}
LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "keep the newest",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 500},
                "action": {"type": "expire"},
            }
        ]
    }
)
EVERYTHING = {
    "RepositoryName": "team/app",
    "EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": "alias/aws/ecr"},
    "ImageScanningConfiguration": {"ScanOnPush": "true"},
    "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "ImageTagMutabilityExclusionFilters": [
        {"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": "dev-*"}
    ],
    "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE, "RegistryId": ACCOUNT},
    "RepositoryPolicyText": POLICY,
    "Tags": [{"Key": "team", "Value": "shop"}],
    "EmptyOnDelete": "false",
    "DeletionProtection": "true",
}


def tags_of(ecr: StrictEcr, name: str = "app") -> dict[str, str]:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    return {tag["Key"]: tag["Value"] for tag in ecr.call("ListTagsForResource", {"resourceArn": arn})["tags"]}


def put_tag(ecr: StrictEcr, key: str, value: str, name: str = "app") -> None:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    ecr.call("TagResource", {"resourceArn": arn, "tags": [{"Key": key, "Value": value}]})


def policies_of(ecr: StrictEcr, name: str = "app") -> tuple[object, object]:
    found = []
    for operation, key in (("GetRepositoryPolicy", "policyText"), ("GetLifecyclePolicy", "lifecyclePolicyText")):
        try:
            found.append(json.loads(ecr.call(operation, {"repositoryName": name})[key]))
        except EcrError:
            found.append(None)
    return found[0], found[1]


# Create


def test_create_with_everything_reads_back_as_it_was_asked_for(wire: Wire, ecr: StrictEcr) -> None:
    created = wire.succeed("CREATE", EVERYTHING)
    read = wire.succeed("READ", EVERYTHING)
    assert read == created
    assert read["Arn"] == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/app"
    assert read["RepositoryUri"].endswith("/team/app")
    assert read["RegistryId"] == ACCOUNT
    assert read["EncryptionConfiguration"]["EncryptionType"] == "KMS"
    for name in set(EVERYTHING) - {
        "EncryptionConfiguration",
        "ImageScanningConfiguration",
        "EmptyOnDelete",
        "DeletionProtection",
    }:
        assert read[name] == EVERYTHING[name], name
    assert read["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert read["EmptyOnDelete"] is False
    assert read["DeletionProtection"] is True


def test_create_writes_mark_rules_and_owner_in_the_same_call(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", EVERYTHING, stack_tags={"cost": "42", "team": "overruled"})
    tags = tags_of(ecr, "team/app")
    request = tags.pop("awstut:request")
    assert re.fullmatch("[0-9a-f]{16}", request)
    assert tags == {
        "awstut:auto-purge": "off deletion-protection",
        "awstut:deletion-protection": "on",
        "awstut:stack-id": STACK,
        "awstut:logical-id": "Repository",
        "cost": "42",
        "team": "shop",
    }
    assert not ecr.calls["TagResource"]


def test_create_with_nothing_makes_a_name_and_sets_the_defaults(wire: Wire, ecr: StrictEcr) -> None:
    model = wire.succeed("CREATE", {})
    assert re.fullmatch(r"shop-repository-[0-9a-f]{12}", model["RepositoryName"])
    assert model["EmptyOnDelete"] is True
    assert model["DeletionProtection"] is False
    assert model["ImageTagMutability"] == "MUTABLE"
    assert "Tags" not in model
    assert wire.succeed("READ", {"RepositoryName": model["RepositoryName"]}) == model


def test_create_takes_the_least_calls(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    assert dict(ecr.calls) == {"CreateRepository": 1}


@pytest.mark.parametrize("stack", ["A", "Shop--Stack-", "-", "x" * 128, "UPPER-Case"])
@pytest.mark.parametrize("logical_id", ["R", "Repository", "L" * 255, "A1b2"])
def test_create_makes_names_that_ecr_takes(ecr: StrictEcr, stack: str, logical_id: str) -> None:
    stack_id = STACK.replace("/shop/", f"/{stack}/")
    name = repository_name(stack_id, logical_id, "token")
    ecr.call("CreateRepository", {"repositoryName": name})
    assert name == repository_name(stack_id, logical_id, "token")
    assert name != repository_name(stack_id, logical_id, "another token")


def test_create_without_a_stack_makes_a_name_too(ecr: StrictEcr) -> None:
    ecr.call("CreateRepository", {"repositoryName": repository_name(None, None, "token")})


def test_create_again_with_the_same_token_goes_on(wire: Wire, ecr: StrictEcr) -> None:
    ecr.faults.fail_next("SetRepositoryPolicy", "ServerException", "boom", 500, times=9)
    ecr.faults.deny.add("ecr:DeleteRepository")
    wire.call("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": POLICY})
    ecr.faults.clear()
    model = wire.succeed("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": POLICY})
    assert model["RepositoryPolicyText"] == POLICY
    assert policies_of(ecr)[0] == POLICY


@pytest.mark.parametrize("tags", [{}, {"awstut:auto-purge": "on", "awstut:request": "0123456789abcdef"}])
def test_create_of_a_name_that_is_taken_says_so_and_names_no_model(
    wire: Wire, ecr: StrictEcr, tags: dict[str, str]
) -> None:
    ecr.repository("app", tags=tags).with_images(3)
    code, message = wire.fail("CREATE", {"RepositoryName": "app"})
    assert code == "AlreadyExists"
    assert "already exists, and was left as it is" in message
    assert tags_of(ecr) == tags
    assert ecr.holds("app") == 3


def test_create_with_a_policy_that_ecr_refuses_leaves_nothing(wire: Wire, ecr: StrictEcr) -> None:
    code, message = wire.fail("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": {"Version": "2012-10-17"}})
    assert code == "InvalidRequest"
    assert "ecr:SetRepositoryPolicy failed" in message
    assert ecr.holds("app") is None


def test_create_that_cannot_be_undone_hands_over_the_model(wire: Wire, ecr: StrictEcr) -> None:
    ecr.faults.deny.add("ecr:DeleteRepository")
    answer = wire.call("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": {"Version": "2012-10-17"}})
    assert answer["status"] == "FAILED"
    assert answer["resourceModel"]["RepositoryName"] == "app"
    assert "could not be deleted again: ecr:DeleteRepository was denied" in answer["message"]


def test_create_does_not_undo_by_force(wire: Wire, ecr: StrictEcr) -> None:
    ecr.after("CreateRepository", lambda _: ecr.repository("app").with_images(1), nth=1)
    answer = wire.call("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": {"Version": "2012-10-17"}})
    assert answer["resourceModel"]["RepositoryName"] == "app"
    assert ecr.holds("app") == 1


# Bad input


BAD = {
    "a lifecycle policy of another account": (
        {"LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE, "RegistryId": "210987654321"}},
        "but the repository is in account 123456789012. Leave it out.",
    ),
    "a RegistryId without a policy": ({"LifecyclePolicy": {"RegistryId": ACCOUNT}}, "Add the policy's text"),
    "a key twice": ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "Tags has the key a twice"),
    "a reserved key": ({"Tags": [{"Key": "awstut:auto-purge", "Value": "off"}]}, "begin with awstut: are reserved"),
    "a key of AWS": ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "begin with aws: are reserved"),
    "too many tags": ({"Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(45)]}, "there is room for 44"),
    "too many tags with a rule": (
        {"Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(44)], "DeletionProtection": "true"},
        "there is room for 43",
    ),
    "a policy that is not JSON": ({"RepositoryPolicyText": "{"}, "RepositoryPolicyText is not a JSON object"),
    "a policy that is a list": ({"RepositoryPolicyText": "[]"}, "RepositoryPolicyText is not a JSON object"),
    "a lifecycle policy that is not JSON": (
        {"LifecyclePolicy": {"LifecyclePolicyText": "x" * 100}},
        "LifecyclePolicyText is not a JSON object",
    ),
    "a lifecycle policy that is too short": (
        {"LifecyclePolicy": {"LifecyclePolicyText": '{"rules":[]}'}},
        "ECR does not take such a request: Parameter validation failed: Invalid length",
    ),
    "exclusion filters without their mutability": (
        {
            "ImageTagMutability": "IMMUTABLE",
            "ImageTagMutabilityExclusionFilters": EVERYTHING["ImageTagMutabilityExclusionFilters"],
        },
        "Set ImageTagMutability to MUTABLE_WITH_EXCLUSION or IMMUTABLE_WITH_EXCLUSION",
    ),
    "a mutability without its exclusion filters": (
        {"ImageTagMutability": "MUTABLE_WITH_EXCLUSION"},
        "needs ImageTagMutabilityExclusionFilters",
    ),
    "a KMS key that does not exist": (
        {"EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": "alias/missing"}},
        "ECR could not use the KMS key",
    ),
    "an unknown property": ({"RepositryName": "app"}, "RepositryName is not a property. Check its spelling."),
    "an unknown nested property": ({"LifecyclePolicy": {"Text": "{}"}}, "Text is not a property. Check its spelling."),
    "a null": ({"ImageTagMutability": None}, "ImageTagMutability is null. Give it a value, or leave it out."),
    "a nested null": ({"Tags": [{"Key": "a", "Value": None}]}, "Tags[0].Value is null"),
    "a name that is not valid": ({"RepositoryName": "App"}, "ecr:CreateRepository failed"),
    "a boolean that is none": ({"EmptyOnDelete": "perhaps"}, "EmptyOnDelete"),
}


@pytest.mark.parametrize("case", BAD)
def test_create_with_bad_input_says_what_to_do_and_leaves_nothing(wire: Wire, ecr: StrictEcr, case: str) -> None:
    properties, reason = BAD[case]
    code, message = wire.fail("CREATE", {"RepositoryName": "app", **properties})
    assert code == "InvalidRequest"
    assert reason in message
    assert ecr.names() == []


ACTIONS = {
    "CREATE": ["CreateRepository", "SetRepositoryPolicy", "PutLifecyclePolicy"],
    "READ": ["DescribeRepositories", "ListTagsForResource", "GetRepositoryPolicy", "GetLifecyclePolicy"],
    "UPDATE": [
        "DescribeRepositories",
        "ListTagsForResource",
        "GetRepositoryPolicy",
        "GetLifecyclePolicy",
        "SetRepositoryPolicy",
        "PutLifecyclePolicy",
        "PutImageTagMutability",
        "PutImageScanningConfiguration",
        "TagResource",
        "UntagResource",
    ],
    "DELETE": ["DescribeRepositories", "ListTagsForResource", "DescribeImages", "BatchDeleteImage", "DeleteRepository"],
    "LIST": ["DescribeRepositories"],
}


@pytest.mark.parametrize(("action", "operation"), [(a, o) for a, operations in ACTIONS.items() for o in operations])
def test_a_missing_permission_is_named(wire: Wire, ecr: StrictEcr, action: str, operation: str) -> None:
    wanted = {**EVERYTHING, "RepositoryName": "app", "DeletionProtection": "false", "EmptyOnDelete": "true"}
    previous = {"RepositoryName": "app", "EncryptionConfiguration": wanted["EncryptionConfiguration"]}
    previous["Tags"] = [{"Key": "gone", "Value": "soon"}]
    if action != "CREATE":
        wire.succeed("CREATE", previous)
        ecr.repository("app").with_images(3)
    ecr.faults.deny.add(f"ecr:{operation}")
    code, message = wire.fail(action, wanted, previous=previous, token="another")
    assert code == "AccessDenied"
    assert f"ecr:{operation} was denied" in message
    assert ecr.holds("app") == (None if action == "CREATE" else 0 if operation == "DeleteRepository" else 3)


@pytest.mark.parametrize("operation", ["DescribeRepositories", "ListTagsForResource"])
def test_a_missing_permission_to_look_at_a_name_that_is_taken_is_named(
    wire: Wire, ecr: StrictEcr, operation: str
) -> None:
    ecr.repository("app").with_images(3)
    ecr.faults.deny.add(f"ecr:{operation}")
    code, message = wire.fail("CREATE", {"RepositoryName": "app"})
    assert code == "AccessDenied"
    assert f"ecr:{operation} was denied" in message
    assert ecr.holds("app") == 3


def test_removals_are_named_too_when_they_are_denied(wire: Wire, ecr: StrictEcr) -> None:
    for operation in ("DeleteRepositoryPolicy", "DeleteLifecyclePolicy"):
        previous = {"RepositoryName": operation.lower(), "RepositoryPolicyText": POLICY}
        previous["LifecyclePolicy"] = {"LifecyclePolicyText": LIFECYCLE}
        wire.succeed("CREATE", previous)
        ecr.faults.deny = {f"ecr:{operation}"}
        code, message = wire.fail("UPDATE", {"RepositoryName": operation.lower()}, previous=previous)
        assert code == "AccessDenied"
        assert f"ecr:{operation} was denied" in message


@pytest.mark.parametrize("action", ["READ", "UPDATE", "DELETE"])
def test_what_does_not_exist_is_not_found(wire: Wire, action: str) -> None:
    code, message = wire.fail(action, {"RepositoryName": "app"}, previous={"RepositoryName": "app"})
    assert code == "NotFound"
    assert message == "The repository app does not exist."


@pytest.mark.parametrize("action", ["READ", "UPDATE", "DELETE"])
def test_a_request_without_a_name_is_not_found(wire: Wire, action: str) -> None:
    code, message = wire.fail(action, {}, previous={})
    assert code == "NotFound"
    assert "RepositoryName is missing" in message


def test_a_request_without_credentials_is_told_so(wire: Wire) -> None:
    from awstut_ecr_autopurgerepository import handlers

    event = wire.event("READ", {"RepositoryName": "app"})
    del event["requestData"]["callerCredentials"]
    answer = handlers.resource(event, None)
    assert answer["errorCode"] == "InvalidCredentials"


# Read and list


def test_read_of_a_repository_that_is_not_ours_reports_it_without_our_settings(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={"team": "shop"})
    model = wire.succeed("READ", {"RepositoryName": "app"})
    assert model["Tags"] == [{"Key": "team", "Value": "shop"}]
    assert "EmptyOnDelete" not in model
    assert "DeletionProtection" not in model


def test_read_shows_what_was_changed_behind_our_back(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    put_tag(ecr, "awstut:auto-purge", "off")
    put_tag(ecr, "awstut:deletion-protection", "on")
    ecr.call("SetRepositoryPolicy", {"repositoryName": "app", "policyText": json.dumps(POLICY)})
    ecr.call("PutImageTagMutability", {"repositoryName": "app", "imageTagMutability": "IMMUTABLE"})
    model = wire.succeed("READ", {"RepositoryName": "app"})
    assert model["EmptyOnDelete"] is False
    assert model["DeletionProtection"] is True
    assert model["RepositoryPolicyText"] == POLICY
    assert model["ImageTagMutability"] == "IMMUTABLE"


def test_read_names_the_registry_of_a_lifecycle_policy_only_if_asked(wire: Wire) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app", "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}})
    assert wire.succeed("READ", {"RepositoryName": "app"})["LifecyclePolicy"] == {"LifecyclePolicyText": LIFECYCLE}


def test_list_pages_through_all_repositories_once(wire: Wire, ecr: StrictEcr) -> None:
    names = {f"app-{number}" for number in range(2_345)}
    for name in names:
        ecr.repository(name)
    found: list[str] = []
    token = None
    for _ in range(3):
        answer = wire.call("LIST", next_token=token)
        found += [model["RepositoryName"] for model in answer["resourceModels"]]
        token = answer.get("nextToken")
    assert token is None
    assert len(found) == len(names)
    assert set(found) == names


def test_list_with_a_token_that_nobody_gave_is_an_invalid_request(wire: Wire) -> None:
    code, message = wire.fail("LIST", next_token="made up")
    assert code == "InvalidRequest"
    assert "ecr:DescribeRepositories failed" in message


# Update


UPDATES = {
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
    "nothing": ({"RepositoryPolicyText": POLICY}, {"RepositoryPolicyText": json.dumps(POLICY, indent=1)}, {}),
}
READS = {"DescribeRepositories": 1, "ListTagsForResource": 1, "GetRepositoryPolicy": 1, "GetLifecyclePolicy": 1}


@pytest.mark.parametrize("case", UPDATES)
def test_update_changes_what_differs_and_no_more(wire: Wire, ecr: StrictEcr, case: str) -> None:
    previous, wanted, calls = UPDATES[case]
    name = {"RepositoryName": "app"}
    wire.succeed("CREATE", name | previous)
    ecr.reset_calls()
    updated = wire.succeed("UPDATE", name | wanted, previous=name | previous)
    assert dict(ecr.calls) == READS | calls
    read = wire.succeed("READ", name)
    assert updated == read
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
    assert tags["awstut:auto-purge"] == "on"
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


def test_update_without_a_stack_does_not_protect_what_is_not_marked(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app")
    wire.stack_id = wire.logical_id = None
    read = wire.succeed("READ", {"RepositoryName": "app"})
    code, message = wire.fail("UPDATE", {**read, "DeletionProtection": True}, previous=read)
    assert code == "InvalidRequest"
    assert "Set EmptyOnDelete too" in message


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
def test_delete_with_a_callback_context_from_nowhere_deletes_nothing(
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
