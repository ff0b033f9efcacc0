"""The CDK constructs as users have them: built, installed into a new environment, and run by the cdk command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.stack.support import blocks
from tests.support.project_copy import ROOT

CONSTRUCTS = ROOT / "examples" / "cdk"
_LEFT_BY_TOOLS = ("node_modules", "build", "cdk.out", "*.tgz", "*.whl", "__pycache__")
# What the cdk command, npm and jsii would otherwise look up in the network, or look for on the machine.
_ALONE = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "CDK_DISABLE_CLI_TELEMETRY": "true",
    "npm_config_offline": "true",
    "npm_config_update_notifier": "false",
}
# aws-cdk-lib's own check of templates takes seconds of each run: one run has it.
WITHOUT_CHECK = {"CDK_VALIDATION": "false"}


@dataclass(frozen=True)
class Tools:
    """What `scripts/setup-cdk` installs."""

    folder: Path

    @property
    def site_packages(self) -> Path:
        return next(self.folder.glob("lib/python3.*/site-packages"))

    @property
    def node_modules(self) -> Path:
        return self.folder / "typescript" / "node_modules"

    def environment(self, *binaries: Path, **more: str) -> dict[str, str]:
        """The variables of a command that finds `binaries` first, and Node.js and npm."""
        path = os.pathsep.join([*map(str, binaries), str(self.folder / "bin"), os.environ["PATH"]])
        return {
            "PATH": path,
            "HOME": str(self.folder),  # below which jsii keeps unpacked what it runs
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),  # and nothing beside the examples
            **_ALONE,
            **more,
        }


@dataclass(frozen=True)
class App:
    """A folder with an app of the CDK, and the variables of a terminal in which it is run."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, **more: str) -> str:
        """What a command prints, whose standard error has to be empty."""
        done = _run([*command], self.folder, {**self.environment, **more})
        assert done.stderr == ""
        return done.stdout

    def cdk(self, *arguments: str) -> str:
        """What the cdk command prints as its result; what it tells meanwhile is not looked at."""
        return _run(["cdk", *arguments, "--no-notices"], self.folder, {**self.environment, **WITHOUT_CHECK}).stdout


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done


def readme(language: str) -> str:
    """The page of the construct for a language, as `blocks` takes it."""
    return f"../examples/cdk/{language}/README.md"


def _settings(language: str) -> str:
    """The cdk.json that a page names."""
    text = (CONSTRUCTS / language / "README.md").read_text(encoding="utf-8")
    found = re.search(r"`({\"app\": .*?})` in `cdk\.json`", text)
    assert found
    return found[1]


def build_wheel(tools: Tools, folder: Path) -> Path:
    """As `python -m build` does it: a source distribution, and the wheel from that."""
    environment = tools.environment()
    sdist = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    _run(sdist, CONSTRUCTS / "python", environment)
    [source] = folder.glob("*.tar.gz")
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--disable-pip-version-check"]
    # The backend is the one that .venv has: to download it takes longer than all the rest.
    wheel += ["--no-build-isolation", "--check-build-dependencies", "--wheel-dir", str(folder), str(source)]
    _run(wheel, folder, environment)
    [built] = folder.glob("*.whl")
    return built


def install_wheel(tools: Tools, wheel: Path, folder: Path) -> App:
    """A new environment with the wheel, and with the app that the page shows. import.py is the page's app for imports.

    The dependencies of the wheel are those that `tools` has: pip has to find that they fit.
    """
    _run([str(tools.folder / "bin" / "python"), "-m", "venv", "--without-pip", "environment"], folder, {})
    binaries = folder / "environment" / "bin"
    [packages] = folder.glob("environment/lib/python3.*/site-packages")
    (packages / "tools.pth").write_text(f"{tools.site_packages}\n")
    command = [sys.executable, "-m", "pip", "--python", str(binaries / "python"), "install"]
    command += ["--no-index", "--no-compile", "--disable-pip-version-check", str(wheel)]
    _run(command, folder, tools.environment())
    _write_app(folder, "python", "py")
    return App(folder, tools.environment(binaries, tools.node_modules / ".bin"))


def copy_construct(language: str, folder: Path) -> Path:
    """The construct's folder as in a clone, without what tools leave there."""
    ignored = shutil.ignore_patterns(*_LEFT_BY_TOOLS)
    return Path(shutil.copytree(CONSTRUCTS / language, folder, ignore=ignored))


def pack(tools: Tools, source: Path, folder: Path) -> Path:
    """`npm pack`, which compiles first."""
    (source / "node_modules").symlink_to(tools.node_modules)
    _run(["npm", "pack", "--pack-destination", str(folder)], source, tools.environment())
    [built] = folder.glob("*.tgz")
    return built


def install_tarball(tools: Tools, tarball: Path, folder: Path) -> App:
    """A new app with the tarball, and with the packages that every app of the CDK has: npm has to find that they fit.

    `folder` is on the disk of `tools`, because large files are linked from there. import.ts is the page's app for
    imports. pipeline.ts is the app beside the construct.
    """
    shutil.copytree(tools.node_modules, folder / "node_modules", symlinks=True, copy_function=os.link)
    package = json.loads((CONSTRUCTS / "typescript" / "package.json").read_text(encoding="utf-8"))
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": package["devDependencies"]}))
    # To compare peers while it installs, npm asks the registry. `npm ls` compares what is there.
    command = ["npm", "install", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund", str(tarball)]
    _run(command, folder, tools.environment())
    _run(["npm", "ls", "--all"], folder, tools.environment())
    _write_app(folder, "typescript", "ts")
    shutil.copy(CONSTRUCTS / "typescript" / "app.ts", folder / "pipeline.ts")
    options = {"target": "ES2022", "module": "NodeNext", "strict": True, "skipLibCheck": True, "types": []}
    files = ["app.ts", "import.ts", "pipeline.ts"]
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": files}))
    return App(folder, tools.environment(folder / "node_modules" / ".bin"))


def _write_app(folder: Path, language: str, suffix: str) -> None:
    usage, importing = blocks(readme(language), language)
    (folder / f"app.{suffix}").write_text(usage)
    (folder / f"import.{suffix}").write_text(importing)
    (folder / "cdk.json").write_text(_settings(language))
