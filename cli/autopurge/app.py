"""The command ``autopurge``: the list of its commands."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

import click

from .adopt.command import adopt
from .check.command import check
from .inventory import list_repositories
from .lock import lock, unlock
from .plan import plan
from .report.command import report
from .watch.command import watch

COMMANDS: tuple[click.Command, ...] = (plan, list_repositories, watch, adopt, lock, unlock, report, check)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("autopurge"), prog_name="autopurge")
def app() -> None:
    """Look at, protect and adopt repositories of Awstut::ECR::AutoPurgeRepository.

    Credentials, Region, profile and endpoint come from where the AWS CLI takes them.
    """


for each in COMMANDS:
    app.add_command(each)


def main() -> None:
    """The entry point. An error that nobody foresaw is a sentence, too; with AUTOPURGE_DEBUG=1 it is a stack trace."""
    try:
        app()
    except Exception as error:
        if os.environ.get("AUTOPURGE_DEBUG"):
            raise
        click.echo(
            f"Error: autopurge does not know how to go on: {type(error).__name__}: {error}. Set AUTOPURGE_DEBUG=1 for "
            "the stack trace, and report it.",
            err=True,
        )
        sys.exit(1)
