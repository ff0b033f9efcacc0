"""`autopurge check` and its rules for cfn-lint: what CloudFormation would only say in a deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Autopurge
from tests.support.project_copy import ROOT, TYPE_NAME

Json = dict[str, Any]
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*.yaml") if "AutoPurge" in path.read_text())
TAGS = [{"Key": "team", "Value": "a"}, {"Key": "team", "Value": "b"}]


def template(properties: Json, **more: Any) -> str:
    return json.dumps({"Resources": {"Repository": {"Type": TYPE_NAME, "Properties": properties, **more}}})


def findings(autopurge: Autopurge, text: str, folder: Path) -> list[Json]:
    """What `autopurge check` finds in a template."""
    path = folder / "template.yaml"
    path.write_text(text)
    found: list[Json] = json.loads(autopurge("check", str(path), "--json").stdout)["findings"]
    return found


@pytest.mark.parametrize(
    ("properties", "path", "words"),
    [
        ({"EmptyOnDelet": True}, "EmptyOnDelet", "Properties has no EmptyOnDelet. Did you mean EmptyOnDelete?"),
        ({"PurgeReport": {"BucketName": "audit", "Prefx": "a"}}, "PurgeReport/Prefx", "Did you mean Prefix?"),
        ({"Whatever": 1}, "Whatever", "Properties has no Whatever. Known are RepositoryName, "),
        ({"DeletionProtection": "true"}, "DeletionProtection", 'is "true": write true without quotes.'),
        ({"EmptyOnDelete": "off"}, "EmptyOnDelete", "must be true or false, without quotes"),
        ({"PurgeProtection": {"PulledWithinDays": "30"}}, "PurgeProtection/PulledWithinDays", "write 30 without"),
        ({"PurgeProtection": {"PushedWithinDays": 4000}}, "PurgeProtection/PushedWithinDays", "from 1 to 3,650"),
        ({"PurgeProtection": {"TagPatterns": []}}, "PurgeProtection/TagPatterns", "Give it 1 at least"),
        ({"PurgeProtection": {"TagPatterns": ["v*", "off"]}}, "PurgeProtection/TagPatterns/1", "and not off"),
        ({"PurgeProtection": {"TagPatterns": ["v*", "v*"]}}, "PurgeProtection", "has a pattern twice"),
        ({"PurgeProtection": "release-*"}, "PurgeProtection", "must be an object"),
        ({"PurgeReport": {"Prefix": "a"}}, "PurgeReport", "lacks BucketName, which is required"),
        ({"PurgeReport": {"BucketName": "audit", "BucketOwner": 12}}, "PurgeReport/BucketOwner", "the 12 digits"),
        ({"ImageTagMutability": "immutable"}, "ImageTagMutability", "Did you mean IMMUTABLE?"),
        ({"RepositoryName": "My-App"}, "RepositoryName", "lower-case letters, digits, and single separators"),
        ({"RepositoryName": "My-App"}, "RepositoryName", "Did you mean my-app?"),
        ({"LifecyclePolicy": {"LifecyclePolicyText": "{}"}}, "LifecyclePolicy/LifecyclePolicyText", "2 characters"),
        ({"RegistryId": "123456789012"}, "RegistryId", "read-only"),
        ({"ImageTagMutability": "MUTABLE_WITH_EXCLUSION"}, "ImageTagMutability", "needs ImageTagMutabilityExclusion"),
        ({"RepositoryPolicyText": "{"}, "RepositoryPolicyText", "is not a JSON object"),
        ({"Tags": TAGS}, "Tags", "Tags has the key team twice. Give each key once."),
        ({"Tags": [{"Key": "awstut:x", "Value": "y"}]}, "Tags", "are reserved. Rename it."),
        ({"EmptyOnDelete": {"Fn::If": ["A", "true", False]}}, "EmptyOnDelete/Fn::If/1", "write true without quotes"),
    ],
)
def test_check_says_in_words_what_is_wrong(
    autopurge: Autopurge, tmp_path: Path, properties: Json, path: str, words: str
) -> None:
    (found,) = findings(autopurge, template(properties), tmp_path)
    assert found["path"] == f"Resources/Repository/Properties/{path}"
    assert words in found["message"]
    assert found["level"] == "error"


@pytest.mark.parametrize(
    ("properties", "policies", "words"),
    [
        ({}, {"DeletionPolicy": "Retain"}, "does not cover a replacement"),
        ({}, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Delete"}, "Add UpdateReplacePolicy: Retain."),
        ({"EmptyOnDelete": True}, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}, "has no effect"),
        ({}, {"DeletionPolicy": "Snapshot"}, "there are no snapshots of a repository"),
        ({}, {"UpdateReplacePolicy": "retain"}, "Did you mean Retain?"),
    ],
)
def test_check_warns_of_policies_that_surprise(
    autopurge: Autopurge, tmp_path: Path, properties: Json, policies: Json, words: str
) -> None:
    (found,) = findings(autopurge, template(properties, **policies), tmp_path)
    assert words in found["message"]
    assert (found["rule"], found["level"]) == ("W9413", "warning")


WITH_FUNCTIONS = f"""
Parameters: {{Name: {{Type: String}}, Locked: {{Type: String}}}}
Conditions: {{Keep: !Equals [!Ref Locked, "yes"]}}
Resources:
  Repository:
    Type: {TYPE_NAME}
    DeletionPolicy: Delete
    Properties:
      RepositoryName: !Sub "${{AWS::StackName}}-App"
      DeletionProtection: !If [Keep, true, !Ref AWS::NoValue]
      EmptyOnDelete: yes
      ImageTagMutability: !Ref Mutability
      RepositoryPolicyText: {{Statement: [{{Principal: !Sub "arn:${{AWS::Partition}}:iam::1:root"}}]}}
      PurgeReport: {{BucketName: !ImportValue Bucket}}
      Tags: [!If [Keep, {{Key: a, Value: b}}, !Ref AWS::NoValue]]
  Fn::ForEach::All:
    - Each
    - !Ref Names
    - ${{Each}}Repository:
        Type: {TYPE_NAME}
        Properties: {{RepositoryName: "Team/${{Each}}"}}
Outputs:
  Uri: {{Value: !GetAtt Repository.RepositoryUri}}
"""


def test_check_accepts_what_is_only_known_in_a_deployment(autopurge: Autopurge, tmp_path: Path) -> None:
    assert findings(autopurge, WITH_FUNCTIONS, tmp_path) == []


def test_check_finds_nothing_in_the_examples(autopurge: Autopurge) -> None:
    result = autopurge("check", *map(str, EXAMPLES))
    assert (result.exit_code, result.stdout) == (0, "")
    assert len(EXAMPLES) > 5


def test_check_names_attributes_and_types_that_do_not_exist(autopurge: Autopurge, tmp_path: Path) -> None:
    document = json.loads(template({}))
    document["Resources"]["Other"] = {"Type": "Awstut::ECR::AutoPurgeRepositry"}
    document["Outputs"] = {"Uri": {"Value": {"Fn::GetAtt": ["Repository", "RepositoryUrl"]}}}
    found = findings(autopurge, json.dumps(document), tmp_path)
    assert [each["message"] for each in found] == [
        f"There is no type Awstut::ECR::AutoPurgeRepositry. Did you mean {TYPE_NAME}?",
        "Repository has no attribute RepositoryUrl. Did you mean RepositoryUri?",
    ]


def test_check_tells_file_line_and_column_and_ends_with_3(autopurge: Autopurge, tmp_path: Path) -> None:
    path = tmp_path / "app.yaml"
    path.write_text(f"Resources:\n  App:\n    Type: {TYPE_NAME}\n    Properties:\n      FreezeOnDelete: 'true'\n")
    result = autopurge("check", str(path))
    assert result.exit_code == 3
    assert result.stdout.startswith(f"{path}:5:7 E9411 FreezeOnDelete is")


def test_check_reads_json_with_tabs(autopurge: Autopurge, tmp_path: Path) -> None:
    text = json.dumps(json.loads(template({"FreezeOnDelete": "true"})), indent="\t")
    assert len(findings(autopurge, text, tmp_path)) == 1


@pytest.mark.parametrize("text", ["{", "a: [", "Resources: {A: 1, A: 2}", "a: b: c"])
def test_check_of_what_is_no_template_is_an_error(autopurge: Autopurge, tmp_path: Path, text: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    result = autopurge("check", str(path))
    assert result.exit_code == 1
    assert "is neither YAML nor JSON" in result.stderr


def test_cfn_lint_finds_the_same_at_the_same_lines(autopurge: Autopurge, tmp_path: Path) -> None:
    from cfnlint.api import lint  # takes a second, which only this test has to wait for
    from cfnlint.config import ManualArgs

    text = template({"RepositoryName": "My-App", "EmptyOnDelet": True, "Tags": TAGS}, DeletionPolicy="Retain")
    found = findings(autopurge, text, tmp_path)
    config = ManualArgs(regions=["eu-west-1"], append_rules=["autopurge.check.cfn_lint"])
    said = lint(text, config=config)
    ours = {(each.rule.id, each.message) for each in said if each.rule.id.startswith(("E94", "W94"))}
    assert ours == {(each["rule"], each["message"]) for each in found}
    assert [each for each in said if each.rule.id == "E3006"] == []  # the type is known
