"""Events of every shape: valid ones, with anything in them replaced, left out or added."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from tests.support.samples import EVERYTHING, LIFECYCLE, POLICY
from tests.support.strict import ACCOUNT, CREDENTIALS, OWNED, REGION, STACK

Json = dict[str, Any]
ACTIONS = ("CREATE", "READ", "UPDATE", "DELETE", "LIST")

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.just(1 << 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["", "true", "False", "off", "app", "other", "Ä" * 300, STACK, STACK + "x", "0", "{", "null"]),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=6), st.one_of(st.none(), st.text(max_size=3), st.integers()), max_size=3),
    st.just({"deleted": 5, "checked": True}),
    st.just([{"Key": "a"}, {"Value": "b"}]),
    st.just([[]]),
)
odd_keys = st.one_of(
    st.text(max_size=8), st.sampled_from(["RepositoryName", "stackId", "nextToken", "Force", "__class__"])
)

GOOD: dict[str, list[Any]] = {
    "RepositoryName": ["app"],
    "EmptyOnDelete": ["true", "false"],
    "DeletionProtection": ["true", "false"],
    "PurgeProtection": [
        {"TagPatterns": ["release-*", "v1"]},
        {"PulledWithinDays": "3"},
        {"PushedWithinDays": "2"},
        {"InUseBy": ["ECS"]},
    ],
    "AllowReplicatedDeletes": ["true", "false"],
    "PurgeReport": [{"BucketName": "reports", "Prefix": "purged"}],
    "FreezeOnDelete": ["true", "false"],
    "ImageTagMutability": ["MUTABLE", "IMMUTABLE"],
    "ImageScanningConfiguration": [{"ScanOnPush": "true"}],
    "EncryptionConfiguration": [{"EncryptionType": "AES256"}, EVERYTHING["EncryptionConfiguration"]],
    "LifecyclePolicy": [{"LifecyclePolicyText": LIFECYCLE}],
    "RepositoryPolicyText": [POLICY, json.dumps(POLICY)],
    "Tags": [[{"Key": "team", "Value": "shop"}], []],
}
properties = st.fixed_dictionaries(
    {"RepositoryName": st.just("app")},
    optional={name: st.sampled_from(values) for name, values in GOOD.items() if name != "RepositoryName"},
)
configurations = st.one_of(
    st.none(),
    st.sampled_from(
        [
            {},
            {"DeletionProtection": True},
            {"PurgeProtection": {"TagPatterns": ["release-*"]}},
            {"Concurrency": 4},
            {"PurgeReport": {"BucketName": "audit"}},
        ]
    ),
)
contexts: st.SearchStrategy[Json | None] = st.one_of(st.none(), st.just({}))
reserved = st.sampled_from(
    [
        *("auto-purge", "deletion-protection", "protect-tags", "protect-pulled-days"),
        *("purge-report", "freeze-on-delete", "stack-id", "logical-id", "request"),
    ]
)
tag_values = st.one_of(
    st.sampled_from(
        ["on", "off", "", "on protect-tags", "release-@", "3", "0", "-1", "on on", "s3://audit/x", STACK, "Repository"]
    ),
    st.text(st.sampled_from("abcON019 +-=._:/@"), max_size=20),
)
repository_tags = st.builds(
    lambda drawn, owned: (OWNED if owned else {}) | {f"awstut:{key}": value for key, value in drawn.items()},
    st.dictionaries(reserved, tag_values, max_size=3),
    st.booleans(),
)


@st.composite
def events(draw: st.DrawFn, mutations: int = 3) -> Json:
    """An event of one of the five actions, in which up to so many things are not as they should be."""
    from_stack = draw(st.booleans())
    event: Json = {
        "action": draw(st.sampled_from(ACTIONS)),
        "awsAccountId": ACCOUNT,
        "region": REGION,
        "bearerToken": "token-1",
        "resourceType": "Awstut::ECR::AutoPurgeRepository",
        "resourceTypeVersion": "00000001",
        "stackId": STACK if from_stack else None,
        "callbackContext": draw(contexts),
        "requestData": {
            "resourceProperties": draw(properties),
            "previousResourceProperties": draw(st.one_of(st.none(), properties)),
            "logicalResourceId": "Repository" if from_stack else None,
            "stackTags": {"cost": "1"} if from_stack else None,
            "previousStackTags": {} if from_stack else None,
            "systemTags": {"aws:cloudformation:stack-name": "shop"} if from_stack else None,
            "callerCredentials": CREDENTIALS,
            "typeConfiguration": draw(configurations),
        },
    }
    event = copy.deepcopy(event)
    for _ in range(draw(st.integers(0, mutations))):
        mutate(draw, event)
    return event


def mutate(draw: st.DrawFn, event: Json) -> None:
    """Replace, leave out or add something, anywhere."""
    places = [place for place in nested(event) if place[1] not in ("callerCredentials", *CREDENTIALS)]
    if not places:
        return
    container, key = draw(st.sampled_from(places))
    change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    if change == "replace":
        container[key] = copy.deepcopy(draw(odd_values))
    elif change == "remove":
        del container[key]
    elif isinstance(container, dict):
        container[draw(odd_keys)] = copy.deepcopy(draw(odd_values))
    else:
        container.append(copy.deepcopy(draw(odd_values)))


def nested(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value, with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, each in pairs for place in [(value, key), *nested(each)]]
