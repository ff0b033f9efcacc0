"""Operations on the rules of replication, and what the rules of other registries delete here.

What PutReplicationConfiguration and DescribeRegistry take and answer is botocore's service model of 1.44.5.
"""

from __future__ import annotations

import copy

from sandbox.ecr import enumerations
from sandbox.ecr.errors import invalid
from sandbox.ecr.replication import Replicated, ReplicatedUntagging
from sandbox.ecr.repository import Repository
from sandbox.ecr.state import Parameters, RegistryState

_MOST_RULES = 25
_MOST_FILTERS = 100
_MOST_DESTINATIONS = 100


def describe_registry(ecr: RegistryState, _parameters: Parameters) -> Parameters:
    """The account, and the replication configuration; without rules before one was put."""
    return {"registryId": ecr.account, "replicationConfiguration": copy.deepcopy(ecr.replication.configuration)}


def put_replication_configuration(ecr: RegistryState, parameters: Parameters) -> Parameters:
    """Replace the whole configuration."""
    configuration = copy.deepcopy(parameters["replicationConfiguration"])
    rules = configuration["rules"]
    if len(rules) > _MOST_RULES:
        raise invalid(f"Invalid parameter at 'rules' failed to satisfy constraint: 'at most {_MOST_RULES}'")
    for rule in rules:
        _check_rule(ecr, rule)
    ecr.replication.configuration = configuration
    return {"replicationConfiguration": copy.deepcopy(configuration)}


def do_arrived(ecr: RegistryState) -> None:
    """Delete what rules of other registries delete here. It is not replicated further."""
    arrived = ecr.replication.arrived
    while arrived:
        replicated = arrived.popleft()
        repository = ecr.repositories.get(replicated.repository)
        if repository is not None:
            _delete(ecr, repository, replicated)


def _delete(ecr: RegistryState, repository: Repository, replicated: Replicated) -> None:
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


def _check_rule(ecr: RegistryState, rule: Parameters) -> None:
    if len(rule["destinations"]) > _MOST_DESTINATIONS:
        raise invalid(f"Invalid parameter at 'destinations': at most {_MOST_DESTINATIONS}")
    for each in rule["destinations"]:
        if (each["region"], each["registryId"]) == (ecr.region, ecr.account):
            raise invalid(
                "Invalid parameter at 'replicationConfiguration' failed to satisfy constraint: 'Replication "
                "destination cannot be the same as the source registry'"
            )
    filters = rule.get("repositoryFilters", [])
    if len(filters) > _MOST_FILTERS:
        raise invalid(f"Invalid parameter at 'repositoryFilters': at most {_MOST_FILTERS}")
    for each in filters:
        enumerations.check("repositoryFilters.filterType", each["filterType"], enumerations.REPLICATION_FILTER_TYPES)
    if "deleteReplication" in rule and not isinstance(rule["deleteReplication"].get("enabled"), bool):
        raise invalid("Invalid parameter at 'deleteReplication.enabled'")
