"""Delete replication. What changes a registry's settings runs only if asked for, and only where none are set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probes.belief import MODEL, Answer, Belief, api, user_guide
from probes.clock import AT_ONCE, NEVER, WITHIN, how_late, look_until
from probes.made import Kind
from probes.place import ACCEPTED, Place, ProbeError, refusal
from probes.registry import REPLICATION, probe

_SRC = "src/awstut_ecr_autopurgerepository"
_INVALID = "InvalidParameterException"

BELIEFS = (
    Belief(
        "rules-of-replication",
        "DescribeRegistry returns the replication rules, or an empty list if there are none.",
        (api("DescribeRegistry"), MODEL),
        (f"{_SRC}/deletion/replication.py",),
        {"replicationConfiguration.rules": "a list"},
    ),
    Belief(
        "deletes-are-replicated",
        "If a replication rule has deleteReplication, BatchDeleteImage by digest deletes the image in each "
        "destination, too.",
        (user_guide("replication-delete"), MODEL),
        (f"{_SRC}/deletion/replication.py", f"{_SRC}/rules/replication.py"),
        {"the image is gone in the other Region by": AT_ONCE},
        {"the image is gone in the other Region by": (*WITHIN, NEVER)},
        "none is needed, because a purge must be allowed to delete replicated images, however late ECR deletes them",
    ),
    Belief(
        "checks-of-replication",
        "PutReplicationConfiguration accepts at most 25 rules, only filters of the type PREFIX_MATCH, and only "
        "destinations other than the registry itself.",
        (api("PutReplicationConfiguration"), user_guide("replication")),
        (),
        {
            "26 rules": _INVALID,
            "101 destinations": _INVALID,
            "another filter type": _INVALID,
            "the registry itself": _INVALID,
            "deleteReplication without enabled": _INVALID,
        },
        enforced_in=(
            "replication_rules.put_replication_configuration InvalidParameterException",
            "replication_rules._check_rule InvalidParameterException",
        ),
    ),
    Belief(
        "configuration-is-replaced",
        "PutReplicationConfiguration replaces the whole replication configuration of a registry.",
        (api("PutReplicationConfiguration"),),
        ("guides/protection.md",),
        {"rules after the second call": ["second"]},
    ),
    Belief(
        "deletes-of-repositories-are-not-replicated",
        "AWS's list of replicated actions does not name DeleteRepository.",
        (user_guide("replication-delete"),),
        (f"{_SRC}/deletion/replication.py",),
        unasked="The answer would change nothing: a purge deletes the images first, and before that it must be "
        "allowed to delete replicated images.",
    ),
)


@probe("rules-of-replication", creates="nothing", seconds=1)
def rules_of_replication(place: Place) -> Mapping[str, Answer]:
    """Read the registry's rules; the answer says nothing of them."""
    rules = place.ecr.describe_registry().get("replicationConfiguration", {}).get("rules")
    return {"rules-of-replication": {"replicationConfiguration.rules": _kind(rules)}}


def _kind(rules: object) -> str:
    return "a list" if isinstance(rules, list) else "missing" if rules is None else type(rules).__name__


@probe(
    "deletes-are-replicated",
    "checks-of-replication",
    "configuration-is-replaced",
    creates="rules of replication for the run's own prefix, for a minute; a repository with an image in each of two "
    "Regions; and, if the account has none, the service-linked role of ECR's replication, which stays",
    seconds=120,
    flag=REPLICATION,
)
def delete_replication(place: Place) -> Mapping[str, Answer]:
    """Replicate deletes to a second Region, in a registry that has no rules."""
    ecr, other = place.ecr, place.second_region
    if not other or other == place.region:
        raise ProbeError("Name another Region with --second-region.")
    if ecr.describe_registry().get("replicationConfiguration", {}).get("rules"):
        raise ProbeError("This registry has rules of replication. They would be replaced, so nothing was asked.")
    thing = place.made.note(Kind.REPLICATION, place.run.prefix, place.region)
    name = place.repository("replicated")
    place.repository_in(other, name)
    [one] = place.push(name, "one")
    target = place.pushing(name, other)
    target.put_layers()
    target.put_manifest(one, "one")
    checks = _checks(place)
    put_rules(place, "first")
    put_rules(place, "second", name)
    rules = ecr.describe_registry()["replicationConfiguration"]["rules"]
    place.made.confirm(thing)
    ids = [{"imageDigest": one.digest}]
    ecr.batch_delete_image(repositoryName=name, imageIds=ids)

    def gone() -> bool:
        return refusal(place.client("ecr", other).describe_images, repositoryName=name, imageIds=ids) != ACCEPTED

    seen = look_until(place.clock, gone, place.patience)
    return {
        "deletes-are-replicated": {"the image is gone in the other Region by": how_late([seen])},
        "checks-of-replication": checks,
        "configuration-is-replaced": {"rules after the second call": [_label(place, each, name) for each in rules]},
    }


def _rule(place: Place, prefix: str, **more: Any) -> dict[str, Any]:
    """A rule for repositories of this run only."""
    rule = {
        "destinations": [{"region": place.second_region, "registryId": place.account}],
        "repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"}],
        "deleteReplication": {"enabled": True},
    }
    return {**rule, **more}


def put_rules(place: Place, label: str, prefix: str = "") -> None:
    """Set one rule. Its prefix begins with the run's."""
    rules = [_rule(place, prefix or f"{place.run.prefix}-{label}")]
    place.ecr.put_replication_configuration(replicationConfiguration={"rules": rules})


def _label(place: Place, rule: dict[str, Any], name: str) -> str:
    prefixes = [each["filter"] for each in rule.get("repositoryFilters", [])]
    return "second" if prefixes == [name] else "first" if prefixes == [f"{place.run.prefix}-first"] else "another"


def _checks(place: Place) -> dict[str, str]:
    rule = _rule(place, f"{place.run.prefix}-never")
    [destination] = rule["destinations"]

    def put(*rules: dict[str, Any]) -> str:
        return refusal(place.ecr.put_replication_configuration, replicationConfiguration={"rules": list(rules)})

    return {
        "26 rules": put(*[rule] * 26),
        "101 destinations": put({**rule, "destinations": [destination] * 101}),
        "another filter type": put({**rule, "repositoryFilters": [{"filter": "x", "filterType": "SUFFIX"}]}),
        "the registry itself": put({**rule, "destinations": [{**destination, "region": place.region}]}),
        "deleteReplication without enabled": put({**rule, "deleteReplication": {}}),
    }
