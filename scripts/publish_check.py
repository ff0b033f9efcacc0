"""Check what the public registry asks of a type, as far as that can be done without an AWS account.

https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/publish-extension.html
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sandbox.build import BuildError  # noqa: E402
from scripts import package  # noqa: E402

Problems = Iterator[str]
HANDLERS = ("create", "read", "update", "delete", "list")
_TYPE_NAME = re.compile(r"[A-Za-z0-9]{2,64}(::[A-Za-z0-9]{2,64}){2}")
_RESERVED = ("aws", "amazon", "alexa", "custom")
_DESCRIPTION = 1024  # characters; DescribeType's limit
_SCHEMA = 60 * 1024  # bytes
_UNPACKED = 250 * 1024 * 1024  # bytes; Lambda's limit for the code of a function
_TAG_ACTIONS = {"create": "ecr:TagResource", "read": "ecr:ListTagsForResource", "update": "ecr:UntagResource"}

MANUAL_STEPS = """\
Manually, with an account, once:
  - Become a publisher: connect a GitHub or Bitbucket account (or use AWS Marketplace), then
    aws cloudformation register-publisher --accept-terms-and-conditions --connection-arn <ARN>
  - See that sourceUrl and documentationUrl open for somebody who is not signed in.
Manually, for each version and in each Region (a type is published per Region):
  - Register it: examples/register.yaml, or cfn submit --set-default. The contract tests run with its execution role.
  - aws cloudformation test-type --type RESOURCE --type-name {name}
    until describe-type says TypeTestsStatus PASSED. It makes and deletes repositories, as inputs/ has them.
  - aws cloudformation publish-type --type RESOURCE --type-name {name} --public-version-number {version}
    The first time without a number: the registry makes it 1.0.0."""


@dataclass(frozen=True)
class Project:
    """A checkout."""

    folder: Path

    @property
    def schema_path(self) -> Path:
        name: str = json.loads((self.folder / ".rpdk-config").read_text(encoding="utf-8"))["typeName"]
        return self.folder / f"{name.replace('::', '-').lower()}.json"

    @property
    def schema(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.schema_path.read_text(encoding="utf-8"))
        return loaded


def type_name(project: Project) -> Problems:
    name = project.schema["typeName"]
    if not _TYPE_NAME.fullmatch(name):
        yield f"{name} is not of the form Organization::Service::Resource."
    if name.split("::")[0].lower() in _RESERVED:
        yield f"{name} begins with a name that is reserved."


def addresses(project: Project) -> Problems:
    for key in ("sourceUrl", "documentationUrl"):
        if not str(project.schema.get(key, "")).startswith("https://"):
            yield f"The schema has no {key} that begins with https://."


def descriptions(project: Project) -> Problems:
    schema = project.schema
    length = len(schema.get("description", ""))
    if not 0 < length <= _DESCRIPTION:
        yield f"The description of the type has {length} characters; 1 to {_DESCRIPTION} fit."
    for name, definition in _properties(schema):
        target = schema["definitions"][definition["$ref"].split("/")[-1]] if "$ref" in definition else definition
        if not target.get("description"):
            yield f"{name} has no description."


def _properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for owner, part in (("", schema), *((f"{name}.", each) for name, each in schema.get("definitions", {}).items())):
        for name, definition in part.get("properties", {}).items():
            yield f"{owner}{name}", definition


def shape(project: Project) -> Problems:
    """Problems that `cfn validate` does not report, but the registry's linter or its users would."""
    text, schema = project.schema_path.read_text(encoding="utf-8"), project.schema
    if len(text.encode()) > _SCHEMA:
        yield f"The schema has {len(text.encode())} bytes; {_SCHEMA} fit."
    if not text.isascii():
        yield "The schema holds characters that are not ASCII."
    if "arn:aws:" in text:
        yield "The schema names the partition aws, which excludes others: write arn:aws[a-z-]*:."
    if schema.get("additionalProperties") is not False:
        yield "additionalProperties is not false."
    if not schema.get("primaryIdentifier"):
        yield "There is no primaryIdentifier."


def handlers(project: Project) -> Problems:
    found = project.schema.get("handlers", {})
    for name in HANDLERS:
        if name not in found:
            yield f"There is no {name} handler."
        for action in found.get(name, {}).get("permissions", []):
            if "*" in action:
                yield f"The {name} handler has the wildcard permission {action}."


def tagging(project: Project) -> Problems:
    schema = project.schema
    declared = schema.get("tagging", {})
    for key in ("taggable", "tagOnCreate", "tagUpdatable"):
        if declared.get(key) is not True:
            yield f"tagging.{key} is not true."
    if declared.get("tagProperty") != "/properties/Tags":
        yield "tagging.tagProperty is not /properties/Tags."
    for handler, action in _TAG_ACTIONS.items():
        if action not in schema.get("handlers", {}).get(handler, {}).get("permissions", []):
            yield f"The {handler} handler handles tags, and has no {action}."


def contract_inputs(project: Project) -> Problems:
    """The registry runs its contract tests with these; they must not need anything of this account's."""
    for kind in ("create", "update", "invalid"):
        path = project.folder / "inputs" / f"inputs_1_{kind}.json"
        if not path.exists():
            yield f"{path.name} is missing in inputs/."
        elif re.search(r"\b[0-9]{12}\b", path.read_text(encoding="utf-8")):
            yield f"{path.name} names an account: the registry's tests run in another one."


def licence(project: Project) -> Problems:
    path = project.folder / "LICENSE"
    if not path.exists() or "Apache License" not in path.read_text(encoding="utf-8"):
        yield "LICENSE does not hold the Apache License."


def version(project: Project) -> Problems:
    try:
        package.version(project.folder)
    except (BuildError, OSError) as error:
        yield str(error)


def constructs(project: Project) -> Problems:
    """The packages of the CDK constructs are versioned with the type, and carry its licence."""
    number = (project.folder / "VERSION").read_text(encoding="ascii").strip()
    python, typescript = (project.folder / "examples" / "cdk" / name for name in ("python", "typescript"))
    settings = tomllib.loads((python / "pyproject.toml").read_text(encoding="utf-8"))
    package, lock = (
        json.loads((typescript / name).read_text(encoding="utf-8")) for name in ("package.json", "package-lock.json")
    )
    found = {
        python / "pyproject.toml": {settings["project"]["version"]},
        typescript / "package.json": {package["version"]},
        typescript / "package-lock.json": {lock["version"], lock["packages"][""]["version"]},
    }
    for path, versions in found.items():
        if versions != {number}:
            yield f"{path.relative_to(project.folder)} has not the version of VERSION: write {number}."
    for folder in (python, typescript):
        if (folder / "LICENSE").read_bytes() != (project.folder / "LICENSE").read_bytes():
            yield f"{folder.relative_to(project.folder)}/LICENSE is not the one of the project: copy that."


def changelog(project: Project) -> Problems:
    """The changelog has a dated section for the version or, before the release commit, notes for it."""
    text = (project.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    number = (project.folder / "VERSION").read_text(encoding="ascii").strip()
    sections = dict(re.findall(r"^## (\[[^]]+\].*)\n((?:(?!## ).*\n?)*)", text, re.MULTILINE))
    if next(iter(sections), "") != "[Unreleased]":
        yield "CHANGELOG.md does not begin with the section [Unreleased]: put it above all versions, even if empty."
    own = [heading for heading in sections if heading.startswith(f"[{number}]")]
    for heading in own:
        if not re.fullmatch(r"\[[^]]+\] - \d{4}-\d{2}-\d{2}", heading):
            yield f"The section {heading} of CHANGELOG.md has no date: write [{number}] - YYYY-MM-DD."
    if not any("\n- " in f"\n{sections[heading]}" for heading in own or ["[Unreleased]"] if heading in sections):
        yield f"CHANGELOG.md says nothing of {number}: write what users notice."


def package_builds(project: Project) -> Problems:
    with tempfile.TemporaryDirectory(prefix="publish-") as folder:
        try:
            built = package.build(Path(folder), project.folder)
        except BuildError as error:
            yield str(error)
            return
        with (
            zipfile.ZipFile(built) as outer,
            outer.open("ResourceProvider.zip") as code,
            zipfile.ZipFile(code) as inner,
        ):
            size = sum(entry.file_size for entry in inner.infolist())
        if size > _UNPACKED:
            yield f"The code has {size} bytes unpacked; {_UNPACKED} fit."


def _command(*arguments: str) -> Callable[[Project], Problems]:
    def check(project: Project) -> Problems:
        tools = Path(sys.executable).parent
        command = [str(tools / arguments[0]), *arguments[1:]]
        done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield "\n".join((done.stdout + done.stderr).splitlines()[-20:])

    return check


CHECKS: dict[str, Callable[[Project], Problems]] = {
    "the type's name can be published": type_name,
    "source and documentation have addresses": addresses,
    "type and properties are described": descriptions,
    "the schema is as the registry wants it": shape,
    "there are five handlers, without wildcard permissions": handlers,
    "tags are declared and permitted": tagging,
    "there are inputs for the contract tests": contract_inputs,
    "the licence is there": licence,
    "the version is semantic": version,
    "the CDK constructs have the version and the licence": constructs,
    "the changelog knows the version": changelog,
    "the package builds and fits": package_builds,
    "cfn validate": _command("cfn", "validate"),
    "models, docs and role are what cfn generate writes": _command(
        "python", "-m", "pytest", "-q", "tests/project/test_generated.py"
    ),
    "the contract tests pass": _command("python", "-m", "pytest", "-q", "tests/contract"),
}


def run(project: Project, checks: dict[str, Callable[[Project], Problems]]) -> int:
    """Print a line a check, and each problem below it; the number of checks that failed."""
    failed = 0
    for name, check in checks.items():
        problems = list(check(project))
        print(f"{'FAIL' if problems else 'pass'}  {name}", flush=True)
        for problem in problems:
            print("      " + problem.replace("\n", "\n      "))
        failed += bool(problems)
    return failed


def manual_steps(project: Project) -> str:
    """The steps that need an AWS account, for this type and version."""
    return MANUAL_STEPS.format(name=project.schema["typeName"], version=package.version(project.folder))


def main() -> int:
    project = Project(ROOT)
    failed = run(project, CHECKS)
    print(f"\n{manual_steps(project)}\n")
    print(f"{failed} of {len(CHECKS)} checks failed." if failed else f"All {len(CHECKS)} checks passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
