"""`python -m sandbox.contract` on a project with the stub type; and when a package is built again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.build import build_package, copy_project
from sandbox.server import start_sandbox
from tests.support.project_copy import ROOT
from tests.support.stub import SCHEMA, TYPE_NAME, make_package


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What `cfn test` needs of a project: the code is in the package."""
    folder = tmp_path / "project"
    (folder / "inputs").mkdir(parents=True)
    settings = {
        "artifact_type": "RESOURCE",
        "typeName": TYPE_NAME,
        "language": "python312",
        "runtime": "python3.12",
        "entrypoint": "thing.handlers.resource",
        "testEntrypoint": "thing.handlers.test_entrypoint",
        "settings": {"use_docker": False, "no_docker": True, "protocolVersion": "2.0.0"},
    }
    (folder / ".rpdk-config").write_text(json.dumps(settings))
    (folder / "test-stub-thing.json").write_text(json.dumps(SCHEMA))
    (folder / "inputs" / "inputs_1_create.json").write_text(json.dumps({"Name": "thing", "Size": 1}))
    (folder / "inputs" / "inputs_1_update.json").write_text(json.dumps({"Name": "thing", "Size": 2}))
    (tmp_path / "package.zip").write_bytes(make_package())
    return folder


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # no way out: a call that does not stay local ends at once
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "AWS_PROFILE": "production",
    }
    command = [sys.executable, "-m", "sandbox.contract", "--package", str(project.parent / "package.zip"), *arguments]
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)


def test_the_contract_tests_run_against_the_package(project: Path) -> None:
    done = run(project, "--", "-k", "contract_create_delete or contract_update_read")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_failing_contract_test_ends_with_an_error(project: Path) -> None:
    broken = {"Name": "thing", "Size": 1, "Behaviour": "fail=InvalidRequest"}
    (project / "inputs" / "inputs_1_create.json").write_text(json.dumps(broken))
    done = run(project, "--", "-k", "contract_create_delete")
    assert done.returncode == 1
    assert "1 failed" in done.stdout


def test_a_sandbox_that_runs_already_is_used(project: Path) -> None:
    with start_sandbox() as box:
        done = run(project, "--sandbox", box.url, "--", "-k", "contract_create_delete")
        assert done.returncode == 0, done.stdout + done.stderr
        answer = box.client("lambda").invoke(FunctionName="TypeFunction", Payload=b"{}")
        assert answer["FunctionError"] == "Unhandled"


def source(folder: Path) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / ".rpdk-config").write_text(json.dumps({"typeName": TYPE_NAME}))
    (folder / "test-stub-thing.json").write_text("{}")
    (folder / "src" / "handlers.py").write_text("1")
    return folder


def test_a_package_is_built_once_for_the_same_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, built = source(tmp_path / "project"), []

    def submit(command: list[str], cwd: Path, **_: object) -> subprocess.CompletedProcess[str]:
        built.append(command[1:])
        (cwd / "test-stub-thing.zip").write_text("zip")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", submit)
    first = build_package(tmp_path / "cache", project)
    assert build_package(tmp_path / "cache", project) == first
    assert built == [["submit", "--dry-run"]]
    (project / "src" / "handlers.py").write_text("2")
    assert build_package(tmp_path / "cache", project) != first
    assert not list(project.glob("*.zip"))


def test_the_copy_has_what_the_cli_needs(tmp_path: Path) -> None:
    copy = copy_project(tmp_path / "copy", source(tmp_path / "project"))
    assert sorted(path.name for path in copy.rglob("*")) == [
        ".rpdk-config",
        "handlers.py",
        "src",
        "test-stub-thing.json",
    ]
