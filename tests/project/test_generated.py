"""What is generated from the schema is committed as the cfn CLI writes it."""

from pathlib import Path

import pytest

from tests.support.project_copy import copy_project, run_cfn


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "project")


def contents(project: Path) -> dict[str, bytes]:
    """Every file of the project, except the CLI's own log."""
    files = (path for path in project.rglob("*") if path.is_file() and path.name != "rpdk.log")
    return {str(path.relative_to(project)): path.read_bytes() for path in files}


def test_validate_prints_no_warning(project: Path) -> None:
    assert run_cfn(project, "validate") == "Resource schema is valid.\n"


def test_generate_changes_nothing(project: Path) -> None:
    before = contents(project)
    run_cfn(project, "generate")
    after = contents(project)

    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == set(), "run `make generate` and commit what it writes"
    assert "docs/README.md" in after
