"""Policies are compared by what they mean: no put for a policy that ECR only writes in another way."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, strategies

from awstut_ecr_autopurgerepository.rules.policy_meaning import (
    names_principals,
    same_access_policy,
    same_lifecycle_policy,
)
from sandbox.ecr import StrictEcr
from sandbox.ecr.policy_texts import FORMS, normalised
from tests.support.samples import LIFECYCLE, policies_of
from tests.support.strict import Wire

ROLES = [f"arn:aws:iam::123456789012:role/{name}" for name in ("a", "b")]


def statement(**changed: Any) -> dict[str, Any]:
    base = {
        "Sid": "pull",
        "Effect": "Allow",
        "Principal": {"AWS": ROLES},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": ["o-1", "o-2"]}},
    }
    return {key: value for key, value in (base | changed).items() if value is not None}


def policy(*statements: Any, **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


BASE = policy(statement())
ONE = statement(Action=["ecr:BatchGetImage"], Principal={"AWS": [ROLES[0]]})
SAME = {
    "whitespace": (BASE, json.dumps(json.loads(BASE), indent=3)),
    "the order of statements": (policy(statement(), ONE), policy(ONE, statement())),
    "one statement without a list": (BASE, json.dumps({"Version": "2012-10-17", "Statement": statement()})),
    "the order of actions": (BASE, policy(statement(Action=["ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]))),
    "the case of actions": (BASE, policy(statement(Action=["ECR:batchgetimage", "ecr:GetDownloadUrlForLayer"]))),
    "one action without a list": (policy(ONE), policy({**ONE, "Action": "ecr:BatchGetImage"})),
    "the order of principals": (BASE, policy(statement(Principal={"AWS": ROLES[::-1]}))),
    "one principal without a list": (policy(ONE), policy({**ONE, "Principal": {"AWS": ROLES[0]}})),
    "everybody": (policy(statement(Principal="*")), policy(statement(Principal={"AWS": ["*"]}))),
    "an account": (
        policy(statement(Principal={"AWS": "123456789012"})),
        policy(statement(Principal={"AWS": ["arn:aws:iam::123456789012:root"]})),
    ),
    "the order of a condition's values": (
        BASE,
        policy(statement(Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-2", "o-1"]}})),
    ),
    "a truth as text": (
        policy(statement(Condition={"Bool": {"aws:SecureTransport": True}})),
        policy(statement(Condition={"Bool": {"aws:SecureTransport": ["true"]}})),
    ),
    "the default version": (
        json.dumps({"Statement": [statement()]}),
        json.dumps({"Version": "2008-10-17", "Statement": [statement()]}),
    ),
}
DIFFERENT = {
    "another effect": policy(statement(Effect="Deny")),
    "an action less": policy(statement(Action=["ecr:BatchGetImage"])),
    "another principal": policy(statement(Principal={"AWS": [*ROLES, "*"]})),
    "a service, not an account": policy(statement(Principal={"Service": ROLES})),
    "not these principals": policy(statement(Principal=None, NotPrincipal={"AWS": ROLES})),
    "no condition": policy(statement(Condition=None)),
    "another operator": policy(statement(Condition={"StringLike": {"aws:PrincipalOrgID": ["o-1", "o-2"]}})),
    "another sid": policy(statement(Sid="push")),
    "a statement more": policy(statement(), ONE),
    "another version": json.dumps({"Version": "2008-10-17", "Statement": [statement()]}),
    "no JSON": "{",
    "a list": "[]",
}


@pytest.mark.parametrize("case", SAME)
def test_two_ways_to_write_one_policy_are_the_same(case: str) -> None:
    one, other = SAME[case]
    assert same_access_policy(one, other)
    assert same_access_policy(other, one)


@pytest.mark.parametrize("case", DIFFERENT)
def test_two_policies_of_different_meaning_differ(case: str) -> None:
    assert not same_access_policy(BASE, DIFFERENT[case])
    assert not same_access_policy(DIFFERENT[case], BASE)


def test_no_policy_is_the_same_as_no_policy_only() -> None:
    assert same_access_policy(None, None)
    assert not same_access_policy(None, BASE)
    assert not same_access_policy(BASE, None)


@given(
    strategies.recursive(
        strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=3),
        lambda inner: (
            strategies.lists(inner, max_size=3)
            | strategies.dictionaries(
                strategies.sampled_from(["Statement", "Action", "Principal", "AWS", "Condition", "rules", "selection"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_is_too_strange_to_compare(value: Any) -> None:
    text = json.dumps(value)
    assert same_access_policy(text, json.dumps(value, indent=1)) in (True, False)
    assert same_lifecycle_policy(text, json.dumps(value, indent=1)) in (True, False)
    assert names_principals(text) in (True, False)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_the_strict_ecr_means_the_same(form: str) -> None:
    for each in (BASE, policy(ONE, statement())):
        assert same_access_policy(each, normalised(each, form))


def lifecycle(*rules: dict[str, Any]) -> str:
    return json.dumps({"rules": list(rules)})


def test_rules_of_a_lifecycle_policy_are_compared_by_their_priority() -> None:
    first = {"rulePriority": 1, "selection": {"tagStatus": "tagged", "tagPrefixList": ["a", "b"]}, "action": {}}
    second = {"rulePriority": 2, "selection": {"tagStatus": "any"}, "action": {}}
    turned = {**first, "selection": {"tagStatus": "tagged", "tagPrefixList": ["b", "a"]}}
    assert same_lifecycle_policy(lifecycle(first, second), lifecycle(second, turned))
    assert not same_lifecycle_policy(lifecycle(first, second), lifecycle({**first, "rulePriority": 3}, second))
    assert not same_lifecycle_policy(lifecycle(first), None)


@pytest.mark.parametrize(
    ("principal", "named"),
    [("*", False), ({"AWS": "*"}, False), ({"Service": "lambda.amazonaws.com"}, False), ({"AWS": ROLES}, True),
     ({"AWS": "123456789012"}, True)],
)  # fmt: skip
def test_a_policy_names_principals_that_iam_must_know(principal: Any, named: bool) -> None:
    assert names_principals(policy(statement(Principal=principal))) is named


# Over the wire


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("as_text", [False, True])
def test_create_and_update_answer_the_policy_as_it_came_in(
    wire: Wire, ecr: StrictEcr, form: str, as_text: bool
) -> None:
    given: Any = json.loads(policy(ONE, statement()))
    asked: Any = {"RepositoryName": "app", "RepositoryPolicyText": json.dumps(given) if as_text else given}
    ecr.faults.policy_form = form
    assert wire.succeed("CREATE", asked)["RepositoryPolicyText"] == asked["RepositoryPolicyText"]
    assert wire.succeed("UPDATE", asked, previous=asked)["RepositoryPolicyText"] == asked["RepositoryPolicyText"]
    assert not isinstance(wire.succeed("READ", {"RepositoryName": "app"})["RepositoryPolicyText"], str)


@pytest.mark.parametrize("form", FORMS)
def test_an_update_puts_no_policy_that_means_the_same(wire: Wire, ecr: StrictEcr, form: str) -> None:
    rules = json.loads(LIFECYCLE)["rules"]
    asked = {
        "RepositoryName": "app",
        "RepositoryPolicyText": json.loads(policy(ONE, statement())),
        "LifecyclePolicy": {"LifecyclePolicyText": lifecycle(*rules)},
    }
    ecr.faults.policy_form = form
    wire.succeed("CREATE", asked)
    ecr.reset_calls()
    shuffled = json.loads(policy(statement(), {**ONE, "Action": "ecr:BatchGetImage"}))
    random.Random(1).shuffle(shuffled["Statement"])
    wanted = asked | {
        "RepositoryPolicyText": shuffled,
        "LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": rules}, indent=2)},
    }
    wire.succeed("UPDATE", wanted, previous=asked)
    assert not ecr.calls["SetRepositoryPolicy"]
    assert not ecr.calls["PutLifecyclePolicy"]


def test_a_policy_that_means_something_else_is_answered_as_ecr_has_it(wire: Wire, ecr: StrictEcr) -> None:
    asked = {"RepositoryName": "app", "RepositoryPolicyText": json.loads(policy(ONE))}
    wire.succeed("CREATE", asked)
    ecr.call("SetRepositoryPolicy", {"repositoryName": "app", "policyText": policy(statement())})
    found = wire.succeed("READ", asked)["RepositoryPolicyText"]
    assert same_access_policy(json.dumps(found), policy(statement()))
    assert policies_of(ecr)[0] != asked["RepositoryPolicyText"]
