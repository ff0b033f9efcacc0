"""What a run writes, what is kept of it, and what it teaches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from probes import page, records
from probes.belief import Verdict
from probes.beliefs import BELIEFS
from probes.learn import learn
from probes.place import Place
from probes.records import Recorded, all_recorded, as_page, contradictions, redacted, verification
from probes.registry import PROBES, Probe
from probes.run import ask
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.probes import OF_ECR_ONLY, place_in
from tests.support.project_copy import ROOT

ACCOUNT = "210987654321"
STARTED = "2026-11-28T09:00:00+00:00"
Json = dict[str, Any]


@pytest.fixture
def place() -> Place:
    return place_in(StrictEcr(clock=VirtualClock(), account=ACCOUNT))


def document_of(place: Place, *names: str) -> Json:
    probes = [each for each in OF_ECR_ONLY if each.name in names]
    assert len(probes) == len(names)
    return verification(place, ask(place, probes), STARTED, "1.0.0")


def with_answer(document: Json, belief: str, **changes: Any) -> Json:
    """As if AWS had answered some questions otherwise."""
    entry = document["answers"][belief]
    entry["answer"] = {**entry["answer"], **changes}
    return document


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/app", "arn:aws:ecr:eu-west-1:ACCOUNT:repository/app"),
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com", "ACCOUNT.dkr.ecr.eu-west-1.amazonaws.com"),
        ("registry 123456789999.", "registry ACCOUNT."),
        (
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/Admin/jane@example.org is not authorized",
            "User: arn:aws:sts::ACCOUNT:PRINCIPAL is not authorized",
        ),
        (f"arn:aws-cn:iam::{ACCOUNT}:user/team/jane", "arn:aws-cn:iam::ACCOUNT:PRINCIPAL"),
        ("key AKIAIOSFODNN7EXAMPLE and AROAEXAMPLEEXAMPLE12", "key KEY and KEY"),
        ("digest sha256:" + "123456789012" * 5, "digest sha256:" + "123456789012" * 5),
    ],
)
def test_account_ids_principals_and_keys_are_removed(text: str, clean: str) -> None:
    assert redacted(text, ACCOUNT) == clean


def test_a_verification_holds_answers_and_no_account(place: Place) -> None:
    document = document_of(place, "pulls", "full-repository", "deny-on-pushes")
    text = json.dumps(document)
    assert ACCOUNT not in text
    assert document["answers"]["only-empty-repositories"] == {
        "verdict": "held",
        "answer": BELIEFS["only-empty-repositories"].answer,
    }
    assert (document["region"], document["started"], document["interrupted"]) == ("eu-west-1", STARTED, False)


def test_a_probe_that_can_not_ask_fails_alone(place: Place) -> None:
    def broken(_place: Place) -> Any:
        return place.ecr.describe_repositories(repositoryNames=["missing"])

    probes = [Probe("broken", broken, ("drift",), "nothing", 1), PROBES["full-repository"]]
    findings = ask(place, probes)
    assert [(each.belief, each.verdict) for each in findings.outcomes] == [
        ("drift", Verdict.FAILED),
        ("only-empty-repositories", Verdict.HELD),
    ]
    told = as_page(verification(place, findings, STARTED, "1.0.0"))
    assert "| drift | failed | RepositoryNotFoundException: An error occurred" in told


def test_the_page_for_an_issue_says_what_differs(place: Place) -> None:
    document = with_answer(document_of(place, "pages-of-images"), "pages-of-images", **{"1,000 a page": "no"})
    document["answers"]["pages-of-images"]["verdict"] = "contradicted"
    told = as_page(document)
    assert "1 held, 1 contradicted" in told
    assert "| tokens-outlive-deletes | held | what the sandbox answers |" in told
    assert "'1,000 a page': the sandbox answers accepted, AWS no." in told


# Learning


def written(document: Json, folder: Path) -> Path:
    path = folder / "verification.json"
    path.write_text(json.dumps(document))
    return path


def test_what_aws_answers_otherwise_is_told_and_kept(place: Place, tmp_path: Path) -> None:
    document = document_of(place, "pages-of-images", "forms-of-policies")
    with_answer(document, "pages-of-images", **{"default page of ListImages": 50})
    with_answer(document, "form-of-policies", **{"a list of one action": "a list"})
    lines = learn(written(document, tmp_path), tmp_path / "recorded")
    [kept] = (tmp_path / "recorded").iterdir()
    assert lines == [
        f"5 answers are kept in {kept.name}; 2 differ from the sandbox's.",
        "pages-of-images, 'default page of ListImages': the sandbox answers 100, AWS 50.",
        "form-of-policies, 'a list of one action': the sandbox answers a string, AWS a list. The code is tested "
        "with that answer. Switch in the sandbox: faults.policy_form.",
    ]
    [recorded] = all_recorded(tmp_path / "recorded")
    assert (recorded.day, recorded.region) == ("2026-11-28", "eu-west-1")
    [contradiction] = contradictions([recorded])
    assert contradiction.startswith("pages-of-images, 'default page of ListImages': the sandbox answers 100, AWS 50.")
    assert "details" not in json.loads(kept.read_text())


def test_answers_that_held_contradict_nothing(place: Place, tmp_path: Path) -> None:
    learn(written(document_of(place, "pulls", "pages-of-images"), tmp_path), tmp_path / "recorded")
    assert contradictions(all_recorded(tmp_path / "recorded")) == []


def test_recorded_answers_show_on_the_page() -> None:
    answer = dict(BELIEFS["pages-of-images"].answer or {})
    earlier = Recorded("2026-11-01", "eu-west-1", {"pages-of-images": {**answer, "0 a page": "accepted"}})
    later = Recorded("2026-11-20", "us-east-1", {"pages-of-images": answer})
    text = page.render([earlier, later])
    [row] = [line for line in text.splitlines() if line.startswith("| `pages-of-images`")]
    assert row.endswith("| 2026-11-01, eu-west-1: 0 a page: accepted; 2026-11-20, us-east-1: the same |")
    assert page.NOT_RUN in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"There is no .*verification.json. make verify-aws writes it"),
        ("{", "is not JSON"),
        ("[]", "is not a verification"),
        ('{"format": 0, "answers": {}}', "is not a verification of this version"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "verification.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(records.VerificationError, match=message):
        learn(path, tmp_path / "recorded")


# Without credentials


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    nothing = {"PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **variables}
    return subprocess.run(
        [sys.executable, "-m", "probes", *arguments],
        cwd=ROOT,
        env=nothing,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_list_works_without_credentials() -> None:
    done = command("aws", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    asked = [belief for belief in BELIEFS.values() if belief.answer is not None]
    assert [each.name for each in asked if f"    {each.name}: {each.sentence}" not in done.stdout] == []
    assert "costs at most 0." in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "No Region is set. Set AWS_REGION, or a profile that has one.\n"),
        ({"AWS_REGION": "eu-west-1"}, "AWS does not say whose credentials these are: Unable to locate credentials\n"),
    ],
)
def test_a_run_without_region_or_credentials_says_so(variables: dict[str, str], message: str) -> None:
    done = command("aws", "--yes", **variables)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
