"""Every command that is written for people can be typed: the program itself parses it, and nothing is run."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest

from autopurge.app import app
from scripts import release
from scripts.publish_check import MANUAL_STEPS
from tests.support import aws_parser
from tests.support.project_copy import ROOT, TYPE_NAME
from tests.support.shell_commands import commands_of

EXAMPLES = [path for path in sorted((ROOT / "examples").rglob("*")) if "node_modules" not in path.parts]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "guides").glob("*.md"))]
PAGES += [path for path in EXAMPLES if path.name == "README.md"]
TEMPLATES = [path for path in EXAMPLES if path.suffix == ".yaml"]

SHELL = {"bash", "sh", "shell", "terminal", "stackset"}
OTHER_LANGUAGES = {"", "athena", "hcl", "json", "mermaid", "python", "sql", "typescript", "yaml"}

# Programs that cannot be asked here: what of them is used, and why no more than the name is checked.
TRUSTED = {
    "cat": "a file of the clone",
    "cd": "a folder of the clone",
    "cdk deploy": "needs an account",
    "cdk import": "tests/stack/test_examples_cdk.py runs it",
    "cdk synth": "the same",
    "cp": "files of the clone",
    "gh release": "not installed: guides/release.md says that it was not run",
    "git push": "needs a remote repository",
    "git tag": "needs a key to sign with",
    "jq": "tests/stack runs its programs",
    "lint-imports": "has no options; tests/project/test_layers.py runs it",
    "mkdir": "a folder of the clone",
    "npm ci": "tests/stack/test_examples_cdk.py runs it",
    "npm install": "the same",
    "npm pack": "the same",
    "npm run": "the same, in the folder of the example",
    "npx cdk": "the same, by cdk",
    "pip wheel": "the same",
    "pip install": "needs the network: tests/project/test_packaging.py builds the package of the command line",
    "pipx install": "not installed; takes what pip takes",
    "pre-commit install": "not installed; the page installs it",
    "sha256sum": "a file that make package builds",
    "sleep": "a number of seconds",
    "terraform apply": "not installed: examples/README.md says so",
    "terraform plan": "the same",
    "uv tool": "needs the network",
}

# What the pages say to set, in words or by a command before.
VARIABLES = {
    "ARN": "arn:aws:ecr:us-east-1:123456789012:repository/my-app",
    "BUCKET": "types",
    "FROM": "2026-11-23T20:15:00Z",
    "KEY": "awstut-ecr-autopurgerepository-0.1.0.zip",
    "NAME": "my-app",
    "OU": "ou-ab12-abcd1234",
    "PREFIX": "purges/ecr",
    "STACK": "app",
    "STACK_ID": "arn:aws:cloudformation:us-east-1:123456789012:stack/app/1",
    "VERSION_ARN": "arn:aws:cloudformation:us-east-1:123456789012:type/resource/Awstut-ECR-AutoPurgeRepository/1",
}


@dataclass(frozen=True)
class Command:
    """``whole`` where it is to be typed; a mention in a sentence may leave out what has to follow."""

    page: str
    words: tuple[str, ...]
    whole: bool = True

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the code of each block, without its indentation."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [(language, re.sub(f"^{indent}", "", code, flags=re.MULTILINE)) for indent, language, code in found]


def scripts(page: Path) -> list[str]:
    return [code for language, code in blocks(page.read_text(encoding="utf-8")) if language in SHELL]


def in_comments(template: Path) -> Iterator[str]:
    """The commands in the comments of a template, with their further lines."""
    text = re.sub(r"\\\n# *", "", template.read_text(encoding="utf-8"))
    yield from re.findall(r"^ *# *((?:aws|autopurge|cfn) [^`\n]+)$", text, re.MULTILINE)


def printed() -> list[str]:
    """By make publish-check and make release."""
    text = MANUAL_STEPS.format(name=TYPE_NAME, version="1.2.3")
    return [*re.findall(r"^ *(?:- )?(aws .+)$", text, re.MULTILINE), release.commands("1.2.3")]


def mentions(page: Path) -> Iterator[str]:
    """The commands within sentences: what is quoted as code, and what a quoted message says to type."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for _, quoted in re.findall(r"(`+)(.+?)\1", prose, re.DOTALL):
        text = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", " ".join(quoted.split()))
        text = re.sub(r"^.*\b(?=aws [a-z])", "", text)
        program, _, rest = text.partition(" ")
        if rest and program.removeprefix(".venv/bin/") in KNOWN:
            yield re.sub(r"(?:<.*?>|…)", "", text).rstrip(".")


def typed(name: str, scripts: Iterable[str], folder: Path) -> Iterator[Command]:
    for script in scripts:
        for words in commands_of(re.sub(r"<[a-zA-Z ]+>", "value", script), folder, VARIABLES):
            yield Command(name, tuple(words))


def mentioned(page: Path, folder: Path) -> Iterator[Command]:
    for text in mentions(page):
        for words in commands_of(text, folder, VARIABLES):
            yield Command(page.name, tuple(words), whole=False)


# What each program says

INCOMPLETE = re.compile(r"arguments are required|expected (?:at least )?one argument")


class _RefusedError(Exception):
    """A command line that a parser does not accept."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _RefusedError(message)


def of_make(command: Command) -> str:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    variables = set(re.findall(r"\$\(([A-Z]+)\)", text)) | {"PYTHON"}
    for word in command.words[1:]:
        name, assigns, _ = word.partition("=")
        if name not in (variables if assigns else targets):
            return f"the Makefile has no {name}"
    return ""


def of_autopurge(command: Command) -> str:
    name, *arguments = command.words[1:]
    if name not in app.commands:
        return f"there is no command {name}"
    try:
        app.commands[name].make_context(name, arguments, parent=click.Context(app))
    except click.UsageError as error:
        incomplete = isinstance(error, click.MissingParameter) or "Name" in error.message
        return "" if incomplete and not command.whole else error.format_message()
    return ""


def of_cfn(command: Command) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from rpdk.core import generate, submit, test, validate

    parser = _Parser(allow_abbrev=False)
    subparsers = parser.add_subparsers(required=True)
    for module in (generate, submit, test, validate):
        module.setup_subparser(subparsers, [])
    return refused_by(parser, command)


def of_cfn_lint(command: Command) -> str:
    from cfnlint.config import CliArgs

    parser = CliArgs([]).parser
    parser.error = _Parser.error.__get__(parser)
    return refused_by(parser, command)


def of_python(command: Command) -> str:
    """A module that exists, and files of the clone; or a program of an example."""
    if len(command.words) == 2:
        [program] = command.words[1:]
        return "" if program in {path.name for path in EXAMPLES} else f"there is no {program}"
    option, module, *rest = command.words[1:]
    if option != "-m" or importlib.util.find_spec(module) is None:
        return f"there is no module {module}"
    return "".join(f"there is no {word}" for word in rest if word.endswith(".py") and not (ROOT / word).exists())


def refused_by(parser: Any, command: Command) -> str:
    try:
        parser.parse_args(command.words[1:])
    except _RefusedError as error:
        return "" if not command.whole and INCOMPLETE.search(str(error)) else str(error)
    return ""


PARSED: Mapping[str, Callable[[Command], str]] = {
    "autopurge": of_autopurge,
    "cfn": of_cfn,
    "cfn-lint": of_cfn_lint,
    "make": of_make,
    "python": of_python,
}
KNOWN = {"aws", *PARSED, *(name.partition(" ")[0] for name in TRUSTED)}


def of_aws(commands: Sequence[Command], folder: Path) -> list[str]:
    """What the AWS CLI says: one process of it for all commands."""
    done = subprocess.run(
        [sys.executable, aws_parser.__file__],
        input=json.dumps([each.words[1:] for each in commands]),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=True,
    )
    complaints: list[str] = json.loads(done.stdout)
    return [
        "" if not command.whole and INCOMPLETE.search(complaint) else complaint
        for command, complaint in zip(commands, complaints, strict=True)
    ]


def problems(commands: Sequence[Command], folder: Path) -> list[str]:
    """What is wrong with commands; nothing is started but parsers."""
    found = []
    for_aws = [each for each in commands if each.words[0] == "aws"]
    found += [f"{each}\n  {said}" for each, said in zip(for_aws, of_aws(for_aws, folder), strict=True) if said]
    for each in commands:
        program = each.words[0]
        if program == "aws":
            continue
        if program in PARSED:
            said = PARSED[program](each)
        else:
            is_trusted = program in TRUSTED or " ".join(each.words[:2]) in TRUSTED
            said = "" if is_trusted else "no program that this test knows"
        found += [f"{each}\n  {said}"] if said else []
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands are parsed: the files are there that the pages have made before."""
    for path in ROOT.iterdir():
        if path.name in ("examples", "VERSION"):
            (tmp_path / path.name).symlink_to(path)
    for name in ("template.yaml", "policy.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_a_block_can_be_typed(folder: Path) -> None:
    commands = [each for page in PAGES for each in typed(page.name, scripts(page), folder)]
    assert len(commands) > 90
    assert problems(commands, folder) == []


def test_every_command_in_a_comment_or_a_message_can_be_typed(folder: Path) -> None:
    commands = [each for path in TEMPLATES for each in typed(path.name, in_comments(path), folder)]
    assert len(commands) > 3
    of_release = list(typed("make release", printed(), folder))
    assert len(of_release) == 6
    assert problems([*commands, *of_release], folder) == []


def test_every_command_in_a_sentence_exists(folder: Path) -> None:
    commands = [each for page in PAGES for each in mentioned(page, folder)]
    assert len(commands) > 60
    assert problems(commands, folder) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_are_in_blocks_of_a_shell(page: Path) -> None:
    for language, code in blocks(page.read_text(encoding="utf-8")):
        assert language in SHELL | OTHER_LANGUAGES
        if language not in SHELL:
            assert re.findall(r"^(?:aws|autopurge|cfn|make) .*", code, re.MULTILINE) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_variables_of_commands_are_set_or_explained(page: Path) -> None:
    """Explained: the page has the name in its sentences, as code."""
    text = page.read_text(encoding="utf-8")
    code = "\n".join(scripts(page))
    used = set(re.findall(r"\$([A-Z_]+)", code))
    made = set(re.findall(r"(?:^|\s)([A-Z_]+)=", code))
    explained = set(re.findall(r"`([A-Z_]+)`", text))
    assert used - made - explained == set()


WRONG = {
    "aws ecr tag-resource --resource-arn a --tags Key=a,Value=b --for-ever": "Unknown options: --for-ever",
    "aws ecr tag-resource --resource-arn a --tags Keys=a,Value=b": "Unknown parameter in tags[0]",
    "aws ecr tag-resource --tags Key=a,Value=b": "required: --resource-arn",
    "aws ecr tag-resource --resource a --tags Key=a,Value=b": "required: --resource-arn",
    "aws ecr tag-repository": "argument operation: Invalid choice",
    "aws ec": "Invalid choice: 'ec'",
    "aws cloudformation wait stack-complete --stack-name a": "Invalid choice: 'stack-complete'",
    "aws s3 cp a s3://b --all": "Unknown options: --all",
    "aws s3 rename a s3://b": "argument subcommand: Invalid choice",
    "aws ecr describe-repositories --repository-name my-app": "Unknown options: --repository-name",
    "aws ecr list-images --repository-name my-app --query 'imageIds[*'": "Bad value for --query",
    "autopurge plan my-app --for-ever": "No such option",
    "autopurge purge my-app": "there is no command purge",
    "cfn submit --default": "unrecognized arguments: --default",
    "cfn deploy": "invalid choice: 'deploy'",
    "cfn-lint --schemas build": "unrecognized arguments: --schemas",
    "make purge": "the Makefile has no purge",
    "make soak SECONDS=5": "the Makefile has no SECONDS",
    "python purge.py": "there is no purge.py",
    "python -m sandbox.empty": "there is no module sandbox.empty",
    "python -m pytest tests/unit/test_missing.py": "there is no tests/unit/test_missing.py",
    "git reset": "no program that this test knows",
    "true && curl https://example.com": "no program that this test knows",
    "make help || wget https://example.com": "no program that this test knows",
}


def test_a_command_that_cannot_be_typed_is_found(folder: Path) -> None:
    """The test of the tests above."""
    found = problems(list(typed("wrong", WRONG, folder)), folder)
    said = "\n".join(found)
    assert [words for words in WRONG.values() if words not in said] == []
    assert len(found) == len(WRONG)
