"""The commands: ask a sandbox, ask an account, remove what is left of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from probes import records
from probes.acceptance import both, steps
from probes.belief import Verdict
from probes.beliefs import BELIEFS, chosen
from probes.clients import BotoClients, sandbox_session
from probes.costs import costs
from probes.made import TAG, Ledger, Run
from probes.place import Place
from probes.registry import REPLICATION, Probe
from probes.removal import leftovers, remove_all
from probes.run import Findings, Interrupts, Outcome, ask

ROOT = Path(__file__).resolve().parent.parent
LEDGER, VERIFICATION, PAGE = "verification.ledger", "verification.json", "verification.md"
_LOCAL = "http://127.0.0.1"
_QUICK: dict[str, Any] = {"poll": 0.05, "settle": 0.0, "on_sandbox": True}  # a sandbox is never slow by itself
_SANDBOX_REGION, _SECOND_REGION = "us-east-1", "us-west-2"


class RefusedError(RuntimeError):
    """A command cannot run; the text says what to do."""


@dataclass(frozen=True)
class Options:
    """What a run was asked for on the command line."""

    only: str = ""
    yes: bool = False
    replication: bool = False
    second_region: str = ""
    acceptance: bool = False
    folder: Path = Path()

    @property
    def probes(self) -> list[Probe]:
        """Raises RefusedError for a name that is none."""
        flags = frozenset({REPLICATION}) if self.replication else frozenset[str]()
        try:
            return chosen(self.only, flags)
        except KeyError as error:
            raise RefusedError(
                f"There is no probe or belief {error}. make verify-aws ARGS=--list shows all."
            ) from error


def say(line: str) -> None:
    print(line, flush=True)


def list_probes(options: Options) -> int:
    """What could be asked; needs no credentials."""
    probes = chosen(options.only, frozenset({REPLICATION})) if not options.only else options.probes
    for each in probes:
        needs = f" Only with --{each.flag}." if each.flag else ""
        say(f"{each.name}: creates {each.creates}; about {each.seconds} s.{needs}")
        for name in each.beliefs:
            say(f"    {name}: {BELIEFS[name].sentence}")
    say(f"\n{_summary(probes)}")
    return 0


def _summary(probes: Sequence[Probe], acceptance: bool = False) -> str:
    whole = costs(probes, steps.OPERATIONS, steps.SECONDS) if acceptance else costs(probes)
    also = ", and the type itself is used on real stacks" if acceptance else ""
    return (
        f"{whole.probes} probes ask about {whole.beliefs} beliefs{also}. This takes about {whole.minutes} minutes and "
        f"costs at most {whole.dollars:.2f} USD."
    )


def verify_sandbox(options: Options, url: str, tries: int = 20) -> int:
    """Ask a sandbox, and print what it answers to each belief. 1 if an answer is not the one that is written down."""
    clients = BotoClients(sandbox_session(_SANDBOX_REGION), url)
    account = clients.client("sts", _SANDBOX_REGION).get_caller_identity()["Account"]
    place = Place(clients, account, _SANDBOX_REGION, second_region=_SECOND_REGION, tries=tries, **_QUICK)
    findings = ask(place, options.probes, say)
    clients.close()
    for outcome in findings.outcomes:
        say(_line(outcome))
    if not options.only:
        for belief in BELIEFS.values():
            if belief.unasked:
                say(f"{belief.name}: {Verdict.NOT_ASKED}: {belief.unasked}")
    wrong = [each for each in findings.outcomes if each.verdict is not Verdict.HELD]
    say(f"\n{len(findings.outcomes)} beliefs were asked, {len(wrong)} answers are not what is written down.")
    for problem in findings.left:
        say(f"Not removed: {problem}")
    return 1 if wrong or findings.left or findings.interrupted else 0


def _line(outcome: Outcome) -> str:
    if outcome.answer is None:
        return f"{outcome.belief}: {outcome.verdict}: {outcome.error}"
    answer = "; ".join(f"{question}: {records.shown(value)}" for question, value in outcome.answer.items())
    return f"{outcome.belief}: {outcome.verdict}: {answer}"


def verify_aws(options: Options) -> int:
    """Ask the account of the current credentials, after saying what that takes. Writes the two files in the folder."""
    probes = options.probes
    ledger = Ledger.load(options.folder / LEDGER)
    if ledger.things:
        raise RefusedError(f"An earlier run left {len(ledger.things)} things. First run make verify-aws-clean.")
    place = connect(options, Ledger(options.folder / LEDGER), Run.new())
    say(_announcement(place, probes, options.acceptance))
    if not options.yes and not _agreed("Go on?"):
        say("Nothing was created.")
        return 1
    started = datetime.now(UTC).isoformat(timespec="seconds")
    accept = partial(both.accept, place, say) if options.acceptance else None
    findings = ask(place, probes, say, accept)
    document = records.verification(place, findings, started, (ROOT / "VERSION").read_text().strip())
    return _report(options, document, findings)


_OF_ACCEPTANCE = (
    "4 stacks, 4 repositories with 16 images, 2 of which are archived, a bucket; and, where it is not registered in "
    "this Region, the type with its role"
)


def _announcement(place: Place, probes: Sequence[Probe], acceptance: bool) -> str:
    lines = [f"  {each.name}: {each.creates}" for each in probes]
    creates = "\n".join([*lines, f"  acceptance: {_OF_ACCEPTANCE}"] if acceptance else lines)
    return (
        f"Account {place.account}, Region {place.region}.\n{_summary(probes, acceptance)}\n"
        f"This is created, and removed again:\n{creates}\n"
        f"Where CloudFormation is asked, also: a bucket, a role, and the type {place.run.type_name}.\n"
        f"All names begin with {place.run.prefix}, and the tag {TAG} is {place.run.number}.\n"
        "Nothing else is changed."
    )


def _report(options: Options, document: dict[str, Any], findings: Findings) -> int:
    """Write the files, and say what was found. 1 if a belief is contradicted, 2 if something is left."""
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    (options.folder / VERIFICATION).write_text(text, encoding="utf-8")
    page = records.as_page(document)
    (options.folder / PAGE).write_text(page, encoding="utf-8")
    say(page)
    say(f"Written to {options.folder / VERIFICATION} and {options.folder / PAGE}, without account ids.")
    if findings.left:
        say("Some things could not be removed: make verify-aws-clean tries again.")
        return 2
    bad = (Verdict.CONTRADICTED, Verdict.FAILED)
    return 130 if findings.interrupted else int(any(each.verdict in bad for each in findings.outcomes))


def clean(options: Options) -> int:
    """Remove what earlier runs left in this account and Region: what the ledger names, and what prefix and tag show."""
    ledger = Ledger.load(options.folder / LEDGER)
    place = connect(options, ledger, Run.new())
    regions = {place.region, options.second_region or place.region, *(each.region for each in ledger.things)}
    found = dict.fromkeys(ledger.things)
    for region in sorted(regions):
        place.region = region
        found.update(dict.fromkeys(each for each in leftovers(place) if _is_new(each.name, each.kind, found)))
    if not found:
        say("Nothing is left of earlier runs.")
        ledger.close()
        return 0
    for thing in found:
        say(f"{thing.kind} {thing.name} in {thing.region}")
    if not options.yes and not _agreed("Remove all of these?"):
        return 1
    with Interrupts(say) as interrupts:
        interrupts.ignore()
        problems = remove_all(place, found, say)
    for problem in problems:
        say(f"Not removed: {problem}")
    ledger.close()
    return 2 if problems else 0


def _is_new(name: str, kind: str, found: dict[Any, None]) -> bool:
    """False for a role or a bucket that is in `found` already: the search of each Region finds them again."""
    return all((each.name, each.kind) != (name, kind) for each in found) or kind not in ("role", "bucket")


def connect(options: Options, ledger: Ledger, run: Run) -> Place:
    """The account of the current credentials. Raises RefusedError."""
    session = boto3.Session()
    region = session.region_name or os.environ.get("AWS_REGION")  # boto3 itself reads AWS_DEFAULT_REGION only
    if not region:
        raise RefusedError("No Region is set. Set AWS_REGION, or a profile that has one.")
    clients = BotoClients(session)
    try:
        identity = clients.client("sts", region).get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        raise RefusedError(f"AWS does not say whose credentials these are: {error}") from error
    local = os.environ.get("AWS_ENDPOINT_URL", "").startswith(_LOCAL)
    more = _QUICK if local else {}
    partition = identity["Arn"].split(":")[1]
    second = options.second_region
    return Place(clients, identity["Account"], region, run, ledger, partition=partition, second_region=second, **more)


def _agreed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
