"""The command ``autopurge report``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import IO

import click

from ..command import READ_ONLY, Tool, command
from ..failures import ExitCode, Failure
from ..output import moment, plural, size
from .contents import Contents
from .location import objects
from .who import MOST_PAGES, find_callers

_COLUMNS = ("Repository", "Ended", "Status", "Images", "Size", "Stack", "Resource")
_CSV = (
    *("repository", "operation", "digest", "tags", "sizeInBytes", "status", "pushedAt", "lastPulledAt", "deletedAt"),
    *("outcome", "stackId", "logicalId", "mediaType"),
)


@command(
    READ_ONLY,
    example="""
    autopurge report s3://audit/purges/ecr --output purges.html
    autopurge report s3://audit/purges/ecr/team/app --who
    autopurge report reports-folder --csv images.csv
    """,
)
@click.option("--who", is_flag=True, help="Ask CloudTrail who asked for each delete, in the last 90 days.")
@click.option(
    "--csv",
    "csv_file",
    type=click.File("w", encoding="utf-8", lazy=True),
    help="Write a row for each image to this file; - is standard output.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a page of HTML to this file.",
)
@click.argument("location")
def report(tool: Tool, location: str, output: Path | None, csv_file: IO[str] | None, who: bool) -> ExitCode:
    """Show what deletes removed, from the purge reports at LOCATION: s3://BUCKET/PREFIX, or a folder.

    Shows which images were deleted, by age, last pull, size and tag; what failed; and, with --who, who asked for it.
    The page that --output writes needs no other file. The command reads all reports at LOCATION: to read fewer, give
    the prefix of one repository.
    """
    contents = Contents()
    for name, content in objects(tool.aws, location):
        contents.add(name, content)
    contents.count()
    if not contents.deletes:
        raise Failure(f"There is no purge report at {location}. Name the bucket and the prefix of PurgeReport.")
    if who and not find_callers(tool.aws, contents.in_order()):
        tool.output.hint(f"CloudTrail has more events than {MOST_PAGES} pages: name a prefix with fewer deletes.")
    if output is not None:
        from .page import page  # with its libraries, which other commands need not wait for

        output.write_text(page(contents, location, tool.aws.now()), encoding="utf-8")
        tool.output.hint(f"Wrote {output}.")
    if csv_file is not None:
        _write_csv(contents, csv_file)
    if tool.output.as_json:
        tool.output.json(contents.document())
    elif csv_file is None or csv_file.name != "-":
        _show(tool, contents)
    return ExitCode.FINE


def _write_csv(contents: Contents, file: IO[str]) -> None:
    writer = csv.DictWriter(file, _CSV, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for record in contents.images.values():
        writer.writerow({**record, "tags": " ".join(record["tags"])})


def _show(tool: Tool, contents: Contents) -> None:
    rows = [
        [
            each.repository,
            moment(each.ended),
            each.status or "no summary",
            f"{each.images:,}",
            size(each.bytes),
            each.stack or "Cloud Control",
            each.logical_id or "",
        ]
        for each in contents.in_order()
    ]
    tool.output.table(_COLUMNS, rows, right=("Images", "Size"))
    for each in contents.in_order():
        for caller in each.callers:
            tool.output.line(f"{each.repository}: {caller}")
    for name, counts in contents.spread().items():
        tool.output.table(
            (name, "Images"), [[label, f"{count:,}"] for label, count in counts.items()], right=("Images",)
        )
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in contents.outcomes.items() if count)
    images = plural(len(contents.images), "image")
    tool.output.hint(
        f"{plural(len(contents.deletes), 'delete')}: {images}, {size(contents.total_bytes)} ({outcomes or 'none'})."
    )
