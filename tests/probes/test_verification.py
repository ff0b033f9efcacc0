"""`make verify` and `make verify-aws` as commands, and all probes, on one sandbox that is shared by these tests."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from probes.belief import Verdict, differences
from probes.beliefs import BELIEFS, chosen
from probes.clients import BotoClients, sandbox_session
from probes.place import Place
from probes.registry import REPLICATION
from probes.removal import leftovers
from probes.run import Findings, ask
from probes.verify import Options, verify_sandbox
from sandbox.server import Sandbox, start_sandbox
from tests.support.project_copy import ROOT

REGION, SECOND = "us-east-1", "us-west-2"
ACCOUNT = "123456789012"
FAST = {"callback_delay_cap_seconds": 0.01, "retry_delay_seconds": 0.01}
SEED = random.randrange(2**32)
# Asked by the runs that are killed: between them they make everything that a run can make, and do not take long.
SOME = "failed-deletes,names-of-repositories,conditions-on-tags,imports"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A sandbox for all tests of this file."""
    with start_sandbox() as box:
        box.control.settings(**FAST)
        yield box


@pytest.fixture
def place(box: Sandbox) -> Iterator[Place]:
    clients = BotoClients(sandbox_session(REGION), box.url)
    yield Place(clients, ACCOUNT, REGION, second_region=SECOND, tries=4, poll=0.02, settle=0, on_sandbox=True)
    clients.close()


def left_in(place: Place) -> list[str]:
    """Everything that is there: nobody else uses the sandbox."""
    s3, iam, cloudformation = place.client("s3"), place.client("iam"), place.client("cloudformation")
    stacks = [each for each in cloudformation.describe_stacks()["Stacks"] if each["StackStatus"] != "DELETE_COMPLETE"]
    return [
        *(each["StackName"] for each in stacks),
        *(each["TypeName"] for each in cloudformation.list_types(Visibility="PRIVATE")["TypeSummaries"]),
        *(each["Name"] for each in s3.list_buckets()["Buckets"]),
        *(each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].startswith("autopurge")),
        *(each["repositoryName"] for region in (REGION, SECOND) for each in repositories(place, region)),
        *place.ecr.describe_registry()["replicationConfiguration"]["rules"],
    ]


def repositories(place: Place, region: str) -> list[Json]:
    found: list[Json] = place.client("ecr", region).describe_repositories()["repositories"]
    return found


def test_the_sandbox_answers_every_belief_as_it_is_written_down(
    box: Sandbox, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `make verify` does."""
    assert verify_sandbox(Options(replication=True), box.url, tries=4) == 0
    printed = capsys.readouterr().out
    asked = [each.name for each in BELIEFS.values() if each.answer is not None]
    assert [name for name in asked if f"\n{name}: held: " not in printed] == []
    assert f"{len(asked)} beliefs were asked, 0 answers are not what is written down." in printed
    assert [each.name for each in BELIEFS.values() if f"\n{each.name}: " not in printed] == []
    assert left_in(place) == []


def asked_with(box: Sandbox, place: Place, only: str, **settings: Any) -> Findings:
    """What is found in a sandbox whose settings are others."""
    box.control.settings(**settings)
    try:
        return ask(place, chosen(only))
    finally:
        box.control.reset_settings()
        box.control.settings(**FAST)


@pytest.mark.parametrize(
    ("settings", "belief", "question", "answer"),
    [
        ({"import_previous": "read"}, "previous-state-of-an-import", "previous state", "what READ answered"),
        ({"import_previous": "nothing"}, "previous-state-of-an-import", "previous state", "nothing"),
        (
            {"delete_after_already_exists": True},
            "already-exists-and-the-rollback",
            "after an answer without a model",
            "deleted",
        ),
    ],
)
def test_another_behaviour_of_cloudformation_is_found_and_named(
    box: Sandbox, place: Place, settings: Json, belief: str, question: str, answer: str
) -> None:
    outcomes = {each.belief: each for each in asked_with(box, place, belief, **settings).outcomes}
    assert outcomes[belief].verdict is Verdict.OTHER
    [difference] = differences(BELIEFS[belief], outcomes[belief].answer or {})
    assert (difference.question, difference.aws) == (question, answer)
    assert difference.switch == BELIEFS[belief].switch
    assert left_in(place) == []


def test_a_cloudformation_that_does_not_call_again_is_found(box: Sandbox, place: Place) -> None:
    [outcome] = asked_with(box, place, "retriable-codes", retries=0).outcomes
    assert outcome.verdict is Verdict.CONTRADICTED
    assert (outcome.answer or {})["Throttling, once"] == "called once, and failed"


def test_late_tags_are_found_by_a_role_with_a_condition_and_named(box: Sandbox, place: Place) -> None:
    box.control.set_lateness(new_tags=0.4)
    try:
        findings = ask(place, chosen("conditions-on-tags"))
    finally:
        box.control.clear_lateness()
    outcomes = {each.belief: each for each in findings.outcomes}
    late = outcomes["conditions-on-tags-are-late"]
    assert (late.verdict, late.answer) == (Verdict.OTHER, {"the role is allowed by": "10 s"})
    assert outcomes["missing-repository-is-denied"].verdict is Verdict.HELD


def test_rules_of_replication_that_are_there_are_not_touched(place: Place) -> None:
    rule = {"destinations": [{"region": SECOND, "registryId": ACCOUNT}], "repositoryFilters": []}
    place.ecr.put_replication_configuration(replicationConfiguration={"rules": [rule]})
    before = place.ecr.describe_registry()["replicationConfiguration"]
    findings = ask(place, chosen("delete-replication", frozenset({REPLICATION})))
    assert {each.error for each in findings.outcomes} == {
        "ProbeError: This registry has rules of replication. They would be replaced, so nothing was asked."
    }
    assert place.ecr.describe_registry()["replicationConfiguration"] == before
    assert leftovers(place) == []
    place.ecr.put_replication_configuration(replicationConfiguration={"rules": []})


# The command


def start(box: Sandbox, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "probes", *arguments, "--yes", "--folder", str(folder)]
    variables = {**box.environment, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    printed, errors = process.communicate(timeout=300)
    return process.returncode, printed + errors


def test_a_run_tells_first_what_it_creates_and_writes_both_files(box: Sandbox, place: Place, tmp_path: Path) -> None:
    code, printed = finish(start(box, tmp_path, "aws", "--only", "names-of-repositories"))
    assert code == 0, printed
    assert printed.startswith(f"Account {ACCOUNT}, Region {REGION}.\n1 probes ask about 3 beliefs.")
    assert "All names begin with autopurge-verify-" in printed
    assert "| name-is-taken | held | what the sandbox answers |" in (tmp_path / "verification.md").read_text()
    written = (tmp_path / "verification.json").read_text()
    assert json.loads(written)["answers"].keys() == {"name-is-taken", "name-is-free-again", "repository-defaults"}
    assert ACCOUNT not in written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["verification.json", "verification.md"]
    assert left_in(place) == []


def test_runs_that_are_killed_leave_nothing(box: Sandbox, place: Place, tmp_path: Path) -> None:
    """Ctrl-C, SIGTERM and SIGKILL at random moments; after SIGKILL the second command removes the rest."""
    print(f"seed {SEED}")
    source = random.Random(SEED)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        process = start(box, tmp_path, "aws", "--only", SOME)
        assert process.stdout is not None
        while not process.stdout.readline().startswith("1/"):
            assert process.poll() is None
        time.sleep(source.uniform(0, 2))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        code, printed = finish(process)
        if "Interrupted." in printed:
            assert (code, number == signal.SIGKILL) == (130, False), printed
        else:  # killed at once, or the run was just ending
            assert code in (0, -number), printed
            assert number == signal.SIGKILL or "Written to " in printed
        if number == signal.SIGKILL:
            if source.random() < 0.5:
                (tmp_path / "verification.ledger").unlink(missing_ok=True)  # prefix and tag are enough
            code, printed = finish(start(box, tmp_path, "clean"))
            assert code == 0, printed
        assert left_in(place) == []


def test_a_run_is_refused_while_something_is_left_of_an_earlier_one(box: Sandbox, tmp_path: Path) -> None:
    ledger = tmp_path / "verification.ledger"
    ledger.write_text('{"kind": "repository", "name": "autopurge-verify-00000000-x-1", "region": "us-east-1"}\n')
    assert finish(start(box, tmp_path, "aws", "--only", "drift")) == (
        2,
        "An earlier run left 1 things. First run make verify-aws-clean.\n",
    )
    code, printed = finish(start(box, tmp_path, "clean"))
    assert (code, "Removed repository autopurge-verify-00000000-x-1." in printed) == (0, True)
    assert not ledger.exists()


def test_clean_has_nothing_to_do_after_a_run_that_ended(box: Sandbox, tmp_path: Path) -> None:
    assert finish(start(box, tmp_path, "clean")) == (0, "Nothing is left of earlier runs.\n")


def test_a_name_that_is_no_probe_is_refused(box: Sandbox, tmp_path: Path) -> None:
    code, printed = finish(start(box, tmp_path, "aws", "--only", "moon"))
    assert (code, printed) == (2, "There is no probe or belief 'moon'. make verify-aws ARGS=--list shows all.\n")
