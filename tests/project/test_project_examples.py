"""The templates that users copy are valid, and the README shows them as they are."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cfn_flip
import jsonschema
import pytest

from tests.support.project_copy import ROOT, SCHEMA, SCHEMA_NAME

FOLDER = ROOT / "examples"
EXAMPLES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("tutorial/*.yaml")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What cfn-lint, which is given our schema, says of all examples: in one run, as each start takes seconds."""
    registry = tmp_path_factory.mktemp("registry")
    shutil.copy(ROOT / SCHEMA_NAME, registry)
    command = ["cfn-lint", "--include-checks", "I", "--registry-schemas", str(registry), "--format", "parseable", "--"]
    done = subprocess.run([*command, *map(str, EXAMPLES)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def plain(value: Any) -> Any:
    """`value` with a word in the place of each intrinsic function."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::")):
        return "123456789012"  # also where an account is meant
    return {key: plain(item) for key, item in value.items()}


def our_properties(template: Path) -> list[Any]:
    """The properties of each resource of our type; cfn-lint knows the type, but does not look at its properties."""
    resources = cfn_flip.load(template.read_text())[0]["Resources"]
    listed = [list(each[2].values()) if name.startswith("Fn::ForEach") else [each] for name, each in resources.items()]
    ours = [resource for some in listed for resource in some if resource["Type"] == SCHEMA["typeName"]]
    return [plain(resource.get("Properties", {})) for resource in ours]


def names_of(schema: Any, prefix: str = "") -> set[str]:
    """The properties of a schema with those below them, as `PurgeReport.Prefix`; of lists, those of the items."""
    while "$ref" in schema or "items" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema["items"]
    below = [
        {f"{prefix}{name}"} | names_of(each, f"{prefix}{name}.") for name, each in schema.get("properties", {}).items()
    ]
    return set().union(*below)


def names_in(value: Any, prefix: str = "") -> set[str]:
    """The same of properties as they are in a template."""
    if isinstance(value, list):
        return set().union(*(names_in(item, prefix) for item in value))
    if not isinstance(value, dict):
        return set()
    return set().union(*({f"{prefix}{name}"} | names_in(each, f"{prefix}{name}.") for name, each in value.items()))


@pytest.mark.parametrize("template", EXAMPLES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_example_is_a_clean_template(template: Path, findings: list[str]) -> None:
    assert [finding for finding in findings if finding.startswith(f"{template}:")] == []


def test_examples_ignore_no_check(findings: list[str]) -> None:
    """And no finding is of a file that is none of the examples."""
    assert findings == []
    assert [path.name for path in EXAMPLES if "cfn-lint" in path.read_text()] == []


@pytest.mark.parametrize("template", EXAMPLES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_example_s_properties_are_valid(template: Path) -> None:
    for properties in our_properties(template):
        assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(properties)) == []


def test_everything_sets_every_property() -> None:
    """But for what can only be a key's name or the stack's own account."""
    read_only = {path.split("/")[2] for path in SCHEMA["readOnlyProperties"]}
    left_out = read_only | {"EncryptionConfiguration.KmsKey", "LifecyclePolicy.RegistryId"}
    [properties] = our_properties(FOLDER / "everything.yaml")
    found = {name for name in names_in(properties) if not name.startswith("RepositoryPolicyText.")}
    assert found == names_of(SCHEMA) - left_out


@pytest.mark.parametrize("template", EXAMPLES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_example_says_what_happens_to_the_repository(template: Path) -> None:
    text = template.read_text()
    count = text.count(f"Type: {SCHEMA['typeName']}")
    assert text.count("DeletionPolicy: ") >= count
    assert text.count("UpdateReplacePolicy: ") >= count


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("kind", ["create", "update", "invalid"])
def test_contract_input_is_valid_for_the_schema(number: int, kind: str) -> None:
    """The invalid ones too: it is the handlers that have to refuse them."""
    inputs = json.loads((ROOT / "inputs" / f"inputs_{number}_{kind}.json").read_text())
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(inputs)) == []


def test_first_contract_inputs_set_everything_but_deletion_protection() -> None:
    writable = SCHEMA["properties"].keys() - {name.split("/")[-1] for name in SCHEMA["readOnlyProperties"]}
    for kind in ("create", "update"):
        inputs = json.loads((ROOT / "inputs" / f"inputs_1_{kind}.json").read_text())
        assert inputs.keys() == writable - {"DeletionProtection"}


def test_readme_shows_the_minimal_example_as_it_is() -> None:
    template = (ROOT / "examples" / "minimal.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{template}```\n" in README
    assert len(template.splitlines()) == 10


@pytest.mark.parametrize("name", sorted(SCHEMA["properties"]))
def test_every_property_is_in_the_reference(name: str) -> None:
    assert f"#### {name}\n" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
