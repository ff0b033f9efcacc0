"""``autopurge lock`` and ``unlock``: one rule of a repository, or of the whole account, is set or lifted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from awstut_ecr_autopurgerepository import ecr as calls
from awstut_ecr_autopurgerepository.rules.settings import MOST_DAYS, SERVICES, check_patterns

from . import type_configuration
from .command import Tool, command
from .failures import ExitCode, Failure
from .repositories import TYPE_NAME, Repository, need
from .rule_changes import RuleChange, account_after, tags_after
from .rules import protection_in_words, rules_document, rules_in_words

_GO_ON = "Look at the rules with `autopurge list`, and run the command again: what is set already is not set twice."
_SERVICES = click.Choice(SERVICES, case_sensitive=False)


def _rule_options(days: Any, days_help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that choose the rule: the same for both commands, but ``unlock`` takes no number of days."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--yes", is_flag=True, help="Do it without asking."),
            click.option(
                "--account", is_flag=True, help="Change the rule for all repositories of the account and Region."
            ),
            click.option("--pushed-within-days", help=f"The rule for images that were pushed {days_help}", **days),
            click.option("--pulled-within-days", help=f"The rule for images that were pulled {days_help}", **days),
            click.option("--in-use-by", type=_SERVICES, help="The rule for images that this service uses."),
            click.option(
                "--pattern", metavar="PATTERN", help="The rule for images with a matching tag, such as 'release-*'."
            ),
            click.argument("name", required=False),
        ):
            function = option(function)
        return function

    return decorate


@command(
    _GO_ON,
    example="""
    autopurge lock my-app
    autopurge lock my-app --pattern 'release-*'
    autopurge lock --account --pulled-within-days 30
    """,
)
@_rule_options({"type": click.IntRange(1, MOST_DAYS), "metavar": "DAYS"}, "in the last DAYS days.")
def lock(
    tool: Tool,
    name: str | None,
    pattern: str | None,
    in_use_by: str | None,
    pulled_within_days: int | None,
    pushed_within_days: int | None,
    account: bool,
    yes: bool,
) -> ExitCode:
    """Keep the repository NAME, or some of its images, from being deleted.

    Without an option for a rule, the command sets deletion protection: every delete fails and changes nothing. The
    other rules of the repository, or of the account, stay as they are. A lock of a repository stays when its stack is
    updated.
    """
    change = _chosen(
        {
            "TagPatterns": pattern,
            "InUseBy": in_use_by,
            "PulledWithinDays": pulled_within_days,
            "PushedWithinDays": pushed_within_days,
        },
        on=True,
    )
    return _change(tool, name, change, account=account, yes=yes)


@command(
    _GO_ON,
    example="""
    autopurge unlock my-app
    autopurge unlock my-app --pattern 'release-*'
    autopurge unlock --account
    """,
)
@_rule_options({"is_flag": True}, "lately.")
def unlock(
    tool: Tool,
    name: str | None,
    pattern: str | None,
    in_use_by: str | None,
    pulled_within_days: bool,
    pushed_within_days: bool,
    account: bool,
    yes: bool,
) -> ExitCode:
    """Lift one rule of the repository NAME, or of the account.

    Without an option for a rule, the command lifts deletion protection. The other rules stay as they are. An unlock of
    a repository lasts until the next update of its stack, which brings the rules of the template back.
    """
    change = _chosen(
        {
            "TagPatterns": pattern,
            "InUseBy": in_use_by,
            "PulledWithinDays": pulled_within_days or None,
            "PushedWithinDays": pushed_within_days or None,
        },
        on=False,
    )
    return _change(tool, name, change, account=account, yes=yes)


def _chosen(options: Mapping[str, Any], *, on: bool) -> RuleChange:
    """The one rule that the options choose, by the names of their properties. Raises UsageError for two."""
    given = {rule: value for rule, value in options.items() if value is not None}
    if len(given) > 1:
        raise click.UsageError("Choose one rule: each command changes one.")
    if not given:
        return RuleChange("DeletionProtection", on)
    ((rule, value),) = given.items()
    if rule == "TagPatterns":
        try:
            check_patterns("--pattern", [value])
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    return RuleChange(rule, on, value)


def _change(tool: Tool, name: str | None, change: RuleChange, *, account: bool, yes: bool) -> ExitCode:
    if account == (name is not None):
        raise click.UsageError("Name one repository, or give --account for all of the account and Region.")
    if name is None:
        return _change_account(tool, change, yes=yes)
    return _change_repository(tool, need(tool.aws, name), change, yes=yes)


def _change_repository(tool: Tool, repository: Repository, change: RuleChange, *, yes: bool) -> ExitCode:
    tags = _checked(tags_after, repository.stored, change)
    after = Repository(repository.description, {**repository.tags, **tags})
    old, new = rules_document(repository), rules_document(after)
    words = rules_in_words(old, repository.stored), rules_in_words(new, after.stored)
    _show(tool, f"The rules of {repository.name}", *words)
    if tags and not tool.output.ask(f"Change the rules of {repository.name}?", yes=yes):
        return _unchanged(tool)
    if tags:
        calls.tag_repository(tool.aws.ecr, repository.arn, tags)
        tool.output.hint(_what_counts(repository, change))
    if tool.output.as_json:
        names = {"name": repository.name, "arn": repository.arn}
        tool.output.json({**names, "before": old, "after": new, "changed": bool(tags)})
    return ExitCode.FINE


def _what_counts(repository: Repository, change: RuleChange) -> str:
    """How long the change lasts, and what still refuses."""
    if change.on:
        return f"Set on {repository.name}. It counts at once, also for a delete that is running."
    lasts = " The next update of its stack brings the rules of the template back." if repository.stack else ""
    return f"Lifted on {repository.name}.{lasts} `autopurge plan {repository.name}` tells what still refuses a delete."


def _change_account(tool: Tool, change: RuleChange, *, yes: bool) -> ExitCode:
    before = type_configuration.read(tool.aws)
    after = _checked(account_after, before, change)
    changed = after != before
    region = tool.aws.ecr.meta.region_name
    _show(tool, f"The type configuration in {region}", configuration_in_words(before), configuration_in_words(after))
    question = f"Change the rules of all repositories of {TYPE_NAME} in {region}?"
    if changed and not tool.output.ask(question, yes=yes):
        return _unchanged(tool)
    if changed:
        type_configuration.write(tool.aws, after)
        tool.output.hint(
            f"Changed in {region}. It counts from the next call of a handler on, also for a running purge."
        )
    if tool.output.as_json:
        tool.output.json({"before": before, "after": after, "changed": changed})
    return ExitCode.FINE


def configuration_in_words(configuration: dict[str, Any]) -> list[str]:
    """A type configuration, a few words for each rule, and all else as it is."""
    words = ["locked"] if configuration.get("DeletionProtection") else []
    words += protection_in_words(configuration.get("PurgeProtection", {}))
    others = {key: each for key, each in configuration.items() if key not in ("DeletionProtection", "PurgeProtection")}
    return words + [f"{key} {each}" for key, each in others.items()]


def _checked(compute: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return compute(*arguments)
    except ValueError as error:
        raise Failure(str(error)) from error


def _show(tool: Tool, what: str, before: list[str], after: list[str]) -> None:
    if before == after:
        tool.output.line(f"{what}: {'; '.join(before) or 'none'}. There is nothing to change.")
        return
    tool.output.line(f"{what}")
    tool.output.line(f"  before: {'; '.join(before) or 'none'}")
    tool.output.line(f"  after:  {'; '.join(after) or 'none'}")


def _unchanged(tool: Tool) -> ExitCode:
    tool.output.hint("Nothing was changed.")
    return ExitCode.ERROR
