"""ECS, as far as it tells which images tasks and services use, with its limits and the errors for missing clusters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sandbox.ecr import paging
from sandbox.ecr.errors import EcrError
from sandbox.workloads.service import Operation, Parameters, Workloads

LARGEST_PAGE = 100
MOST_TASKS, MOST_SERVICES = 100, 10
DEFAULT_PAGES = {"ListClusters": 100, "ListTasks": 100, "ListServices": 10}


@dataclass
class Containers:
    """Records in the shapes of ECS: clusters, tasks, services and task definitions."""

    clusters: list[Parameters] = field(default_factory=list)
    tasks: list[Parameters] = field(default_factory=list)
    services: list[Parameters] = field(default_factory=list)
    task_definitions: list[Parameters] = field(default_factory=list)


class StrictEcs(Workloads):
    """Clusters and what is in them. ``source`` gives all of it; by default what was added."""

    action_prefix: ClassVar[str] = "ecs"

    def __init__(self, *place: Any, **more: Any) -> None:
        super().__init__(*place, **more)
        self.containers = Containers()
        self.source: Callable[[], Containers] = lambda: self.containers
        self.quotas = {"*": self.quota(20, 50)}
        self._numbers = itertools.count(1)

    def operations(self) -> dict[str, Operation]:
        return {
            "ListClusters": self._list_clusters,
            "ListTasks": self._list_tasks,
            "DescribeTasks": self._describe_tasks,
            "ListServices": self._list_services,
            "DescribeServices": self._describe_services,
            "DescribeTaskDefinition": self._describe_task_definition,
        }

    # What is there

    def add_cluster(self, name: str) -> str:
        """A cluster, if there is none of that name. Returns its ARN."""
        arn = self._arn(f"cluster/{name}")
        if all(each["clusterArn"] != arn for each in self.containers.clusters):
            self.containers.clusters.append({"clusterArn": arn, "clusterName": name, "status": "ACTIVE"})
        return arn

    def add_task_definition(self, family: str, *images: str) -> str:
        """One more revision. Returns its ARN."""
        revision = 1 + sum(each["family"] == family for each in self.containers.task_definitions)
        arn = self._arn(f"task-definition/{family}:{revision}")
        containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
        record = {"taskDefinitionArn": arn, "family": family, "revision": revision, "containerDefinitions": containers}
        self.containers.task_definitions.append(record)
        return arn

    def add_service(self, cluster: str, name: str, task_definition: str, **more: Any) -> Parameters:
        """A service without tasks. Returns its record, which can be changed."""
        record = {
            "serviceArn": self._arn(f"service/{cluster}/{name}"),
            "serviceName": name,
            "clusterArn": self.add_cluster(cluster),
            "status": "ACTIVE",
            "taskDefinition": task_definition,
            "deployments": [{"status": "PRIMARY", "taskDefinition": task_definition}],
            **more,
        }
        self.containers.services.append(record)
        return record

    def add_task(self, cluster: str, image: str, digest: str | None = None, group: str = "family:job") -> Parameters:
        """A running task of one container; without digest, its image is not pulled yet. Returns its record."""
        container = {"name": "c", "image": image, **({"imageDigest": digest} if digest else {})}
        record = {
            "taskArn": self._arn(f"task/{cluster}/{next(self._numbers):032x}"),
            "clusterArn": self.add_cluster(cluster),
            "taskDefinitionArn": self._arn(f"task-definition/{group.partition(':')[2]}:1"),
            "group": group,
            "desiredStatus": "RUNNING",
            "containers": [container],
        }
        self.containers.tasks.append(record)
        return record

    def _arn(self, resource: str) -> str:
        return f"arn:aws:ecs:{self.region}:{self.account}:{resource}"

    # What clients ask

    def _list_clusters(self, parameters: Parameters) -> Parameters:
        return self._page(
            "ListClusters", parameters, (each["clusterArn"] for each in self.source().clusters), "clusterArns"
        )

    def _list_tasks(self, parameters: Parameters) -> Parameters:
        cluster, wanted = self._cluster(parameters), parameters.get("desiredStatus", "RUNNING")
        tasks = (
            each["taskArn"]
            for each in self.source().tasks
            if each["clusterArn"] == cluster and each["desiredStatus"] == wanted
        )
        return self._page("ListTasks", parameters, tasks, "taskArns")

    def _list_services(self, parameters: Parameters) -> Parameters:
        cluster = self._cluster(parameters)
        services = (each["serviceArn"] for each in self.source().services if each["clusterArn"] == cluster)
        return self._page("ListServices", parameters, services, "serviceArns")

    def _describe_tasks(self, parameters: Parameters) -> Parameters:
        return self._described(parameters, "tasks", self.source().tasks, "taskArn", MOST_TASKS)

    def _describe_services(self, parameters: Parameters) -> Parameters:
        return self._described(parameters, "services", self.source().services, "serviceArn", MOST_SERVICES)

    def _describe_task_definition(self, parameters: Parameters) -> Parameters:
        asked = parameters["taskDefinition"].rpartition("/")[2]
        family, _, revision = asked.partition(":")
        revisions = [each for each in self.source().task_definitions if each["family"] == family]
        found = [each for each in revisions if not revision or str(each["revision"]) == revision]
        if not found:
            raise EcrError("ClientException", "Unable to describe task definition.")
        return {"taskDefinition": found[-1]}

    def _page(self, operation: str, parameters: Parameters, arns: Iterable[str], key: str) -> Parameters:
        size = parameters.get("maxResults", DEFAULT_PAGES[operation])
        if not 1 <= size <= LARGEST_PAGE:
            raise EcrError("InvalidParameterException", f"maxResults must be between 1 and {LARGEST_PAGE}.")
        scope = f"{operation} {parameters.get('cluster')}"
        after = paging.place(scope, parameters)
        rest = sorted(arn for arn in arns if after is None or arn > after)
        page, token = paging.cut(rest, size, scope, lambda arn: arn)
        return {key: page, **({"nextToken": token} if token else {})}

    def _described(
        self, parameters: Parameters, kind: str, records: list[Parameters], key: str, most: int
    ) -> Parameters:
        cluster, asked = self._cluster(parameters), parameters[kind]
        if not asked:
            raise EcrError("InvalidParameterException", f"{kind.title()} can not be empty.")
        if len(asked) > most:
            raise EcrError("InvalidParameterException", f"{kind.title()} can not have more than {most} elements.")
        here = {each[key]: each for each in records if each["clusterArn"] == cluster}
        by_name = {arn.rpartition("/")[2]: each for arn, each in here.items()}
        found = [(name, here.get(name) or by_name.get(name)) for name in asked]
        failures = [{"arn": name, "reason": "MISSING"} for name, record in found if record is None]
        return {kind: [record for _, record in found if record is not None], "failures": failures}

    def _cluster(self, parameters: Parameters) -> str:
        asked = parameters.get("cluster", "default")
        for each in self.source().clusters:
            if asked in (each["clusterArn"], each["clusterName"]) and each.get("status", "ACTIVE") == "ACTIVE":
                arn: str = each["clusterArn"]
                return arn
        raise EcrError("ClusterNotFoundException", "Cluster not found.")
