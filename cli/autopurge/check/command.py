"""The command ``autopurge check``."""

from __future__ import annotations

from typing import Any

import click

from ..command import READ_ONLY, Tool, command
from ..failures import ExitCode, Failure
from ..output import plural
from .problems import Problem
from .reading import Read, read
from .template import problems_in


@command(
    READ_ONLY,
    example="""
    autopurge check template.yaml
    autopurge check --json templates/*.yaml | jq -r '.findings[].message'
    cfn-lint --append-rules autopurge.check.cfn_lint -- template.yaml
    """,
)
@click.argument(
    "templates",
    metavar="TEMPLATE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
def check(tool: Tool, templates: tuple[str, ...]) -> ExitCode:
    """Check YAML or JSON templates before you deploy them. A dash reads a template from standard input.

    Finds these errors in resources of this type: unknown properties, values that are not allowed, quoted booleans,
    combinations that the handlers refuse, attributes that do not exist, and a DeletionPolicy that may not do what you
    expect. Makes no request. The exit code is 3 if something was found. cfn-lint can run the same checks as its rules.
    """
    findings = []
    for name in templates:
        template = _read(name)
        findings += [_finding(name, template, problem) for problem in problems_in(template.document)]
    if tool.output.as_json:
        tool.output.json({"findings": findings})
    for each in findings:
        tool.output.line(f"{each['file']}:{each['line']}:{each['column']} {each['rule']} {each['message']}")
    checked = plural(len(templates), "template")
    tool.output.hint(f"{checked} checked, {plural(len(findings), 'finding') if findings else 'nothing found'}.")
    return ExitCode.FOUND if findings else ExitCode.FINE


def _read(name: str) -> Read:
    try:
        with click.open_file(name, encoding="utf-8") as file:
            return read(file.read())
    except ValueError as error:
        raise Failure(f"{name} is neither YAML nor JSON: {error}.") from error


def _finding(name: str, template: Read, problem: Problem) -> dict[str, Any]:
    line, column = template.position(problem.path)
    return {
        "file": name,
        "line": line,
        "column": column,
        "path": "/".join(map(str, problem.path)),
        "rule": problem.rule,
        "level": problem.level,
        "message": problem.message,
    }
