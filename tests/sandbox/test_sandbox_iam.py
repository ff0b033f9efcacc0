"""What policies allow, and what a call of ECR asks of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.ecr import StrictEcr
from sandbox.ecr.client import serve_json
from sandbox.iam.ecr import authorizer, checks
from sandbox.iam.policies import Check, Policies, UnsupportedPolicyError, trusts
from tests.support.samples import ARN

Json = dict[str, Any]
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-4333-8444-555555555555"


def statement(action: str | list[str], effect: str = "Allow", resource: str = "*", **more: Any) -> Json:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policies(*statements: Json) -> Policies:
    return Policies([{"Version": "2012-10-17", "Statement": list(statements)}])


def under(condition: Json, effect: str = "Allow") -> Policies:
    """Policies that allow ecr:PutImage, if (or unless) a condition is met."""
    if effect == "Allow":
        return policies(statement("ecr:PutImage", Condition=condition))
    return policies(statement("*"), statement("ecr:PutImage", "Deny", Condition=condition))


# Evaluation


def test_without_a_statement_nothing_is_allowed() -> None:
    assert not Policies([]).decide(Check("ecr:PutImage", "*")).allowed


@pytest.mark.parametrize(("action", "allowed"), [("ecr:DescribeImages", True), ("ecr:DeleteRepository", False)])
def test_an_action_is_matched_with_its_wildcards(action: str, allowed: bool) -> None:
    assert policies(statement("ecr:describe*")).decide(Check(action, "*")).allowed is allowed


@pytest.mark.parametrize(("resource", "allowed"), [(ARN, True), (ARN.replace("app", "App"), False), ("*", False)])
def test_a_resource_is_matched_in_upper_and_lower_case(resource: str, allowed: bool) -> None:
    only = policies(statement("*", resource=ARN.replace("app", "ap?")))
    assert only.decide(Check("ecr:PutImage", resource)).allowed is allowed


@pytest.mark.parametrize(("owner", "allowed"), [("123456789012", True), ("999999999999", False)])
def test_the_owner_of_a_bucket_is_matched(owner: str, allowed: bool) -> None:
    only = policies(statement("s3:PutObject", Condition={"StringEquals": {"aws:ResourceAccount": "123456789012"}}))
    check = Check("s3:PutObject", "arn:aws:s3:::bucket/key", {"aws:ResourceAccount": owner})
    assert only.decide(check).allowed is allowed


def test_a_deny_wins_and_tells_its_name() -> None:
    both = policies(statement("*"), statement("ecr:PutImage", "Deny", Sid="Never"))
    decision = both.decide(Check("ecr:PutImage", ARN))
    assert (decision.allowed, decision.explicit, decision.sid) == (False, True, "Never")
    assert "with an explicit deny in an identity-based policy" in decision.message("user", Check("ecr:PutImage", ARN))


def test_a_refusal_names_caller_action_and_resource() -> None:
    check = Check("ecr:PutImage", ARN)
    message = Policies([]).decide(check).message("somebody", check)
    assert message == (
        f"User: somebody is not authorized to perform: ecr:PutImage on resource: {ARN} "
        "because no identity-based policy allows the ecr:PutImage action"
    )


CONDITIONS: list[tuple[Json, Json, bool]] = [
    ({"StringEquals": {"aws:ResourceTag/a": "1"}}, {"aws:ResourceTag/a": "1"}, True),
    ({"StringEquals": {"aws:ResourceTag/a": ["2", "1"]}}, {"aws:ResourceTag/a": "1"}, True),
    ({"StringEquals": {"AWS:resourcetag/A": "1"}}, {"aws:ResourceTag/a": "1"}, True),
    ({"StringEquals": {"aws:ResourceTag/a": "1"}}, {"aws:ResourceTag/a": "2"}, False),
    ({"StringEquals": {"aws:ResourceTag/a": "1"}}, {}, False),
    ({"StringNotEquals": {"aws:ResourceTag/a": "1"}}, {}, True),
    ({"StringEqualsIfExists": {"aws:ResourceTag/a": "1"}}, {}, True),
    ({"StringLike": {"aws:ResourceTag/a": "on*"}}, {"aws:ResourceTag/a": "on protect-tags"}, True),
    ({"StringEquals": {"aws:ResourceTag/a": "on*"}}, {"aws:ResourceTag/a": "on protect-tags"}, False),
    ({"Null": {"aws:RequestTag/a": "false"}}, {"aws:RequestTag/a": ""}, True),
    ({"Null": {"aws:RequestTag/a": "false"}}, {}, False),
    ({"Null": {"aws:TagKeys": "true"}}, {}, True),
    ({"Null": {"aws:RequestTag/a": "false", "aws:RequestTag/b": "false"}}, {"aws:RequestTag/a": "1"}, False),
    ({"Bool": {"kms:GrantIsForAWSResource": "true"}}, {"kms:GrantIsForAWSResource": "true"}, True),
    ({"Bool": {"kms:GrantIsForAWSResource": True}}, {"kms:GrantIsForAWSResource": "false"}, False),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:x:*:1:type/A/*"}}, {"aws:SourceArn": "arn:aws:x:r:1:type/A/1"}, True),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:x:*:1:type/A/*"}}, {"aws:SourceArn": "arn:aws:x:r:1:type/B/1"}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a"]}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a", "c"]}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["c", "b"]}, True),
    ({"ForAnyValue:StringEqualsIgnoreCase": {"aws:TagKeys": "a"}}, {"aws:TagKeys": ["A"]}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, {}, False),
    ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["b", "c"]}, True),
    ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["b", "a"]}, False),
    ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["b", "a"]}, True),
    ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}, {}, False),
    ({"StringNotLike": {"aws:RequestTag/a": ["x*", "y"]}}, {"aws:RequestTag/a": "xy"}, False),
    ({"StringNotLike": {"aws:RequestTag/a": ["x*", "y"]}}, {"aws:RequestTag/a": "z"}, True),
    ({"StringNotEqualsIgnoreCase": {"aws:RequestTag/a": "X"}}, {"aws:RequestTag/a": "x"}, False),
    ({"StringEquals": {"aws:RequestTag/a": "1", "aws:RequestTag/b": "2"}}, {"aws:RequestTag/a": "1"}, False),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:x*:type/A"}}, {"aws:SourceArn": "arn:aws:x:r:1:type/A"}, False),
    ({"ArnNotLike": {"aws:SourceArn": "arn:aws:x:r:*:type/A"}}, {"aws:SourceArn": "arn:aws:x:r:1:type/A"}, False),
    ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "10"}, True),
    ({"NumericLessThan": {"s3:max-keys": 10}}, {"s3:max-keys": "9"}, True),
    ({"NumericGreaterThan": {"s3:max-keys": "10"}}, {"s3:max-keys": "many"}, False),
    ({"StringEquals": {"aws:ResourceAccount": "123456789012"}}, {}, True),  # the ARN tells it
    ({"StringEquals": {"aws:ResourceAccount": "999999999999"}}, {}, False),
]


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
@pytest.mark.parametrize(("condition", "context", "met"), CONDITIONS)
def test_a_condition_is_met_as_iam_defines_it(condition: Json, context: Json, met: bool, effect: str) -> None:
    decision = under(condition, effect).decide(Check("ecr:PutImage", ARN, context))
    assert decision.allowed is (met if effect == "Allow" else not met)


@pytest.mark.parametrize(
    "wrong",
    [
        statement("*", Condition={"StringMatches": {"aws:TagKeys": "a"}}),
        statement("*", Condition={"DateLessThan": {"ecr:x": "2026-01-01T00:00:00Z"}}),
        statement("*", Condition={"IpAddress": {"ecr:x": "10.0.0.0/8"}}),
        statement("*", Condition={"ForSomeValues:StringEquals": {"aws:TagKeys": "a"}}),
        statement("*", Condition={"StringEquals": {"aws:ResourceTag/owner": "${aws:PrincipalTag/owner}"}}),
        statement("*", Condition={"StringEquals": {"aws:principalAccount": "123456789012"}}),
        statement("*", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        statement("*", "allow"),
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "*", "NotResource": ARN},
        {"Effect": "Allow", "Action": "*"},
        statement("*", Principal="*"),
    ],
)
def test_what_is_not_evaluated_is_refused(wrong: Json) -> None:
    with pytest.raises(UnsupportedPolicyError):
        policies(wrong)


def test_a_trust_policy_is_about_a_service_and_its_conditions() -> None:
    document = {
        "Statement": {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": ["resources.cloudformation.amazonaws.com"]},
            "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
        }
    }
    mine, other = {"aws:SourceAccount": "123456789012"}, {"aws:SourceAccount": "999999999999"}
    assert trusts(document, "resources.cloudformation.amazonaws.com", mine)
    assert not trusts(document, "resources.cloudformation.amazonaws.com", other)
    assert not trusts(document, "resources.cloudformation.amazonaws.com", {})
    assert not trusts(document, "lambda.amazonaws.com", mine)


# What ECR asks


@pytest.fixture
def ecr() -> StrictEcr:
    registry = StrictEcr()
    registry.kms_keys[KEY] = KEY
    tags = [{"Key": "team", "Value": "a"}]
    registry.call("CreateRepository", {"repositoryName": "app", "tags": tags})
    return registry


def test_a_call_asks_for_its_own_action_on_the_repository_with_its_tags(ecr: StrictEcr) -> None:
    [check] = checks(ecr, "BatchDeleteImage", {"repositoryName": "app", "imageIds": []})
    assert (check.action, check.resource) == ("ecr:BatchDeleteImage", ARN)
    assert check.context == {"aws:ResourceTag/team": "a", "ecr:ResourceTag/team": "a"}


def test_a_tagging_asks_with_the_tags_of_the_request(ecr: StrictEcr) -> None:
    [check] = checks(ecr, "TagResource", {"resourceArn": ARN, "tags": [{"Key": "b", "Value": "2"}]})
    assert check.context["aws:RequestTag/b"] == "2"
    assert check.context["aws:TagKeys"] == ["b"]
    assert check.context["aws:ResourceTag/team"] == "a"


def test_an_untagging_asks_with_the_keys(ecr: StrictEcr) -> None:
    [check] = checks(ecr, "UntagResource", {"resourceArn": ARN, "tagKeys": ["team"]})
    assert check.context["aws:TagKeys"] == ["team"]


def test_a_create_with_tags_asks_for_tagging_too(ecr: StrictEcr) -> None:
    create, tag = checks(ecr, "CreateRepository", {"repositoryName": "new", "tags": [{"Key": "b", "Value": "2"}]})
    assert (create.action, tag.action) == ("ecr:CreateRepository", "ecr:TagResource")
    assert create.context == tag.context == {"aws:RequestTag/b": "2", "aws:TagKeys": ["b"]}


def test_a_create_without_tags_asks_for_no_tagging(ecr: StrictEcr) -> None:
    [check] = checks(ecr, "CreateRepository", {"repositoryName": "new"})
    assert check.context == {}


def test_each_named_repository_is_asked_for(ecr: StrictEcr) -> None:
    asked = checks(ecr, "DescribeRepositories", {"repositoryNames": ["app", "other"]})
    assert [each.resource for each in asked] == [ARN, ARN.replace("app", "other")]
    [everything] = checks(ecr, "DescribeRepositories", {})
    assert everything.resource == ARN.replace("app", "*")


def test_a_key_of_the_customer_s_is_asked_for_by_way_of_ecr(ecr: StrictEcr) -> None:
    encrypted = {"repositoryName": "new", "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KEY}}
    via = {"kms:ViaService": "ecr.eu-west-1.amazonaws.com"}
    asked = checks(ecr, "CreateRepository", encrypted)[1:]
    assert asked == [Check("kms:DescribeKey", KEY, via), Check("kms:CreateGrant", KEY, via)]
    ecr.call("CreateRepository", encrypted)
    assert checks(ecr, "DeleteRepository", {"repositoryName": "new"})[1:] == [Check("kms:RetireGrant", KEY, via)]


def test_the_key_that_aws_manages_is_not_asked_for(ecr: StrictEcr) -> None:
    encrypted = {"repositoryName": "new", "encryptionConfiguration": {"encryptionType": "KMS"}}
    assert len(checks(ecr, "CreateRepository", encrypted)) == 1
    ecr.call("CreateRepository", encrypted)
    assert len(checks(ecr, "DeleteRepository", {"repositoryName": "new"})) == 1


def answer(ecr: StrictEcr, only: Policies, operation: str, **parameters: Any) -> tuple[int, Json]:
    status, body = serve_json(ecr, operation, json.dumps(parameters).encode(), authorizer(only, "somebody"))
    return status, json.loads(body)


def test_a_call_that_is_not_allowed_does_nothing(ecr: StrictEcr) -> None:
    status, error = answer(ecr, policies(statement("ecr:Describe*")), "DeleteRepository", repositoryName="app")
    assert (status, error["__type"]) == (400, "AccessDeniedException")
    assert "not authorized to perform: ecr:DeleteRepository" in error["message"]
    assert ecr.names() == ["app"]


def test_a_call_that_is_allowed_is_done(ecr: StrictEcr) -> None:
    allowed = policies(statement("ecr:DeleteRepository", Condition={"StringEquals": {"aws:ResourceTag/team": "a"}}))
    assert answer(ecr, allowed, "DeleteRepository", repositoryName="app")[0] == 200
    assert ecr.names() == []


def test_a_key_that_may_not_be_used_is_a_kms_error(ecr: StrictEcr) -> None:
    encryption = {"encryptionType": "KMS", "kmsKey": KEY}
    only = policies(statement("ecr:*"))
    status, error = answer(ecr, only, "CreateRepository", repositoryName="new", encryptionConfiguration=encryption)
    assert (status, error["__type"]) == (400, "KmsException")
    assert "kms:DescribeKey" in error["message"]
    assert ecr.names() == ["app"]


def test_tags_that_change_just_before_a_call_count(ecr: StrictEcr) -> None:
    allowed = policies(statement("ecr:*", Condition={"StringEquals": {"aws:ResourceTag/team": "a"}}))
    ecr.before("DeleteRepository", lambda _: ecr.repositories["app"].tags.clear())
    assert answer(ecr, allowed, "DeleteRepository", repositoryName="app")[1]["__type"] == "AccessDeniedException"
