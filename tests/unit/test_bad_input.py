"""Bad input and missing permissions, over the wire: a clear message, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from awstut_ecr_autopurgerepository import handlers
from sandbox.ecr import StrictEcr
from tests.support.project_copy import ROOT, SCHEMA_NAME
from tests.support.samples import EVERYTHING, LIFECYCLE, POLICY
from tests.support.strict import ACCOUNT, MARKED, Wire

BAD: dict[str, tuple[dict[str, Any], str]] = {
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
        "ECR does not accept such a request: Parameter validation failed: Invalid length",
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
    "an unknown service that uses images": (
        {"PurgeProtection": {"InUseBy": ["LAMBDA", "EKS"]}},
        "PurgeProtection.InUseBy has 'EKS': name one or more of LAMBDA, ECS, INSPECTOR.",
    ),
    "no service that uses images": (
        {"PurgeProtection": {"InUseBy": []}},
        "PurgeProtection.InUseBy must be a list of 1 to 3 of LAMBDA, ECS, INSPECTOR.",
    ),
    "a service that uses images twice": (
        {"PurgeProtection": {"InUseBy": ["ECS", "ECS"]}},
        "InUseBy has a service twice.",
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


def test_create_with_a_reserved_key_among_the_stack_s_tags_says_so_and_leaves_nothing(
    wire: Wire, ecr: StrictEcr
) -> None:
    """If the tag were ignored, a user would believe that it protects the repository."""
    stack_tags = {"awstut:deletion-protection": "on"}
    code, message = wire.fail("CREATE", {"RepositoryName": "app"}, stack_tags=stack_tags)
    assert code == "InvalidRequest"
    assert "The stack has the tag awstut:deletion-protection" in message
    assert ecr.names() == []


def test_create_without_any_properties_makes_a_repository(wire: Wire, ecr: StrictEcr) -> None:
    """As CloudFormation sends it for a resource that has no Properties."""
    name = wire.succeed("CREATE", None)["RepositoryName"]
    assert ecr.names() == [name]


ACTIONS = {
    "CREATE": ["CreateRepository", "TagResource", "SetRepositoryPolicy", "PutLifecyclePolicy"],
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
# Needed in cases that have a test of their own.
ELSEWHERE = {
    "CREATE": {
        "DescribeRepositories",
        "ListTagsForResource",
        "DeleteRepository",
        "GetRepositoryPolicy",
        "GetLifecyclePolicy",
    },
    "UPDATE": {"DeleteRepositoryPolicy", "DeleteLifecyclePolicy"},
    "DELETE": {
        "TagResource",
        "GetRepositoryPolicy",
        "SetRepositoryPolicy",
        "DeleteRepositoryPolicy",
        "DescribeRegistry",
    },
}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_permission_of_a_handler_is_tested(action: str) -> None:
    schema = json.loads((ROOT / SCHEMA_NAME).read_text())
    permissions = schema["handlers"][action.lower()]["permissions"]
    needed = {each.removeprefix("ecr:") for each in permissions if each.startswith("ecr:")}
    assert needed == {*ACTIONS[action], *ELSEWHERE.get(action, ())}


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


def test_a_missing_permission_to_remove_a_policy_is_named(wire: Wire, ecr: StrictEcr) -> None:
    for operation in ("DeleteRepositoryPolicy", "DeleteLifecyclePolicy"):
        previous = {"RepositoryName": operation.lower(), "RepositoryPolicyText": POLICY}
        previous["LifecyclePolicy"] = {"LifecyclePolicyText": LIFECYCLE}
        wire.succeed("CREATE", previous)
        ecr.faults.deny = {f"ecr:{operation}"}
        code, message = wire.fail("UPDATE", {"RepositoryName": operation.lower()}, previous=previous)
        assert code == "AccessDenied"
        assert f"ecr:{operation} was denied" in message


def test_update_read_and_list_ignore_an_unknown_callback_context(wire: Wire, ecr: StrictEcr) -> None:
    context = {"phase": "purge", "deleted": 3}
    name = {"RepositoryName": "app"}
    wire.succeed("CREATE", name)
    wire.succeed("UPDATE", name | {"ImageTagMutability": "IMMUTABLE"}, previous=name, context=context)
    assert wire.succeed("READ", name, context=context)["ImageTagMutability"] == "IMMUTABLE"
    assert wire.call("LIST", context=context)["resourceModels"] == [name]


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


@pytest.mark.parametrize("key", ["callerCredentials", "providerCredentials"])
def test_credentials_of_a_wrong_shape_are_not_shown(wire: Wire, key: str) -> None:
    event = wire.event("READ", {"RepositoryName": "app"})
    event["requestData"][key] = "AKIDEXAMPLE wJalrXUtnFEMI"
    answer = handlers.resource(event, None)
    assert answer["errorCode"] == "InvalidRequest"
    assert f"requestData.{key} must be an object" in answer["message"]
    assert "AKID" not in answer["message"]


@pytest.mark.parametrize("name", ["Tags", "ImageTagMutabilityExclusionFilters"])
def test_an_empty_object_in_a_list_is_refused(wire: Wire, name: str) -> None:
    code, message = wire.fail("CREATE", {"RepositoryName": "app", name: [{}]})
    assert code == "InvalidRequest"
    assert f"{name}[0] is an empty object" in message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"action": "PURGE"}, "the event's action is 'PURGE', which is none of CREATE, READ, UPDATE, DELETE, LIST."),
        ({"credentials": {"user": "a"}}, "unexpected keyword argument 'user'"),
    ],
)
def test_an_event_that_cloudformation_does_not_send_does_nothing(
    wire: Wire, ecr: StrictEcr, change: dict[str, Any], reason: str
) -> None:
    ecr.repository("app", tags=MARKED).with_images(2)
    event = wire.event("DELETE", {"RepositoryName": "app"})
    if "credentials" in change:
        event["requestData"]["callerCredentials"] = change["credentials"]
    else:
        event |= change
    answer = handlers.resource(event, None)
    assert (answer["status"], answer["errorCode"]) == ("FAILED", "InvalidRequest")
    assert answer["message"].startswith("Nothing was done: ")
    assert reason in answer["message"]
    assert ecr.holds("app") == 2
