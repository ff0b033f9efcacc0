"""`make release`: what it makes, what stops it, and that it publishes nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import package, release
from scripts.publish_check import Project
from tests.support.packages import package_command, versioned_package
from tests.support.project_copy import ROOT, SCHEMA_NAME

__all__ = ["package_command", "versioned_package"]

NUMBER = (ROOT / "VERSION").read_text().strip()


def git(project: Project, *arguments: str) -> None:
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(project.folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A commit of what the checks of a release look at."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in (".rpdk-config", SCHEMA_NAME, "VERSION", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    sections = f"## [{NUMBER}] - 2026-12-01\n\n- A property.\n\n## [0.9.0] - 2026-10-01\n\n- Old.\n"
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## [Unreleased]\n\n{sections}")
    made = Project(folder)
    git(made, "init", "--quiet")
    git(made, "add", ".")
    git(made, "commit", "--quiet", "--message", "Release")
    return made


def test_a_release_commit_passes(project: Project) -> None:
    checks = (release.has_section, release.is_committed, release.is_not_tagged)
    assert [problem for check in checks for problem in check(project)] == []
    assert release.notes(project) == "- A property.\n"


@pytest.mark.parametrize("heading", ["", f"## [{NUMBER}]", f"## [{NUMBER}] - soon", "## [9.9.9] - 2026-12-01"])
def test_a_version_without_a_dated_section_is_not_released(project: Project, heading: str) -> None:
    (project.folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## [Unreleased]\n\n{heading}\n\n- A property.\n")
    [problem] = release.has_section(project)
    assert f"no section '## [{NUMBER}] - YYYY-MM-DD'" in problem


def test_what_is_not_committed_is_not_released(project: Project) -> None:
    (project.folder / "new.txt").write_text("new")
    assert list(release.is_committed(project)) == ["Not committed: ?? new.txt"]


def test_a_folder_that_is_no_checkout_is_not_released(tmp_path: Path) -> None:
    [problem] = release.is_committed(Project(tmp_path))
    assert "not a git repository" in problem


def test_a_version_is_tagged_once(project: Project) -> None:
    git(project, "tag", f"v{NUMBER}")
    [problem] = release.is_not_tagged(project)
    assert f"There is a tag v{NUMBER} already" in problem


@pytest.mark.parametrize("same", [True, False])
def test_the_files_of_a_release(
    project: Project, versioned_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    builds = []

    def build(folder: Path, _project: Path) -> Path:
        builds.append(folder)
        folder.mkdir(parents=True, exist_ok=True)
        copy = Path(shutil.copy(versioned_package, folder))
        if len(builds) == 2 and not same:
            copy.write_bytes(b"other")
        return copy

    monkeypatch.setattr(package, "build", build)
    folder = tmp_path / "release"
    problems = list(release.write(project, folder))
    assert problems == ([] if same else ["A second build of the package has other bytes."])
    name = versioned_package.stem
    assert sorted(path.name for path in folder.iterdir()) == [
        "RELEASE.md",
        "SHA256SUMS",
        f"{name}.cdx.json",
        f"{name}.zip",
    ]
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert checked.stdout == f"{name}.zip: OK\n{name}.cdx.json: OK\n"
    assert (folder / "RELEASE.md").read_text() == "- A property.\n"


def test_the_commands_that_remain_are_printed_and_not_run(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "ROOT", project.folder)
    monkeypatch.setattr(release, "CHECKS", {})
    monkeypatch.setattr(release, "write", lambda _project, folder: folder.mkdir(parents=True) or iter(()))
    assert release.main() == 0
    said = capsys.readouterr().out
    assert "Nothing is published." in said
    assert f"git tag --sign v{NUMBER}" in said
    assert f"gh release create v{NUMBER}" in said
    assert "aws cloudformation publish-type" in said
    assert list(release.is_not_tagged(project)) == []


def test_a_release_that_is_stopped_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "ROOT", project.folder)
    monkeypatch.setattr(release, "CHECKS", {"something": lambda _project: iter(["It is wrong."])})
    monkeypatch.setattr(release, "write", lambda _project, _folder: iter(()))
    assert release.main() == 1
    assert capsys.readouterr().out.endswith("1 of 5 checks failed. Nothing is to be released.\n")


def test_the_script_needs_nothing_but_the_project(tmp_path: Path) -> None:
    """It is found and begins also where it is not called by make."""
    done = subprocess.run(
        [sys.executable, "-c", "import scripts.release"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
