"""The Terraform and Pulumi examples: what they ask for is sent to Cloud Control as their providers do.

Neither terraform nor pulumi runs here: their programs and provider plugins do not come from a package registry.
"""

from __future__ import annotations

import json
import re
from typing import Any

import hcl2
import jsonschema
import pytest
import yaml

from sandbox.server import Sandbox
from tests.stack.support import holds
from tests.support.project_copy import ROOT, SCHEMA, TYPE_NAME

Json = dict[str, Any]
TERRAFORM = (ROOT / "examples" / "terraform" / "main.tf").read_text(encoding="utf-8")
PULUMI: Json = yaml.safe_load((ROOT / "examples" / "pulumi" / "Pulumi.yaml").read_text(encoding="utf-8"))


def plain(value: Any) -> Any:
    """`value` as hcl2 reads it, without the quotes around strings and its own notes."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return json.loads(value) if isinstance(value, str) and value.startswith('"') else value


def terraform_resource() -> Json:
    [blocks] = [plain(block) for block in hcl2.loads(TERRAFORM)["resource"]]
    resource: Json = blocks["aws_cloudcontrolapi_resource"]["repository"]
    return resource


def terraform_state() -> Json:
    """What jsonencode gets, with the default in the place of the variable."""
    encoded = re.fullmatch(r"\$\{jsonencode\((.*)\)\}", terraform_resource()["desired_state"], re.DOTALL)
    assert encoded
    [variables] = [plain(block) for block in hcl2.loads(TERRAFORM)["variable"]]
    text = json.dumps(plain(hcl2.loads(f"state = {encoded[1]}")["state"]))
    for name, variable in variables.items():
        text = text.replace(f"${{var.{name}}}", variable["default"]).replace(f"var.{name}", variable["default"])
    state: Json = json.loads(text)
    return state


def pulumi_state() -> Json:
    """The properties that the provider sends, with the default in the place of the configuration."""
    text = json.dumps(PULUMI["resources"]["repository"]["properties"]["properties"])
    for name, setting in PULUMI["config"].items():
        text = text.replace(f"${{{name}}}", setting["default"])
    state: Json = json.loads(text)
    return state


STATES = {"terraform": terraform_state, "pulumi": pulumi_state}


@pytest.mark.parametrize("tool", STATES)
def test_what_is_asked_for_fits_the_schema(tool: str) -> None:
    state = STATES[tool]()
    jsonschema.Draft7Validator(SCHEMA).validate(state)
    assert state["RepositoryName"] == f"{tool}/app"


def test_both_name_the_type() -> None:
    pulumi = PULUMI["resources"]["repository"]
    assert (terraform_resource()["type_name"], pulumi["type"]) == (TYPE_NAME, "aws-native:ExtensionResource")
    assert pulumi["properties"]["type"] == TYPE_NAME


def test_pulumi_is_told_what_the_schema_says_of_properties() -> None:
    resource = PULUMI["resources"]["repository"]
    create_only = {path.split("/")[2] for path in SCHEMA["createOnlyProperties"]}
    assert set(resource["properties"]["createOnly"]) == create_only
    assert set(resource["options"]["replaceOnChanges"]) == {f"properties.{name}" for name in create_only}
    assert SCHEMA.get("writeOnlyProperties", []) == resource["properties"].get("writeOnly", [])


def outcome(box: Sandbox, answer: Json) -> Json:
    client = box.client("cloudcontrol")
    token = answer["ProgressEvent"]["RequestToken"]
    while True:
        event: Json = client.get_resource_request_status(RequestToken=token)["ProgressEvent"]
        if event["OperationStatus"] not in ("PENDING", "IN_PROGRESS"):
            return event


@pytest.mark.parametrize("tool", STATES)
def test_created_and_destroyed_with_images_by_the_name_alone(box: Sandbox, tool: str) -> None:
    client = box.client("cloudcontrol")
    created = outcome(box, client.create_resource(TypeName=TYPE_NAME, DesiredState=json.dumps(STATES[tool]())))
    assert (created["OperationStatus"], created["Identifier"]) == ("SUCCESS", f"{tool}/app")
    read = client.get_resource(TypeName=TYPE_NAME, Identifier=f"{tool}/app")["ResourceDescription"]["Properties"]
    assert json.loads(read)["RepositoryUri"].endswith(f"/{tool}/app")
    box.control.seed(f"{tool}/app", ("with_images", {"count": 20}))
    destroyed = outcome(box, client.delete_resource(TypeName=TYPE_NAME, Identifier=f"{tool}/app"))
    assert destroyed["OperationStatus"] == "SUCCESS"
    assert holds(box, f"{tool}/app") is None


@pytest.mark.parametrize("tool", STATES)
def test_destroy_is_refused_for_a_release(box: Sandbox, tool: str) -> None:
    client = box.client("cloudcontrol")
    name = f"{tool}/kept"
    state = json.dumps({**STATES[tool](), "RepositoryName": name})
    outcome(box, client.create_resource(TypeName=TYPE_NAME, DesiredState=state))
    box.control.seed(name, ("with_images", {"count": 2, "tag": "release-{n}"}))
    refused = outcome(box, client.delete_resource(TypeName=TYPE_NAME, Identifier=name))
    assert (refused["OperationStatus"], holds(box, name)) == ("FAILED", 2)
    assert "release-*" in refused["StatusMessage"]
