"""Which image a URI names, and who uses it: rules/in_use.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies

from awstut_ecr_autopurgerepository.rules.in_use import (
    Address,
    ImagesInUse,
    Reference,
    image_id,
    of_coverage,
    of_function,
    of_task,
    of_task_definition,
    task_definitions_of,
)
from awstut_ecr_autopurgerepository.rules.reserved_tags import read_tags, write_tags
from awstut_ecr_autopurgerepository.rules.settings import Settings

ARN = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app"
REPOSITORY = Address.of(ARN, URI)
DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"

NAMED = {
    f"{URI}:v1": {"imageTag": "v1"},
    URI: {"imageTag": "latest"},
    f"{URI}@{DIGEST}": {"imageDigest": DIGEST},
    f"{URI}:v1@{DIGEST}": {"imageDigest": DIGEST},
    f"123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com/team/app@{DIGEST}": {"imageDigest": DIGEST},
    "123456789012.dkr-ecr.eu-west-1.on.aws/team/app:v1": {"imageTag": "v1"},
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn/team/app:v1": {"imageTag": "v1"},
    "123456789012.DKR.ECR.EU-WEST-1.amazonaws.com/team/app:v1": {"imageTag": "v1"},
}
NOT_OURS = {
    "another account": "999999999999.dkr.ecr.eu-west-1.amazonaws.com/team/app:v1",
    "another Region": "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app:v1",
    "another repository": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app2:v1",
    "a repository below": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app/web:v1",
    "a repository above": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team:v1",
    "Docker Hub": "team/app:v1",
    "one word": "app",
    "the public gallery": "public.ecr.aws/team/app:v1",
    "a registry with a port": "localhost:5000/team/app:v1",
    "a host that begins as ours": "123456789012.dkr.ecr.eu-west-1/team/app:v1",
    "nothing": "",
    "a digest that is none": f"{URI}@sha256:abc",
    "a tag that is none": f"{URI}:-v1",
}


@pytest.mark.parametrize("uri", NAMED)
def test_a_uri_names_an_image_by_digest_or_tag(uri: str) -> None:
    assert image_id(uri, REPOSITORY) == NAMED[uri]


@pytest.mark.parametrize("case", NOT_OURS)
def test_what_is_not_of_this_repository_names_no_image_of_it(case: str) -> None:
    assert image_id(NOT_OURS[case], REPOSITORY) is None


def test_the_uri_that_ecr_answers_counts_whatever_it_is() -> None:
    local = Address.of(ARN, "127.0.0.1:4566/team/app")
    assert image_id("127.0.0.1:4566/team/app:v1", local) == {"imageTag": "v1"}
    assert image_id("127.0.0.1:4567/team/app:v1", local) is None


@given(strategies.text(max_size=200))
def test_a_text_at_random_names_no_image_of_it(uri: str) -> None:
    assert image_id(uri, REPOSITORY) is None


def test_a_function_uses_what_was_resolved_and_what_its_tag_names_now() -> None:
    code = {"ImageUri": f"{URI}:v1", "ResolvedImageUri": f"{URI}@{DIGEST}"}
    found = list(of_function({"FunctionName": "checkout", "Version": "7"}, code))
    assert found == [
        Reference("the Lambda function checkout:7", f"{URI}@{DIGEST}"),
        Reference("the Lambda function checkout:7", f"{URI}:v1"),
    ]
    assert list(of_function({"FunctionName": "checkout", "Version": "$LATEST"}, {"ImageUri": URI})) == [
        Reference("the Lambda function checkout", URI)
    ]
    assert list(of_function({"FunctionName": "gone"}, {})) == []


def test_a_task_uses_what_it_pulled_or_will_pull() -> None:
    task = {
        "group": "service:web",
        "containers": [{"image": f"{URI}:v1", "imageDigest": DIGEST}, {"image": f"{URI}:v2"}, {"name": "no image"}],
    }
    user = "the ECS service web in cluster prod"
    cluster = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"
    assert [(each.user, image_id(each.uri, REPOSITORY)) for each in of_task(task, cluster)] == [
        (user, {"imageDigest": DIGEST}),
        (user, {"imageTag": "v2"}),
    ]
    alone = {
        "group": "family:job",
        "taskDefinitionArn": "arn:x:task-definition/job:3",
        "containers": task["containers"],
    }
    assert next(of_task(alone, cluster)).user == "the ECS task job:3 in cluster prod"
    pinned = {"containers": [{"image": f"{URI}:v1@{OTHER}", "imageDigest": DIGEST}]}
    assert image_id(next(of_task(pinned, cluster)).uri, REPOSITORY) == {"imageDigest": DIGEST}


def test_a_service_uses_all_task_definitions_that_it_starts_tasks_from() -> None:
    service: dict[str, Any] = {
        "status": "ACTIVE",
        "taskDefinition": "web:2",
        "deployments": [{"taskDefinition": "web:2"}, {"taskDefinition": "web:1"}],
        "taskSets": [{"taskDefinition": "web:3"}],
    }
    assert task_definitions_of(service) == ["web:2", "web:1", "web:3"]
    assert task_definitions_of({**service, "status": "INACTIVE"}) == []
    definition = {"containerDefinitions": [{"image": URI}, {"name": "none"}]}
    assert list(of_task_definition(definition, "the user")) == [Reference("the user", URI)]


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ({"inUseCount": 1}, "1 container in ECS or EKS"),
        ({"inUseCount": 1200}, "1,200 containers in ECS or EKS"),
        ({"inUseCount": 0, "lastInUseAt": "2026-11-01"}, None),
        ({"lastInUseAt": "2026-11-01"}, "a container in ECS or EKS"),
        ({}, None),
    ],
)
def test_what_inspector_counts_is_use(image: dict[str, Any], user: str | None) -> None:
    resource = {"resourceId": f"{ARN}/{DIGEST}", "resourceMetadata": {"ecrImage": image}}
    found = list(of_coverage(resource, REPOSITORY))
    assert found == ([Reference(user, f"{URI}@{DIGEST}")] if user else [])


def test_images_in_use_are_named_with_their_users() -> None:
    found = ImagesInUse()
    assert not found
    for user in ("the first", "the second", "the second", "the third"):
        found.add({"imageDigest": DIGEST, "imageTags": ["v1.4", "x"]}, user, "LAMBDA")
    found.add({"imageDigest": OTHER}, "a task", "ECS")
    assert found
    assert found.samples({"LAMBDA", "ECS"}) == [
        f"v1.4 ({DIGEST[:19]}) by the first, the second and 1 more",
        f"{OTHER[:19]} by a task",
    ]
    assert found.samples({"ECS"}) == [f"{OTHER[:19]} by a task"]
    assert found.services() == {"LAMBDA", "ECS"}


# The tag


def test_services_are_kept_in_a_tag_that_the_mark_names() -> None:
    tags = write_tags(Settings(in_use_by=("LAMBDA", "INSPECTOR")))
    assert tags == {"awstut:auto-purge": "on protect-in-use", "awstut:protect-in-use": "lambda inspector"}
    assert read_tags(tags).settings.in_use_by == ("LAMBDA", "INSPECTOR")


@pytest.mark.parametrize("value", ["", "eks", "lambda eks", "lambda,ecs"])
def test_a_tag_with_an_unknown_service_is_unreadable_and_asks_those_that_are_known(value: str) -> None:
    stored = read_tags({"awstut:auto-purge": "on protect-in-use", "awstut:protect-in-use": value})
    assert stored.unreadable == ("awstut:protect-in-use",)
    assert set(stored.settings.in_use_by) <= {"LAMBDA"}


def test_a_missing_tag_that_the_mark_names_is_unreadable() -> None:
    assert read_tags({"awstut:auto-purge": "on protect-in-use"}).unreadable == ("awstut:protect-in-use",)
