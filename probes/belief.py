"""Beliefs of AWS, and what an answer says about them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Answer = Mapping[str, Any]  # what was asked, in words, and what was seen: JSON without names, ids and times

_API = "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_{}.html"
_USER_GUIDE = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/{}.html"
_CLOUDFORMATION = "https://docs.aws.amazon.com/AWSCloudFormation/latest/{}.html"
_TYPES = "https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/{}.html"
MODEL = "the service model in botocore 1.44.5"


def api(operation: str) -> str:
    """A source: ECR's API reference."""
    return f"[{operation}]({_API.format(operation)})"


def user_guide(page: str) -> str:
    """A source: ECR's user guide."""
    return f"[ECR user guide]({_USER_GUIDE.format(page)})"


def cloudformation(page: str) -> str:
    """A source: CloudFormation's guides, by the path of the page."""
    return f"[CloudFormation: {page.rpartition('/')[2]}]({_CLOUDFORMATION.format(page)})"


def type_guide(page: str) -> str:
    """A source: the guide to writing resource types."""
    return f"[{page}]({_TYPES.format(page)})"


def report(repository: str, number: int) -> str:
    """A source: what a user reported."""
    return f"[{repository.rpartition('/')[2]} #{number}](https://github.com/{repository}/issues/{number})"


@dataclass(frozen=True)
class Belief:
    """One sentence about AWS that the code relies on.

    `answer` is what the sandbox answers to the probe; `others` are further answers to single questions that the code
    is tested with, and `switch` says how the sandbox is made to give them. A belief without an answer is not asked,
    and `unasked` says why. `needed_by` are files of the project, `enforced_in` functions of the strict ECR with the
    error codes that they raise: "images.batch_delete_image InvalidParameterException".
    """

    name: str
    sentence: str
    sources: tuple[str, ...]
    needed_by: tuple[str, ...] = ()
    answer: Answer | None = None
    others: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    switch: str = ""
    unasked: str = ""
    enforced_in: tuple[str, ...] = ()


class Verdict(StrEnum):
    """What an answer of AWS says about a belief."""

    HELD = "held"  # AWS answered what the sandbox answers
    OTHER = "other answer"  # one that the sandbox can be made to give, so that the code is tested with it
    CONTRADICTED = "contradicted"
    FAILED = "failed"  # the probe could not ask
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Difference:
    """A question to which AWS answered something else than the sandbox."""

    belief: str
    question: str
    sandbox: Any
    aws: Any
    switch: str  # what makes the sandbox answer so; empty if nothing does


def differences(belief: Belief, answer: Answer) -> list[Difference]:
    """Where an answer is not the sandbox's. A question that one of both did not ask is a difference, too."""
    expected = belief.answer or {}
    return [
        Difference(
            belief.name,
            question,
            expected.get(question),
            answer.get(question),
            belief.switch if answer.get(question) in belief.others.get(question, ()) else "",
        )
        for question in dict.fromkeys([*expected, *answer])
        if question not in expected or question not in answer or not _same(expected[question], answer[question])
    ]


def _same(one: Any, other: Any) -> bool:
    """Also of the same type: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def judge(belief: Belief, answer: Answer) -> Verdict:
    """What an answer says about a belief."""
    found = differences(belief, answer)
    if not found:
        return Verdict.HELD
    return Verdict.OTHER if all(each.switch for each in found) else Verdict.CONTRADICTED
