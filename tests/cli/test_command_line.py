"""What all commands share: options, exit codes, errors in words, help, and how the command is installed."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import click
import pytest
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError
from click.testing import CliRunner

from autopurge.app import app
from autopurge.aws import Target
from autopurge.command import READ_ONLY, Surroundings, Tool, command
from autopurge.failures import ExitCode
from autopurge.output import size
from tests.support.project_copy import ROOT

COMMANDS = [app.commands[name] for name in sorted(app.commands)]
THROTTLED: Any = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
DENIED: Any = {
    "Error": {
        "Code": "AccessDeniedException",
        "Message": "User: arn:aws:iam::123456789012:user/a is not authorized to perform: ecr:DescribeImages",
    }
}


def raising(error: BaseException) -> click.Command:
    """A command that ends by an error."""

    @command(READ_ONLY, example="autopurge raise")
    def fails(tool: Tool) -> ExitCode:
        raise error

    return fails


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoRegionError(), "No Region is set. Add --region, or set AWS_REGION."),
        (NoCredentialsError(), "No credentials were found"),
        (ClientError(DENIED, "DescribeImages"), "ecr:DescribeImages was denied. Use credentials that allow it."),
        (ClientError(THROTTLED, "DescribeImages"), "AWS throttled DescribeImages at every attempt."),
        (KeyboardInterrupt(), f"Stopped by Ctrl-C. {READ_ONLY}"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_of_aws_is_one_sentence_and_exit_code_1(error: BaseException, words: str) -> None:
    result = CliRunner().invoke(raising(error), obj=Surroundings(lambda _: lambda service, config=None: None))
    assert (result.exit_code, result.stdout) == (ExitCode.ERROR, "")
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_region_profile_and_endpoint_reach_the_clients() -> None:
    targets = []

    @command(READ_ONLY, example="autopurge shown")
    def shown(tool: Tool) -> ExitCode:
        targets.append(tool.target)
        return ExitCode.FOUND

    around = Surroundings(lambda target: targets.append(target) or (lambda service, config=None: None))  # type: ignore[func-returns-value]
    options = ["--region", "eu-west-1", "--profile", "operator", "--endpoint-url", "http://127.0.0.1:9"]
    result = CliRunner().invoke(shown, options, obj=around)
    assert result.exit_code == ExitCode.FOUND
    assert targets == [Target("eu-west-1", "operator", "http://127.0.0.1:9")] * 2


@pytest.mark.parametrize("each", COMMANDS, ids=lambda each: str(each.name))
def test_help_has_an_example_and_the_exit_codes(each: click.Command) -> None:
    printed = CliRunner().invoke(app, [str(each.name), "--help"]).output
    assert f"autopurge {each.name}" in printed.split("Example", 1)[1]
    assert (
        "0 fine; 1 error; 2 wrong usage; 3 something is refused, or not deleted, or a template has a finding"
        in " ".join(printed.split())
    )
    for option in ("--json", "--region", "--profile", "--endpoint-url"):
        assert option in printed


def test_an_unknown_option_is_exit_code_2() -> None:
    assert CliRunner().invoke(app, ["--colour"]).exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (12_345_678, "12.3 MB"), (4e15, "4,000.0 TB")]
)
def test_sizes_are_those_of_the_console(number: int, shown: str) -> None:
    assert size(number) == shown


def test_the_wheel_pins_what_was_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = (ROOT / "requirements-development.txt").read_text(encoding="utf-8")
    wanted = [*project["dependencies"], *project["optional-dependencies"]["cfn-lint"]]
    assert [each for each in wanted if not re.search(rf"^{re.escape(each)}$", pinned, re.MULTILINE)] == []


def test_the_wheel_holds_the_command_and_the_rules_it_imports(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    built = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(built) as wheel:
        names = set(wheel.namelist())
    folders = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert folders == {"autopurge", "awstut_ecr_autopurgerepository"}
    assert {"autopurge/app.py", "autopurge/awstut-ecr-autopurgerepository.json"} <= names
    assert "awstut_ecr_autopurgerepository/deletion/verdict.py" in names
