"""The command ``autopurge watch``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import click

from ..command import Tool, command
from ..failures import ExitCode, Failure
from ..output import plural
from .bars import Bars
from .look import Looker, owners_in
from .story import Stage, Story

_GO_ON = "The deletes go on without it: run it again to look at them."
_INTERVAL = 3.0  # seconds between two looks
_LOOKS_FOR_THROTTLING = 5  # the log is asked at each fifth look
_COLUMNS = ("Repository", "Result", "Images", "Seconds", "Throttled", "Message")


@command(
    _GO_ON,
    example="""
    autopurge watch my-app
    aws cloudformation delete-stack --stack-name shop && autopurge watch --stack shop
    """,
)
@click.option("--stack", metavar="STACK", help="All repositories of this type in the stack.")
@click.option(
    "--wait", default=60, show_default=True, metavar="SECONDS", help="How long to wait for a delete to begin."
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
def watch(tool: Tool, names: tuple[str, ...], stack: str | None, wait: int) -> ExitCode:
    """Show how far the deletes of the repositories NAME are, until they end.

    Each repository has a bar: images, rate, time left, pass (one walk over all images), and requests that ECR
    throttled. A purge writes its progress about every 50 seconds; in between, the bar moves at the last rate. The exit
    code is 0 if all repositories are gone, and 3 if one is left; then the reason is shown. This command deletes
    nothing.
    """
    if bool(names) == (stack is not None):
        raise click.UsageError("Name repositories, or give --stack.")
    looker = _looker(tool, names, stack)
    stories = [Story(name) for name in looker.names]
    _follow(tool, looker, stories, wait)
    _summarise(tool, stories)
    if any(story.stage is Stage.WAITING for story in stories):
        waiting = ", ".join(story.name for story in stories if story.stage is Stage.WAITING)
        raise Failure(f"No delete of {waiting} began within {wait} seconds.")
    return ExitCode.FINE if all(story.stage is Stage.DELETED for story in stories) else ExitCode.FOUND


def _looker(tool: Tool, names: tuple[str, ...], stack: str | None) -> Looker:
    since = tool.aws.clock.time()
    if stack is None:
        return Looker(tool.aws, list(dict.fromkeys(names)), since=since)
    _, owners = owners_in(tool.aws, stack)
    if not owners:
        raise Failure(f"The stack {stack} has no repository of this type.")
    return Looker(tool.aws, list(owners), owners, since)


def _follow(tool: Tool, looker: Looker, stories: list[Story], wait: int) -> None:
    clock, began, looks = tool.aws.clock, tool.aws.clock.monotonic(), 0
    with ExitStack() as stack:
        show = _shown(tool, stories, stack)
        while not all(story.is_over for story in stories):
            if looks:
                clock.sleep(_INTERVAL)
            seen, now = looker.look(), clock.time()
            throttled = looker.throttled() if looks % _LOOKS_FOR_THROTTLING == 0 else {}
            for story in stories:
                story.throttled = throttled.get(story.name, story.throttled)
                show(story, story.add(seen[story.name], now), now)
            looks += 1
            waited = clock.monotonic() - began >= wait
            if waited and all(story.is_over or story.stage is Stage.WAITING for story in stories):
                return


def _shown(tool: Tool, stories: list[Story], stack: ExitStack) -> Callable[[Story, bool, float], None]:
    """How a look is shown: as bars in a terminal, otherwise as a line where something is new."""
    if tool.output.is_terminal and not tool.output.as_json:
        bars = stack.enter_context(Bars(tool.output.console, stories))
        return lambda story, _new, now: bars.show(story, now)
    told: set[str] = set()

    def line(story: Story, new: bool, now: float) -> None:
        if new or story.name not in told:
            told.add(story.name)
            tool.output.line(story.line(now))

    return line


def _summarise(tool: Tool, stories: list[Story]) -> None:
    documents = [story.document() for story in stories]
    if tool.output.as_json:
        tool.output.json({"repositories": documents})
        return
    rows = [
        [
            story.name,
            story.stage.value,
            f"{story.progress.known:,}" if story.progress else "",
            "" if document["seconds"] is None else f"{document['seconds']:,.0f}",
            f"{story.throttled:,}" if story.throttled else "",
            story.message,
        ]
        for story, document in zip(stories, documents, strict=True)
    ]
    tool.output.table(_COLUMNS, rows, right=("Images", "Seconds", "Throttled"))
    gone = sum(story.stage is Stage.DELETED for story in stories)
    tool.output.hint(f"{gone:,} of {plural(len(stories), 'repository', 'repositories')} deleted.")
