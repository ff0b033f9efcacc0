"""Functions, tasks and services in the sandbox use images as on AWS: by digest, whatever their tags name later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository.deletion.asking import what_would_delete_do
from awstut_ecr_autopurgerepository.deletion.verdict import Answer, Outcome
from awstut_ecr_autopurgerepository.pacing import ThreadPool
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.settings import Owner
from sandbox.environment import ACCOUNT
from sandbox.server import Sandbox, start_sandbox
from tests.support.stack import ROLE_OF_FUNCTIONS, unique_name


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start_sandbox() as started:
        yield started


@pytest.fixture
def image(box: Sandbox) -> tuple[str, str]:
    """The URI of a repository with the tags v1 and v2, and the digest of v1."""
    name = unique_name("app")
    box.control.seed(name, ("with_images", {"count": 2}))
    described = box.client("ecr").describe_images(repositoryName=name)["imageDetails"]
    [digest] = [each["imageDigest"] for each in described if "v1" in each.get("imageTags", ())]
    uri = box.client("ecr").describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryUri"]
    return uri, digest


def move_tag(box: Sandbox, uri: str, tag: str, to: str) -> None:
    """Let a tag name the image that another tag names."""
    name, client = uri.partition("/")[2], box.client("ecr")
    [found] = client.batch_get_image(repositoryName=name, imageIds=[{"imageTag": to}])["images"]
    client.put_image(repositoryName=name, imageManifest=found["imageManifest"], imageTag=tag)


def code(box: Sandbox, name: str, **more: Any) -> dict[str, str]:
    found: dict[str, str] = box.client("lambda").get_function(FunctionName=name, **more)["Code"]
    return found


def test_a_function_keeps_the_digest_that_its_tag_named_when_it_was_made(box: Sandbox, image: tuple[str, str]) -> None:
    (uri, digest), name, client = image, unique_name("function"), box.client("lambda")
    given: dict[str, Any] = {"PackageType": "Image", "Code": {"ImageUri": f"{uri}:v1"}, "Role": ROLE_OF_FUNCTIONS}
    client.create_function(FunctionName=name, **given)
    client.publish_version(FunctionName=name)
    move_tag(box, uri, "v1", to="v2")
    assert code(box, name)["ResolvedImageUri"] == f"{uri}@{digest}"
    assert code(box, name, Qualifier="1")["ResolvedImageUri"] == f"{uri}@{digest}"
    client.update_function_code(FunctionName=name, ImageUri=f"{uri}:v1")
    assert code(box, name)["ResolvedImageUri"] != f"{uri}@{digest}"
    assert code(box, name, Qualifier="1")["ResolvedImageUri"] == f"{uri}@{digest}"
    listed = client.list_functions(FunctionVersion="ALL")["Functions"]
    assert {each["Version"] for each in listed if each["FunctionName"] == name} == {"$LATEST", "1"}


def test_a_function_whose_image_does_not_exist_is_refused(box: Sandbox, image: tuple[str, str]) -> None:
    given: dict[str, Any] = {
        "PackageType": "Image",
        "Code": {"ImageUri": f"{image[0]}:gone"},
        "Role": ROLE_OF_FUNCTIONS,
    }
    with pytest.raises(ClientError, match=r"Source image .* does not exist"):
        box.client("lambda").create_function(FunctionName=unique_name("function"), **given)


def test_a_task_keeps_the_digest_that_its_tag_named_when_it_began(box: Sandbox, image: tuple[str, str]) -> None:
    (uri, digest), client = image, box.client("ecs")
    family, cluster = unique_name("job"), unique_name("cluster")
    client.create_cluster(clusterName=cluster)
    client.register_task_definition(
        family=family, containerDefinitions=[{"name": "job", "image": f"{uri}:v1", "memory": 128}]
    )
    client.run_task(cluster=cluster, taskDefinition=family)
    client.create_service(cluster=cluster, serviceName="web", taskDefinition=family, desiredCount=0)
    move_tag(box, uri, "v1", to="v2")
    [arn] = client.list_tasks(cluster=cluster)["taskArns"]
    [task] = client.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]
    assert task["containers"][0]["imageDigest"] == digest
    [service] = client.list_services(cluster=cluster)["serviceArns"]
    [described] = client.describe_services(cluster=cluster, services=[service])["services"]
    definition = client.describe_task_definition(taskDefinition=described["taskDefinition"])["taskDefinition"]
    assert definition["containerDefinitions"][0]["image"] == f"{uri}:v1"
    client.stop_task(cluster=cluster, task=arn)
    assert client.list_tasks(cluster=cluster)["taskArns"] == []


def test_inspector_counts_containers_once_it_is_on(box: Sandbox, image: tuple[str, str]) -> None:
    (uri, digest), client = image, box.client("inspector2")
    name = uri.partition("/")[2]
    criteria: Any = {"ecrRepositoryName": [{"comparison": "EQUALS", "value": name}]}
    with pytest.raises(ClientError, match="does not have access"):
        client.list_coverage(filterCriteria=criteria)
    client.enable(resourceTypes=["ECR"])
    box.control.use_in_pods(name, digest, 3)
    found = client.list_coverage(filterCriteria=criteria)["coveredResources"]
    counts = {
        each["resourceId"].rpartition("/")[2]: each["resourceMetadata"]["ecrImage"]["inUseCount"]
        for each in found
        if each["resourceType"] == "AWS_ECR_CONTAINER_IMAGE"
    }
    assert counts.pop(digest) == 3
    assert set(counts.values()) == {0}
    assert box.control.calls_of_users()["ListCoverage"] == 2


def test_faults_of_the_services_can_be_switched_on(box: Sandbox) -> None:
    box.control.set_faults_of(
        "lambda",
        ("fail_next", {"operation": "ListFunctions", "code": "ServiceException", "message": "no", "status": 500}),
    )
    with pytest.raises(ClientError, match="ServiceException"):
        box.client("lambda").list_functions()
    box.client("lambda").list_functions()


def test_a_delete_finds_a_function_that_was_made_in_the_sandbox(box: Sandbox, image: tuple[str, str]) -> None:
    (uri, digest), function = image, unique_name("function")
    name, ecr = uri.partition("/")[2], box.client("ecr")
    arn = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryArn"]
    tags = {"awstut:auto-purge": "on protect-in-use", "awstut:protect-in-use": "lambda ecs"}
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    given: dict[str, Any] = {"PackageType": "Image", "Code": {"ImageUri": f"{uri}:v1"}, "Role": ROLE_OF_FUNCTIONS}
    box.client("lambda").create_function(FunctionName=function, **given)
    move_tag(box, uri, "v1", to="v2")
    with ThreadPool(4) as pool:

        def ask() -> Answer:
            make_s3 = partial(box.client, "s3")
            return what_would_delete_do(ecr, name, Owner(), AccountRules(), ACCOUNT, time, pool, make_s3, box.client)

        refused = ask()
        assert refused.outcome is Outcome.REFUSE
        assert f"{digest[:19]} by the Lambda function {function}" in str(refused.refusal)
        box.client("lambda").delete_function(FunctionName=function)
        assert ask().outcome is Outcome.PURGE
