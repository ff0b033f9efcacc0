"""What `cfn submit` uploads: it runs on Lambda's Python whatever built it, and holds nothing of development."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.server import start_sandbox
from tests.support.project_copy import PACKAGE, ROOT
from tests.support.stub import SCHEMA

LAMBDA_PYTHON = (3, 12)
OTHER_PYTHONS = ("3.12", "3.13")
OLDEST_BOTOCORE = (1, 41)  # the first whose ECR model has imageStatus

IMPORT_AND_REPORT = f"""
import json, sys
sys.path.insert(0, sys.argv[1])
import boto3, botocore
from {PACKAGE} import handlers
client = boto3.client("ecr", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
model = client.meta.service_model
asked = model.operation_model("DescribeImages").input_shape.members["filter"].members
[rules] = model.operation_model("DescribeRegistry").output_shape.members["replicationConfiguration"].members.values()
places = [boto3.__file__, handlers.__file__]
said = {{"filters": sorted(asked), "rules": sorted(rules.member.members)}}
print(json.dumps({{**said, "botocore": botocore.__version__, "from": places}}))
"""

PROBE = """
import importlib.util, os
import boto3, botocore

def report(event, context):
    modules = [boto3, botocore]
    root = os.environ["LAMBDA_TASK_ROOT"] + "/"
    return {
        "versions": {each.__name__: each.__version__ for each in modules},
        "inside": [each.__file__.startswith(root) for each in modules],
        "ministack": importlib.util.find_spec("ministack") is not None,
    }
"""


@dataclass(frozen=True)
class Package:
    """What `cfn submit --dry-run` builds: the archive's names, the function's code unpacked, and what it came from."""

    uploaded: list[str]
    code: Path
    source: Path

    def names(self) -> list[str]:
        return [str(path.relative_to(self.code)) for path in self.code.rglob("*") if path.is_file()]


@pytest.fixture(scope="session")
def package(dry_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("package")
    with zipfile.ZipFile(dry_run) as archive:
        with zipfile.ZipFile(io.BytesIO(archive.read("ResourceProvider.zip"))) as code:
            code.extractall(folder / "code")
        return Package(archive.namelist(), folder / "code", dry_run.parent / "src" / PACKAGE)


def find_python(version: str) -> str | None:
    """An interpreter of that version: on the PATH, or among pyenv's."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (shutil.which(f"python{version}"), *map(str, pyenv)):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def imported_by(python: str, package: Package) -> dict[str, Any]:
    """What the code says of itself when `python`, without any packages of its own, imports it."""
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", IMPORT_AND_REPORT, str(package.code)],
        cwd=package.code.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def pinned_requirements() -> set[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {line.split()[0] for line in lines if re.match(r"[a-z0-9-]+==", line)}


def test_package_holds_the_handlers_as_they_are_in_the_source(package: Package) -> None:
    source = {path.name: path.read_bytes() for path in package.source.glob("*.py")}
    assert {path.name: path.read_bytes() for path in (package.code / PACKAGE).glob("*.py")} == source


def test_package_holds_no_extension_module(package: Package) -> None:
    assert [name for name in package.names() if name.endswith((".so", ".pyd", ".dylib"))] == []


def test_package_holds_exactly_what_is_pinned(package: Package) -> None:
    folders = [path.name.removesuffix(".dist-info").rsplit("-", 1) for path in package.code.glob("*.dist-info")]
    assert {f"{name.replace('_', '-')}=={version}" for name, version in folders} == pinned_requirements()


def test_package_holds_nothing_of_development(package: Package) -> None:
    recorded = {PACKAGE}
    for record in package.code.glob("*.dist-info/RECORD"):
        recorded |= {
            line.split(",")[0].removeprefix("../../").split("/")[0] for line in record.read_text().splitlines()
        }

    top_level = {path.name for path in package.code.iterdir()}
    assert top_level <= recorded
    assert not top_level & {"tests", "sandbox", "benchmarks", "demo", "examples", "ministack", "pytest", "moto"}


def test_archive_holds_the_schema_the_code_and_its_source_only(package: Package) -> None:
    known = {"ResourceProvider.zip", "schema.json", ".rpdk-config", ".cfn_metadata.json", "configuration-schema.json"}
    beside = [name for name in package.uploaded if not name.startswith((f"src/{PACKAGE}/", "inputs/"))]
    assert set(beside) <= known
    assert {"ResourceProvider.zip", "schema.json"} <= set(beside)


def test_package_has_a_botocore_that_knows_image_status(package: Package) -> None:
    said = imported_by(sys.executable, package)
    assert tuple(map(int, str(said["botocore"]).split(".")[:2])) >= OLDEST_BOTOCORE
    assert "imageStatus" in said["filters"]
    assert all(str(package.code) in place for place in said["from"])


def test_package_has_a_botocore_that_knows_delete_replication(package: Package) -> None:
    """A client drops the fields that its service model lacks, and says nothing."""
    assert "deleteReplication" in imported_by(sys.executable, package)["rules"]


def test_package_brings_its_own_boto3_to_the_sandbox(package: Package, tmp_path: Path) -> None:
    """The sandbox's process has another one, which must not get in its way."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        for name in package.names():
            archive.write(package.code / name, name)
        archive.writestr("probe.py", PROBE)
    with zipfile.ZipFile(tmp_path / "probe.zip", "w") as archive:
        archive.writestr("ResourceProvider.zip", code.getvalue())
        archive.writestr("schema.json", json.dumps(SCHEMA))
        settings = {"entrypoint": "probe.report", "testEntrypoint": "probe.report"}
        archive.writestr(".rpdk-config", json.dumps(settings))
    with start_sandbox() as box:
        box.control.serve_functions(str(tmp_path / "probe.zip"))
        answer = box.client("lambda").invoke(FunctionName="TypeFunction", Payload=b"{}")
        said = json.loads(answer["Payload"].read())
    assert {f"{name}=={version}" for name, version in said["versions"].items()} <= pinned_requirements()
    assert said["inside"] == [True, True]
    assert not said["ministack"]


@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_package_runs_on_another_python_than_the_one_that_built_it(package: Package, version: str) -> None:
    """Where that Python is not installed, at least the source has to be valid for it."""
    python = find_python(version)
    if python:
        assert "imageStatus" in imported_by(python, package)["filters"]
        return
    for path in (package.code / PACKAGE).glob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), filename=path.name, feature_version=LAMBDA_PYTHON)


def test_only_a_delete_imports_what_a_delete_needs() -> None:
    """Lambda compiles in each new process all that is imported, so the other handlers answer sooner without it."""
    script = f"import sys, {PACKAGE}.handlers; print(*[each for each in sys.modules if '.deletion' in each])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
