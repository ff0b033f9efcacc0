"""The cfn CLI's own contract tests, on the handlers from the built package: none fails, none is skipped."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.build import ROOT
from sandbox.server import Sandbox
from tests.support.contract import CLOSING_LINE, TESTS
from tests.support.roles import HARDENED, REPORTS, make_role

INPUT_SETS = 2


def run(box: Sandbox, package: Path, capsys: pytest.CaptureFixture[str], *options: str) -> None:
    """Run `cfn test`, show its closing lines, and see that every test passed."""
    command = [sys.executable, "-m", "sandbox.contract", "--package", str(package), "--sandbox", box.url, *options]
    done = subprocess.run(
        command, cwd=ROOT, env=box.environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    lines = CLOSING_LINE.findall(done.stdout)
    with capsys.disabled():
        # stderr, as the stdout of a test that runs beside others is lost
        print("\n" + "\n".join(f"cfn test: {line}" for line in lines), file=sys.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) == INPUT_SETS
    for line in lines:
        assert f"{TESTS} passed" in line
        assert not re.search("failed|skipped|error", line)


def test_the_contract_tests_pass_under_the_hardened_role(
    box: Sandbox, submitted_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(box, submitted_package, capsys, "--role-arn", make_role(box, HARDENED, **REPORTS))
    assert box.control.repositories() == []


def test_the_contract_tests_pass_with_images_in_each_repository(
    box: Sandbox, submitted_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [
        {"method": "with_images", "arguments": {"count": 250, "pushed_days_ago": 400}},
        {"method": "with_multi_arch", "arguments": {"count": 3, "pushed_days_ago": 400}},
    ]
    box.control.settings(seed_before_delete=steps)
    box.client("s3").create_bucket(Bucket=REPORTS["ReportBucketName"])  # which the first set of inputs asks for
    role = make_role(box, HARDENED, **REPORTS, ChecksUse="true")  # which it asks for, too
    run(box, submitted_package, capsys, "--role-arn", role)
    assert box.control.repositories() == []
    reports = box.client("s3").list_objects_v2(Bucket=REPORTS["ReportBucketName"])["Contents"]
    assert any(each["Key"].endswith("/summary.json") for each in reports)
    assert len(box.control.deletions()) > 1_000
    assert not any(each["by_force"] for each in box.control.deletions())


def test_the_contract_tests_pass_with_a_type_configuration(
    box: Sandbox, submitted_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = tmp_path / "configuration.json"
    configuration.write_text(
        json.dumps(
            {
                "DeletionProtection": False,
                "PurgeProtection": {"TagPatterns": ["v*"]},
                "PurgeReport": {"BucketName": "purge-reports"},
                "Concurrency": 4,
            }
        )
    )
    run(box, submitted_package, capsys, "--typeconfig", str(configuration))
    assert box.control.repositories() == []
