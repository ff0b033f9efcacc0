"""The service control policy in guides/protection.md does what the guide says."""

from __future__ import annotations

import copy
import json
import re
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest

from sandbox.iam.policies import Check, Policies
from tests.support.project_copy import ROOT

GUIDE = (ROOT / "guides" / "protection.md").read_text(encoding="utf-8")
FOUND = re.search(r"<!-- the service control policy -->\n```json\n(.+?)\n```", GUIDE, re.DOTALL)
POLICY: dict[str, Any] = json.loads(FOUND[1]) if FOUND else {}
LONGEST = 5_120  # characters of a service control policy, by AWS Organizations' quotas
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
REPOSITORY = "arn:aws:ecr:us-east-1:123456789012:repository/app"
ROLES = {
    "a developer": "arn:aws:iam::123456789012:role/Developer",
    "an operator": "arn:aws:iam::123456789012:role/RepositoryOperator",
    "the role of cfn submit": "arn:aws:iam::123456789012:role/awstut-ecr-autopurgerepository-role-ExecutionRole-1ABC",
}


def policies_for(principal: str) -> Policies:
    """The policies that apply to a role: the sandbox does not know aws:PrincipalArn, so it is decided here."""
    statements = []
    for each in copy.deepcopy(POLICY["Statement"]):
        patterns = each["Condition"].pop("ArnNotLike")["aws:PrincipalArn"]
        if not any(fnmatchcase(principal, pattern) for pattern in patterns):
            statements.append(each)
    return Policies([ALLOW_ALL, {"Version": "2012-10-17", "Statement": statements}])


def tagging(action: str, *keys: str) -> Check:
    return Check(f"ecr:{action}", REPOSITORY, {"aws:TagKeys": list(keys)})


@pytest.mark.parametrize("action", ["TagResource", "UntagResource", "CreateRepository"])
@pytest.mark.parametrize("who", ROLES)
def test_only_operators_and_the_type_change_reserved_tags(action: str, who: str) -> None:
    policies = policies_for(ROLES[who])
    assert policies.decide(tagging(action, "team", "awstut:protect-in-use")).allowed is (who != "a developer")
    assert policies.decide(tagging(action, "team")).allowed
    assert policies.decide(Check("ecr:PutImage", REPOSITORY)).allowed


def test_only_administrators_change_the_type() -> None:
    check = Check("cloudformation:SetTypeConfiguration", "*")
    assert not policies_for(ROLES["an operator"]).decide(check).allowed
    assert policies_for("arn:aws:iam::123456789012:role/TypeAdministrator").decide(check).allowed


def test_the_policy_fits_and_names_actions_that_exist() -> None:
    assert len(json.dumps(POLICY)) < LONGEST
    session = botocore.session.get_session()
    for statement in POLICY["Statement"]:
        for action in statement["Action"]:
            service, _, operation = action.partition(":")
            assert operation in session.get_service_model(service).operation_names


@pytest.mark.parametrize(
    "action", ["ecr:TagResource", "cloudformation:DeleteResource", "cloudformation:UpdateResource"]
)
def test_the_guide_says_what_a_permission_allows(action: str) -> None:
    assert f"| `{action}` |" in GUIDE
