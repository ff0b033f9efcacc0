"""``autopurge adopt``: repositories of AWS::ECR::Repository come under this type, stack by stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..command import Tool, command
from ..failures import ExitCode, Failure
from ..output import Output, plural
from .account import Clients, Json
from .adoption import BACKWARD, FORWARD
from .journal import Entry, Journal, JournalError, open_journal, read_journal
from .planning import TYPE, Choices
from .run import Result, Run, Selection

JOURNAL = "autopurge-adopt.jsonl"
_GO_ON = (
    "The current stack is in a stable state, or will be when CloudFormation has finished. Run the same command again, "
    "with the same journal: it continues with the step that was interrupted."
)
_FINISH = {"restore the policies": "UpdateStack"}
_CODES = {"refused": ExitCode.FOUND, "failed": ExitCode.ERROR}
_A_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)

Work = Callable[[Run, Json, Entry | None], Result]


@command(
    _GO_ON,
    name="adopt",
    example="""
        autopurge adopt shop web               # show what would be done
        autopurge adopt shop web --yes
        autopurge adopt --all-stacks --tag team=shop --yes
        autopurge adopt shop --undo --yes
        autopurge adopt shop --finish --yes    # when your own template has the new type
    """,
)
@click.argument("stacks", nargs=-1, metavar="STACK...")
@click.option("--all-stacks", is_flag=True, help="All stacks of the account and Region, or those with --tag.")
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="With --all-stacks: only stacks that have this tag."
)
@click.option(
    "--from-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Stack names, one a line."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing, as without --yes.")
@click.option("--yes", is_flag=True, help="Do what is shown without this option.")
@click.option("--undo", is_flag=True, help="Restore AWS::ECR::Repository; needs the journal.")
@click.option("--finish", is_flag=True, help="Restore the deletion policies, once your own template has the new type.")
@click.option("--journal", type=_NEW_FILE, default=JOURNAL, show_default=True, help="The file that records all steps.")
@click.option(
    "--empties", multiple=True, metavar="LOGICAL-ID", help="This custom resource empties a repository: remove it."
)
@click.option("--keeps", multiple=True, metavar="LOGICAL-ID", help="This custom resource does something else: keep it.")
@click.option("--s3-bucket", metavar="BUCKET", help="A bucket for templates that are too long for a request.")
@click.option(
    "--templates", type=click.Path(path_type=Path, file_okay=False), help="Write the new templates to this folder."
)
def adopt(
    tool: Tool,
    stacks: tuple[str, ...],
    all_stacks: bool,
    tags: tuple[str, ...],
    from_file: Path | None,
    dry_run: bool,
    yes: bool,
    undo: bool,
    finish: bool,
    journal: Path,
    empties: tuple[str, ...],
    keeps: tuple[str, ...],
    s3_bucket: str | None,
    templates: Path | None,
) -> ExitCode:
    """Turn resources of AWS::ECR::Repository into resources of this type, without losing an image.

    Without --yes the command shows for each stack how the template would change, the steps, and what it would not do
    and why. With --yes it adopts one stack after the other, and compares images, tags and policies with those before.
    The journal records each step, so after an interruption the same command continues.
    """
    if yes and dry_run:
        raise click.UsageError("--yes and --dry-run exclude each other.")
    if undo and finish:
        raise click.UsageError("--undo and --finish exclude each other.")
    selection = _selection(stacks, all_stacks, tags, from_file)
    clients = Clients(
        tool.aws.cloudformation, tool.aws.ecr, tool.aws.s3 if s3_bucket else None, s3_bucket, tool.aws.clock.sleep
    )
    choices = Choices(frozenset(empties), frozenset(keeps), bucket=s3_bucket is not None)
    work: Work = _undo if undo else _finish if finish else _adopt
    with _journal_error_as_failure(), _opened(journal, yes) as (opened, entries):
        if yes and not undo:
            _check_type(clients)
        results = list(_run(tool.output, clients, opened, entries, choices, selection, work))
    if templates:
        _write(templates, results)
    _show(tool.output, results, done=yes, steps=BACKWARD if undo else _FINISH if finish else FORWARD)
    return max((_CODES.get(each.status, ExitCode.FINE) for each in results), key=_weight, default=ExitCode.FINE)


def _weight(code: ExitCode) -> int:
    """An error outweighs a refusal."""
    return {ExitCode.FINE: 0, ExitCode.FOUND: 1}.get(code, 2)


def _adopt(run: Run, stack: Json, earlier: Entry | None) -> Result:
    return run.adopt(stack, earlier)


def _undo(run: Run, stack: Json, earlier: Entry | None) -> Result:
    return run.undo(stack, earlier)


def _finish(run: Run, stack: Json, earlier: Entry | None) -> Result:
    return run.finish(stack, earlier)


def _selection(stacks: tuple[str, ...], all_stacks: bool, tags: tuple[str, ...], from_file: Path | None) -> Selection:
    """Raises UsageError where nothing is chosen, or too much."""
    names = list(stacks)
    if from_file:
        lines = (line.partition("#")[0].strip() for line in from_file.read_text(encoding="utf-8").splitlines())
        names += [line for line in lines if line]
    if bool(names) == all_stacks:
        raise click.UsageError("Name stacks, or say --from-file or --all-stacks.")
    if tags and not all_stacks:
        raise click.UsageError("--tag goes with --all-stacks.")
    if any("=" not in each for each in tags):
        raise click.UsageError("A tag is KEY=VALUE.")
    pairs = (each.partition("=") for each in tags)
    return Selection(tuple(names), {key: value for key, _, value in pairs})


@contextmanager
def _journal_error_as_failure() -> Iterator[None]:
    try:
        yield
    except JournalError as error:
        raise Failure(str(error)) from error


@contextmanager
def _opened(path: Path, yes: bool) -> Iterator[tuple[Journal | None, Mapping[str, Entry]]]:
    """The journal to write, and what it has; without --yes it is only read."""
    if not yes:
        yield None, read_journal(path)
        return
    with open_journal(path) as journal:
        yield journal, journal.entries


def _check_type(clients: Clients) -> None:
    """Raises Failure where the type is not registered: the import would fail, after the release."""
    cloudformation = clients.cloudformation
    try:
        cloudformation.describe_type(Type="RESOURCE", TypeName=TYPE)
    except cloudformation.exceptions.TypeNotFoundException as error:
        raise Failure(f"{TYPE} is not registered in this account and Region: see guides/get-started.md.") from error


def _run(
    output: Output,
    clients: Clients,
    journal: Journal | None,
    entries: Mapping[str, Entry],
    choices: Choices,
    selection: Selection,
    work: Work,
) -> Iterator[Result]:
    """One stack after the other, with a bar at a terminal, and a line for each elsewhere."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=output.errors,
        disable=not output.errors.is_terminal,
    )
    with bar:
        task = bar.add_task("Looking for stacks", total=None)
        run = Run(
            clients, journal, choices, lambda stack, step: bar.update(task, description=f"{stack}: {step}"), entries
        )
        selected = run.selected(selection)
        bar.update(task, total=len(selected))
        for number, stack in enumerate(selected, 1):
            if isinstance(stack, Result):
                result = stack
            else:
                bar.update(task, description=stack["StackName"])
                result = work(run, stack, entries.get(stack["StackId"]))
            if journal and not output.errors.is_terminal:
                output.hint(f"{number}/{len(selected)} {result.stack}: {result.status}")
            bar.advance(task)
            yield result


def _write(folder: Path, results: Sequence[Result]) -> None:
    """The template that each stack gets, to be copied to where the user keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in results:
        if each.template is not None:
            ending = "json" if each.template.is_json else "yaml"
            (folder / f"{each.stack}.{ending}").write_text(each.template.text, encoding="utf-8")


def _show(output: Output, results: Sequence[Result], done: bool, steps: Mapping[str, str]) -> None:
    if output.as_json:
        listed = [{"step": step, "calls": calls} for step, calls in steps.items()]
        ahead = {"planned": {"steps": listed}}
        output.json({"stacks": [each.as_json() | ahead.get(each.status, {}) for each in results]})
        return
    for each in results:
        _show_one(output, each, steps)
    counts: dict[str, int] = {}
    for each in results:
        counts[each.status] = counts.get(each.status, 0) + 1
    output.line(", ".join(f"{plural(number, 'stack')} {status}" for status, number in counts.items()) or "No stack.")
    if not done and "planned" in counts:
        output.line("Nothing was changed. Add --yes to do it.")


def _show_one(output: Output, result: Result, steps: Mapping[str, str]) -> None:
    output.line(f"{result.stack}: {result.status}", style="bold")
    for reason in result.reasons:
        output.line(f"  {reason.rule}: {reason.message}")
    for repository in result.plan.repositories if result.plan and result.status != "nothing" else ():
        empties = {True: "true", False: "false", None: "as the template says"}[repository.emptied]
        output.line(f"  {repository.logical_id}: {repository.name}, EmptyOnDelete {empties}")
    for note in result.notes:
        output.line(f"  note: {note}")
    if result.status == "planned":
        for step, calls in steps.items():
            output.line(f"  step {step}: {calls}")
        for line in result.difference.splitlines():
            output.line(f"  {line}", style={"+": "green", "-": "red"}.get(line[:1]))
    if result.status == "adopted":
        output.line("  Images, tags and policies are as before.")
