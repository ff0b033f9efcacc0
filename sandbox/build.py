"""Build the type's package by the unmodified `cfn submit --dry-run`, without touching the project's folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sandbox.environment import for_subprocess

ROOT = Path(__file__).resolve().parent.parent
_PARTS = (".rpdk-config", "template.yml", "resource-role.yaml", "requirements.txt", "src", "inputs")


class BuildError(RuntimeError):
    """`cfn submit --dry-run` failed; the message is what it wrote."""


def copy_project(target: Path, project: Path = ROOT) -> Path:
    """Copy what the cfn CLI needs of a project to the new folder `target`, and return that."""
    target.mkdir(parents=True)
    for source in _sources(project):
        if source.is_dir():
            shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / source.name)
    return target


def build_package(folder: Path, project: Path = ROOT) -> Path:
    """The package's zip in `folder`. It is built unless `folder` has one of the same sources. Raises BuildError.

    Takes about ten seconds, most of which pip spends on requirements.txt.
    """
    package = folder / f"package-{_fingerprint(project)}.zip"
    if package.exists():
        return package
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-") as place:
        home = Path(place) / "home"
        home.mkdir()
        copy = copy_project(Path(place) / "project", project)
        variables = for_subprocess("http://127.0.0.1:9", home)  # a dry run makes no calls
        command = [str(Path(sys.executable).parent / "cfn"), "submit", "--dry-run"]
        done = subprocess.run(command, cwd=copy, env=variables, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(done.stdout + done.stderr)
        unfinished = package.with_suffix(".new")
        shutil.move(_schema(copy).with_suffix(".zip"), unfinished)
        unfinished.rename(package)
    return package


def _schema(project: Path) -> Path:
    type_name: str = json.loads((project / ".rpdk-config").read_text())["typeName"]
    return project / f"{type_name.replace('::', '-').lower()}.json"


def _sources(project: Path) -> list[Path]:
    return [_schema(project), *(project / part for part in _PARTS if (project / part).exists())]


def _fingerprint(project: Path) -> str:
    """The same for the same sources, requirements and Python."""
    digest = hashlib.sha256(sys.version.encode())
    for path in _files(_sources(project)):
        digest.update(str(path.relative_to(project)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _files(sources: list[Path]) -> Iterator[Path]:
    for source in sources:
        found = sorted(source.rglob("*")) if source.is_dir() else [source]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)
