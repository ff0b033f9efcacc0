"""The command ``autopurge``: the list of its commands."""

from __future__ import annotations

from importlib.metadata import version

import click

from .adopt.command import adopt
from .inventory import list_repositories
from .lock import lock, unlock

COMMANDS: tuple[click.Command, ...] = (adopt, list_repositories, lock, unlock)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("autopurge"), prog_name="autopurge")
def app() -> None:
    """Look at, protect and adopt repositories of Awstut::ECR::AutoPurgeRepository.

    Credentials, Region, profile and endpoint are taken as the AWS CLI takes them.
    """


for each in COMMANDS:
    app.add_command(each)


def main() -> None:
    """The entry point."""
    app()
