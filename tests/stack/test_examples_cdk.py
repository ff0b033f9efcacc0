"""The CDK constructs: their packages can be built and installed, and the cdk command makes what their pages say."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sandbox.server import Sandbox
from tests.stack.cdk_support import (
    CONSTRUCTS,
    WITHOUT_CHECK,
    App,
    Tools,
    build_wheel,
    copy_construct,
    install_tarball,
    install_wheel,
    pack,
    readme,
)
from tests.stack.support import IMAGES, blocks, holds, read, type_in
from tests.support.project_copy import ROOT, SCHEMA_NAME, TYPE_NAME
from tests.support.stack import Stack

Json = dict[str, Any]

REFUSED = """
from aws_cdk import App, RemovalPolicy, Stack
from auto_purge_repository import AutoPurgeRepository
try:
    AutoPurgeRepository(Stack(App(), "S"), "R", auto_delete_images=True, removal_policy=RemovalPolicy.DESTROY)
except ValueError as error:
    print(error)
"""


@pytest.fixture(scope="session")
def tools() -> Tools:
    """What `scripts/setup-cdk` installs: it takes half a minute where it is not there yet."""
    subprocess.run([str(ROOT / "scripts" / "setup-cdk")], check=True)
    return Tools(ROOT / ".venv" / "cdk")


@pytest.fixture(scope="session")
def wheel(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tools, tmp_path_factory.mktemp("cdk-wheel"))


@pytest.fixture(scope="session")
def python_app(tools: Tools, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> App:
    return install_wheel(tools, wheel, tmp_path_factory.mktemp("cdk-python"))


@pytest.fixture(scope="session")
def typescript_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder, which `tarball` compiles."""
    return copy_construct("typescript", tmp_path_factory.mktemp("cdk-typescript") / "source")


@pytest.fixture(scope="session")
def tarball(tools: Tools, typescript_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tools, typescript_source, tmp_path_factory.mktemp("cdk-tarball"))


@pytest.fixture(scope="session")
def typescript_app(tools: Tools, tarball: Path) -> Iterator[App]:
    with tempfile.TemporaryDirectory(dir=tools.folder, prefix="app-") as folder:
        yield install_tarball(tools, tarball, Path(folder))


def template_in(folder: Path, name: str = "Pipeline") -> Json:
    template: Json = json.loads((folder / "cdk.out" / f"{name}.template.json").read_text())
    return template


@pytest.fixture(scope="session")
def python_example(python_app: App, tmp_path_factory: pytest.TempPathFactory) -> App:
    """The example app in a folder without the construct, so that it takes the installed one."""
    folder = tmp_path_factory.mktemp("cdk-python-example")
    shutil.copy(CONSTRUCTS / "python" / "app.py", folder)
    return App(folder, python_app.environment)


@pytest.fixture(scope="session")
def python_template(python_example: App) -> Json:
    """What `python app.py` writes. aws-cdk-lib checks this template, and would print what is wrong."""
    assert python_example.run("python", "app.py") == ""
    return template_in(python_example.folder)


@pytest.fixture(scope="session")
def synthesised(typescript_app: App) -> Json:
    """What `cdk synth` prints for the page's app. It compiles all files of the app, against the installed types."""
    printed: Json = yaml.safe_load(typescript_app.cdk("synth"))
    return printed


@pytest.fixture(scope="session")
def typescript_template(typescript_app: App, synthesised: Json) -> Json:
    assert synthesised
    folder = typescript_app.folder / "pipeline"
    typescript_app.run("node", "pipeline.js", CDK_OUTDIR=str(folder / "cdk.out"), **WITHOUT_CHECK)
    return template_in(folder)


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


def test_auto_delete_images_is_refused(python_app: App) -> None:
    assert python_app.run("python", "-c", REFUSED).startswith("Leave out auto_delete_images")


def test_python_example_writes_where_the_cdk_command_asks_it_to(python_example: App, python_template: Json) -> None:
    python_example.run("python", "app.py", CDK_OUTDIR="elsewhere/cdk.out", **WITHOUT_CHECK)
    assert template_in(python_example.folder / "elsewhere") == python_template


@pytest.mark.usefixtures("tarball")  # compiles it
def test_typescript_example_writes_its_template_to_cdk_out(
    tools: Tools, typescript_source: Path, typescript_template: Json
) -> None:
    script = json.loads((typescript_source / "package.json").read_text())["scripts"]["synth"]
    compiled, _, command = script.partition(" && ")
    assert compiled == "tsc"
    App(typescript_source, tools.environment()).run("sh", "-c", command, **WITHOUT_CHECK)
    assert template_in(typescript_source) == typescript_template


def test_wheel_holds_the_construct_and_says_that_it_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        [licence] = [name for name in archive.namelist() if name.endswith("/LICENSE")]
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert sorted(names) == ["auto_purge_repository/__init__.py", "auto_purge_repository/py.typed"]


def test_tarball_holds_the_compiled_construct_and_its_types(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = sorted(name.removeprefix("package/") for name in archive.getnames())
    compiled = ["build/auto-purge-repository.d.ts", "build/auto-purge-repository.js"]
    assert names == ["LICENSE", "README.md", *compiled, "package.json"]


def expected(**changed: Any) -> Json:
    """The repository of both pages, without what the cdk command notes of itself."""
    properties = {"RepositoryName": "shop/app", **changed.pop("Properties", {})}
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    return {"Type": TYPE_NAME, "Properties": properties, **kept, **changed}


USAGE = expected(DeletionPolicy="Delete", Properties={"PurgeProtection": {"TagPatterns": ["release-*"]}})


def without_notes(template: Json) -> Json:
    """The resources that CloudFormation makes."""
    found = {name: each for name, each in template["Resources"].items() if name != "CDKMetadata"}
    return {name: {key: it for key, it in each.items() if key != "Metadata"} for name, each in found.items()}


def test_cdk_synth_prints_what_the_page_for_python_shows(python_app: App) -> None:
    assert list(without_notes(yaml.safe_load(python_app.cdk("synth"))).values()) == [USAGE]


def test_cdk_synth_prints_what_the_page_for_typescript_shows(synthesised: Json) -> None:
    assert list(without_notes(synthesised).values()) == [USAGE]


def test_both_pages_show_the_same_import(python_app: App) -> None:
    python_app.run("python", "import.py", CDK_OUTDIR="import/cdk.out", **WITHOUT_CHECK)
    assert list(template_in(python_app.folder / "import", "Shop")["Resources"].values()) == [expected()]
    assert blocks(readme("python"), "sh") == [
        each.replace("npx cdk", "cdk") for each in blocks(readme("typescript"), "sh")
    ]


def test_cdk_import_takes_over_a_repository_and_all_its_images(
    box: Sandbox, stack: Stack, typescript_app: App, synthesised: Json
) -> None:
    """As the page shows it. The app that is there after the import is the one of its first example."""
    box.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
    made = box.client("ecr").create_repository(repositoryName="shop/app")["repository"]
    box.control.seed("shop/app", *IMAGES)
    mark, importing = blocks(readme("typescript"), "sh")
    assert "npx cdk import Shop " in importing
    type_in(box, mark, ARN=made["repositoryArn"])
    command = importing.replace("npx cdk import", "cdk import --no-notices --app 'node import.js'")
    type_in(box, command, typescript_app.folder, **typescript_app.environment, **WITHOUT_CHECK)
    stack.name = "Shop"
    stack.stack_id = box.client("cloudformation").describe_stacks(StackName="Shop")["Stacks"][0]["StackId"]
    assert stack.status == "IMPORT_COMPLETE"
    assert holds(box, "shop/app") == 264
    assert read(box, "shop/app")["EmptyOnDelete"] is False

    [(name, resource)] = without_notes(synthesised).items()
    emptied = {**resource, "Properties": {**resource["Properties"], "EmptyOnDelete": True}}
    assert stack.update({"Resources": {name: emptied}}) == "UPDATE_COMPLETE"
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, "shop/app") is None


@pytest.mark.usefixtures("generated_role")  # the other one allows reports to the bucket that it names only
def test_deployed_and_deleted_with_images(box: Sandbox, stack: Stack, python_template: Json) -> None:
    assert stack.create(python_template) == "CREATE_COMPLETE"
    assert stack.outputs["Name"] == "cdk/app"
    assert stack.outputs["Uri"].endswith("/cdk/app")
    box.control.seed("cdk/app", ("with_images", {"count": 20, "pushed_days_ago": 400}))
    assert stack.delete() == "DELETE_COMPLETE"
    assert holds(box, "cdk/app") is None


def test_lock_file_names_no_download_addresses() -> None:
    """.npmrc sees to that."""
    lock = json.loads((CONSTRUCTS / "typescript" / "package-lock.json").read_text())
    assert len(lock["packages"]) > 3
    assert [name for name, each in lock["packages"].items() if "resolved" in each] == []
