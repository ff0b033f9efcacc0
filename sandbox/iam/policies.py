"""Policies of a role, evaluated by ministack's engine; what that engine would pass over silently is refused here.

An operator that it does not know never matches there: a Deny with such an operator would deny nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.core import iam_evaluator as _engine

Context = Mapping[str, str | list[str]]
Document = dict[str, Any]

_ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}
_ELEMENTS_OF_TRUST = {"Sid", "Effect", "Action", "Principal", "Condition"}
_SETS = ("ForAllValues:", "ForAnyValue:")
_NOT_KNOWN = re.compile(r"aws:(principal|source(ip|vpc)|requestedregion|securetransport|currenttime|epochtime)", re.I)


class UnsupportedPolicyError(ValueError):
    """A policy has a part that is not evaluated here; the text says which."""


@dataclass(frozen=True)
class Check:
    """One question to IAM: may the caller do this, to that? `context` has the condition keys of the request."""

    action: str  # such as ecr:TagResource
    resource: str  # its ARN, or *
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """`explicit`: a Deny statement decided; `sid` is that of the statement, if it has one."""

    allowed: bool
    explicit: bool
    sid: str

    def message(self, principal: str, check: Check) -> str:
        """What a service says of a refusal."""
        why = (
            "with an explicit deny in an identity-based policy"
            if self.explicit
            else f"because no identity-based policy allows the {check.action} action"
        )
        return f"User: {principal} is not authorized to perform: {check.action} on resource: {check.resource} {why}"


class Policies:
    """The identity-based policies of one role."""

    def __init__(self, documents: Iterable[Document | str]) -> None:
        """Raises UnsupportedPolicyError."""
        loaded = [_checked(each, _ELEMENTS) for each in documents]
        self._statements = [_engine.parse_policy_document(each) for each in loaded]

    def decide(self, check: Check) -> Decision:
        """As IAM does: a Deny wins, then an Allow is needed."""
        result = _engine.evaluate(_context(check), self._statements)
        return Decision(result.decision == "Allow", result.decision == "Deny", result.matched_sid)


def trusts(document: Document | str, service: str, context: Context) -> bool:
    """Whether a role's trust policy lets a service assume it, under the condition keys that come along.

    Raises UnsupportedPolicyError.
    """
    loaded = _checked(document, _ELEMENTS_OF_TRUST)
    about = [each for each in _statements(loaded) if service in _listed(each["Principal"].get("Service", []))]
    parsed = _engine.parse_policy_document({"Statement": about})
    allowed = _engine.evaluate(_context(Check("sts:AssumeRole", "*", context)), [parsed]).decision == "Allow"
    return bool(allowed)


def _context(check: Check) -> Any:
    """The names of condition keys are the same in upper and lower case; a key that is not given has no value."""
    keys = {"aws:tagkeys": None, **{name.lower(): value for name, value in check.context.items()}}
    return _engine.EvalContext(
        principal_arn="",
        principal_type="AssumedRole",
        principal_account=keys.get("aws:resourceaccount", ""),  # which the engine takes for the owner of a bucket
        action=check.action,
        resource_arn=check.resource,
        region="",
        service_context=keys,
        principal_keys=keys,
    )


def _checked(document: Document | str, elements: set[str]) -> Document:
    loaded: Document = json.loads(document) if isinstance(document, str) else document
    for statement in _statements(loaded):
        unknown = statement.keys() - elements
        missing = elements - statement.keys() - {"Sid", "Condition"}
        if unknown or missing or statement["Effect"] not in ("Allow", "Deny"):
            raise UnsupportedPolicyError(f"statement {statement.get('Sid', '')}: {sorted(unknown | missing)}")
        if "${" in json.dumps(statement):
            raise UnsupportedPolicyError(f"statement {statement.get('Sid', '')}: policy variables are not replaced")
        for operator, keys in statement.get("Condition", {}).items():
            _check_operator(operator)
            for key in filter(_NOT_KNOWN.match, keys):
                raise UnsupportedPolicyError(f"the value of the condition key {key} is not known")
    return loaded


def _check_operator(operator: str) -> None:
    name = operator.removesuffix("IfExists")
    for prefix in _SETS:
        name = name.removeprefix(prefix)
    if name.lower() not in {*_engine._CONDITION_OPS, "null"}:
        raise UnsupportedPolicyError(f"the condition operator {operator} is not known")


def _statements(document: Document) -> list[Document]:
    found = document["Statement"]
    return [found] if isinstance(found, dict) else list(found)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
