"""Asks ECS which images running tasks and services use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from ... import ecs as calls
from ...errors import service_code
from ...pacing import until_answered
from ...rules.in_use import Reference, of_task, of_task_definition, service_in_words, task_definitions_of
from .pages import Page, SparingPacer

TASKS, SERVICES = "tasks", "services"
_BEGINNING = ["", "", TASKS, ""]


@dataclass
class TaskWalk:
    """All clusters of the account and Region: of each, the running tasks and then the services.

    A place has four strings: the token of a page of clusters, a cluster on that page, TASKS or SERVICES, and the token
    of the next page of that list.
    """

    client: calls.Ecs
    pacer: SparingPacer
    _definitions: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def pages(self, place: list[str]) -> Iterator[Page]:
        """What each page of tasks or services uses, beginning at a place. Raises OutOfTimeError, and ECS's errors."""
        clusters_token, at, kind, token = place if len(place) == len(_BEGINNING) else _BEGINNING
        while True:
            page = until_answered(self.pacer, partial(calls.list_clusters, self.client, clusters_token))
            clusters = page["clusterArns"]
            if at in clusters:
                clusters = clusters[clusters.index(at) :]
            else:  # It is gone, or this is the first one.
                kind, token = TASKS, ""
            for cluster in clusters:
                for found, kind_after, token_after in self._of_cluster(cluster, kind, token):
                    yield Page(found, [clusters_token, cluster, kind_after, token_after])
                kind, token = TASKS, ""
            clusters_token, at = page.get("nextToken") or "", ""
            if not clusters_token:
                yield Page([], None)
                return

    def _of_cluster(self, cluster: str, kind: str, token: str) -> Iterator[tuple[list[Reference], str, str]]:
        """What is found, page by page, and where the next page is."""
        if kind == TASKS:
            for found, next_token in self._list(partial(self._tasks, cluster), token):
                yield found, TASKS if next_token else SERVICES, next_token
        first = token if kind == SERVICES else ""
        for found, next_token in self._list(partial(self._services, cluster), first):
            yield found, SERVICES, next_token

    def _list(
        self, page: Callable[[str], tuple[list[Reference], str]], token: str
    ) -> Iterator[tuple[list[Reference], str]]:
        while True:
            try:
                found, token = page(token)
            except ClientError as error:
                if service_code(error) != "ClusterNotFoundException":
                    raise
                return  # The cluster was deleted meanwhile, so nothing runs in it.
            yield found, token
            if not token:
                return

    def _tasks(self, cluster: str, token: str) -> tuple[list[Reference], str]:
        page = until_answered(self.pacer, partial(calls.list_tasks, self.client, cluster, token))
        arns: list[str] = page["taskArns"]
        found: list[Reference] = []
        if arns:
            tasks = until_answered(self.pacer, partial(calls.describe_tasks, self.client, cluster, arns))
            found = [reference for task in tasks for reference in of_task(task, cluster)]
        return found, page.get("nextToken") or ""

    def _services(self, cluster: str, token: str) -> tuple[list[Reference], str]:
        page = until_answered(self.pacer, partial(calls.list_services, self.client, cluster, token))
        arns: list[str] = page["serviceArns"]
        found: list[Reference] = []
        for first in range(0, len(arns), calls.SERVICES_PER_CALL):
            some = arns[first : first + calls.SERVICES_PER_CALL]
            for service in until_answered(self.pacer, partial(calls.describe_services, self.client, cluster, some)):
                user = service_in_words(service["serviceName"], cluster)
                for arn in task_definitions_of(service):
                    found += of_task_definition(self._definition(arn), user)
        return found, page.get("nextToken") or ""

    def _definition(self, arn: str) -> Mapping[str, Any]:
        """A task definition; a revision never changes, so each is asked for once."""
        if arn not in self._definitions:
            definition = until_answered(self.pacer, partial(calls.describe_task_definition, self.client, arn))
            images = [{"image": each.get("image")} for each in definition.get("containerDefinitions", ())]
            self._definitions[arn] = {"containerDefinitions": images}
        return self._definitions[arn]
