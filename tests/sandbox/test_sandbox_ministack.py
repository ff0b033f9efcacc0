"""Only the sandbox's own process imports ministack: the tests of its private names run in that environment."""

from __future__ import annotations

import importlib.util
import subprocess
from importlib import metadata

from sandbox import interpreter
from tests.support.project_copy import ROOT


def test_ministack_has_the_private_names_that_the_sandbox_uses() -> None:
    options = "-q -p no:cacheprovider --noconftest -o addopts="  # pyproject.toml's addopts need plugins of .venv
    command = [interpreter.find(), "-m", "pytest", *options.split(), "tests/sandbox/ministack_names.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_tests_have_the_boto3_of_the_package_and_not_that_of_ministack() -> None:
    assert importlib.util.find_spec("ministack") is None
    for name in ("boto3", "botocore"):
        assert f"\n{name}=={metadata.version(name)} " in (ROOT / "requirements.txt").read_text()
