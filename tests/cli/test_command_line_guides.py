"""The examples in the help of autopurge are what it takes: they are parsed, not run. The guide names all it has.

The commands of the guides are parsed in tests/project/test_documentation_commands.py.
"""

from __future__ import annotations

import re
import shlex

import click
import pytest

from autopurge.app import app
from autopurge.command import ExampleCommand
from tests.support.project_copy import ROOT

END = re.compile(r"\s*(?:\||&&|\|\||#)\s")  # what follows is for the shell


def commands(text: str) -> list[str]:
    """The commands that begin a line, or follow && in a line."""
    found = re.findall(r"^ *(?:.*&& )?(autopurge [a-z].*)$", text, re.MULTILINE)
    return [END.split(line, maxsplit=1)[0] for line in found]


EXAMPLES = [
    (name, line)
    for name, each in sorted(app.commands.items())
    if isinstance(each, ExampleCommand)
    for line in commands(each.example)
]


@pytest.mark.parametrize(("where", "line"), EXAMPLES, ids=lambda value: value)
def test_a_command_that_is_shown_can_be_typed(where: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, name, *arguments = shlex.split(line)
    if any(each.endswith("template.yaml") or "*" in each for each in arguments):
        arguments = [each if "yaml" not in each else "examples/minimal.yaml" for each in arguments]
    context = app.commands[name].make_context(name, arguments, parent=click.Context(app))
    assert context.params


def test_the_guide_has_each_command_and_each_of_its_options() -> None:
    text = (ROOT / "guides" / "command-line.md").read_text(encoding="utf-8")
    for name, each in app.commands.items():
        assert f"autopurge {name}" in text, name
        own = [option for parameter in each.params for option in parameter.opts if option.startswith("--")]
        assert [option for option in own if option not in text] == [], name


def test_commands_are_found() -> None:
    assert len(EXAMPLES) > 10
