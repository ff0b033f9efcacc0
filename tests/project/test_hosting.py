"""What GitHub and editors read can be read, and names what is there: none of it can be run here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.project_copy import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
FULL_VERSION = re.compile(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+")
FOLDERS = ("src", "cli", "sandbox", "demo", "benchmarks", "scripts", "probes", "tests", "guides", "examples", ".github")
SUFFIXES = (".py", ".md", ".yaml", ".yml", ".json", ".toml", ".in")


def load(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in load(workflow)["jobs"].values() for step in job["steps"]]


def commands(workflow: Path) -> list[str]:
    return [step["run"] for step in steps(workflow) if "run" in step]


def test_there_are_workflows_for_tests_soak_and_audit() -> None:
    found = {path.name: commands(path) for path in WORKFLOWS}
    assert found == {"audit.yml": ["make audit"], "nightly.yml": ["make soak MINUTES=60"], "test.yml": ["make test"]}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_runs_make_targets_that_exist(workflow: Path) -> None:
    assert {command.split()[1] for command in commands(workflow)} <= TARGETS


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_may_only_read_and_ends(workflow: Path) -> None:
    loaded = load(workflow)
    assert loaded["permissions"] == {"contents": "read"}
    assert True in loaded  # YAML 1.1 reads the key `on` as true
    assert all(job["timeout-minutes"] <= 90 for job in loaded["jobs"].values())


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_uses_full_versions_of_actions(workflow: Path) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert [each for each in used if not FULL_VERSION.fullmatch(each)] == []
    assert len(used) == 2


@pytest.mark.parametrize("workflow", [*WORKFLOWS, ROOT / ".github" / "dependabot.yml"], ids=lambda path: path.name)
def test_file_that_could_not_be_run_here_says_so(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    assert re.search(r"^# Written without .+: .+ has not (been run|read this) yet\.$", text, re.MULTILINE)


def test_tests_run_on_the_python_of_developers_and_on_lambda_s() -> None:
    [job] = load(ROOT / ".github" / "workflows" / "test.yml")["jobs"].values()
    assert job["strategy"]["matrix"] == {"python": ["3.11", "3.12"]}
    assert "${PYTHON:-" in (ROOT / "scripts" / "setup").read_text(encoding="utf-8")


def test_dependabot_looks_where_requirements_are() -> None:
    updates = load(ROOT / ".github" / "dependabot.yml")["updates"]
    names = {"pip": "requirements.txt", "npm": "package.json"}
    folders = {
        (each["package-ecosystem"], folder)
        for each in updates
        for folder in each.get("directories", [each.get("directory")])
    }
    for ecosystem, name in names.items():
        there = {"/" + str(path.parent.relative_to(ROOT)) for path in (ROOT / "examples").rglob(name)}
        there = {folder for folder in there if "node_modules" not in folder} | (
            {"/"} if (ROOT / name).exists() else set()
        )
        assert {folder for kind, folder in folders if kind == ecosystem} == there
    assert {("github-actions", "/"), ("devcontainers", "/")} <= folders


def test_development_container_sets_itself_up() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert container["postCreateCommand"] == "make setup"
    assert re.fullmatch(r"[a-z./]+:1-3\.12-bookworm", container["image"])  # Debian, for apt; Python as in Lambda


def written_files() -> list[Path]:
    """What people write: generated files, and those that tools leave, are not among them."""
    found = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.suffix in SUFFIXES]
    found = [path for path in found if not {"node_modules", "cdk.out"} & set(path.parts) and path.name != "models.py"]
    return [*found, *ROOT.glob("*.md"), *ROOT.glob("*.in"), ROOT / "Makefile", ROOT / "pyproject.toml"]


def test_files_are_as_the_editor_settings_say() -> None:
    contents = {str(path.relative_to(ROOT)): path.read_bytes() for path in written_files()}
    assert len(contents) > 100
    assert [name for name, content in contents.items() if content and not content.endswith(b"\n")] == []
    assert [name for name, content in contents.items() if re.search(rb"[ \t\r]\n", content)] == []


def test_generated_files_are_marked_for_reviews() -> None:
    text = (ROOT / ".gitattributes").read_text(encoding="utf-8")
    marked = [line.split()[0] for line in text.splitlines() if "linguist-generated" in line]
    assert len(marked) > 5
    assert [pattern for pattern in marked if not list(ROOT.glob(pattern.replace("/**", "/*")))] == []
    assert "* text=auto eol=lf\n" in text
