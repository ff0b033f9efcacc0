"""The contract tests of `cfn test` on an ECR that is two seconds late everywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.build import copy_project
from sandbox.server import Sandbox
from tests.support.contract import CLOSING_LINE, TESTS
from tests.support.project_copy import ROOT

SECONDS = 2


def test_the_contract_tests_pass_where_ecr_is_two_seconds_late_everywhere(
    box: Sandbox, submitted_package: Path, tmp_path: Path
) -> None:
    """With the set of inputs that has policies, because each test waits for what is late."""
    project = copy_project(tmp_path / "project")
    for path in (project / "inputs").glob("inputs_2_*"):
        path.unlink()
    steps = [{"method": "with_images", "arguments": {"count": 30, "pushed_days_ago": 400}}]
    box.control.settings(seed_before_delete=steps)
    box.client("s3").create_bucket(Bucket="purge-reports")
    box.control.be_late(SECONDS)
    command = [sys.executable, "-m", "sandbox.contract", "--package", str(submitted_package), "--sandbox", box.url]
    variables = box.environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    [line] = CLOSING_LINE.findall(done.stdout)
    assert f"{TESTS} passed" in line, done.stdout + done.stderr
    assert done.returncode == 0
    shutil.rmtree(project)
