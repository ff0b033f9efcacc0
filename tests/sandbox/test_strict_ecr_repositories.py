"""Repositories in the strict ECR, their tags and policies; faults and hooks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from sandbox.ecr import EcrError, StrictEcr, VirtualClock, enumerations
from tests.support.samples import manifest

ONCE = Config(retries={"total_max_attempts": 1})


def refused(code: str, function: Callable[..., object], *arguments: Any) -> None:
    with pytest.raises(EcrError) as error:
        function(*arguments)
    assert error.value.code == code


@pytest.mark.parametrize("name", ["a", "App", "app-", "-app", "app//x", "app/", "a b", "x" * 257])
def test_create_repository_refuses_names(ecr: StrictEcr, name: str) -> None:
    refused("InvalidParameterException", ecr.call, "CreateRepository", {"repositoryName": name})


@pytest.mark.parametrize("name", ["ab", "team/app", "a.b_c-d/e__f", "x" * 256])
def test_create_repository_takes_names(ecr: StrictEcr, name: str) -> None:
    assert ecr.client().create_repository(repositoryName=name)["repository"]["repositoryName"] == name


def test_create_repository_that_exists(ecr: StrictEcr) -> None:
    ecr.repository("app")
    refused("RepositoryAlreadyExistsException", ecr.call, "CreateRepository", {"repositoryName": "app"})


def test_create_repository_again_has_another_creation_time(ecr: StrictEcr) -> None:
    client = ecr.client()
    first = client.create_repository(repositoryName="app")["repository"]["createdAt"]
    client.delete_repository(repositoryName="app")
    assert client.create_repository(repositoryName="app")["repository"]["createdAt"] > first


def test_create_repository_with_a_key_that_does_not_exist(ecr: StrictEcr) -> None:
    encryption = {"encryptionType": "KMS", "kmsKey": "alias/missing"}
    request = {"repositoryName": "app", "encryptionConfiguration": encryption}
    refused("KmsException", ecr.call, "CreateRepository", request)
    assert ecr.names() == []


@pytest.mark.parametrize("operation", ["DeleteRepository", "DescribeImages", "ListImages", "GetRepositoryPolicy"])
def test_operations_on_a_missing_repository(ecr: StrictEcr, operation: str) -> None:
    refused("RepositoryNotFoundException", ecr.call, operation, {"repositoryName": "app"})


def test_delete_repository_by_force_takes_the_images_along(ecr: StrictEcr) -> None:
    ecr.repository("app").with_images(3)
    refused("RepositoryNotEmptyException", ecr.call, "DeleteRepository", {"repositoryName": "app"})
    ecr.client().delete_repository(repositoryName="app", force=True)
    assert [each.by_force for each in ecr.deletion_log] == [True] * 3


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "aws:x", "Value": "1"}], "InvalidTagParameterException"),
        ([{"Key": "k" * 129, "Value": "1"}], "InvalidTagParameterException"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidTagParameterException"),
        ([{"Key": "k", "Value": "a*"}], "InvalidTagParameterException"),
        ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "InvalidTagParameterException"),
        ([{"Key": f"k{n}", "Value": "v"} for n in range(51)], "TooManyTagsException"),
    ],
)
def test_tag_resource_refuses(ecr: StrictEcr, tags: list[dict[str, str]], code: str) -> None:
    ecr.repository("app", tags={"before": "1"})
    refused(code, ecr.call, "TagResource", {"resourceArn": ecr.arn("app"), "tags": tags})
    assert ecr.repositories["app"].tags == {"before": "1"}


def test_tag_resource_takes_what_is_allowed(ecr: StrictEcr) -> None:
    ecr.repository("app")
    value = "Aa0 +-=._:/@"
    ecr.client().tag_resource(resourceArn=ecr.arn("app"), tags=[{"Key": "k" * 128, "Value": value}])
    assert ecr.repositories["app"].tags == {"k" * 128: value}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Statement": []}', '{"Statement": [{"Effect": "Allow"}]}'])
def test_set_repository_policy_refuses(ecr: StrictEcr, text: str) -> None:
    ecr.repository("app")
    refused("InvalidParameterException", ecr.call, "SetRepositoryPolicy", {"repositoryName": "app", "policyText": text})


def test_set_repository_policy_has_a_limit(ecr: StrictEcr) -> None:
    ecr.repository("app")
    statement = {"Sid": "x" * 10_240, "Effect": "Allow", "Principal": "*", "Action": "ecr:PutImage"}
    request = {"repositoryName": "app", "policyText": json.dumps({"Statement": [statement]})}
    refused("InvalidParameterException", ecr.call, "SetRepositoryPolicy", request)


def deny(ecr: StrictEcr, actions: object, principal: object = "*") -> None:
    statement = {"Effect": "Deny", "Principal": principal, "Action": actions}
    policy = {"repositoryName": "app", "policyText": json.dumps({"Statement": [statement]})}
    ecr.call("SetRepositoryPolicy", policy)


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["*"]}])
@pytest.mark.parametrize("actions", ["ecr:PutImage", ["ecr:ListImages", "ecr:putimage"], "ecr:Put*", ["*"]])
def test_put_image_obeys_an_explicit_deny(ecr: StrictEcr, actions: object, principal: object) -> None:
    ecr.repository("app")
    deny(ecr, actions, principal)
    refused("AccessDeniedException", ecr.call, "PutImage", {"repositoryName": "app", "imageManifest": manifest()})


@pytest.mark.parametrize(
    ("actions", "principal"), [("ecr:PutImageTagMutability", "*"), ("ecr:PutImage", {"AWS": "111122223333"})]
)
def test_put_image_passes_a_deny_of_something_else(ecr: StrictEcr, actions: object, principal: object) -> None:
    ecr.repository("app")
    deny(ecr, actions, principal)
    ecr.call("PutImage", {"repositoryName": "app", "imageManifest": manifest()})
    assert ecr.holds("app") == 1


@pytest.mark.parametrize(
    ("action", "step"),
    [
        ("ecr:InitiateLayerUpload", "begin"),
        ("ecr:UploadLayerPart", "upload"),
        ("ecr:CompleteLayerUpload", "complete"),
        ("ecr:PutImage", "manifest"),
    ],
)
def test_each_step_of_a_push_through_the_registry_obeys_its_own_deny(ecr: StrictEcr, action: str, step: str) -> None:
    ecr.repository("app")
    deny(ecr, action)
    _, began, _ = ecr.handle_registry("POST", "/v2/app/blobs/uploads/", {}, b"", {})
    place = began.get("Location", "/v2/app/blobs/uploads/none")
    digest = f"sha256:{hashlib.sha256(b'layer').hexdigest()}"
    steps = {
        "begin": ("POST", "/v2/app/blobs/uploads/", b"", {}),
        "upload": ("PATCH", place, b"layer", {}),
        "complete": ("PUT", place, b"", {"digest": [digest]}),
        "manifest": ("PUT", "/v2/app/manifests/v1", manifest().encode(), {}),
    }
    for name, (method, path, body, query) in steps.items():
        status, _, content = ecr.handle_registry(method, path, {}, body, query)
        assert (status == 403) == (name == step), (name, status, content)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/", 200),
        ("GET", "/v2/app/tags/list", 200),
        ("POST", "/v2/app/blobs/uploads/", 202),
        ("GET", "/v2/app/manifests/none", 404),
        ("GET", "/v2/none/tags/list", 404),
        ("GET", "/v2/_catalog", 404),
    ],
)
def test_each_answer_of_the_registry_names_its_protocol(ecr: StrictEcr, method: str, path: str, status: int) -> None:
    ecr.repository("app")
    answer, headers, _ = ecr.handle_registry(method, path, {}, b"", {})
    assert (answer, headers.get("Docker-Distribution-Api-Version")) == (status, "registry/2.0")


def test_an_upload_that_is_cancelled_cannot_go_on(ecr: StrictEcr) -> None:
    ecr.repository("app")
    location = ecr.handle_registry("POST", "/v2/app/blobs/uploads/", {}, b"", {})[1]["Location"]
    assert ecr.handle_registry("DELETE", location, {}, b"", {})[0] == 204
    for method in ("PATCH", "PUT", "DELETE"):
        status, _, content = ecr.handle_registry(method, location, {}, b"layer", {})
        assert (status, json.loads(content)["errors"][0]["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_policies_that_are_not_there(ecr: StrictEcr) -> None:
    ecr.repository("app")
    refused("RepositoryPolicyNotFoundException", ecr.call, "GetRepositoryPolicy", {"repositoryName": "app"})
    refused("LifecyclePolicyNotFoundException", ecr.call, "DeleteLifecyclePolicy", {"repositoryName": "app"})


@pytest.mark.parametrize("mutability", ["MUTABLE", "IMMUTABLE_WITH_EXCLUSION"])
def test_put_image_tag_mutability_filters_only_with_exclusion(ecr: StrictEcr, mutability: str) -> None:
    ecr.repository("app")
    filters = [{"filterType": "WILDCARD", "filter": "a*"}] if mutability == "MUTABLE" else []
    request = {
        "repositoryName": "app",
        "imageTagMutability": mutability,
        "imageTagMutabilityExclusionFilters": filters,
    }
    refused("InvalidParameterException", ecr.call, "PutImageTagMutability", request)


ENUMERATIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "imageTagMutability": (
        "PutImageTagMutability",
        {"imageTagMutability": "CHANGEABLE"},
        "[IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]",
    ),
    "imageTagMutabilityExclusionFilters.filterType": (
        "PutImageTagMutability",
        {
            "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filterType": "REGEX", "filter": "a*"}],
        },
        "[WILDCARD]",
    ),
    "filter.tagStatus": ("ListImages", {"filter": {"tagStatus": "SOME"}}, "[TAGGED, UNTAGGED, ANY]"),
    "filter.imageStatus": (
        "DescribeImages",
        {"filter": {"imageStatus": "GONE"}},
        "[ACTIVE, ARCHIVED, ACTIVATING, ANY]",
    ),
}


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_a_value_that_is_in_no_enumeration_is_refused(ecr: StrictEcr, name: str) -> None:
    operation, asked, allowed = ENUMERATIONS[name]
    ecr.repository("app")
    before = ecr.repositories["app"].description()
    with pytest.raises(EcrError) as error:
        ecr.call(operation, {"repositoryName": "app", **asked})
    assert error.value.code == "InvalidParameterException"
    assert error.value.message == (
        f"Invalid parameter at '{name}' failed to satisfy constraint: 'Member must satisfy enum value set: {allowed}'"
    )
    assert ecr.repositories["app"].description() == before


def test_a_storage_class_that_does_not_exist_is_refused(ecr: StrictEcr) -> None:
    digest = ecr.repository("app").push()
    image = {"repositoryName": "app", "imageId": {"imageDigest": digest}, "targetStorageClass": "GLACIER"}
    refused("InvalidParameterException", ecr.call, "UpdateImageStorageClass", image)
    assert ecr.images("app")[0].status == "ACTIVE"


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (enumerations.MUTABILITIES, "ImageTagMutability"),
        (enumerations.EXCLUSION_FILTER_TYPES, "ImageTagMutabilityExclusionFilterType"),
        (enumerations.ENCRYPTION_TYPES, "EncryptionType"),
        (enumerations.TAG_STATUSES, "TagStatus"),
        (enumerations.IMAGE_STATUSES, "ImageStatusFilter"),
        (enumerations.STORAGE_CLASSES, "TargetStorageClass"),
        (enumerations.REPLICATION_FILTER_TYPES, "RepositoryFilterType"),
    ],
)
def test_the_enumerations_are_those_of_the_service_model(ecr: StrictEcr, values: tuple[str, ...], shape: str) -> None:
    assert set(values) == set(ecr.client().meta.service_model.shape_for(shape).enum)  # type: ignore[attr-defined]


@pytest.mark.parametrize("arn", ["app", "arn:aws:ecr:eu-west-1:123456789012:app", "arn:aws:s3:::app"])
def test_list_tags_for_resource_refuses_what_is_no_arn_of_a_repository(ecr: StrictEcr, arn: str) -> None:
    with pytest.raises(EcrError) as error:
        ecr.call("ListTagsForResource", {"resourceArn": arn})
    assert error.value.code == "InvalidParameterException"
    assert error.value.message == "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'"


@pytest.mark.parametrize(
    ("operation", "asked"), [("CreateRepository", {"repositoryName": "new"}), ("DescribeRepositories", {})]
)
def test_the_registry_of_another_account_is_closed(ecr: StrictEcr, operation: str, asked: dict[str, str]) -> None:
    ecr.repository("app")
    with pytest.raises(EcrError, match=f"not authorized to perform: ecr:{operation} on .*:210987654321:") as error:
        ecr.call(operation, {**asked, "registryId": "210987654321"})
    assert error.value.code == "AccessDeniedException"
    assert ecr.names() == ["app"]


def test_describe_repositories_finds_none_in_another_account(ecr: StrictEcr) -> None:
    ecr.repository("app")
    asked = {"repositoryNames": ["app"], "registryId": "210987654321"}
    refused("RepositoryNotFoundException", ecr.call, "DescribeRepositories", asked)


# Faults


def test_latency_takes_the_clocks_time(ecr: StrictEcr, clock: VirtualClock) -> None:
    ecr.faults.latency = {"*": 0.5, "DescribeRepositories": 2.0}
    began = clock.monotonic()
    ecr.client().describe_repositories()
    assert clock.monotonic() - began == 2.0


def test_throttle_lets_a_burst_and_then_a_rate_through(ecr: StrictEcr, clock: VirtualClock) -> None:
    ecr.faults.throttle(rate=2.0, burst=3)
    client = ecr.client(config=ONCE)
    answered = throttled = 0
    for _ in range(100):
        try:
            client.describe_repositories()
            answered += 1
        except client.exceptions.ClientError:
            throttled += 1
        clock.advance(0.1)
    assert answered == 3 + 19
    assert [call.error for call in ecr.call_log].count("ThrottlingException") == throttled


def test_server_errors_every_nth(ecr: StrictEcr) -> None:
    ecr.faults.server_errors(3)
    client = ecr.client(config=ONCE)
    client.describe_repositories()
    client.describe_repositories()
    with pytest.raises(ClientError, match="ServerException"):
        client.describe_repositories()


@pytest.mark.parametrize(
    ("fault", "error", "names"),
    [
        ("drop_before", ConnectionClosedError, []),
        ("drop_after", ConnectionClosedError, ["app"]),
        ("slow", ReadTimeoutError, ["app"]),
    ],
)
def test_connections_that_fail(ecr: StrictEcr, fault: str, error: type[Exception], names: list[str]) -> None:
    getattr(ecr.faults, fault)("CreateRepository")
    with pytest.raises(error):
        ecr.client(config=ONCE).create_repository(repositoryName="app")
    assert ecr.names() == names


def test_create_repository_with_tags_needs_the_permission_to_tag(ecr: StrictEcr) -> None:
    ecr.faults.deny.add("ecr:TagResource")
    with pytest.raises(ClientError, match="not authorized to perform: ecr:TagResource"):
        ecr.client().create_repository(repositoryName="app", tags=[{"Key": "a", "Value": "1"}])
    assert ecr.names() == []
    ecr.client().create_repository(repositoryName="app")


def test_denied_actions_are_named(ecr: StrictEcr) -> None:
    ecr.faults.deny.add("ecr:DescribeRepositories")
    with pytest.raises(
        ClientError, match="is not authorized to perform: ecr:DescribeRepositories on resource: arn:aws:"
    ):
        ecr.client().describe_repositories()


def test_hooks_run_before_and_after_the_nth_call(ecr: StrictEcr) -> None:
    seen: list[str] = []
    ecr.before("DescribeRepositories", lambda _: seen.append("before the second"), nth=2)
    ecr.after("DescribeRepositories", lambda _: seen.append("after each"), nth=None)
    for _ in range(3):
        ecr.client().describe_repositories()
    assert seen == ["after each", "before the second", "after each", "after each"]
    assert ecr.calls == {"DescribeRepositories": 3}
