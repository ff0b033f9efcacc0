"""Replication of deletes: the configuration of a registry, and the images that its rules delete in other registries.

Images are not copied: a destination holds what is pushed to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Parameters = dict[str, Any]


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


class Destination(Protocol):
    """A registry to which deletes are replicated."""

    replication: Replication


@dataclass
class Replication:
    """The replication of one registry. `find` gives the registry of a Region and account, if it is wired."""

    find: Callable[[str, str], Destination | None] = lambda _region, _registry: None
    configuration: Parameters = field(default_factory=lambda: {"rules": []})
    deletions: list[ReplicatedDeletion] = field(default_factory=list)
    arrived: deque[Replicated] = field(default_factory=deque)  # from other registries, and not done yet

    @property
    def has_rules(self) -> bool:
        return bool(self.configuration["rules"])

    def replicate(self, repository: str, image_id: dict[str, str]) -> None:
        """Send the delete of one id of a BatchDeleteImage to the destinations: its tag, or without a tag its image."""
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


def _covers(rule: Parameters, repository: str) -> bool:
    """A rule without filters is for all repositories."""
    filters = rule.get("repositoryFilters") or [{"filter": ""}]
    return any(repository.startswith(each["filter"]) for each in filters)
