"""Checks lifecycle policies as ECR does, with ECR's error messages.

The rules are those of https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html. ECR
first checks a policy with a JSON schema. The messages of that check are those of a Java library, json-schema-validator.
Then ECR compares the rules. Users have quoted its messages (terraform-provider-aws #45909,
cloudposse/terraform-aws-ecr #158 and #132). A line that says "words not known" has a message of ours, because nobody
has quoted ECR's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

from sandbox.ecr.errors import EcrError, invalid

SHORTEST, LONGEST = 100, 30_720  # characters
MOST_RULES = 50
MOST_WILDCARDS = 4
FEWEST_DAYS_IN_ARCHIVE = 90

Rule = dict[str, Any]

_STRINGS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}


def _selection(count_type: str, unit: Any, storage_class: str, *required: str) -> dict[str, Any]:
    """The schema of a selection with this count type. If `unit` is False, countUnit must be missing."""
    properties = {"countType": {"const": count_type}, "countUnit": unit, "storageClass": {"const": storage_class}}
    return {"properties": properties, "required": list(required)}


_DAYS = {"const": "days"}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["rules"],
    "additionalProperties": False,
    "properties": {
        "rules": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_RULES,
            "items": {
                "type": "object",
                "required": ["rulePriority", "selection", "action"],
                "additionalProperties": False,
                "properties": {
                    "rulePriority": {"type": "integer", "minimum": 1},
                    "description": {"type": "string"},
                    "selection": {
                        "type": "object",
                        "required": ["tagStatus", "countType", "countNumber"],
                        "additionalProperties": False,
                        "properties": {
                            "tagStatus": {"enum": ["tagged", "untagged", "any"]},
                            "tagPatternList": _STRINGS,
                            "tagPrefixList": _STRINGS,
                            "storageClass": {"if": {"type": "string"}, "then": {"enum": ["standard", "archive"]}},
                            "countType": {},
                            "countUnit": {"if": {"type": "string"}, "then": {"enum": ["days"]}},
                            "countNumber": {"type": "integer", "minimum": 1},
                        },
                        "oneOf": [
                            _selection("imageCountMoreThan", False, "standard"),
                            _selection("sinceImagePushed", _DAYS, "standard", "countUnit"),
                            _selection("sinceImagePulled", _DAYS, "standard", "countUnit"),
                            _selection("sinceImageTransitioned", _DAYS, "archive", "countUnit", "storageClass"),
                        ],
                    },
                    "action": {
                        "type": "object",
                        "required": ["type"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"enum": ["expire", "transition"]},
                            "targetStorageClass": {"if": {"type": "string"}, "then": {"enum": ["archive"]}},
                        },
                        "oneOf": [
                            {"properties": {"type": {"const": "expire"}, "targetStorageClass": False}},
                            {
                                "properties": {
                                    "type": {"const": "transition"},
                                    "targetStorageClass": {"const": "archive"},
                                },
                                "required": ["targetStorageClass"],
                            },
                        ],
                    },
                },
            },
        }
    },
}
_VALIDATOR = jsonschema.Draft7Validator(_SCHEMA)


def check(text: str) -> None:
    """Raise InvalidParameterException unless ECR would take the policy."""
    if not SHORTEST <= len(text) <= LONGEST:
        bound = f"greater than or equal to {SHORTEST}" if len(text) < SHORTEST else f"less than or equal to {LONGEST}"
        raise invalid(
            "Invalid parameter at 'lifecyclePolicyText' failed to satisfy constraint: 'Member must have length "
            f"{bound}'"
        )
    check_rules(text)


def check_rules(text: str) -> None:
    """Like `check`, without the check of the length."""
    try:
        policy = json.loads(text)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        raise _failure("Could not map policyString into LifecyclePolicy.")
    error: ValidationError | None = next(_VALIDATOR.iter_errors(policy), None)
    if error is not None:
        raise _failure(_in_words(error))
    rules = sorted(policy["rules"], key=lambda rule: rule["rulePriority"])
    for rule in rules:
        _check_tags(rule["selection"])
        _check_storage(rule["selection"], rule["action"]["type"])
    _compare(rules)


def _failure(words: str) -> EcrError:
    return invalid(
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation "
        f"failure: {words}'"
    )


def _in_words(error: ValidationError) -> str:
    """What the Java validator says of a failure."""
    found: Any = error.instance
    wanted: Any = error.validator_value
    schema: Any = error.schema
    words: dict[str, Callable[[], str]] = {
        "required": lambda: f"object has missing required properties ({_listed(set(wanted) - set(found))})",
        "additionalProperties": lambda: (
            "object instance has properties which are not allowed by the schema: "
            f"{_listed(set(found) - set(schema['properties']))}"
        ),
        "enum": lambda: f"instance value ({json.dumps(found)}) not found in enum (possible values: {_listed(wanted)})",
        "minimum": lambda: f"numeric instance is lower than the required minimum (minimum: {wanted}, found: {found})",
        "type": lambda: (
            f"instance type ({_type_of(found)}) does not match any allowed primitive type "
            f"(allowed: {_listed([wanted])})"
        ),
        "oneOf": lambda: f"instance failed to match exactly one schema (matched 0 out of {len(wanted)})",
        "minItems": lambda: f"array is too short: must have at least {wanted} elements but instance has {_have(found)}",
        "maxItems": lambda: f"array is too long: must have at most {wanted} elements but instance has {_have(found)}",
        "minLength": lambda: f'string "{found}" is too short (length: {len(found)}, required minimum: {wanted})',
    }
    return words[str(error.validator)]()


def _have(found: list[object]) -> str:
    return f"{len(found)} elements"


def _listed(names: Iterable[str]) -> str:
    return json.dumps(sorted(names), separators=(",", ":"))


def _type_of(value: object) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return kinds.get(type(value), "null")


def _check_tags(selection: Rule) -> None:
    status = str(selection["tagStatus"]).upper()
    given = [name for name in ("tagPrefixList", "tagPatternList") if name in selection]
    if status == "TAGGED" and not given:
        raise _failure("Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.")
    if status != "TAGGED" and given:  # words not known
        raise _failure(f"Cannot specify {given[0]} when tagStatus={status}.")
    if len(given) > 1:  # words not known
        raise _failure("Cannot specify both tagPrefixList and tagPatternList.")
    for pattern in selection.get("tagPatternList", ()):
        if pattern.count("*") > MOST_WILDCARDS:  # words not known
            raise _failure(f"A tag pattern can have at most {MOST_WILDCARDS} wildcards: {pattern}")


def _check_storage(selection: Rule, action: str) -> None:
    """A rule that counts from pulls can only archive. A rule that counts from archiving can only expire."""
    count_type = selection["countType"]
    if count_type == "sinceImagePulled" and action != "transition":  # words not known
        raise _failure("countType=sinceImagePulled must be used with the action TRANSITION.")
    if count_type == "sinceImageTransitioned" and action != "expire":  # words not known
        raise _failure("countType=sinceImageTransitioned must be used with the action EXPIRE.")
    if count_type == "sinceImageTransitioned" and selection["countNumber"] < FEWEST_DAYS_IN_ARCHIVE:  # words not known
        raise _failure(f"Images must be in archive storage for at least {FEWEST_DAYS_IN_ARCHIVE} days.")


def _compare(rules: list[Rule]) -> None:
    """Rules in the order of their priorities."""
    if len({rule["rulePriority"] for rule in rules}) < len(rules):  # words not known
        raise _failure("Each rule must have a unique rulePriority.")
    for storage_class in ("standard", "archive"):
        same = [
            rule["selection"] for rule in rules if rule["selection"].get("storageClass", "standard") == storage_class
        ]
        statuses = [selection["tagStatus"] for selection in same]
        if statuses.count("untagged") > 1:
            raise _failure("Only one rule can select Untagged images per storage class.")
        if "any" in statuses[:-1]:
            raise _failure("Rule for tagStatus=ANY must have the lowest priority per storage class.")
