"""Fixtures with packages of the type, for tests of several kinds.

They are not in tests/conftest.py, as `cfn test` would load that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.project_copy import ROOT, copy_project, run_cfn


def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one `make test` share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def unpacked_packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where all sandboxes of all processes find what one has unpacked, and its handlers have compiled.

    Otherwise that takes three seconds of a core in each sandbox.
    """
    folder = _shared_folder(tmp_path_factory) / "unpacked"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_PACKAGES", str(folder))
        yield folder


@pytest.fixture(scope="session")
def dry_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip that `cfn submit --dry-run` builds from a copy of the project, whose files are of another day.

    It lies in the copy, and is built once for all processes: that takes 15 seconds of a core.
    """
    folder = _shared_folder(tmp_path_factory) / "submitted"
    project = folder / "project"
    with FileLock(f"{folder}.lock"):
        if not (folder / "built").exists():
            _submit(copy_project(project))
            (folder / "built").touch()
    return project / "awstut-ecr-autopurgerepository.zip"


def _submit(project: Path) -> None:
    for path in project.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    run_cfn(project, "submit", "--dry-run")


@pytest.fixture(scope="session")
def submitted_package(dry_run: Path) -> Path:
    """The same zip, for those who register it."""
    return dry_run


def _make_package(folder: Path) -> tuple[Path, str]:
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
    """The zip that `make package` builds, once for all processes, too; and what it printed."""
    folder = _shared_folder(tmp_path_factory) / "versioned"
    told = folder.with_suffix(".json")
    with FileLock(f"{folder}.lock"):
        if not told.exists():
            package, printed = _make_package(folder)
            told.write_text(json.dumps([str(package), printed]))
    path, printed = json.loads(told.read_text())
    return Path(path), printed


@pytest.fixture(scope="session")
def versioned_package(package_command: tuple[Path, str]) -> Path:
    return package_command[0]
