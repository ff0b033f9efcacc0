"""The ways to a strict ECR answer alike: botocore in process, botocore over HTTP, and the quick one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from botocore.session import Session

from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.ecr.http import serve
from tests.support.direct_client import direct_client
from tests.support.strict import MARKED

Json = dict[str, Any]
ONCE: dict[str, Any] = {"retries": {"mode": "standard", "total_max_attempts": 1}}


@contextmanager
def over_http(ecr: StrictEcr) -> Iterator[Any]:

    with serve(ecr) as url:
        client = Session().create_client(
            "ecr",
            region_name=ecr.region,
            endpoint_url=url,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(proxies={}, **ONCE),
        )
        yield client
        client.close()


@contextmanager
def directly(ecr: StrictEcr) -> Iterator[Any]:
    yield direct_client(ecr)


def in_process(ecr: StrictEcr) -> Any:

    return ecr.client(config=Config(**ONCE))


def filled() -> StrictEcr:
    ecr = StrictEcr(clock=VirtualClock())
    ecr.repository("app", tags=MARKED).with_images(3, pulled_days_ago=2).with_multi_arch(1).with_archived(1)
    return ecr


ARN = filled().arn("app")
DIGESTS = [image.digest for image in filled().images("app")]
REQUESTS: dict[str, Callable[[Any], Any]] = {
    "describe_repositories": lambda client: client.describe_repositories(repositoryNames=["app"]),
    "list_tags": lambda client: client.list_tags_for_resource(resourceArn=ARN),
    "describe_images": lambda client: client.describe_images(
        repositoryName="app", maxResults=4, filter={"imageStatus": "ANY"}
    ),
    "delete": lambda client: client.batch_delete_image(
        repositoryName="app", imageIds=[{"imageDigest": each} for each in DIGESTS]
    ),
    "a missing repository": lambda client: client.describe_images(repositoryName="other"),
    "a repository that is not empty": lambda client: client.delete_repository(repositoryName="app"),
}


def outcome(request: Callable[[Any], Json], client: Any) -> object:
    try:
        answer = request(client)
    except ClientError as error:
        return error.operation_name, error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


@pytest.mark.parametrize("way", [over_http, directly])
@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_client_answers_as_botocore_in_process(way: Callable[..., Any], request_name: str) -> None:
    with way(filled()) as client:
        assert outcome(REQUESTS[request_name], client) == outcome(REQUESTS[request_name], in_process(filled()))


@pytest.mark.parametrize("way", [over_http, directly])
@pytest.mark.parametrize(("fault", "left"), [("drop_before", 6), ("drop_after", 5)])
def test_a_client_loses_its_connection_before_or_after_the_work(way: Callable[..., Any], fault: str, left: int) -> None:
    ecr = filled()
    getattr(ecr.faults, fault)("BatchDeleteImage")
    with way(ecr) as client, pytest.raises((ConnectionClosedError, HTTPClientError)):
        client.batch_delete_image(repositoryName="app", imageIds=[{"imageDigest": DIGESTS[0]}])
    assert ecr.holds("app") == left + 1


@pytest.mark.parametrize("way", [over_http, directly])
def test_a_client_gets_a_500(way: Callable[..., Any]) -> None:
    ecr = filled()
    ecr.faults.server_errors(1)
    with way(ecr) as client, pytest.raises(ClientError) as raised:
        client.describe_images(repositoryName="app")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_a_direct_client_knows_no_operation_that_ecr_lacks() -> None:
    with pytest.raises(AttributeError):
        direct_client(filled()).describe_everything  # type: ignore[attr-defined] # noqa: B018
