"""A throw-away copy of the project, in which the cfn CLI may write what it likes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCHEMA_NAME = "awstut-ecr-autopurgerepository.json"
SCHEMA = json.loads((ROOT / SCHEMA_NAME).read_text(encoding="utf-8"))
TYPE_NAME = "Awstut::ECR::AutoPurgeRepository"
PACKAGE = "awstut_ecr_autopurgerepository"
_NOT_COPIED = (".venv", ".git", "build", "*.zip", "*_cache", ".hypothesis", "__pycache__", "rpdk.log*")


def copy_project(target: Path) -> Path:
    """Copy the tree, without what is built or downloaded, and return the copy's root."""
    return Path(shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*_NOT_COPIED)))


def run_cfn(project: Path, *arguments: str) -> str:
    """Run the cfn CLI in `project` and return all it printed; an exit code other than 0 raises.

    HOME is empty, since the CLI looks there for a type configuration and for AWS profiles.
    """
    home = project.parent / "home"
    home.mkdir(exist_ok=True)
    tools = str(Path(sys.executable).parent)
    environment = {**os.environ, "HOME": str(home), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["cfn", *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"cfn {' '.join(arguments)} failed:\n{done.stdout}"
    return done.stdout
