"""Repository policies as ECR answers them: with the same meaning as the policy that was set, in a form of its own."""

from __future__ import annotations

import json
import re
from typing import Any

AS_GIVEN = "as given"
SHORT = "short"  # lists of one element become strings, and principals are sorted, the last one first
LONG = "long"  # strings become lists of one element, and principals are sorted, the last one first
FORMS = (AS_GIVEN, SHORT, LONG)
_ELEMENTS = ("Action", "NotAction")
_PRINCIPALS = ("Principal", "NotPrincipal")


def normalised(policy: str, form: str) -> str:
    """Rewrite a policy in one of `FORMS`, with the same meaning. Raises ValueError for an unknown form.

    A policy in which a JSON object has the same name twice is returned unchanged.
    """
    if form not in FORMS:
        raise ValueError(f"{form} is not a form of policies. There are: {', '.join(FORMS)}.")
    document = None if form == AS_GIVEN else _read(policy)
    if document is None:
        return policy
    given = document["Statement"]
    many = isinstance(given, list)
    document["Statement"] = [_statement(each, form) for each in given] if many else _statement(given, form)
    return json.dumps(document, indent=2, separators=(",", " : "))


def _read(policy: str) -> dict[str, Any] | None:
    """The parsed policy; None if an object in it has a name twice, because parsing would lose one of the two."""
    names_twice = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names_twice.append(len(dict(pairs)) < len(pairs))
        return dict(pairs)

    document: dict[str, Any] = json.loads(policy, object_pairs_hook=unique)
    return None if any(names_twice) else document


def roles(policy: str, account: str) -> list[str]:
    """The ARNs of the account's roles that a policy names as principals."""
    role = re.compile(rf"arn:[^:]+:iam::{account}:role/.+")
    found = []
    for statement in _listed(json.loads(policy)["Statement"]):
        principals = [statement[name] for name in _PRINCIPALS if isinstance(statement.get(name), dict)]
        found += [arn for each in principals for arn in _listed(each.get("AWS", []))]
    return [arn for arn in found if role.fullmatch(arn)]


def _statement(statement: dict[str, Any], form: str) -> dict[str, Any]:
    changed = {name: _in_form(_listed(statement[name]), form) for name in _ELEMENTS if name in statement}
    for name in _PRINCIPALS:
        given = statement.get(name)
        if isinstance(given, dict):
            changed[name] = {kind: _in_form(sorted(_listed(each), reverse=True), form) for kind, each in given.items()}
    return {**statement, **changed}


def _in_form(values: list[Any], form: str) -> Any:
    return values[0] if form == SHORT and len(values) == 1 else values


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
