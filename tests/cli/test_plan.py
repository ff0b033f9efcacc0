"""`autopurge plan`: the delete's own verdict, before it. That both agree is tested in tests/unit/test_verdict.py."""

from __future__ import annotations

import random
import shlex
from types import SimpleNamespace
from typing import Any

import pytest
from cloudformation_cli_python_lib import OperationStatus

from sandbox.ecr import StrictEcr
from tests.support.command_line import Autopurge
from tests.support.direct_client import direct_client
from tests.support.samples import tags_of
from tests.support.strict import ACCOUNT, MARKED, REGION, Purge, Users, run_command_in
from tests.support.strict_cloudformation import StrictCloudFormation

LOCKED = {**MARKED, "awstut:deletion-protection": "on"}


@pytest.fixture
def planning(autopurge: Autopurge, ecr: StrictEcr) -> Autopurge:
    """The command, with an account, and a client that is quick."""
    identity = SimpleNamespace(get_caller_identity=lambda: {"Account": ACCOUNT})
    client: Any = direct_client(ecr)
    client.meta.events = SimpleNamespace(register=lambda *_: None)
    autopurge.clients |= {"sts": identity, "ecr": client}
    return autopurge


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["verdict"] for each in document["repositories"]}


def test_plan_tells_what_a_delete_would_do(planning: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("purged", tags=MARKED).with_images(2, size=10).with_archived(1)
    ecr.repository("empty", tags=MARKED)
    document = planning.json("plan", "purged", "empty", "missing")
    arn = ecr.arn("purged")
    assert document["repositories"] == [
        {"name": "purged", "arn": arn, "verdict": "purge", "images": 3, "bytes": 25_000_020, "reasons": []},
        {"name": "empty", "arn": ecr.arn("empty"), "verdict": "empty", "images": 0, "bytes": 0, "reasons": []},
        {"name": "missing", "arn": None, "verdict": "gone", "images": 0, "bytes": 0, "reasons": []},
    ]


def test_plan_names_every_reason_with_its_command_and_ends_with_3(planning: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={**LOCKED, "awstut:protect-tags": "v@", "awstut:auto-purge": "off"}).with_images(2)
    (found,) = planning.json("plan", "app", code=3)["repositories"]
    assert found["verdict"] == "refuse"
    assert {each["rule"] for each in found["reasons"]} == {
        "DeletionProtection",
        "EmptyOnDelete",
        "PurgeProtection.TagPatterns",
    }
    for reason in found["reasons"]:
        assert shlex.split(reason["command"])[:3] == ["aws", "ecr", "tag-resource"]
        run_command_in(ecr, reason["command"])
    assert verdicts(planning.json("plan", "app")) == {"app": "purge"}


def test_plan_changes_nothing(planning: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags=LOCKED).with_images(2)
    planning("plan", "app")
    assert set(ecr.calls) <= {"DescribeImages", "DescribeRegistry", "DescribeRepositories", "ListTagsForResource"}


def test_plan_takes_the_pages_there_are_and_at_most_ten_calls_more(
    planning: Autopurge, ecr: StrictEcr, cloudformation: StrictCloudFormation
) -> None:
    ecr.repository("app", tags=MARKED).with_images(100_000)
    assert planning.json("plan", "app")["repositories"][0]["images"] == 100_000
    identity = 1
    assert ecr.calls["DescribeImages"] == 100
    assert ecr.calls.total() + cloudformation.calls.total() + identity <= 110


def test_plan_and_the_delete_that_follows_agree(planning: Autopurge, ecr: StrictEcr, delete: Purge) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed: {seed}")
    draw = random.Random(seed)
    for number in range(60):
        tags = dict(draw.sample(sorted({**LOCKED, "awstut:protect-pushed-days": "30", "team": "a"}.items()), 3))
        ecr.repository(f"app-{number}", tags=tags).with_images(draw.choice([0, 1, 3]))
    planned = verdicts(planning.json("plan", *ecr.repositories, code=3))
    for name, verdict in planned.items():
        succeeded = delete(name).status is OperationStatus.SUCCESS
        assert succeeded is (verdict in ("purge", "empty")), name
        assert succeeded is (name not in ecr.repositories)


def test_plan_of_a_stack_decides_as_its_delete_would(
    planning: Autopurge, ecr: StrictEcr, cloudformation: StrictCloudFormation
) -> None:
    shop, other = cloudformation.stack("shop"), cloudformation.stack("other")
    for name, stack in (("mine", shop), ("moved", other)):
        owner = {"awstut:stack-id": stack.stack_id, "awstut:logical-id": name.title()}
        ecr.repository(name, tags={**MARKED, **owner}).with_images(1)
    shop.add("Mine", "mine").add("Moved", "moved").add("Bucket", "bucket", "AWS::S3::Bucket")
    document = planning.json("plan", "--stack", "shop", code=3)
    assert verdicts(document) == {"mine": "purge", "moved": "refuse"}
    assert document["repositories"][1]["reasons"][0]["rule"] == "Owner"
    assert verdicts(planning.json("plan", "moved")) == {"moved": "purge"}  # Cloud Control may


def test_plan_of_a_stack_names_what_the_stack_keeps(
    planning: Autopurge, ecr: StrictEcr, cloudformation: StrictCloudFormation
) -> None:
    shop = cloudformation.stack("shop").add("Mine", "mine", DeletionPolicy="Retain")
    ecr.repository("mine", tags={**MARKED, "awstut:stack-id": shop.stack_id, "awstut:logical-id": "Mine"})
    result = planning("plan", "--stack", "shop")
    assert "A delete of the stack keeps mine: Mine has DeletionPolicy: Retain." in result.stderr


def test_plan_all_and_tag_choose_among_those_under_this_type(planning: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("one", tags={**MARKED, "team": "a"})
    ecr.repository("two", tags={**MARKED, "team": "b"})
    ecr.repository("native", tags={"team": "a"})
    assert verdicts(planning.json("plan", "--all")) == {"one": "empty", "two": "empty"}
    assert verdicts(planning.json("plan", "--tag", "team=a")) == {"one": "empty"}
    assert planning.json("plan", "--tag", "team=none") == {"repositories": []}


def test_plan_says_which_images_are_in_use(planning: Autopurge, ecr: StrictEcr, users: Users) -> None:
    ecr.repository("app", tags={**MARKED, "awstut:protect-in-use": "lambda"}).with_tagged("v1")
    users.functions.add("checkout", f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app:v1")
    planning.clients["lambda"] = users.client("lambda")
    (reason,) = planning.json("plan", "app", code=3)["repositories"][0]["reasons"]
    assert reason["rule"] == "PurgeProtection.InUseBy"
    assert "checkout" in reason["message"]


def test_plan_says_where_ecr_would_delete_too(planning: Autopurge, ecr: StrictEcr) -> None:
    destinations = [{"region": "eu-central-1", "registryId": ACCOUNT}]
    rules = [{"destinations": destinations, "deleteReplication": {"enabled": True}}]
    ecr.call("PutReplicationConfiguration", {"replicationConfiguration": {"rules": rules}})
    ecr.repository("app", tags={**MARKED, "awstut:replicated-deletes": "on"}).with_images(1)
    assert "ECR would delete them in eu-central-1 (account" in planning("plan", "app").stdout


def test_plan_obeys_the_type_configuration(
    planning: Autopurge, ecr: StrictEcr, cloudformation: StrictCloudFormation
) -> None:
    cloudformation.configuration = {"DeletionProtection": True}
    ecr.repository("app", tags=MARKED).with_images(1)
    (reason,) = planning.json("plan", "app", code=3)["repositories"][0]["reasons"]
    assert (reason["rule"], reason["command"]) == ("DeletionProtection", None)


def test_plan_does_not_guess_rules_that_it_may_not_read(
    planning: Autopurge, ecr: StrictEcr, cloudformation: StrictCloudFormation
) -> None:
    cloudformation.denied.add("BatchDescribeTypeConfigurations")
    ecr.repository("app", tags=MARKED)
    result = planning("plan", "app")
    assert (result.exit_code, result.stdout) == (1, "")


def test_plan_is_plain_where_it_is_no_terminal(planning: Autopurge, ecr: StrictEcr) -> None:
    ecr.repository("app", tags=LOCKED).with_images(2, size=1_000_000, pulled_days_ago=1)
    result = planning("plan", "app")
    lines = result.stdout.splitlines()
    assert lines[:2] == ["app: refuse", "  2 images, 2.0 MB: 2 tagged, 0 archived"]
    assert lines[2].startswith("  newest push 20")
    assert lines[3].startswith("  DeletionProtection: ")
    assert lines[4].startswith("    aws ecr tag-resource --region eu-west-1 --resource-arn arn:")
    assert result.stderr == "1 repository: refuse 1.\n"
    assert tags_of(ecr) == LOCKED


@pytest.mark.parametrize("arguments", [[], ["app", "--all"], ["--all", "--tag", "a=b"], ["--tag", "a"]])
def test_plan_takes_one_way_to_choose(planning: Autopurge, arguments: list[str]) -> None:
    assert planning("plan", *arguments).exit_code == 2
