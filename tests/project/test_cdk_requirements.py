"""What the packages of the CDK constructs ask for is what they are tested with."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from tests.support.project_copy import ROOT

CDK = ROOT / "examples" / "cdk"
PACKAGE: dict[str, Any] = json.loads((CDK / "typescript" / "package.json").read_text(encoding="utf-8"))


def build_and_dependencies(path: str) -> tuple[list[str], list[str]]:
    settings = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))
    return settings["build-system"]["requires"], settings["project"]["dependencies"]


def pinned() -> dict[str, str]:
    """The pinned versions of what the construct itself imports."""
    text = (CDK / "python" / "requirements.in").read_text(encoding="utf-8")
    found = dict(re.findall(r"^([a-z-]+)==([\d.]+)", text, re.MULTILINE))
    return {name: found[name] for name in ("aws-cdk-lib", "constructs")}


def next_major(version: str) -> int:
    return int(version.split(".")[0]) + 1


def test_python_asks_for_the_tested_version_or_a_newer_one_of_that_major_version() -> None:
    expected = [f"{name}>={version},<{next_major(version)}" for name, version in pinned().items()]
    assert build_and_dependencies("examples/cdk/python/pyproject.toml")[1] == expected


def test_typescript_asks_for_the_same() -> None:
    assert PACKAGE["peerDependencies"] == {name: f"^{version}" for name, version in pinned().items()}
    assert PACKAGE["devDependencies"].items() >= pinned().items()


def test_typescript_is_tested_with_full_versions() -> None:
    assert [each for each in PACKAGE["devDependencies"].values() if not re.fullmatch(r"\d+\.\d+\.\d+", each)] == []


def test_python_is_built_as_the_command_line_is() -> None:
    construct, command_line = (
        build_and_dependencies(path)[0] for path in ("examples/cdk/python/pyproject.toml", "pyproject.toml")
    )
    assert construct == command_line


def test_nobody_can_publish_them_by_mistake() -> None:
    settings = tomllib.loads((CDK / "python" / "pyproject.toml").read_text(encoding="utf-8"))
    assert "Private :: Do Not Upload" in settings["project"]["classifiers"]
    assert PACKAGE["private"] is True
