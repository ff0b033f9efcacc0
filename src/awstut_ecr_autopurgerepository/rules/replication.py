"""Where ECR carries deletions of a repository's images: replication rules with delete replication. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def destinations_of_deletes(name: str, registry: Mapping[str, Any]) -> tuple[str, ...]:
    """The Regions and accounts in which a delete of an image of this repository deletes it, too.

    ``registry`` is the answer of DescribeRegistry. A rule without filters covers all repositories. The shapes are those
    of botocore's service model of ECR (``deleteReplication`` since botocore 1.44.4).
    """
    found: dict[str, None] = {}
    for rule in registry.get("replicationConfiguration", {}).get("rules", ()):
        if rule.get("deleteReplication", {}).get("enabled") and _covers(rule, name):
            for each in rule.get("destinations", ()):
                found[f"{each['region']} (account {each['registryId']})"] = None
    return tuple(found)


def _covers(rule: Mapping[str, Any], name: str) -> bool:
    """A filter of a kind that is not known here counts as one that covers the repository."""
    filters = rule.get("repositoryFilters") or ()
    return not filters or any(
        each.get("filterType") != "PREFIX_MATCH" or name.startswith(each.get("filter", "")) for each in filters
    )
