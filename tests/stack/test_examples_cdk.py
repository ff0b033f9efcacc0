"""The CDK examples, synthesised by the real aws-cdk-lib without the cdk CLI; their template is deployed and deleted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sandbox.server import Sandbox
from tests.stack.support import holds
from tests.support.project_copy import ROOT, SCHEMA_NAME, TYPE_NAME
from tests.support.stack import Stack

EXAMPLES = ROOT / "examples" / "cdk"
TOOLS = ROOT / ".venv" / "cdk"
Json = dict[str, Any]

# The app as it is, and before it what the construct has to refuse: each start of the CDK takes seconds.
PYTHON_PROGRAM = """
import runpy
from aws_cdk import App, RemovalPolicy, Stack
from auto_purge_repository import AutoPurgeRepository
try:
    AutoPurgeRepository(Stack(App(), "S"), "R", auto_delete_images=True, removal_policy=RemovalPolicy.DESTROY)
except ValueError as error:
    print(error)
runpy.run_path("app.py", run_name="__main__")
"""


@pytest.fixture(scope="session")
def tools() -> Path:
    """What `scripts/setup-cdk` installs: it takes half a minute where it is not there yet."""
    subprocess.run([str(ROOT / "scripts" / "setup-cdk")], check=True)
    return TOOLS


def run(command: list[str], folder: Path, tools: Path, output: Path) -> str:
    environment = {
        "PATH": f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tools),  # below which jsii keeps unpacked what it runs
        "CDK_OUTDIR": str(output),
        "PYTHONPYCACHEPREFIX": str(tools / "bytecode"),  # and nothing beside the examples
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def template_in(output: Path) -> Json:
    template: Json = json.loads((output / "Pipeline.template.json").read_text())
    return template


@pytest.fixture(scope="session")
def python_run(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Json]:
    """What the program printed, and its template."""
    output = tmp_path_factory.mktemp("cdk-python") / "out"
    printed = run([str(tools / "bin" / "python"), "-c", PYTHON_PROGRAM], EXAMPLES / "python", tools, output)
    return printed, template_in(output)


@pytest.fixture(scope="session")
def python_template(python_run: tuple[str, Json]) -> Json:
    return python_run[1]


@pytest.fixture(scope="session")
def typescript_template(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """Type-checked, compiled and run beside the node_modules of `tools`."""
    folder = tmp_path_factory.mktemp("cdk-typescript")
    for path in EXAMPLES.joinpath("typescript").glob("*"):
        shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(tools / "typescript" / "node_modules")
    node = str(tools / "bin" / "node")
    run([node, "node_modules/typescript/bin/tsc"], folder, tools, folder / "out")
    run([node, "--preserve-symlinks", "build/app.js"], folder, tools, folder / "out")
    return template_in(folder / "out")


def our_resource(template: Json) -> Json:
    resources: list[Json] = list(template["Resources"].values())
    [resource] = [each for each in resources if each["Type"] == TYPE_NAME]
    return resource


def test_python_and_typescript_make_the_same_template(python_template: Json, typescript_template: Json) -> None:
    assert python_template == typescript_template


def test_template_has_no_function_and_no_custom_resource(python_template: Json) -> None:
    kinds = sorted({each["Type"] for each in python_template["Resources"].values()})
    assert kinds == ["AWS::IAM::Policy", "AWS::IAM::Role", "AWS::S3::Bucket", TYPE_NAME]


def test_properties_fit_the_schema(python_template: Json) -> None:
    properties = json.loads(json.dumps(our_resource(python_template)["Properties"]))
    properties["PurgeReport"]["BucketName"] = "a-bucket"  # in the place of a Ref
    schema = json.loads((ROOT / SCHEMA_NAME).read_text())
    jsonschema.Draft7Validator(schema).validate(properties)
    assert (
        json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"][0]["selection"]["countNumber"] == 14
    )


def test_a_replaced_repository_is_kept(python_template: Json) -> None:
    resource = our_resource(python_template)
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Delete", "Retain")


def test_auto_delete_images_is_refused(python_run: tuple[str, Json]) -> None:
    assert python_run[0].startswith("Leave out auto_delete_images")


@pytest.mark.usefixtures("generated_role")  # the other one allows reports to the bucket that it names only
def test_deployed_and_deleted_with_images(box: Sandbox, stack: Stack, python_template: Json) -> None:
    assert stack.create(python_template) == "CREATE_COMPLETE"
    assert stack.outputs["Name"] == "cdk/app"
    assert stack.outputs["Uri"].endswith("/cdk/app")
    box.control.seed("cdk/app", ("with_images", {"count": 20, "pushed_days_ago": 400}))
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, "cdk/app") is None


def test_lock_file_names_no_download_addresses() -> None:
    lock = json.loads((EXAMPLES / "typescript" / "package-lock.json").read_text())
    assert len(lock["packages"]) > 3
    assert [name for name, each in lock["packages"].items() if "resolved" in each] == []
