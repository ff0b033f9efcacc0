"""What the demo shows and folds, and that its exit code says whether all was as expected. `make demo` runs it."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import demo.__main__ as demo
from demo.bar import PurgeBar
from demo.shell import Shell, UnexpectedError, as_typed, expect
from demo.stacks import Stack


def console(terminal: bool = False) -> tuple[Console, io.StringIO]:
    """A console, and what is written to it."""
    written = io.StringIO()
    return Console(file=written, width=120, force_terminal=terminal, highlight=False, _environ={}), written


def shell(**chosen: Any) -> tuple[Shell, io.StringIO]:
    shown, written = console()
    return Shell(shown, Path(), {"PATH": "/usr/bin:/bin"}, **chosen), written


def test_what_is_not_as_expected_ends_the_demo_with_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_tell", lambda *_: expect(False, "3 images are left"))
    assert demo.main() == 1
    assert "Not as expected: 3 images are left" in capsys.readouterr().out


def test_a_demo_that_goes_well_ends_without_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_tell", lambda *_: None)
    assert demo.main() == 0
    assert "nothing is left" in capsys.readouterr().out


def test_a_command_that_fails_is_not_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_tell", lambda shell, _: shell.run("false"))
    assert demo.main() == 1
    with pytest.raises(UnexpectedError):
        expect(False, "no")


@pytest.mark.parametrize(
    ("arguments", "variables", "wanted"),
    [
        ([], {}, (False, False)),
        ([], {"VERBOSE": "", "STEP": "0"}, (False, False)),
        (["--verbose"], {}, (True, False)),
        (["--step"], {"VERBOSE": "1"}, (True, True)),
        ([], {"STEP": "1"}, (False, True)),
    ],
)
def test_switches_are_given_as_options_or_variables(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], variables: dict[str, str], wanted: tuple[bool, bool]
) -> None:
    for name in ("VERBOSE", "STEP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    asked: list[tuple[bool, bool]] = []
    monkeypatch.setattr(demo, "run", lambda _, verbose, step: asked.append((verbose, step)))
    demo.main(arguments)
    assert asked == [wanted]


@pytest.mark.parametrize(
    ("verbose", "folded", "expected"),
    [(False, False, "$ echo hello\n"), (False, True, ""), (True, True, "$ echo hello\nhello\n")],
)
def test_folded_commands_and_all_output_are_shown_to_the_verbose(verbose: bool, folded: bool, expected: str) -> None:
    quiet, written = shell(verbose=verbose)
    assert quiet.run("echo", "hello", folded=folded) == "hello\n"
    assert written.getvalue() == expected


@pytest.mark.parametrize(("step", "pauses"), [(False, 0), (True, 2)])
def test_chapters_are_numbered_and_wait_for_enter_if_asked_to(
    monkeypatch: pytest.MonkeyPatch, step: bool, pauses: int
) -> None:
    told, written = shell(step=step)
    waited: list[str] = []
    monkeypatch.setattr(told.console, "input", waited.append)
    for title in ("Register", "Create", "Delete"):
        told.chapter(title)
    assert [line.split(" ─")[0] for line in written.getvalue().splitlines() if line] == [
        "1. Register",
        "2. Create",
        "3. Delete",
    ]
    assert len(waited) == pauses


def test_a_long_command_is_broken_before_an_option() -> None:
    options = tuple(f"--option-{number} {'x' * 20}" for number in range(5))
    lines = as_typed(("aws", *(word for option in options for word in option.split()))).split(" \\\n")
    assert len(lines) == 2
    assert all(len(line) <= 112 for line in lines)
    assert lines[1].startswith("    --option-")


def test_the_purge_is_a_few_lines_without_a_terminal() -> None:
    shown, written = console()
    left = iter([2_509, 2_400, 1_500, 1_400, 500, 0, 0])
    with PurgeBar(shown, 2_509, lambda: next(left)) as bar:
        for _ in range(6):
            bar.look()
    lines = written.getvalue().splitlines()
    counts = [line.split("╌")[-1].split("━")[-1].split(" images")[0].strip() for line in lines]
    assert counts == ["0 of 2,509", "1,009 of 2,509", "2,009 of 2,509", "2,509 of 2,509"]
    assert lines[0].count("╌") == lines[-1].count("━") == 40


def test_the_purge_is_a_bar_on_a_terminal() -> None:
    shown, written = console(terminal=True)
    left = iter([1_000, 0])
    with PurgeBar(shown, 2_509, lambda: next(left)) as bar:
        bar.look()
    assert "2,509 of 2,509 images" in written.getvalue()
    assert "━" * 40 in written.getvalue()


def test_a_delete_that_fails_leaves_the_bar_where_it_is() -> None:
    shown, written = console()
    with pytest.raises(UnexpectedError), PurgeBar(shown, 2_509, lambda: 2_509):
        raise UnexpectedError("no")
    assert written.getvalue().count("\n") == 1


IDENTIFIERS = '(Service: Ecr, Request ID: 2)" (RequestToken: 1, HandlerErrorCode: InvalidRequest)'
FAILED = "The following resource(s) failed to delete: [Repository]."
EVENTS: list[dict[str, Any]] = [
    {
        "Timestamp": datetime(2026, 11, 28, 8, 5, second, tzinfo=UTC),
        "LogicalResourceId": name,
        "ResourceType": kind,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }
    for second, name, kind, status, reason in (
        (1, "Repository", "AWS::ECR::Repository", "DELETE_IN_PROGRESS", ""),
        (1, "Role", "AWS::IAM::Role", "DELETE_COMPLETE", ""),
        (2, "Repository", "AWS::ECR::Repository", "DELETE_FAILED", f"{'not deleted ' * 10}{IDENTIFIERS}"),
        (3, "app", "AWS::CloudFormation::Stack", "DELETE_FAILED", FAILED),
    )
]


def test_events_are_shown_with_their_times_and_without_progress() -> None:
    told, written = shell()
    Stack(told, None, "id", "app").show(EVENTS)  # type: ignore[arg-type]
    lines = [line.rstrip() for line in written.getvalue().splitlines()]
    assert lines[0] == "08:05:02  Repository  DELETE_FAILED"
    assert lines[1].startswith("    not deleted not deleted")
    assert lines[-2].endswith('deleted (Service: Ecr)"')
    assert lines[-1] == f"08:05:03  app         DELETE_FAILED  {FAILED}"
    assert "Role" not in written.getvalue()


def test_all_of_the_events_are_shown_to_the_verbose() -> None:
    told, written = shell(verbose=True)
    Stack(told, None, "id", "app").show(EVENTS)  # type: ignore[arg-type]
    assert "DELETE_IN_PROGRESS" in written.getvalue()
    assert "HandlerErrorCode: InvalidRequest" in written.getvalue()
