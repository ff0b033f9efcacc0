"""Replication of deletes: the configuration of a registry, and the images that its rules delete in other registries.

What PutReplicationConfiguration and DescribeRegistry take and answer is botocore's service model of 1.44.5. Images are
not copied: a destination holds what is pushed to it.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.ecr.model import EcrError, Repository, invalid

if TYPE_CHECKING:
    from sandbox.ecr.service import StrictEcr

Parameters = dict[str, Any]
_MOST_RULES = 25
_MOST_FILTERS = 100
_MOST_DESTINATIONS = 100


class ReplicatedDeletion(NamedTuple):
    """An image that a rule deletes in a destination, whether or not the destination has it."""

    region: str
    registry: str
    repository: str
    digest: str


class ReplicatedUntagging(NamedTuple):
    """A tag that a rule removes in a destination, with its image if it is the last one."""

    region: str
    registry: str
    repository: str
    tag: str


Replicated = ReplicatedDeletion | ReplicatedUntagging


@dataclass
class Replication:
    """The replication of one registry. `find` gives the registry of a Region and account, if it is wired."""

    find: Callable[[str, str], StrictEcr | None] = lambda _region, _registry: None
    configuration: Parameters = field(default_factory=lambda: {"rules": []})
    deletions: list[ReplicatedDeletion] = field(default_factory=list)
    arrived: deque[Replicated] = field(default_factory=deque)  # from other registries, and not done yet

    @property
    def has_rules(self) -> bool:
        return bool(self.configuration["rules"])

    def replicate(self, repository: str, image_id: dict[str, str]) -> None:
        """Do in the destinations what BatchDeleteImage did here for one of its ids: a tag, or an image, was deleted."""
        tag = image_id.get("imageTag")
        for place in self._destinations(repository):
            if tag is None:
                deletion = ReplicatedDeletion(*place, repository, image_id["imageDigest"])
                self.deletions.append(deletion)
                self._send(deletion)
            else:
                self._send(ReplicatedUntagging(*place, repository, tag))

    def _destinations(self, repository: str) -> Iterator[tuple[str, str]]:
        for rule in self.configuration["rules"]:
            if rule.get("deleteReplication", {}).get("enabled") and _covers(rule, repository):
                yield from ((each["region"], each["registryId"]) for each in rule["destinations"])

    def _send(self, replicated: Replicated) -> None:
        # Done when the destination is used next: so no thread ever holds the locks of two registries.
        destination = self.find(replicated.region, replicated.registry)
        if destination is not None:
            destination.replication.arrived.append(replicated)


def describe_registry(ecr: StrictEcr, _parameters: Parameters) -> Parameters:
    """The account, and the replication configuration; without rules before one was put."""
    return {"registryId": ecr.account, "replicationConfiguration": copy.deepcopy(ecr.replication.configuration)}


def put_replication_configuration(ecr: StrictEcr, parameters: Parameters) -> Parameters:
    """Replace the whole configuration."""
    configuration = copy.deepcopy(parameters["replicationConfiguration"])
    rules = configuration["rules"]
    if len(rules) > _MOST_RULES:
        raise invalid(f"Invalid parameter at 'rules' failed to satisfy constraint: 'at most {_MOST_RULES}'")
    for rule in rules:
        _check_rule(ecr, rule)
    ecr.replication.configuration = configuration
    return {"replicationConfiguration": copy.deepcopy(configuration)}


def do_arrived(ecr: StrictEcr) -> None:
    """Delete what rules of other registries delete here. It is not replicated further."""
    arrived = ecr.replication.arrived
    while arrived:
        replicated = arrived.popleft()
        repository = ecr.repositories.get(replicated.repository)
        if repository is not None:
            _delete(ecr, repository, replicated)


def _delete(ecr: StrictEcr, repository: Repository, replicated: Replicated) -> None:
    images = repository.images
    if isinstance(replicated, ReplicatedUntagging):
        image = images.by_tag(replicated.tag)
        if image is not None and len(image.tags) > 1:
            images.untag(replicated.tag)
            return
    else:
        image = images.by_digest(replicated.digest)
    if image is not None:
        images.remove(image)
        ecr.note_deletion(repository, image, by_force=False)


def _covers(rule: Parameters, repository: str) -> bool:
    """A rule without filters is for all repositories."""
    filters = rule.get("repositoryFilters") or [{"filter": ""}]
    return any(repository.startswith(each["filter"]) for each in filters)


def _check_rule(ecr: StrictEcr, rule: Parameters) -> None:
    if len(rule["destinations"]) > _MOST_DESTINATIONS:
        raise invalid(f"Invalid parameter at 'destinations': at most {_MOST_DESTINATIONS}")
    for each in rule["destinations"]:
        if (each["region"], each["registryId"]) == (ecr.region, ecr.account):
            raise EcrError("ValidationException", "The registry itself can't be a destination of its replication.")
    filters = rule.get("repositoryFilters", [])
    if len(filters) > _MOST_FILTERS or any(each["filterType"] != "PREFIX_MATCH" for each in filters):
        raise invalid("Invalid parameter at 'repositoryFilters': at most 100, each of the type PREFIX_MATCH")
    if "deleteReplication" in rule and not isinstance(rule["deleteReplication"].get("enabled"), bool):
        raise invalid("Invalid parameter at 'deleteReplication.enabled'")
