"""What a run found out, as JSON and as a page, without account ids; and the answers of AWS that are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore

from probes.belief import Answer, Belief, Difference, Verdict, differences
from probes.beliefs import BELIEFS
from probes.place import Place
from probes.run import Findings, Outcome

FORMAT = 1
RECORDED = Path(__file__).parent / "recorded"
Json = dict[str, Any]

_ACCOUNT = "ACCOUNT"
_PRINCIPAL = re.compile(r"(arn:[\w-]+:(?:iam|sts)::)[^:]*:(?:assumed-role|user|role|federated-user|root)[\w+=,.@/-]*")
_KEY = re.compile(r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|AROA|AIDA|ANPA|AGPA)[A-Z0-9]{12,}\b")
_TWELVE_DIGITS = re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])")


class VerificationError(ValueError):
    """A file is not what a run wrote; the text says what to do."""


def redacted(text: str, account: str) -> str:
    """The string without account ids, principals and key ids."""
    without = text.replace(account, _ACCOUNT)
    without = _PRINCIPAL.sub(rf"\1{_ACCOUNT}:PRINCIPAL", without)
    return _TWELVE_DIGITS.sub(_ACCOUNT, _KEY.sub("KEY", without))


def verification(place: Place, findings: Findings, started: str, version: str) -> Json:
    """The whole file. `started` is the day and time in UTC."""
    document: Json = {
        "format": FORMAT,
        "version": version,
        "botocore": botocore.__version__,
        "started": started,
        "region": place.region,
        "run": place.run.number,
        "interrupted": findings.interrupted,
        "answers": {each.belief: _entry(each) for each in findings.outcomes},
        "details": findings.details,
        "seconds": findings.seconds,
        "left": findings.left,
    }
    if findings.acceptance is not None:
        document["acceptance"] = findings.acceptance
    clean: Json = json.loads(redacted(json.dumps(document, default=str), place.account))
    return clean


def _entry(outcome: Outcome) -> Json:
    entry: Json = {"verdict": outcome.verdict.value, "answer": outcome.answer}
    return {**entry, "error": outcome.error} if outcome.error else entry


def load(path: Path) -> Json:
    """A verification that was written by a run. Raises VerificationError."""
    try:
        document: Json = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise VerificationError(f"There is no {path}. make verify-aws writes it; name it with FILE=.") from error
    except ValueError as error:
        raise VerificationError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or "answers" not in document:
        raise VerificationError(f"{path} is not a verification of this version. Write it again with make verify-aws.")
    return document


@dataclass(frozen=True)
class Recorded:
    """What AWS answered once."""

    day: str
    region: str
    answers: Mapping[str, Answer]


def recorded(document: Json) -> Recorded:
    """The answers of a verification."""
    answers = {name: entry["answer"] for name, entry in document["answers"].items() if entry.get("answer") is not None}
    return Recorded(str(document["started"])[:10], document["region"], answers)


def all_recorded(folder: Path = RECORDED) -> list[Recorded]:
    """All answers of AWS that are kept, oldest first."""
    found = [recorded(load(path)) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda each: each.day)


def keep(document: Json, folder: Path = RECORDED) -> Path:
    """Keep the answers of a verification as a fixture; without the details."""
    folder.mkdir(exist_ok=True)
    kept = {key: document[key] for key in ("format", "version", "botocore", "started", "region", "run", "answers")}
    path = folder / f"{str(document['started'])[:10]}-{document['region']}-{document['run']}.json"
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def all_differences(answers: Mapping[str, Answer], beliefs: Mapping[str, Belief] = BELIEFS) -> list[Difference]:
    """Where answers differ from the sandbox's. Answers about beliefs that no longer exist are ignored."""
    return [each for name, answer in answers.items() if name in beliefs for each in differences(beliefs[name], answer)]


def contradictions(all_answers: Iterable[Recorded], beliefs: Mapping[str, Belief] = BELIEFS) -> list[str]:
    """The answers of AWS that the sandbox cannot be made to give: for each a sentence that says what to do."""
    return [
        f"{told(each)} On {kept.day}, in {kept.region}. Change the sandbox, and what relies on the belief."
        for kept in all_answers
        for each in all_differences(kept.answers, beliefs)
        if not each.switch
    ]


def told(difference: Difference) -> str:
    """A difference, as a sentence."""
    also = (
        f" The code is tested with that answer. Switch in the sandbox: {difference.switch}."
        if difference.switch
        else ""
    )
    return (
        f"{difference.belief}, '{difference.question}': the sandbox answers {shown(difference.sandbox)}, AWS "
        f"{shown(difference.aws)}.{also}"
    )


def shown(value: Any) -> str:
    """A value of an answer, for people."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def as_page(document: Json) -> str:
    """The verification as Markdown, to be attached to an issue."""
    answers: Json = document["answers"]
    counts = {verdict: sum(each["verdict"] == verdict for each in answers.values()) for verdict in Verdict}
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    lines = [
        "# What AWS answered",
        "",
        f"Region {document['region']}, {document['started']}, version {document['version']}, botocore "
        f"{document['botocore']}. {summary or 'Nothing was asked'}."
        + (" The run was interrupted." if document["interrupted"] else ""),
        "",
        "| belief | verdict | AWS answered |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {each['verdict']} | {_cell(name, each)} |" for name, each in answers.items()]
    if document["left"]:
        lines += ["", "Not removed; `make verify-aws-clean` tries again:", ""]
        lines += [f"- {each}" for each in document["left"]]
    return "\n".join([*lines, *_acceptance_lines(document.get("acceptance")), ""])


def _cell(name: str, entry: Json) -> str:
    if entry.get("error"):
        return _plain(entry["error"])
    belief = BELIEFS.get(name)
    found = differences(belief, entry["answer"]) if belief else []
    return _plain(" ".join(told(each) for each in found)) or "what the sandbox answers"


def _acceptance_lines(acceptance: Json | None) -> list[str]:
    if acceptance is None:
        return []
    lines = ["", "## The type itself", ""]
    found = [f"- {each}" for each in acceptance["differences"]]
    return lines + (found or ["Every step ended as it does in the sandbox."])


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
