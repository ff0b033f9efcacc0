"""Policies of a role, evaluated as IAM does; a part that is not evaluated here is refused.

Passing over such a part would be wrong either way: a Deny would deny nothing, an Allow would allow too much.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.iam.conditions import Condition, UnknownOperatorError, conditions_of, matches

Context = Mapping[str, str | list[str]]
Document = dict[str, Any]

_ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}
_ELEMENTS_OF_TRUST = {"Sid", "Effect", "Action", "Principal", "Condition"}
_NOT_KNOWN = re.compile(r"aws:(principal|source(ip|vpc)|requestedregion|securetransport|currenttime|epochtime)", re.I)


class UnsupportedPolicyError(ValueError):
    """A policy has a part that is not evaluated here; the message says which."""


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


@dataclass(frozen=True)
class _Statement:
    sid: str
    denies: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def applies(self, check: Check, context: Context) -> bool:
        return (
            any(matches(check.action.lower(), each) for each in self.actions)
            and any(matches(check.resource, each) for each in self.resources)
            and all(each.met(context) for each in self.conditions)
        )


class Policies:
    """The identity-based policies of one role."""

    def __init__(self, documents: Iterable[Document | str]) -> None:
        """Raises UnsupportedPolicyError."""
        loaded = [_checked(each, _ELEMENTS) for each in documents]
        self._statements = [_parsed(each) for document in loaded for each in _statements(document)]

    def decide(self, check: Check) -> Decision:
        """As IAM does: a Deny wins, then an Allow is needed."""
        return _decide(check, self._statements)


def trusts(document: Document | str, service: str, context: Context) -> bool:
    """Whether a role's trust policy lets a service assume the role. `context` has the condition keys of the request.

    Raises UnsupportedPolicyError.
    """
    loaded = _checked(document, _ELEMENTS_OF_TRUST)
    about = [each for each in _statements(loaded) if service in _listed(each["Principal"].get("Service", []))]
    statements = [_parsed({**each, "Resource": "*"}) for each in about]
    return _decide(Check("sts:AssumeRole", "*", context), statements).allowed


def _decide(check: Check, statements: Iterable[_Statement]) -> Decision:
    context = {**_owner(check.resource), **{name.lower(): value for name, value in check.context.items()}}
    applying = [each for each in statements if each.applies(check, context)]
    for each in sorted(applying, key=lambda statement: not statement.denies):
        return Decision(not each.denies, each.denies, each.sid)
    return Decision(False, False, "")


def _owner(resource: str) -> dict[str, str]:
    """The condition key with the account of a resource, if its ARN tells the account."""
    account = [*resource.split(":"), "", "", "", "", ""][4]
    return {"aws:resourceaccount": account} if account else {}


def _parsed(statement: Document) -> _Statement:
    return _Statement(
        statement.get("Sid", ""),
        statement["Effect"] == "Deny",
        tuple(each.lower() for each in _listed(statement["Action"])),
        tuple(_listed(statement["Resource"])),
        tuple(conditions_of(statement)),
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
        keys = [key for each in statement.get("Condition", {}).values() for key in each]
        for key in filter(_NOT_KNOWN.match, keys):
            raise UnsupportedPolicyError(f"the value of the condition key {key} is not known")
        _check_operators(statement)
    return loaded


def _check_operators(statement: Document) -> None:
    try:
        list(conditions_of(statement))
    except UnknownOperatorError as error:
        raise UnsupportedPolicyError(f"the condition operator {error} is not known") from error


def _statements(document: Document) -> list[Document]:
    found = document["Statement"]
    return [found] if isinstance(found, dict) else list(found)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
