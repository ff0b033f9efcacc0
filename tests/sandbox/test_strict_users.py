"""The strict Lambda, ECS and Inspector: pages, quotas, and what they refuse, as the real ones do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.ecr import VirtualClock
from sandbox.workloads import StrictEcs, StrictInspector, StrictLambda
from sandbox.workloads.wire import make_client

ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def functions(clock: VirtualClock) -> StrictLambda:
    return StrictLambda(clock=clock)


@pytest.fixture
def containers(clock: VirtualClock) -> StrictEcs:
    return StrictEcs(clock=clock)


@pytest.fixture
def inspector(clock: VirtualClock) -> StrictInspector:
    return StrictInspector(clock=clock)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def refused_as(call: Any) -> tuple[str, int] | None:
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


def test_lambda_answers_fifty_versions_a_page_however_many_are_asked_for(functions: StrictLambda) -> None:
    for number in range(60):
        functions.add(f"f{number:02}", f"{URI}:v1")
        functions.add(f"f{number:02}", f"{URI}:v1", version="1")
    client = make_client(functions, config=ONCE)
    pages = [client.list_functions(FunctionVersion="ALL", MaxItems=1_000)]
    while marker := pages[-1].get("NextMarker"):
        pages.append(client.list_functions(FunctionVersion="ALL", MaxItems=1_000, Marker=marker))
    assert [len(each["Functions"]) for each in pages] == [50, 50, 20]
    named = [(each["FunctionName"], each["Version"]) for page in pages for each in page["Functions"]]
    assert len(set(named)) == 120
    assert len(client.list_functions(MaxItems=10)["Functions"]) == 10  # $LATEST alone
    assert {each["Version"] for each in client.list_functions()["Functions"]} == {"$LATEST"}


def test_lambda_tells_the_image_only_when_asked_for_one_function(functions: StrictLambda) -> None:
    functions.add("checkout", f"{URI}:v1", f"{URI}@{DIGEST}")
    functions.add("zip")
    client = make_client(functions, config=ONCE)
    assert "Code" not in client.list_functions()["Functions"][0]
    code = client.get_function(FunctionName="checkout", Qualifier="$LATEST")["Code"]
    assert (code["ImageUri"], code["ResolvedImageUri"]) == (f"{URI}:v1", f"{URI}@{DIGEST}")
    assert client.get_function(FunctionName="zip")["Code"]["RepositoryType"] == "S3"
    with pytest.raises(ClientError) as refused:
        client.get_function(FunctionName="checkout", Qualifier="7")
    assert code_of(refused) == "ResourceNotFoundException"


def test_lambda_allows_15_lists_and_100_functions_a_second(functions: StrictLambda, clock: VirtualClock) -> None:
    functions.add("checkout", f"{URI}:v1")
    client = make_client(functions, config=ONCE)

    def until_throttled(call: Any) -> int:
        for answered in range(200):
            refusal = refused_as(call)
            if refusal:
                assert refusal == ("TooManyRequestsException", 429)
                return answered
        return 200

    assert until_throttled(client.list_functions) == 15
    assert until_throttled(lambda: client.get_function(FunctionName="checkout")) == 100
    clock.advance(1)
    assert until_throttled(client.list_functions) == 15


def test_lambda_refuses_a_marker_that_it_did_not_give(functions: StrictLambda) -> None:
    with pytest.raises(ClientError) as refused:
        make_client(functions, config=ONCE).list_functions(Marker="made-up")
    assert code_of(refused) == "InvalidParameterValueException"


def test_ecs_lists_in_pages_and_describes_so_many_a_call(containers: StrictEcs) -> None:
    client = make_client(containers, config=ONCE)
    definition = containers.add_task_definition("web", f"{URI}:v1")
    for number in range(12):
        containers.add_service("prod", f"s{number:02}", definition)
    assert len(client.list_services(cluster="prod")["serviceArns"]) == 10
    page = client.list_services(cluster="prod", maxResults=7)
    rest = client.list_services(cluster="prod", maxResults=7, nextToken=page["nextToken"])
    arns = [*page["serviceArns"], *rest["serviceArns"]]
    assert len(arns) == 12
    with pytest.raises(ClientError) as refused:
        client.describe_services(cluster="prod", services=arns)
    assert code_of(refused) == "InvalidParameterException"
    found = client.describe_services(cluster="prod", services=[arns[0], "gone"])
    assert [each["serviceName"] for each in found["services"]] == ["s00"]
    assert [each["reason"] for each in found["failures"]] == ["MISSING"]
    with pytest.raises(ClientError) as refused:
        client.describe_tasks(cluster="prod", tasks=[])
    assert code_of(refused) == "InvalidParameterException"
    assert client.describe_task_definition(taskDefinition="web")["taskDefinition"]["revision"] == 1
    with pytest.raises(ClientError) as refused:
        client.describe_task_definition(taskDefinition="web:2")
    assert code_of(refused) == "ClientException"


def test_ecs_lists_the_tasks_of_one_cluster_that_are_to_run(containers: StrictEcs) -> None:
    containers.add_task("prod", f"{URI}:v1", DIGEST)
    containers.add_task("prod", f"{URI}:v1", DIGEST)["desiredStatus"] = "STOPPED"
    containers.add_task("test", f"{URI}:v1", DIGEST)
    client = make_client(containers, config=ONCE)
    assert len(client.list_clusters()["clusterArns"]) == 2
    [arn] = client.list_tasks(cluster="prod")["taskArns"]
    [task] = client.describe_tasks(cluster="prod", tasks=[arn])["tasks"]
    assert task["containers"][0]["imageDigest"] == DIGEST
    for call in (client.list_tasks, client.list_services):
        with pytest.raises(ClientError) as refused:
            call(cluster="gone")
        assert code_of(refused) == "ClusterNotFoundException"


def test_inspector_answers_what_fits_the_filter(inspector: StrictInspector) -> None:
    inspector.cover("app")
    inspector.count("app", DIGEST, 2)
    inspector.count("app", DIGEST, 2, account="999999999999")
    inspector.cover("other")
    client = make_client(inspector, config=ONCE)
    criteria: Any = {
        "ecrRepositoryName": [{"comparison": "EQUALS", "value": "app"}],
        "accountId": [{"comparison": "EQUALS", "value": "123456789012"}],
    }
    first = client.list_coverage(filterCriteria=criteria, maxResults=1)
    second = client.list_coverage(filterCriteria=criteria, maxResults=1, nextToken=first["nextToken"])
    found = [*first["coveredResources"], *second["coveredResources"]]
    assert [each["resourceType"] for each in found] == ["AWS_ECR_REPOSITORY", "AWS_ECR_CONTAINER_IMAGE"]
    assert found[1]["resourceMetadata"]["ecrImage"]["inUseCount"] == 2
    assert "nextToken" not in second


def test_inspector_refuses_where_it_is_off(inspector: StrictInspector) -> None:
    inspector.is_enabled = lambda: False
    with pytest.raises(ClientError) as refused:
        make_client(inspector, config=ONCE).list_coverage()
    assert code_of(refused) == "AccessDeniedException"
    assert "not authorized to perform" not in refused.value.response["Error"]["Message"]
