"""The templates that users copy are valid, and the README shows them as they are."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cfn_flip
import jsonschema
import pytest

from tests.project_copy import ROOT, SCHEMA_NAME

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
SCHEMA = json.loads((ROOT / SCHEMA_NAME).read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our schema alone, as cfn-lint wants it."""
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(ROOT / SCHEMA_NAME, folder)
    return folder


def lint(template: Path, registry: Path) -> str:
    command = ["cfn-lint", "--include-checks", "I", "--registry-schemas", str(registry), "--", str(template)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def plain(value: Any) -> Any:
    """`value` with a word in the place of each intrinsic function."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::")):
        return "something"
    return {key: plain(item) for key, item in value.items()}


def our_properties(template: Path) -> list[Any]:
    """The properties of each resource of our type; cfn-lint knows the type, but does not look at its properties."""
    resources = cfn_flip.load(template.read_text())[0]["Resources"].values()
    return [plain(resource.get("Properties", {})) for resource in resources if resource["Type"] == SCHEMA["typeName"]]


@pytest.mark.parametrize("template", EXAMPLES, ids=lambda path: path.name)
def test_example_is_a_clean_template(template: Path, registry: Path) -> None:
    assert lint(template, registry) == ""


@pytest.mark.parametrize("template", EXAMPLES, ids=lambda path: path.name)
def test_example_s_properties_are_valid(template: Path) -> None:
    for properties in our_properties(template):
        jsonschema.Draft7Validator(SCHEMA).validate(properties)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kind", ["create", "update", "invalid"])
def test_contract_input_is_valid_for_the_schema(number: int, kind: str) -> None:
    """The invalid ones too: it is the handlers that have to refuse them."""
    inputs = json.loads((ROOT / "inputs" / f"inputs_{number}_{kind}.json").read_text())
    jsonschema.Draft7Validator(SCHEMA).validate(inputs)


def test_first_contract_inputs_set_everything_but_deletion_protection() -> None:
    writable = SCHEMA["properties"].keys() - {name.split("/")[-1] for name in SCHEMA["readOnlyProperties"]}
    for kind in ("create", "update"):
        inputs = json.loads((ROOT / "inputs" / f"inputs_1_{kind}.json").read_text())
        assert inputs.keys() == writable - {"DeletionProtection"}


def test_readme_shows_the_minimal_example_as_it_is() -> None:
    template = (ROOT / "examples" / "minimal.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{template}```\n" in README
    assert len(template.splitlines()) == 10


def test_readme_links_to_files_that_exist() -> None:
    targets = [part.split(")")[0] for part in README.split("](")[1:]]
    assert targets
    assert [target for target in targets if not target.startswith("http") and not (ROOT / target).exists()] == []


@pytest.mark.parametrize("name", sorted(SCHEMA["properties"]))
def test_every_property_is_in_the_reference(name: str) -> None:
    assert f"#### {name}\n" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
