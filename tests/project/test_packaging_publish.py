"""`make publish-check`: it passes for the project, and each check fails for what it is there for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import publish_check
from scripts.publish_check import CHECKS, Project
from tests.support.project_copy import ROOT, SCHEMA_NAME

# These build the package or run the tests that `make test` runs anyway.
SLOW = {
    "the package builds and fits",
    "cfn validate",
    "models, docs and role are what cfn generate writes",
    "the contract tests pass",
}
QUICK = sorted(CHECKS.keys() - SLOW)
Schema = dict[str, Any]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of what the quick checks look at."""
    for name in (".rpdk-config", SCHEMA_NAME, "LICENSE", "VERSION", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "inputs", tmp_path / "inputs")
    for name in ("python/pyproject.toml", "typescript/package.json", "typescript/package-lock.json"):
        copy = tmp_path / "examples" / "cdk" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "examples" / "cdk" / name, copy)
        shutil.copy(ROOT / "LICENSE", copy.parent)
    return Project(tmp_path)


def change_schema(project: Project, change: Callable[[Schema], Any]) -> None:
    schema = project.schema
    change(schema)
    project.schema_path.write_text(json.dumps(schema))


@pytest.mark.parametrize("name", QUICK)
def test_project_passes(name: str) -> None:
    assert list(CHECKS[name](Project(ROOT))) == []


WRONG_SCHEMAS: dict[str, tuple[str, Callable[[Schema], Any], str]] = {
    "a reserved name": ("type_name", lambda it: it.update(typeName="AWS::ECR::Thing"), "reserved"),
    "a name of two parts": ("type_name", lambda it: it.update(typeName="Awstut::Thing"), "Organization::Service"),
    "no source": ("addresses", lambda it: it.pop("sourceUrl"), "sourceUrl"),
    "documentation by http": (
        "addresses",
        lambda it: it.update(documentationUrl="http://a.example"),
        "documentationUrl",
    ),
    "a long description": ("descriptions", lambda it: it.update(description="x" * 1025), "1025 characters"),
    "a property without": ("descriptions", lambda it: it["properties"].update(New={"type": "string"}), "New has no"),
    "a nested one without": (
        "descriptions",
        lambda it: it["definitions"]["Tag"]["properties"]["Key"].pop("description"),
        "Tag.Key has no",
    ),
    "a large schema": ("shape", lambda it: it.update({"$comment": "x" * 61_440}), "bytes"),
    "one partition": ("shape", lambda it: it.update({"$comment": "arn:aws:ecr"}), "partition"),
    "additional properties": ("shape", lambda it: it.pop("additionalProperties"), "additionalProperties"),
    "no identifier": ("shape", lambda it: it.pop("primaryIdentifier"), "primaryIdentifier"),
    "no list handler": ("handlers", lambda it: it["handlers"].pop("list"), "no list handler"),
    "a wildcard": ("handlers", lambda it: it["handlers"]["read"]["permissions"].append("ecr:*"), "ecr:*"),
    "no tagging": ("tagging", lambda it: it.pop("tagging"), "tagging.taggable"),
    "no permission to tag": (
        "tagging",
        lambda it: it["handlers"]["create"]["permissions"].remove("ecr:TagResource"),
        "create handler handles tags",
    ),
}


@pytest.mark.parametrize("case", WRONG_SCHEMAS)
def test_schema_that_the_registry_would_not_take(project: Project, case: str) -> None:
    check, change, words = WRONG_SCHEMAS[case]
    change_schema(project, change)
    assert words in " ".join(getattr(publish_check, check)(project))


def test_text_that_is_not_ascii(project: Project) -> None:
    text = project.schema_path.read_text().replace("An Amazon ECR", "An Amazon\u00a0ECR", 1)
    project.schema_path.write_text(text, encoding="utf-8")
    assert list(publish_check.shape(project)) == ["The schema holds characters that are not ASCII."]


def test_inputs_that_are_missing(project: Project) -> None:
    (project.folder / "inputs" / "inputs_1_invalid.json").unlink()
    assert list(publish_check.contract_inputs(project)) == ["inputs_1_invalid.json is missing in inputs/."]


def test_inputs_that_name_an_account(project: Project) -> None:
    (project.folder / "inputs" / "inputs_1_create.json").write_text('{"Owner": "111122223333"}')
    [problem] = publish_check.contract_inputs(project)
    assert "names an account" in problem


def test_licence_that_is_missing(project: Project) -> None:
    (project.folder / "LICENSE").unlink()
    assert list(publish_check.licence(project)) == ["LICENSE does not hold the Apache License."]


@pytest.mark.parametrize("text", ["1.0", "v1.0.0", "1.0.0-rc1"])
def test_version_that_is_not_semantic(project: Project, text: str) -> None:
    (project.folder / "VERSION").write_text(text)
    [problem] = publish_check.version(project)
    assert "MAJOR.MINOR.PATCH" in problem


def test_constructs_that_are_versioned_with_the_type_pass(project: Project) -> None:
    assert list(publish_check.constructs(project)) == []


@pytest.mark.parametrize("name", ["python/pyproject.toml", "typescript/package.json", "typescript/package-lock.json"])
def test_construct_of_another_version(project: Project, name: str) -> None:
    path = project.folder / "examples" / "cdk" / name
    number = (project.folder / "VERSION").read_text().strip()
    path.write_text(path.read_text().replace(f'"{number}"', '"0.9.0"', 1))
    problem = f"examples/cdk/{name} has not the version of VERSION: write {number}."
    assert list(publish_check.constructs(project)) == [problem]


def test_construct_with_another_licence(project: Project) -> None:
    (project.folder / "examples" / "cdk" / "python" / "LICENSE").write_text("Ask me.\n")
    [problem] = publish_check.constructs(project)
    assert problem.startswith("examples/cdk/python/LICENSE is not the one")


NOTES = "### Added\n\n- A property.\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"## [Unreleased]\n\n{NOTES}", None),
        (f"## [Unreleased]\n\n## [1.0.0] - 2026-12-01\n\n{NOTES}", None),
        (f"## [Unreleased]\n\n## [0.9.0] - 2026-10-01\n\n{NOTES}", "says nothing of 1.0.0"),
        (f"## [Unreleased]\n\n{NOTES}\n## [1.0.0] - 2026-12-01\n", "says nothing of 1.0.0"),
        (f"## [Unreleased]\n\n## [1.0.0]\n\n{NOTES}", "has no date"),
        (f"## [1.0.0] - 2026-12-01\n\n{NOTES}", "does not begin with the section"),
    ],
)
def test_changelog_has_to_know_the_version(project: Project, text: str, problem: str | None) -> None:
    (project.folder / "VERSION").write_text("1.0.0\n")
    (project.folder / "CHANGELOG.md").write_text(f"# Changelog\n\n{text}")
    found = list(publish_check.changelog(project))
    assert found == [] if problem is None else [problem in each for each in found] == [True]


def test_a_command_that_fails_shows_its_last_lines(project: Project) -> None:
    check = publish_check._command("python", "-c", "import sys; print('what is wrong'); sys.exit(3)")
    assert list(check(project)) == ["what is wrong"]


def test_run_counts_and_names_what_failed(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.folder / "LICENSE").unlink()
    checks: dict[str, Callable[[Project], Iterator[str]]] = {
        "the licence": publish_check.licence,
        "the version": publish_check.version,
    }
    assert publish_check.run(project, checks) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["FAIL  the licence", "      LICENSE does not hold the Apache License.", "pass  the version"]
