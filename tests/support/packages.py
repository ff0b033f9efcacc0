"""Fixtures with packages of the type, for tests of several kinds.

They are not in tests/conftest.py, as `cfn test` would load that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.project_copy import ROOT, copy_project, run_cfn


@cache
def make_package(folder: Path) -> tuple[Path, str]:
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["python", "scripts/package.py", "--folder", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PATH": tools, "TZ": "Asia/Tokyo"},
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [package] = folder.glob("*.zip")
    return package, done.stdout


@pytest.fixture(scope="session")
def package_command(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The zip that `make package` builds, once for all kinds of tests as that takes 15 seconds; and what it printed."""
    return make_package(tmp_path_factory.getbasetemp() / "versioned")


@pytest.fixture(scope="session")
def versioned_package(package_command: tuple[Path, str]) -> Path:
    return package_command[0]


@pytest.fixture(scope="session")
def dry_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip that `cfn submit --dry-run` builds from a copy of the project, whose files are of another day."""
    project = copy_project(tmp_path_factory.mktemp("package") / "project")
    for path in project.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    run_cfn(project, "submit", "--dry-run")
    return project / "awstut-ecr-autopurgerepository.zip"
