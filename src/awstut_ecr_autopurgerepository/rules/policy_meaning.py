"""Whether two policies mean the same, however they are written. Pure.

ECR answers a policy in a form of its own: principals in another order, a list of one as a string. Compared as strings,
such a policy differs from the template's for ever (https://github.com/hashicorp/terraform-provider-aws compares both
kinds of policies by meaning, too).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_DEFAULT_VERSION = (
    "2008-10-17"  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
)
_ROOT = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):root")
_ACTIONS = ("Action", "NotAction")
_PRINCIPALS = ("Principal", "NotPrincipal")
_RESOURCES = ("Resource", "NotResource")
_UNORDERED_IN_RULES = ("tagPrefixList", "tagPatternList")


def same_access_policy(one: str | None, other: str | None) -> bool:
    """Whether two repository policies, as JSON, allow and deny the same.

    The order of statements, actions, principals and values of conditions does not matter, nor whether a list of one is
    written as a list. None is no policy. What is not a JSON object is compared as a string.
    """
    return _same(one, other, _access_meaning)


def same_lifecycle_policy(one: str | None, other: str | None) -> bool:
    """Whether two lifecycle policies, as JSON, have the same rules. ECR applies rules by priority, not by position."""
    return _same(one, other, _lifecycle_meaning)


def names_principals(text: str) -> bool:
    """Whether a repository policy names an account, a role or a user. IAM may not know a new one everywhere yet."""
    policy = _parsed(text)
    statements = as_list(policy.get("Statement", [])) if policy else []
    principals = [each.get(key) for each in statements if isinstance(each, dict) for key in _PRINCIPALS]
    named = [as_list(each.get("AWS", [])) for each in principals if isinstance(each, dict)]
    return any(name != "*" for names in named for name in names)


def _same(one: str | None, other: str | None, meaning: Callable[[dict[str, Any]], Any]) -> bool:
    if one is None or other is None or one == other:
        return one == other
    parsed_one, parsed_other = _parsed(one), _parsed(other)
    if parsed_one is None or parsed_other is None:
        return False
    return bool(meaning(parsed_one) == meaning(parsed_other))


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _access_meaning(policy: dict[str, Any]) -> dict[str, Any]:
    statements = [_statement(each) for each in as_list(policy.get("Statement", []))]
    return {"Version": _DEFAULT_VERSION, **policy, "Statement": sorted(statements, key=_sort_key)}


def _statement(statement: Any) -> Any:
    if not isinstance(statement, dict):
        return statement
    changed: dict[str, Any] = {key: _unordered(statement[key], _lower) for key in _ACTIONS if key in statement}
    changed |= {key: _unordered(statement[key]) for key in _RESOURCES if key in statement}
    changed |= {key: _principal(statement[key]) for key in _PRINCIPALS if key in statement}
    if isinstance(statement.get("Condition"), dict):
        changed["Condition"] = {operator: _tests(tests) for operator, tests in statement["Condition"].items()}
    return {**statement, **changed}


def _principal(principal: Any) -> Any:
    named = {"AWS": principal} if principal == "*" else principal
    if not isinstance(named, dict):
        return named
    return {kind: _unordered(names, _account) for kind, names in named.items()}


def _tests(tests: Any) -> Any:
    """The keys of a condition's operator, each with its values; a condition takes true, 1 and their strings alike."""
    if not isinstance(tests, dict):
        return tests
    return {key: _unordered(values, _as_text) for key, values in tests.items()}


def _lifecycle_meaning(policy: dict[str, Any]) -> dict[str, Any]:
    rules = policy.get("rules")
    if not isinstance(rules, list):
        return policy
    return {**policy, "rules": sorted(map(_lifecycle_rule, rules), key=_sort_key)}


def _lifecycle_rule(rule: Any) -> Any:
    selection = rule.get("selection") if isinstance(rule, dict) else None
    if not isinstance(selection, dict):
        return rule
    unordered = {key: _unordered(selection[key]) for key in _UNORDERED_IN_RULES if key in selection}
    return {**rule, "selection": {**selection, **unordered}}


def _unordered(values: Any, normal: Callable[[Any], Any] = lambda value: value) -> list[Any]:
    """A value or a list as a list in which order and repetition do not matter."""
    normalised = {_sort_key(normal(each)): normal(each) for each in as_list(values)}
    return [normalised[key] for key in sorted(normalised)]


def as_list(value: Any) -> list[Any]:
    """A list as it is; anything else as the one element of a list, which is what it means in a policy."""
    return value if isinstance(value, list) else [value]


def _lower(action: Any) -> Any:
    """An action as IAM compares it: upper and lower case are the same."""
    return action.lower() if isinstance(action, str) else action


def _account(principal: Any) -> Any:
    """A principal; the ARN of an account's root means the account."""
    found = _ROOT.fullmatch(principal) if isinstance(principal, str) else None
    return found[1] if found else principal


def _as_text(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _sort_key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
