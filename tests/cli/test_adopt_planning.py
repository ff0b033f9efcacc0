"""What an adoption does with a stack, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from autopurge.adopt.planning import (
    MARKER,
    PLACEHOLDER,
    TYPE,
    Choices,
    Place,
    Plan,
    StackFacts,
    StackResource,
    finished,
    make_plan,
    reasons_against,
)
from autopurge.adopt.stack_policy import allows
from autopurge.adopt.templates import Template, from_answer

NATIVE = "AWS::ECR::Repository"
Json = dict[str, Any]

WITH_FUNCTION = """\
Resources:
  App:
    Type: AWS::ECR::Repository
    DeletionPolicy: Delete
    Properties: {RepositoryName: app}
  Empty:
    Type: Custom::EmptyRepository
    Properties:
      ServiceToken: !GetAtt Function.Arn
      RepositoryName: !Ref App
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt Role.Arn
      Code: {ZipFile: "ecr.batch_delete_image(repositoryName=name, imageIds=images)"}
  Role:
    Type: AWS::IAM::Role
    Properties: {}
  Permission:
    Type: AWS::Lambda::Permission
    Properties: {FunctionName: !Ref Function}
  Topic:
    Type: AWS::SNS::Topic
    DependsOn: Empty
    Properties: {TopicName: !Ref App}
Outputs:
  Uri: {Value: !GetAtt App.RepositoryUri, Export: {Name: uri}}
"""


def facts(template: str | Json, **more: Any) -> StackFacts:
    parsed = from_answer(template)
    resources = {
        name: StackResource(str(each.get("Type")), name.lower(), "CREATE_COMPLETE")
        for name, each in parsed.model.get("Resources", {}).items()
    }
    return StackFacts("stack-id", "shop", "UPDATE_COMPLETE", parsed, resources, **more)


def places(found: StackFacts) -> dict[str, Place]:
    names = [name for name, each in found.template.resources.items() if each["Type"] == NATIVE]
    return {each: Place(each.lower(), f"arn:{each.lower()}", f"uri/{each.lower()}") for each in names}


def plan(template: str | Json, **more: Any) -> Plan:
    found = facts(template, **more)
    assert reasons_against(found, Choices()) == []
    made = make_plan(found, places(found), Choices())
    assert isinstance(made, Plan)
    return made


def rules(template: str | Json, choices: Choices = Choices(), **more: Any) -> list[str]:  # noqa: B008 (frozen)
    return [each.rule for each in reasons_against(facts(template, **more), choices)]


def one(**attributes: Any) -> Json:
    return {"Resources": {"App": {"Type": NATIVE, "Properties": {"RepositoryName": "app"}, **attributes}}}


# The templates of the steps


def test_each_step_has_its_template() -> None:
    made = plan(WITH_FUNCTION)
    retained, released = made.template("retained").resources, made.template("released").resources
    imported, adopted = made.template("imported").resources, made.template("adopted").resources
    assert [retained[each]["DeletionPolicy"] for each in ("App", "Empty")] == ["Retain", "Retain"]
    assert [retained[each]["UpdateReplacePolicy"] for each in ("App", "Empty")] == ["Retain", "Retain"]
    assert sorted(released) == ["Function", "Permission", "Role", "Topic"]
    assert released["Topic"] == {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "app"}}
    assert made.template("released").model["Outputs"]["Uri"]["Value"] == "uri/app"
    assert {name: each for name, each in imported.items() if name != "App"} == released
    assert (imported["App"]["Type"], imported["App"]["Properties"]["EmptyOnDelete"]) == (TYPE, "false")
    assert adopted["App"]["Properties"] == {"EmptyOnDelete": "true", "RepositoryName": "app"}
    assert adopted["App"]["DeletionPolicy"] == "Retain"
    assert adopted["Topic"]["Properties"]["TopicName"] == {"Ref": "App"}
    assert "DependsOn" not in adopted["Topic"]
    assert "Empty" not in adopted
    assert made.custom == ("Empty",)


def test_the_import_changes_nothing_but_the_repositories() -> None:
    made = plan(WITH_FUNCTION)
    released, imported = made.template("released").model, made.template("imported").model
    imported = {**imported, "Resources": {k: v for k, v in imported["Resources"].items() if k != "App"}}
    assert imported == released


@pytest.mark.parametrize(
    ("properties", "emptied", "says"),
    [
        ({}, False, "false"),
        ({"EmptyOnDelete": True}, True, "true"),
        ({"EmptyOnDelete": "true"}, True, "true"),
        ({"EmptyOnDelete": {"Ref": "Empties"}}, None, {"Ref": "Empties"}),
    ],
)
def test_what_emptied_itself_before_empties_itself_afterwards(
    properties: Json, emptied: bool | None, says: Any
) -> None:
    made = plan(one(Properties={"RepositoryName": "app", **properties}))
    [repository] = made.repositories
    adopted = made.template("adopted").resources["App"]["Properties"]["EmptyOnDelete"]
    imported = made.template("imported").resources["App"]["Properties"]["EmptyOnDelete"]
    assert (repository.emptied, imported) == (emptied, False)
    assert adopted == says or json.dumps(adopted) == says


def test_a_stack_of_repositories_alone_has_a_placeholder_meanwhile() -> None:
    made = plan({"Resources": {"App": {"Type": NATIVE}}})
    for state, there in (("released", True), ("imported", True), ("adopted", False), ("returned", True)):
        assert (PLACEHOLDER in made.template(state).resources) is there


def test_a_name_that_was_generated_is_not_written_into_the_template() -> None:
    """To remove it again would replace the repository."""
    made = plan({"Resources": {"App": {"Type": NATIVE}}})
    assert made.template("adopted").resources["App"]["Properties"] == {"EmptyOnDelete": False}
    assert "Properties" not in made.template("returned").resources["App"]


def test_a_stack_tells_by_its_template_which_step_it_is_after() -> None:
    made = plan(WITH_FUNCTION)
    for state in made.templates:
        assert made.state_of(made.template(state)) == state
    assert made.state_of(Template("Resources:\n  A: {Type: T}\n")) is None


# What is refused


@pytest.mark.parametrize(
    ("rule", "template"),
    [
        ("transform", {**one(), "Transform": "AWS::Serverless-2016-10-31"}),
        ("transform", {**one(), "Transform": ["Mine"]}),
        ("transform", one(Properties={"Fn::Transform": {"Name": "AWS::Include"}})),
        ("for-each", {"Resources": {"Fn::ForEach::All": ["X", ["a"], {"App${X}": {"Type": NATIVE}}]}}),
        ("cdk", one(Metadata={"aws:cdk:path": "Stack/App/Resource"})),
        ("condition", one(Condition="IsProduction")),
        ("deletion-policy", one(DeletionPolicy={"Ref": "Policy"})),
        ("template", one(Metadata={MARKER: {}})),
        ("template", "Resources:\n  App: &a\n    Type: AWS::ECR::Repository\n  Other: *a\n"),
        ("reference", {**one(), "Outputs": {"A": {"Value": {"Fn::GetAtt": ["App", "CreatedAt"]}}}}),
    ],
)
def test_a_template_is_refused(rule: str, template: Any) -> None:
    parsed = template if isinstance(template, str) else json.dumps(template)
    found = StackFacts("id", "shop", "CREATE_COMPLETE", Template(parsed), {})
    if rule not in ("template", "transform", "for-each"):
        found = facts(template)
    assert rule in [each.rule for each in reasons_against(found, Choices())]


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("nested", {"nested": True}),
        ("drift", {"drift": ("App: ImageTagMutability",)}),
        ("stack-policy", {"policy": json.dumps({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})}),
    ],
)
def test_a_stack_is_refused(rule: str, more: Json) -> None:
    assert rules(one(), **more) == [rule]


def test_a_stack_with_a_running_operation_or_a_failed_resource_is_refused() -> None:
    found = facts(one())
    running = replace(found, status="UPDATE_IN_PROGRESS")
    broken = replace(found, resources={"App": StackResource(NATIVE, "app", "UPDATE_FAILED")})
    of_a_set = replace(found, name="StackSet-shop-1234")
    for each, rule in ((running, "status"), (broken, "status"), (of_a_set, "stack-set")):
        assert [reason.rule for reason in reasons_against(each, Choices())] == [rule]


def test_a_custom_resource_whose_function_is_elsewhere_must_be_explained() -> None:
    template = one()
    properties = {"ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:f", "Name": {"Ref": "App"}}
    template["Resources"]["Thing"] = {"Type": "Custom::Thing", "Properties": properties}
    assert rules(template) == ["custom-resource"]
    assert rules(template, Choices(empties=frozenset({"Thing"}))) == []
    assert rules(template, Choices(keeps=frozenset({"Thing"}))) == []
    kept = make_plan(facts(template), places(facts(template)), Choices(keeps=frozenset({"Thing"})))
    assert isinstance(kept, Plan)
    assert (kept.custom, kept.repositories[0].emptied) == ((), False)
    assert kept.template("released").resources["Thing"]["Properties"]["Name"] == "app"


def test_a_custom_resource_whose_function_can_not_delete_stays() -> None:
    policy = {"Statement": [{"Effect": "Allow", "Action": "ecr:DescribeImages", "Resource": "*"}]}
    template = one()
    template["Resources"] |= {
        "Thing": {
            "Type": "Custom::Thing",
            "Properties": {"ServiceToken": {"Fn::GetAtt": ["F", "Arn"]}, "Name": {"Ref": "App"}},
        },
        "F": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::GetAtt": ["R", "Arn"]}, "Code": {}}},
        "R": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": policy}]}},
    }
    assert plan(template).custom == ()
    policy["Statement"][0]["Action"] = "ecr:BatchDeleteImage"
    assert plan(template).custom == ("Thing",)


def test_an_attribute_of_the_custom_resource_that_is_referred_to_is_refused() -> None:
    text = WITH_FUNCTION + "  Other: {Value: !GetAtt Empty.Data}\n"
    assert rules(text) == ["reference"]


def test_a_template_that_is_too_long_needs_a_bucket() -> None:
    found = facts(one(Properties={"RepositoryPolicyText": {"Id": "x" * 51_200}}))
    made = make_plan(found, places(found), Choices())
    assert isinstance(made, list)
    assert [each.rule for each in made] == ["size"]
    assert isinstance(make_plan(found, places(found), Choices(bucket=True)), Plan)


# Stack policies


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([], False),
        ([{"Effect": "Allow", "Action": "Update:*", "Resource": "*"}], True),
        (
            [
                {"Effect": "Allow", "Action": "Update:*", "Resource": "*"},
                {"Effect": "Deny", "Action": ["Update:Delete"], "Resource": "LogicalResourceId/App"},
            ],
            False,
        ),
        (
            [
                {"Effect": "Allow", "Action": "Update:*", "Resource": "*"},
                {"Effect": "Deny", "Action": "Update:*", "NotResource": "LogicalResourceId/App"},
            ],
            True,
        ),
        (
            [
                {"Effect": "Allow", "Action": "Update:*", "Resource": "*"},
                {
                    "Effect": "Deny",
                    "Action": "Update:*",
                    "Resource": "*",
                    "Condition": {"StringLike": {"ResourceType": ["AWS::ECR::*"]}},
                },
            ],
            False,
        ),
        (
            [
                {"Effect": "Allow", "NotAction": "Update:Replace", "Resource": "*"},
                {
                    "Effect": "Deny",
                    "Action": "Update:*",
                    "Resource": "*",
                    "Condition": {"StringEquals": {"ResourceType": ["AWS::RDS::DBInstance"]}},
                },
            ],
            True,
        ),
    ],
)
def test_what_a_stack_policy_allows(statements: list[Json], allowed: bool) -> None:
    assert allows(json.dumps({"Statement": statements}), "Update:Delete", "App", NATIVE) is allowed


@pytest.mark.parametrize("policy", ["", None])
def test_no_stack_policy_allows_everything(policy: str | None) -> None:
    assert allows(policy, "Update:Delete", "App", NATIVE)


@pytest.mark.parametrize("policy", ["{", "[]", '{"Statement": [{"Effect": "Allow"}]}'])
def test_a_stack_policy_that_can_not_be_read_allows_nothing(policy: str) -> None:
    assert not allows(policy, "Update:Delete", "App", NATIVE)


# The last step


def test_finish_restores_the_policies_and_removes_what_the_custom_resource_left() -> None:
    made = plan(WITH_FUNCTION)
    after = finished(made.template("adopted"), {})
    assert sorted(after.resources) == ["App", "Topic"]
    assert after.resources["App"] == {
        "Type": TYPE,
        "DeletionPolicy": "Delete",
        "Properties": {"EmptyOnDelete": "true", "RepositoryName": "app"},
    }
    assert finished(after, {}).same_as(after)


def test_finish_keeps_a_function_that_something_else_uses() -> None:
    text = WITH_FUNCTION + "  Function: {Value: !Ref Function}\n"
    after = finished(plan(text).template("adopted"), {})
    assert "Function" in after.resources
    assert "Role" in after.resources


def test_finish_keeps_a_retain_that_was_there_before() -> None:
    made = plan(one(DeletionPolicy="Retain", Metadata={"Owner": "shop"}))
    after = finished(made.template("adopted"), {})
    assert after.resources["App"]["DeletionPolicy"] == "Retain"
    assert "UpdateReplacePolicy" not in after.resources["App"]
    assert after.resources["App"]["Metadata"] == {"Owner": "shop"}
