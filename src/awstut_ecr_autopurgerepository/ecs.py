"""The calls of ECS that find images in use: one function for each, one request for each call of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

MOST_PER_SECOND = 10  # of the 20 that an account may sustain, by ECS's documentation on throttling
NAMES_PER_PAGE = 100  # the most that the List calls answer
TASKS_PER_CALL = 100  # the most that DescribeTasks takes
SERVICES_PER_CALL = 10  # the most that DescribeServices takes


class Ecs(Protocol):
    """What is used of botocore's client of ECS."""

    def list_clusters(self, **request: Any) -> Mapping[str, Any]: ...

    def list_tasks(self, **request: Any) -> Mapping[str, Any]: ...

    def describe_tasks(self, **request: Any) -> Mapping[str, Any]: ...

    def list_services(self, **request: Any) -> Mapping[str, Any]: ...

    def describe_services(self, **request: Any) -> Mapping[str, Any]: ...

    def describe_task_definition(self, **request: Any) -> Mapping[str, Any]: ...


def list_clusters(client: Ecs, token: str) -> Mapping[str, Any]:
    """A page of the Region's clusters."""
    return client.list_clusters(**_page(token))


def list_tasks(client: Ecs, cluster: str, token: str) -> Mapping[str, Any]:
    """A page of a cluster's tasks that run, or are about to."""
    return client.list_tasks(cluster=cluster, desiredStatus="RUNNING", **_page(token))


def describe_tasks(client: Ecs, cluster: str, tasks: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Up to TASKS_PER_CALL tasks of a cluster; those that are gone are left out."""
    found: Sequence[Mapping[str, Any]] = client.describe_tasks(cluster=cluster, tasks=list(tasks))["tasks"]
    return found


def list_services(client: Ecs, cluster: str, token: str) -> Mapping[str, Any]:
    """A page of a cluster's services."""
    return client.list_services(cluster=cluster, **_page(token))


def describe_services(client: Ecs, cluster: str, services: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Up to SERVICES_PER_CALL services of a cluster; those that are gone are left out."""
    found: Sequence[Mapping[str, Any]] = client.describe_services(cluster=cluster, services=list(services))["services"]
    return found


def describe_task_definition(client: Ecs, arn: str) -> Mapping[str, Any]:
    """One revision of a task definition."""
    found: Mapping[str, Any] = client.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    return found


def _page(token: str) -> dict[str, Any]:
    return {"maxResults": NAMES_PER_PAGE, **({"nextToken": token} if token else {})}
