"""What all commands share: options, help with an example, exit codes, errors in words.

A command is a function that takes a Tool and its own options, and returns an ExitCode::

    @command("Nothing was changed: run the same command again.", example="autopurge lock my-app")
    @click.argument("name")
    def lock(tool: Tool, name: str) -> ExitCode:
        '''Keep a repository from being deleted.'''
"""

from __future__ import annotations

import functools
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from awstut_ecr_autopurgerepository.pacing import Clock

from .aws import Aws, Connect, Target, connect
from .failures import ExitCode, told
from .output import Output

READ_ONLY = "This command changes nothing: run it again."


@dataclass(frozen=True)
class Surroundings:
    """What a test replaces: how clients are made, the clock, and whether a user can be asked.

    It is handed to click as the context's object.
    """

    connect: Connect = connect
    clock: Clock = time
    can_ask: Callable[[], bool] = lambda: sys.stdin.isatty()


@dataclass(frozen=True)
class Tool:
    """What a command works with."""

    aws: Aws
    output: Output
    target: Target


class ExampleCommand(click.Command):
    """A command whose help ends with examples, as they are typed."""

    example = ""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, and what the exit codes mean."""
        del ctx
        with formatter.section("Example"):
            example = textwrap.dedent(self.example).strip()
            formatter.write(textwrap.indent(example, " " * formatter.current_indent) + "\n")
        with formatter.section("Exit codes"):
            formatter.write_text(
                "0 fine; 1 error; 2 wrong usage; 3 something is refused, or not deleted, or a template has a finding"
            )


def command(
    how_to_go_on: str, *, example: str, name: str | None = None
) -> Callable[[Callable[..., ExitCode]], click.Command]:
    """Make a command of a function. ``how_to_go_on`` is what Ctrl-C says; ``example`` are lines for a shell."""

    def decorate(function: Callable[..., ExitCode]) -> click.Command:
        @functools.wraps(function)
        def run(region: str | None, profile: str | None, endpoint_url: str | None, as_json: bool, **own: Any) -> None:
            context = click.get_current_context()
            around = context.find_object(Surroundings) or Surroundings()
            target = Target(region, profile, endpoint_url)
            with told(how_to_go_on):
                aws = Aws(around.connect(target), around.clock)
                code = function(Tool(aws, Output(as_json=as_json, can_ask=around.can_ask()), target), **own)
            context.exit(code)

        made = click.command(name, cls=ExampleCommand)(_shared_options(run))
        made.example = example
        return made

    return decorate


def _shared_options(function: Any) -> Any:
    """Add the options of all commands after its own: click reads the list from its end."""
    own, function.__click_params__ = getattr(function, "__click_params__", []), []
    for option in (
        click.option("--endpoint-url", metavar="URL", help="Another endpoint; default: AWS_ENDPOINT_URL."),
        click.option("--profile", metavar="NAME", help="A profile of the AWS CLI."),
        click.option("--region", metavar="REGION", help="The Region; default: AWS_REGION, or that of the profile."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for scripts."),
    ):
        function = option(function)
    function.__click_params__ += own
    return function
