"""Where the demo works: a temporary copy of the project, and an environment without the user's own AWS settings."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_NEEDED = (
    ".rpdk-config",
    "awstut-ecr-autopurgerepository.json",
    "requirements.txt",
    "resource-role.yaml",
    "template.yml",
    "src",
    "inputs",
    "examples",
    "demo/tutorial.yaml",
)
_CARRIED_OVER = ("PATH", "LANG", "LC_ALL", "TZ", "PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


@contextmanager
def copied_project() -> Iterator[Path]:
    """A folder that holds what `cfn submit` and the demo's stacks need; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="autopurge-demo-") as folder:
        project = Path(folder) / "project"
        for name in _NEEDED:
            source, target = ROOT / name, project / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        (Path(folder) / "home").mkdir()
        yield project


def environment(project: Path, exports: Mapping[str, str]) -> dict[str, str]:
    """The environment of the demo's commands: the sandbox's exports, an empty HOME, the tools of this Python first."""
    kept = {name: os.environ[name] for name in (*_CARRIED_OVER, *_PROXIES) if name in os.environ}
    tools = str(Path(sys.executable).parent)
    return {
        **kept,
        "HOME": str(project.parent / "home"),
        "TMPDIR": str(project.parent),
        "PATH": f"{tools}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "AWS_PAGER": "",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        **exports,
    }
