"""Which lifecycle policies the strict ECR takes, and what it says of the others.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from __future__ import annotations

import json
from typing import Any

import cfn_flip
import pytest

from sandbox.ecr import EcrError, StrictEcr
from tests.support.project_copy import ROOT
from tests.support.samples import LIFECYCLE

UNTAGGED = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 30}
TAGGED = {**UNTAGGED, "tagStatus": "tagged", "tagPatternList": ["v*"]}
ANY = {**UNTAGGED, "tagStatus": "any"}
PULLED = {"tagStatus": "any", "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 90}
ARCHIVED = {**PULLED, "countType": "sinceImageTransitioned", "storageClass": "archive"}
EXPIRE = {"type": "expire"}
ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


def rule(priority: object = 1, selection: object = UNTAGGED, action: object = EXPIRE, **more: Any) -> dict[str, Any]:
    return {"rulePriority": priority, "selection": selection, "action": action, **more}


def without(original: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in original.items() if key != name}


def put(ecr: StrictEcr, text: str) -> None:
    if "app" not in ecr.repositories:
        ecr.repository("app")
    ecr.call("PutLifecyclePolicy", {"repositoryName": "app", "lifecyclePolicyText": text})


def of(*rules: object) -> str:
    return json.dumps({"rules": rules}, indent=4)


TAKEN = {
    "a count of untagged images": [rule()],
    "a description": [rule(description="Keep thirty")],
    "an age": [rule(selection={**UNTAGGED, "countType": "sinceImagePushed", "countUnit": "days"})],
    "tag patterns of four wildcards": [rule(selection={**TAGGED, "tagPatternList": ["*a*b*c*", "d"]})],
    "tag prefixes": [rule(selection={**without(TAGGED, "tagPatternList"), "tagPrefixList": ["prod", "test"]})],
    "a storage class that is the default": [rule(selection={**UNTAGGED, "storageClass": "standard"})],
    "any, with the highest number, wherever it is written": [rule(9, ANY), rule(1), rule(4, TAGGED)],
    "an archive for what is not pulled": [rule(1, PULLED, ARCHIVE)],
    "any once for each storage class": [rule(1, PULLED, ARCHIVE), rule(2, ARCHIVED)],
    "fifty rules": [rule(number, TAGGED) for number in range(1, 51)],
}


@pytest.mark.parametrize("rules", TAKEN.values(), ids=TAKEN)
def test_put_lifecycle_policy_takes(ecr: StrictEcr, rules: list[Any]) -> None:
    put(ecr, of(*rules))
    client = ecr.client()
    assert json.loads(client.get_lifecycle_policy(repositoryName="app")["lifecyclePolicyText"]) == {"rules": rules}
    assert client.delete_lifecycle_policy(repositoryName="app")["lastEvaluatedAt"].timestamp() == 0


REFUSED: dict[str, tuple[list[Any], str]] = {
    "no rules": ([], "array is too short: must have at least 1 elements but instance has 0 elements"),
    "51 rules": (
        [rule(number, TAGGED) for number in range(1, 52)],
        "array is too long: must have at most 50 elements but instance has 51 elements",
    ),
    "a rule that is no object": (
        ["rule"],
        'instance type (string) does not match any allowed primitive type (allowed: ["object"])',
    ),
    "a rule without an action": (
        [without(rule(), "action")],
        'object has missing required properties (["action"])',
    ),
    "a rule without anything": (
        [{}],
        'object has missing required properties (["action","rulePriority","selection"])',
    ),
    "an unknown property": (
        [rule(name="x")],
        'object instance has properties which are not allowed by the schema: ["name"]',
    ),
    "a priority of 0": (
        [rule(0)],
        "numeric instance is lower than the required minimum (minimum: 1, found: 0)",
    ),
    "a priority in quotes": (
        [rule("1")],
        'instance type (string) does not match any allowed primitive type (allowed: ["integer"])',
    ),
    "a priority twice": ([rule(2), rule(2, TAGGED)], "Each rule must have a unique rulePriority."),
    "an unknown action": (
        [rule(action={"type": "keep"})],
        'instance value ("keep") not found in enum (possible values: ["expire","transition"])',
    ),
    "a null in an action": (
        [rule(action={**EXPIRE, "targetStorageClass": None})],
        "instance failed to match exactly one schema (matched 0 out of 2)",
    ),
    "a transition to nowhere": (
        [rule(1, PULLED, {"type": "transition"})],
        "instance failed to match exactly one schema (matched 0 out of 2)",
    ),
    "a transition to another storage class": (
        [rule(1, PULLED, {"type": "transition", "targetStorageClass": "standard"})],
        'instance value ("standard") not found in enum (possible values: ["archive"])',
    ),
    "an unknown tag status": (
        [rule(selection={**UNTAGGED, "tagStatus": "TAGGED"})],
        'instance value ("TAGGED") not found in enum (possible values: ["any","tagged","untagged"])',
    ),
    "a count of 0": (
        [rule(selection={**UNTAGGED, "countNumber": 0})],
        "numeric instance is lower than the required minimum (minimum: 1, found: 0)",
    ),
    "an unknown count type": (
        [rule(selection={**UNTAGGED, "countType": "imageCountLessThan"})],
        "instance failed to match exactly one schema (matched 0 out of 4)",
    ),
    "an unknown unit": (
        [rule(selection={**PULLED, "countUnit": "hours"}, action=ARCHIVE)],
        'instance value ("hours") not found in enum (possible values: ["days"])',
    ),
    "an age without a unit": (
        [rule(selection={**UNTAGGED, "countType": "sinceImagePushed"})],
        "instance failed to match exactly one schema (matched 0 out of 4)",
    ),
    "a count with a unit": (
        [rule(selection={**UNTAGGED, "countUnit": "days"})],
        "instance failed to match exactly one schema (matched 0 out of 4)",
    ),
    "a count with a null for a unit": (
        [rule(selection={**UNTAGGED, "countUnit": None})],
        "instance failed to match exactly one schema (matched 0 out of 4)",
    ),
    "a time in the archive without a storage class": (
        [rule(1, without(ARCHIVED, "storageClass"))],
        "instance failed to match exactly one schema (matched 0 out of 4)",
    ),
    "a count in the archive": (
        [rule(1, {**UNTAGGED, "storageClass": "archive"})],
        "instance failed to match exactly one schema (matched 0 out of 4)",
    ),
    "an empty list of patterns": (
        [rule(selection={**TAGGED, "tagPatternList": []})],
        "array is too short: must have at least 1 elements but instance has 0 elements",
    ),
    "an empty pattern": (
        [rule(selection={**TAGGED, "tagPatternList": [""]})],
        'string "" is too short (length: 0, required minimum: 1)',
    ),
    "tagged without tags": (
        [rule(selection=without(TAGGED, "tagPatternList"))],
        "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.",
    ),
    "untagged with tags": (
        [rule(selection={**TAGGED, "tagStatus": "untagged"})],
        "Cannot specify tagPatternList when tagStatus=UNTAGGED.",
    ),
    "patterns and prefixes": (
        [rule(selection={**TAGGED, "tagPrefixList": ["v"]})],
        "Cannot specify both tagPrefixList and tagPatternList.",
    ),
    "five wildcards": (
        [rule(selection={**TAGGED, "tagPatternList": ["*1*2*3*4*"]})],
        "A tag pattern can have at most 4 wildcards: *1*2*3*4*",
    ),
    "deleted for not being pulled": (
        [rule(1, PULLED)],
        "countType=sinceImagePulled must be used with the action TRANSITION.",
    ),
    "archived once more": (
        [rule(1, ARCHIVED, ARCHIVE)],
        "countType=sinceImageTransitioned must be used with the action EXPIRE.",
    ),
    "89 days in the archive": (
        [rule(1, {**ARCHIVED, "countNumber": 89})],
        "Images must be in archive storage for at least 90 days.",
    ),
    "any before another": (
        [rule(1, ANY), rule(2)],
        "Rule for tagStatus=ANY must have the lowest priority per storage class.",
    ),
    "any twice": (
        [rule(1, ANY), rule(2, PULLED, ARCHIVE)],
        "Rule for tagStatus=ANY must have the lowest priority per storage class.",
    ),
    "untagged twice": ([rule(1), rule(2)], "Only one rule can select Untagged images per storage class."),
}


@pytest.mark.parametrize(("rules", "words"), REFUSED.values(), ids=REFUSED)
def test_put_lifecycle_policy_refuses(ecr: StrictEcr, rules: list[Any], words: str) -> None:
    put(ecr, LIFECYCLE)
    text = of(*rules)
    with pytest.raises(EcrError) as refused:
        put(ecr, text + " " * (100 - len(text)))
    assert refused.value.code == "InvalidParameterException"
    assert refused.value.message == (
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
        f"'Lifecycle policy validation failure: {words}'"
    )
    assert ecr.repositories["app"].lifecycle == LIFECYCLE


@pytest.mark.parametrize("text", ["{" * 100, json.dumps([rule()] * 2), '"' + "x" * 98 + '"'])
def test_put_lifecycle_policy_refuses_what_is_no_json_object(ecr: StrictEcr, text: str) -> None:
    with pytest.raises(EcrError, match=r"Could not map policyString into LifecyclePolicy\.'"):
        put(ecr, text)


@pytest.mark.parametrize(("length", "allowed"), [(99, "greater than or equal to 100"), (30_721, "less than .* 30720")])
def test_put_lifecycle_policy_refuses_a_length(ecr: StrictEcr, length: int, allowed: str) -> None:
    text = '{"rules": []}'
    with pytest.raises(EcrError, match=f"'lifecyclePolicyText' failed .* length {allowed}"):
        put(ecr, text + " " * (length - len(text)))


@pytest.mark.parametrize("length", [200, 30_720])
def test_put_lifecycle_policy_keeps_the_text_as_it_is(ecr: StrictEcr, length: int) -> None:
    text = of(rule()).replace("    ", "")
    text += " " * (length - len(text))
    put(ecr, text)
    assert ecr.repositories["app"].lifecycle == text


def test_the_policies_of_the_examples_are_taken(ecr: StrictEcr) -> None:
    examples = [cfn_flip.load(path.read_text(encoding="utf-8"))[0] for path in (ROOT / "examples").glob("*.yaml")]
    resources = [each for example in examples for each in example["Resources"].values() if isinstance(each, dict)]
    policies = [each["Properties"].get("LifecyclePolicy") for each in resources if "Properties" in each]
    texts = [each["LifecyclePolicyText"] for each in policies if each]
    assert len(texts) >= 3
    for text in texts:
        put(ecr, text)
