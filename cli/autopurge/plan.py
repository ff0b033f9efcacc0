"""``autopurge plan``: what a delete would do now, and every reason against it. It asks what the delete itself asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from awstut_ecr_autopurgerepository.deletion.asking import what_would_delete_do
from awstut_ecr_autopurgerepository.deletion.verdict import Answer, Outcome
from awstut_ecr_autopurgerepository.errors import AWS_ERRORS
from awstut_ecr_autopurgerepository.pacing import ThreadPool
from awstut_ecr_autopurgerepository.provider.clients import client_of_users, ecr_client, s3_client
from awstut_ecr_autopurgerepository.rules.settings import Owner

from . import type_configuration
from .aws import AT_ONCE, Aws
from .check.reading import read
from .command import READ_ONLY, Tool, command
from .failures import ExitCode, Failure
from .output import day, plural, size
from .repositories import at_once, find_marked
from .stacks import describe, repositories_in

_CLOUD_CONTROL = Owner()
_POOL = 2  # calls side by side for one repository: DescribeRepositories and ListTagsForResource
_STYLES = {Outcome.REFUSE: "bold red", Outcome.PURGE: "yellow", Outcome.EMPTY: "green", Outcome.GONE: "dim"}


@dataclass(frozen=True)
class Asked:
    """A repository that is asked about, and who would delete it: ``Owner()`` means Cloud Control."""

    name: str
    requester: Owner = _CLOUD_CONTROL


@command(
    READ_ONLY,
    example="""
    autopurge plan my-app
    autopurge plan --stack shop || echo 'delete-stack would be refused'
    autopurge plan --all --json | jq -r '.repositories[] | select(.verdict == "refuse") | .name'
    """,
)
@click.option("--tag", metavar="KEY=VALUE", help="All repositories of this type that have the tag.")
@click.option("--all", "everything", is_flag=True, help="All repositories of this type.")
@click.option(
    "--stack", metavar="STACK", help="All repositories of this type in the stack, for a delete of that stack."
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
def plan(tool: Tool, names: tuple[str, ...], stack: str | None, everything: bool, tag: str | None) -> ExitCode:
    """Show what a delete would do now to the repositories NAME, and every reason against it.

    The verdict is that of the delete itself: gone (there is no such repository), empty (it deletes the repository),
    purge (it deletes the images, then the repository), or refuse (it changes nothing). For refuse, each reason is
    shown, with the command that lifts it. For a NAME, the verdict is that of a delete by Cloud Control, which may
    delete the repository of any stack. Changes nothing. The exit code is 3 if a delete would be refused.
    """
    if sum((bool(names), stack is not None, everything, tag is not None)) != 1:
        raise click.UsageError("Name repositories, or give one of --stack, --all and --tag.")
    asked = _asked(tool, names, stack, tag)
    answers = ask(tool.aws, asked)
    if tool.output.as_json:
        tool.output.json({"repositories": [document(each) for each in answers]})
    for each in answers:
        _show(tool, each)
    _hint(tool, answers)
    return ExitCode.FOUND if any(each.outcome is Outcome.REFUSE for each in answers) else ExitCode.FINE


def _asked(tool: Tool, names: tuple[str, ...], stack: str | None, tag: str | None) -> list[Asked]:
    if names:
        return [Asked(name) for name in dict.fromkeys(names)]
    if stack is not None:
        return _of_stack(tool, stack)
    found = find_marked(tool.aws)
    if tag is None:
        return [Asked(each.name) for each in found]
    key, equals, value = tag.partition("=")
    if not equals:
        raise click.UsageError("--tag takes KEY=VALUE.")
    return [Asked(each.name) for each in found if each.tags.get(key) == value]


def _of_stack(tool: Tool, stack: str) -> list[Asked]:
    stack_id = describe(tool.aws, stack)["StackId"]
    resources = [each for each in repositories_in(tool.aws, stack_id) if each.name]
    if not resources:
        raise Failure(f"The stack {stack} has no repository of this type.")
    kept = _kept(tool.aws, stack_id)
    for each in resources:
        if each.logical_id in kept:
            tool.output.hint(
                f"A delete of the stack keeps {each.name}: {each.logical_id} has DeletionPolicy: "
                f"{kept[each.logical_id]}. The verdict is that of a delete without it."
            )
    return [Asked(each.name, Owner(stack_id, each.logical_id)) for each in resources]


def _kept(aws: Aws, stack_id: str) -> dict[str, str]:
    """The resources that a delete of the stack keeps, with their DeletionPolicy; none where that may not be asked."""
    try:
        body: Any = aws.cloudformation.get_template(StackName=stack_id, TemplateStage="Processed")["TemplateBody"]
        template = read(body).document if isinstance(body, str) else body
        policies = {key: str(each.get("DeletionPolicy")) for key, each in template["Resources"].items()}
    except (*AWS_ERRORS, ValueError, AttributeError, KeyError, TypeError):
        return {}
    return {key: policy for key, policy in policies.items() if policy.startswith("Retain")}


def ask(aws: Aws, asked: Iterable[Asked]) -> list[Answer]:
    """The answers, in this order. The type configuration is read once. Changes nothing.

    For each repository it takes as many calls as there are pages of 1,000 images, and some six more.
    """
    account = type_configuration.rules_of(type_configuration.read(aws))
    account_id: str = aws.client("sts").get_caller_identity()["Account"]
    ecr = ecr_client(aws.handler_session, attempts=1, connections=AT_ONCE * _POOL)

    def answer(each: Asked) -> Answer:
        with ThreadPool(_POOL) as pool:
            make_s3 = partial(s3_client, aws.handler_session, _POOL)
            make_client = partial(client_of_users, aws.handler_session, _POOL)
            return what_would_delete_do(
                ecr, each.name, each.requester, account, account_id, aws.clock, pool, make_s3, make_client
            )

    return at_once(answer, asked)


def document(answer: Answer) -> dict[str, Any]:
    """The shape of ``--json``."""
    return {
        "name": answer.name,
        "arn": answer.arn,
        "verdict": answer.outcome.value,
        "images": answer.images.count,
        "bytes": answer.images.bytes,
        "reasons": [
            {"rule": each.rule, "message": each.message, "command": each.command} for each in answer.objections
        ],
    }


def _show(tool: Tool, answer: Answer) -> None:
    tool.output.line(f"{answer.name}: {answer.outcome.value}", style=_STYLES[answer.outcome])
    if answer.outcome is Outcome.GONE:
        tool.output.line("  There is no such repository: a delete is done already.")
        return
    for line in _figures(answer):
        tool.output.line(f"  {line}")
    for each in answer.objections:
        tool.output.line(f"  {each.rule}: {each.message}")
        if each.command:
            tool.output.line(f"    {each.command}", style="cyan")
    for sentence in answer.not_known:
        tool.output.line(f"  Not known: {sentence}")


def _figures(answer: Answer) -> list[str]:
    images = answer.images
    if not images.count:
        return ["no images"]
    counts = (
        f"{plural(images.count, 'image')}, {size(images.bytes)}: {images.tagged:,} tagged, {images.archived:,} archived"
    )
    lines = [counts, f"newest push {day(images.newest_push)}, last pull {day(images.last_pull)}"]
    if answer.destinations:
        lines.append(f"ECR would delete them in {', '.join(answer.destinations)}, too")
    elif answer.destinations is None:
        lines.append("whether ECR would delete them elsewhere, too, is not known: ecr:DescribeRegistry was denied")
    if answer.archived_note:
        lines.append(answer.archived_note)
    return lines


def _hint(tool: Tool, answers: list[Answer]) -> None:
    counted = {outcome: sum(each.outcome is outcome for each in answers) for outcome in Outcome}
    words = ", ".join(f"{outcome.value} {count:,}" for outcome, count in counted.items() if count)
    tool.output.hint(f"{plural(len(answers), 'repository', 'repositories')}{f': {words}' if words else ''}.")
