"""``autopurge list``: the repositories under this type, or, with ``--native``, those that could be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from awstut_ecr_autopurgerepository import ecr as calls
from awstut_ecr_autopurgerepository.rules.reserved_tags import PURGE_PROGRESS

from .aws import Aws
from .command import READ_ONLY, Tool, command
from .failures import ExitCode
from .output import day, plural, size
from .progress import Progress, read_progress
from .repositories import TYPE_NAME, Repository, at_once, find_all, find_marked
from .rules import rules_document, rules_in_words
from .stacks import native_repositories


@dataclass
class Content:
    """What a repository holds: images of every status, their bytes, the last pull of any."""

    images: int = 0
    bytes: int = 0
    last_pull: datetime | None = None


def content_of(aws: Aws, name: str) -> Content:
    """A call for each 1,000 images."""
    content = Content()
    token: str | None = None
    while True:
        page = calls.describe_images(aws.ecr, name, token)
        for image in page["imageDetails"]:
            content.images += 1
            content.bytes += image.get("imageSizeInBytes", 0)
            pulled = image.get("lastRecordedPullTime")
            if pulled is not None and (content.last_pull is None or pulled > content.last_pull):
                content.last_pull = pulled
        token = page.get("nextToken")
        if token is None:
            return content


@dataclass(frozen=True)
class Listed:
    """A repository in the list. ``stack`` and ``logical_id`` are those of the owner."""

    repository: Repository
    content: Content
    stack: str | None
    logical_id: str | None
    rules: dict[str, Any]
    progress: Progress | None

    def document(self) -> dict[str, Any]:
        """The shape of ``--json``."""
        return {
            "name": self.repository.name,
            "arn": self.repository.arn,
            "stack": self.stack,
            "logicalId": self.logical_id,
            "rules": self.rules,
            "images": self.content.images,
            "bytes": self.content.bytes,
            "lastPull": self.content.last_pull.isoformat() if self.content.last_pull else None,
            "progress": self.progress.document() if self.progress else None,
        }

    def row(self) -> list[str]:
        """The cells of its row."""
        return [
            self.repository.name,
            self.stack or "none",
            self.logical_id or "",
            "; ".join(rules_in_words(self.rules, self.repository.stored)) or "none",
            f"{self.content.images:,}",
            size(self.content.bytes),
            day(self.content.last_pull),
            self.progress.in_words() if self.progress else "",
        ]


_COLUMNS = ("Repository", "Stack", "Logical id", "Rules", "Images", "Size", "Last pull", "Purge")
_NUMBERS = ("Images", "Size")


def _under_this_type(aws: Aws) -> list[Listed]:
    now = aws.now()

    def look(repository: Repository) -> Listed:
        progress = read_progress(repository.tags.get(PURGE_PROGRESS))
        return Listed(
            repository,
            content_of(aws, repository.name),
            repository.stack,
            repository.stored.owner.logical_id if repository.stack else None,
            rules_document(repository),
            progress if progress and progress.is_running(now) else None,
        )

    return at_once(look, find_marked(aws))


def _adoptable(aws: Aws) -> list[Listed]:
    """Those of AWS::ECR::Repository that this type does not have already, by stack."""
    owners = native_repositories(aws)
    native = [each for each in find_all(aws) if not each.stored.marked and each.name in owners]

    def look(repository: Repository) -> Listed:
        owner = owners[repository.name]
        return Listed(repository, content_of(aws, repository.name), owner.stack, owner.logical_id, {}, None)

    return sorted(at_once(look, native), key=lambda each: (each.stack or "", each.repository.name))


@command(
    READ_ONLY,
    name="list",
    example="""
    autopurge list
    autopurge list --native
    autopurge list --json | jq -r '.repositories[] | select(.images > 1000) | .name'
    """,
)
@click.option("--native", is_flag=True, help="List the resources of type AWS::ECR::Repository instead, for `adopt`.")
def list_repositories(tool: Tool, native: bool) -> ExitCode:
    """List the repositories of this type in the account and Region.

    For each repository: the stack that owns it, its rules, its images of every status, their size, the last pull, and
    how far a running purge is.
    """
    found = _adoptable(tool.aws) if native else _under_this_type(tool.aws)
    if tool.output.as_json:
        tool.output.json({"repositories": [each.document() for each in found]})
        return ExitCode.FINE
    where = f"in {tool.aws.ecr.meta.region_name}"
    if not found:
        kind = "No repository of AWS::ECR::Repository is in a stack" if native else f"No repository of {TYPE_NAME} is"
        tool.output.line(f"{kind} {where}.")
        return ExitCode.FINE
    tool.output.table(_COLUMNS, [each.row() for each in found], right=_NUMBERS)
    images, total = sum(each.content.images for each in found), sum(each.content.bytes for each in found)
    counted = plural(len(found), "repository", "repositories")
    tool.output.hint(f"{counted} {where}: {plural(images, 'image')}, {size(total)}.")
    return ExitCode.FINE
