"""What the two execution roles allow and refuse, as they are deployed from their templates.

The calls are written down manually, from what the handlers do and from what they must never be able to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest

from sandbox.iam.policies import Check, Policies, trusts
from sandbox.server import start_sandbox
from tests.support.project_copy import ROOT
from tests.support.roles import GENERATED, HARDENED, REPORTS, make_role, policies_of

ACCOUNT, REGION = "123456789012", "us-east-1"
SERVICE = "resources.cloudformation.amazonaws.com"
ECR = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-4333-8444-555555555555"
BUCKET = f"arn:aws:s3:::{REPORTS['ReportBucketName']}"
SCHEMA = json.loads((ROOT / "awstut-ecr-autopurgerepository.json").read_text())

MARKED = {"aws:ResourceTag/awstut:auto-purge": "on protect-tags", "aws:ResourceTag/team": "shop"}
OFF = {"aws:ResourceTag/awstut:auto-purge": "off"}
UNMARKED = {"aws:ResourceTag/team": "shop"}
VIA_ECR = {"kms:ViaService": f"ecr.{REGION}.amazonaws.com"}
OURS, THEIRS = {"aws:ResourceAccount": ACCOUNT}, {"aws:ResourceAccount": "999999999999"}


def tagging(*keys: str) -> dict[str, Any]:
    return {**{f"aws:RequestTag/{key}": "value" for key in keys}, "aws:TagKeys": list(keys)}


CREATED = tagging("awstut:auto-purge", "awstut:request", "awstut:stack-id", "awstut:logical-id", "team")
TAKEN_OVER = tagging("awstut:auto-purge", "awstut:stack-id", "awstut:logical-id")

READS = ("DescribeImages", "DescribeRepositories", "GetLifecyclePolicy", "GetRepositoryPolicy", "ListTagsForResource")
WRITES = (
    "BatchDeleteImage",
    "DeleteLifecyclePolicy",
    "DeleteRepository",
    "DeleteRepositoryPolicy",
    "PutImageScanningConfiguration",
    "PutImageTagMutability",
    "PutLifecyclePolicy",
    "SetRepositoryPolicy",
)


FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:checkout"
USE = {
    "lambda:ListFunctions": "*",
    "lambda:GetFunction": FUNCTION,
    "ecs:ListClusters": "*",
    "ecs:ListTasks": "*",
    "ecs:DescribeTasks": "*",
    "ecs:ListServices": "*",
    "ecs:DescribeServices": "*",
    "ecs:DescribeTaskDefinition": "*",
    "inspector2:ListCoverage": "*",
}


def ecr(operation: str, *context: dict[str, Any], name: str = "app") -> Check:
    return Check(f"ecr:{operation}", ECR + name, {key: value for each in context for key, value in each.items()})


def allowed_to_both() -> Iterator[tuple[str, Check]]:
    """What the handlers do."""
    yield "list all repositories", ecr("DescribeRepositories", name="*")
    yield "ask for replication rules", Check("ecr:DescribeRegistry", "*")
    for each in READS:
        yield f"{each} of a marked repository", ecr(each, MARKED)
        yield f"{each} of an unmarked repository", ecr(each, UNMARKED)
        yield f"{each} of a repository that is gone", ecr(each)
    yield "create with the mark", ecr("CreateRepository", CREATED)
    yield "tag on create with the mark", ecr("TagResource", CREATED)
    for each in WRITES:
        yield f"{each} of a marked repository", ecr(each, MARKED)
        yield f"{each} of a repository that is marked off", ecr(each, OFF)
    yield "change the mark", ecr("TagResource", MARKED, tagging("awstut:auto-purge"))
    yield "change a user's tag", ecr("TagResource", MARKED, tagging("team"))
    yield "show the progress of a purge", ecr("TagResource", MARKED, tagging("awstut:purge-progress"))
    yield "remove a user's tag", ecr("UntagResource", MARKED, {"aws:TagKeys": ["team"]})
    yield "remove rules", ecr("UntagResource", MARKED, {"aws:TagKeys": ["awstut:protect-tags", "awstut:purge-report"]})
    for action in ("kms:DescribeKey", "kms:CreateGrant", "kms:RetireGrant"):
        yield f"{action} by way of ECR", Check(action, KEY, VIA_ECR)
    yield "tell which key an alias names", Check("kms:DescribeKey", KEY)
    for action in ("s3:PutObject", "s3:GetObject"):
        yield f"{action} of a report", Check(action, f"{BUCKET}/purges/app/1/summary.json", OURS)
    for action, resource in USE.items():
        yield f"{action} to find images in use", Check(action, resource)
    yield "list reports", Check("s3:ListBucket", BUCKET, {**OURS, "s3:prefix": "purges/app/1/"})


def refused_to_hardened() -> Iterator[tuple[str, Check]]:
    """What the handlers must not do, and the generated role allows, as it has no conditions."""
    for each in WRITES:
        yield f"{each} of an unmarked repository", ecr(each, UNMARKED)
        yield f"{each} of a repository without tags", ecr(each)
        other_account = ecr(each, MARKED).resource.replace(ACCOUNT, "999999999999")
        yield f"{each} in another account", Check(f"ecr:{each}", other_account, MARKED)
        other_region = ecr(each, MARKED).resource.replace(REGION, "eu-west-1")
        yield f"{each} in another Region", Check(f"ecr:{each}", other_region, MARKED)
    yield "create without tags", ecr("CreateRepository")
    yield "create without the mark", ecr("CreateRepository", tagging("team", "awstut:request"))
    yield "create with the mark alone", ecr("CreateRepository", tagging("awstut:auto-purge"))
    yield "mark an unmarked repository, as an import would", ecr("TagResource", UNMARKED, TAKEN_OVER)
    yield "change a tag of an unmarked repository", ecr("TagResource", UNMARKED, tagging("team"))
    yield "remove a tag of an unmarked repository", ecr("UntagResource", UNMARKED, {"aws:TagKeys": ["team"]})
    for tag in ("auto-purge", "stack-id", "logical-id", "request"):
        yield f"strip the tag {tag}", ecr("UntagResource", MARKED, {"aws:TagKeys": ["team", f"awstut:{tag}"]})
    yield "strip the mark in capitals", ecr("UntagResource", MARKED, {"aws:TagKeys": ["AWSTUT:Auto-Purge"]})
    for action in ("kms:CreateGrant", "kms:RetireGrant"):
        yield f"{action} directly", Check(action, KEY)
        yield f"{action} by way of S3", Check(action, KEY, {"kms:ViaService": f"s3.{REGION}.amazonaws.com"})
    for action in ("kms:DescribeKey", "kms:CreateGrant", "kms:RetireGrant"):
        yield f"{action} in another account", Check(action, KEY.replace(ACCOUNT, "999999999999"), VIA_ECR)
    for action in ("s3:PutObject", "s3:GetObject"):
        yield f"{action} in another bucket", Check(action, "arn:aws:s3:::other/purges/app", OURS)
        yield f"{action} beside the prefix", Check(action, f"{BUCKET}/app/summary.json", OURS)
        yield f"{action} in a bucket that somebody else took over", Check(action, f"{BUCKET}/purges/app", THEIRS)
    for account, region in (("999999999999", REGION), (ACCOUNT, "eu-west-1")):
        other = FUNCTION.replace(ACCOUNT, account).replace(REGION, region)
        yield f"a function of {account} in {region}", Check("lambda:GetFunction", other)
    yield "list the whole bucket", Check("s3:ListBucket", BUCKET, OURS)
    yield "list beside the prefix", Check("s3:ListBucket", BUCKET, {**OURS, "s3:prefix": "other/"})
    yield "list another bucket", Check("s3:ListBucket", "arn:aws:s3:::other", {**OURS, "s3:prefix": "purges/"})


def refused_to_both() -> Iterator[tuple[str, Check]]:
    """Everything of ECR that no handler needs, and the usual ways to more rights."""
    needed = {action for handler in SCHEMA["handlers"].values() for action in handler["permissions"]}
    for operation in botocore.session.get_session().get_service_model("ecr").operation_names:
        if f"ecr:{operation}" not in needed:
            yield f"ecr:{operation}", ecr(operation, MARKED, CREATED)
    for action in (
        "iam:CreateRole", "iam:PassRole", "iam:PutRolePolicy", "kms:Decrypt", "kms:PutKeyPolicy",
        "kms:ScheduleKeyDeletion", "ecs:StopTask", "lambda:InvokeFunction", "lambda:UpdateFunctionCode",
        "logs:PutLogEvents", "s3:DeleteObject",
        "s3:DeleteObjectVersion", "s3:PutBucketPolicy", "sts:AssumeRole",
    ):  # fmt: skip
        yield action, Check(action, f"{BUCKET}/purges/app" if action.startswith("s3:") else "*", {**VIA_ECR, **OURS})


@dataclass(frozen=True)
class Role:
    trust: dict[str, Any]
    documents: dict[str, dict[str, Any]]

    @property
    def policies(self) -> Policies:
        return Policies(self.documents.values())


@pytest.fixture(scope="module")
def roles() -> Iterator[dict[str, Role]]:
    with start_sandbox() as box:
        yield {
            name: Role(*policies_of(box, make_role(box, template, **parameters)))
            for name, template, parameters in (
                ("generated", GENERATED, {}),
                ("hardened", HARDENED, {**REPORTS, "ChecksUse": "true"}),
                ("hardened, no bucket", HARDENED, {}),
                ("hardened, bucket with a key", HARDENED, {**REPORTS, "ReportKeyArn": KEY}),
                ("hardened, bucket of another account", HARDENED, {**REPORTS, "ReportBucketOwner": "999999999999"}),
            )
        }


ALLOWED, CONDITIONAL, REFUSED = dict(allowed_to_both()), dict(refused_to_hardened()), dict(refused_to_both())


@pytest.mark.parametrize("role", ["generated", "hardened"])
@pytest.mark.parametrize("call", ALLOWED)
def test_the_roles_allow_what_the_handlers_do(roles: dict[str, Role], role: str, call: str) -> None:
    assert roles[role].policies.decide(ALLOWED[call]).allowed


@pytest.mark.parametrize("call", CONDITIONAL)
def test_the_hardened_role_refuses_what_is_not_ours(roles: dict[str, Role], call: str) -> None:
    assert not roles["hardened"].policies.decide(CONDITIONAL[call]).allowed
    assert roles["generated"].policies.decide(CONDITIONAL[call]).allowed


@pytest.mark.parametrize("role", ["generated", "hardened"])
@pytest.mark.parametrize("call", REFUSED)
def test_the_roles_refuse_what_no_handler_needs(roles: dict[str, Role], role: str, call: str) -> None:
    assert not roles[role].policies.decide(REFUSED[call]).allowed


def test_every_permission_of_the_schema_is_among_the_calls() -> None:
    needed = {action for handler in SCHEMA["handlers"].values() for action in handler["permissions"]}
    assert {check.action for check in ALLOWED.values()} == needed


def test_without_a_bucket_no_report_can_be_written(roles: dict[str, Role]) -> None:
    check = ALLOWED["s3:PutObject of a report"]
    assert list(roles["hardened, no bucket"].documents) == ["Repositories"]
    assert not roles["hardened, no bucket"].policies.decide(check).allowed


@pytest.mark.parametrize("action", USE)
def test_the_hardened_role_looks_at_users_of_images_only_if_asked_for(roles: dict[str, Role], action: str) -> None:
    assert not roles["hardened, no bucket"].policies.decide(Check(action, USE[action])).allowed


def test_the_bucket_of_another_account_is_taken_by_its_owner(roles: dict[str, Role]) -> None:
    role = roles["hardened, bucket of another account"].policies
    theirs = CONDITIONAL["s3:PutObject in a bucket that somebody else took over"]
    assert role.decide(theirs).allowed
    assert not role.decide(ALLOWED["s3:PutObject of a report"]).allowed


@pytest.mark.parametrize("action", ["kms:GenerateDataKey", "kms:Decrypt"])
def test_the_key_of_the_bucket_is_used_by_way_of_s3_only(roles: dict[str, Role], action: str) -> None:
    role = roles["hardened, bucket with a key"].policies
    via_s3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
    assert role.decide(Check(action, KEY, via_s3)).allowed
    assert not role.decide(Check(action, KEY)).allowed
    assert not role.decide(Check(action, KEY[:-1] + "6", via_s3)).allowed
    assert not roles["hardened"].policies.decide(Check(action, KEY, via_s3)).allowed


TYPE = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:type/resource/Awstut-ECR-AutoPurgeRepository/00000001"
WRONG_SOURCES = {
    "no source": {},
    "another account": {"aws:SourceAccount": "999999999999", "aws:SourceArn": TYPE},
    "a type of another account": {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": TYPE.replace(ACCOUNT, "999999999999"),
    },
    "another type": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": TYPE.replace("Awstut-ECR", "Other-ECR")},
    "another Region": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": TYPE.replace(REGION, "eu-west-1")},
    "no type": {"aws:SourceAccount": ACCOUNT},
}


@pytest.mark.parametrize("role", ["generated", "hardened"])
def test_cloudformation_may_assume_the_roles_for_our_type(roles: dict[str, Role], role: str) -> None:
    assert trusts(roles[role].trust, SERVICE, {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": TYPE})


@pytest.mark.parametrize("role", ["generated", "hardened"])
@pytest.mark.parametrize("source", WRONG_SOURCES)
def test_cloudformation_may_not_assume_the_roles_for_others(roles: dict[str, Role], role: str, source: str) -> None:
    assert not trusts(roles[role].trust, SERVICE, WRONG_SOURCES[source])


@pytest.mark.parametrize("role", ["generated", "hardened"])
def test_nobody_else_is_trusted(roles: dict[str, Role], role: str) -> None:
    assert [each["Principal"] for each in roles[role].trust["Statement"]] == [{"Service": SERVICE}]
