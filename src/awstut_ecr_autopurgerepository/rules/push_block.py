"""The push block: the statement in a repository policy that refuses pushes while a purge runs. Pure.

The statement has a reserved Sid. All else in a policy belongs to others, and does not change.
"""

from __future__ import annotations

import json
from typing import Any

from .policy_meaning import as_list

SID = "AwstutFreezeOnDelete"
LONGEST_POLICY = 10_240  # characters: policyText of SetRepositoryPolicy, https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html
PUSH_ACTIONS = (
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
    "ecr:BatchImportUpstreamImage",  # a pull-through cache uses it to store images
)


def deny_pushes(sid: str) -> dict[str, Any]:
    """The statement that refuses every push, ready to paste into a repository policy."""
    return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": list(PUSH_ACTIONS)}


def add_to(text: str | None) -> str:
    """A policy with the push block: added to the given policy, or alone if there is none.

    Raises ValueError, with the reason in words, where it cannot be added.
    """
    policy = _parsed_without_loss(text) if text is not None else {"Version": "2012-10-17", "Statement": []}
    statements = policy.get("Statement") if policy else None
    if policy is None or not (_is_list_of_objects(statements) or isinstance(statements, dict)):
        raise ValueError("its repository policy cannot be read")
    ours, others = deny_pushes(SID), _others(as_list(statements))
    merged = [ours, *others] if _was_without_list(statements) else [*others, ours]
    found = _text({**policy, "Statement": merged}, text)
    if len(found) > LONGEST_POLICY:
        raise ValueError(
            f"its repository policy would be {len(found):,} characters long, and ECR allows {LONGEST_POLICY:,}"
        )
    return found


def remove_from(text: str | None) -> str | None:
    """A policy without the push block, and otherwise with the same meaning; None if nothing else was in it.

    The same string where the push block isn't there, or where the policy cannot be read.
    """
    policy = _parsed_without_loss(text) if text is not None else None
    statements = policy.get("Statement") if policy else None
    if policy is None or not any(map(_is_ours, as_list(statements))):
        return text
    others = _others(as_list(statements))
    if not others:
        return None
    return _text({**policy, "Statement": others[0] if _was_without_list(statements) else others}, text)


def is_in(text: str | None) -> bool:
    """Whether the push block is in a policy, and says what it has to."""
    policy = _parsed_without_loss(text) if text is not None else None
    ours = [each for each in as_list(policy.get("Statement") if policy else None) if _is_ours(each)]
    return len(ours) == 1 and _meaning(ours[0]) == _meaning(deny_pushes(SID))


def _meaning(statement: dict[str, Any]) -> dict[str, Any]:
    """A statement in one fixed spelling, so that two statements with the same meaning are equal."""
    actions, principal = statement.get("Action"), statement.get("Principal")
    return {
        **statement,
        "Action": sorted(map(str, actions)) if isinstance(actions, list) else actions,
        "Principal": "*" if principal in ({"AWS": "*"}, {"AWS": ["*"]}) else principal,
    }


def _parsed_without_loss(text: str) -> dict[str, Any] | None:
    """The policy; None if it could not be written again as it was read."""
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("A name is used twice in one object.")
    return found


def _text(policy: dict[str, Any], former: str | None) -> str:
    """As JSON, as short as it gets, with characters outside ASCII written as they were before."""
    return json.dumps(policy, separators=(",", ":"), ensure_ascii=former is None or former.isascii())


def _was_without_list(statements: Any) -> bool:
    """Whether the only statement of others was without a list: it still is, or the push block is in front of it."""
    return isinstance(statements, dict) or (len(_others(statements)) == 1 and _is_ours(statements[0]))


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _others(statements: list[Any]) -> list[Any]:
    return [each for each in statements if not _is_ours(each)]


def _is_ours(statement: object) -> bool:
    return isinstance(statement, dict) and statement.get("Sid") == SID
