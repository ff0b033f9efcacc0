"""Create, read and list, over the wire: what ECR holds afterwards, and what the user reads."""

from __future__ import annotations

import json
import re

import pytest

from awstut_ecr_autopurgerepository.repository.translate import repository_name
from sandbox.ecr import StrictEcr
from tests.support.samples import EVERYTHING, LIFECYCLE, POLICY, REFUSED_LIFECYCLE, policies_of, put_tag, tags_of
from tests.support.strict import ACCOUNT, MARKED, REGION, STACK, Wire

# Create


def test_read_by_name_alone_reports_no_registry_of_the_lifecycle_policy(wire: Wire) -> None:
    """ECR does not store it: a template that leaves it out would otherwise differ from what is read."""
    wire.succeed("CREATE", EVERYTHING)
    read = wire.succeed("READ", {"RepositoryName": EVERYTHING["RepositoryName"]})
    assert read["LifecyclePolicy"] == {"LifecyclePolicyText": LIFECYCLE}


def test_create_with_everything_reads_back_as_it_was_asked_for(wire: Wire, ecr: StrictEcr) -> None:
    created = wire.succeed("CREATE", EVERYTHING)
    read = wire.succeed("READ", EVERYTHING)
    assert read == created
    assert read["Arn"] == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/app"
    assert read["RepositoryUri"].endswith("/team/app")
    assert read["RegistryId"] == ACCOUNT
    assert read["EncryptionConfiguration"]["EncryptionType"] == "KMS"
    for name in set(EVERYTHING) - {
        "EncryptionConfiguration",
        "ImageScanningConfiguration",
        "EmptyOnDelete",
        "DeletionProtection",
        "FreezeOnDelete",
        "PurgeProtection",
        "AllowReplicatedDeletes",
    }:
        assert read[name] == EVERYTHING[name], name
    assert read["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert read["EmptyOnDelete"] is False
    assert read["DeletionProtection"] is True
    assert read["FreezeOnDelete"] is True
    assert read["AllowReplicatedDeletes"] is True
    assert read["PurgeProtection"] == {
        "TagPatterns": ["v*", "release-*"],
        "PulledWithinDays": 30,
        "PushedWithinDays": 7,
        "InUseBy": ["LAMBDA", "ECS"],
    }


def test_create_writes_mark_rules_and_owner_in_the_same_call(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", EVERYTHING, stack_tags={"cost": "42", "team": "overruled"})
    tags = tags_of(ecr, "team/app")
    request = tags.pop("awstut:request")
    assert re.fullmatch("[0-9a-f]{16}", request)
    assert tags == {
        "awstut:auto-purge": "off deletion-protection protect-tags protect-pulled-days protect-pushed-days "
        "protect-in-use purge-report freeze-on-delete",
        "awstut:deletion-protection": "on",
        "awstut:protect-tags": "v@ release-@",
        "awstut:protect-pulled-days": "30",
        "awstut:protect-pushed-days": "7",
        "awstut:protect-in-use": "lambda ecs",
        "awstut:replicated-deletes": "on",
        "awstut:purge-report": "s3://audit/purges/ecr 210987654321",
        "awstut:freeze-on-delete": "on",
        "awstut:stack-id": STACK,
        "awstut:logical-id": "Repository",
        "cost": "42",
        "team": "shop",
    }
    assert not ecr.calls["TagResource"]


def test_create_with_nothing_makes_a_name_and_sets_the_defaults(wire: Wire, ecr: StrictEcr) -> None:
    model = wire.succeed("CREATE", {})
    assert re.fullmatch(r"shop-repository-[0-9a-f]{12}", model["RepositoryName"])
    assert model["EmptyOnDelete"] is True
    assert model["DeletionProtection"] is False
    assert model["AllowReplicatedDeletes"] is False
    assert model["ImageTagMutability"] == "MUTABLE"
    assert "Tags" not in model
    assert wire.succeed("READ", {"RepositoryName": model["RepositoryName"]}) == model


def test_create_takes_the_least_calls(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    assert dict(ecr.calls) == {"CreateRepository": 1, "DescribeRepositories": 1, "ListTagsForResource": 1}


@pytest.mark.parametrize("stack", ["A", "Shop--Stack-", "-", "x" * 128, "UPPER-Case"])
@pytest.mark.parametrize("logical_id", ["R", "Repository", "L" * 255, "A1b2"])
def test_create_makes_names_that_ecr_takes(ecr: StrictEcr, stack: str, logical_id: str) -> None:
    stack_id = STACK.replace("/shop/", f"/{stack}/")
    name = repository_name(stack_id, logical_id, "token")
    ecr.call("CreateRepository", {"repositoryName": name})
    assert name == repository_name(stack_id, logical_id, "token")
    assert name != repository_name(stack_id, logical_id, "another token")


def test_create_without_a_stack_makes_a_name_too(ecr: StrictEcr) -> None:
    name = repository_name(None, None, "token")
    ecr.call("CreateRepository", {"repositoryName": name})
    assert ecr.names() == [name]


def test_create_again_with_the_same_token_goes_on(wire: Wire, ecr: StrictEcr) -> None:
    ecr.faults.fail_next("SetRepositoryPolicy", "ServerException", "boom", 500, times=9)
    ecr.faults.deny.add("ecr:DeleteRepository")
    wire.call("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": POLICY})
    ecr.faults.clear()
    model = wire.succeed("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": POLICY})
    assert model["RepositoryPolicyText"] == POLICY
    assert policies_of(ecr)[0] == POLICY


def test_create_without_a_token_never_takes_up_a_repository_that_is_there(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app", tags=MARKED).with_images(2)
    code, message = wire.fail("CREATE", {"RepositoryName": "app"}, token="")
    assert code == "InvalidRequest"
    assert "Nothing was done: the event has no bearerToken" in message
    assert (tags_of(ecr), ecr.holds("app")) == (MARKED, 2)


def test_create_with_as_many_tags_as_there_is_room_for(wire: Wire, ecr: StrictEcr) -> None:
    tags = sorted(({"Key": f"k{n}", "Value": "v"} for n in range(44)), key=lambda tag: tag["Key"])
    assert wire.succeed("CREATE", {"RepositoryName": "app", "Tags": tags})["Tags"] == tags
    for key in ("awstut:purge-progress", "awstut:deletion-protection"):
        put_tag(ecr, key, "on")
    assert len(tags_of(ecr)) == 50


@pytest.mark.parametrize("tags", [{}, {"awstut:auto-purge": "on", "awstut:request": "0123456789abcdef"}])
def test_create_of_a_name_that_is_taken_says_so_and_names_no_model(
    wire: Wire, ecr: StrictEcr, tags: dict[str, str]
) -> None:
    ecr.repository("app", tags=tags).with_images(3)
    ecr.clock.sleep(120)  # until then, a repository without tags may be one of ours
    code, message = wire.fail("CREATE", {"RepositoryName": "app"})
    assert code == "AlreadyExists"
    assert "already exists, and was left as it is" in message
    assert tags_of(ecr) == tags
    assert ecr.holds("app") == 3


def test_create_with_a_policy_that_ecr_refuses_leaves_nothing(wire: Wire, ecr: StrictEcr) -> None:
    code, message = wire.fail("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": {"Version": "2012-10-17"}})
    assert code == "InvalidRequest"
    assert "ecr:SetRepositoryPolicy failed" in message
    assert ecr.holds("app") is None


def test_create_with_a_lifecycle_policy_that_ecr_refuses_leaves_nothing(wire: Wire, ecr: StrictEcr) -> None:
    lifecycle = {"LifecyclePolicy": {"LifecyclePolicyText": REFUSED_LIFECYCLE}}
    code, message = wire.fail("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": POLICY, **lifecycle})
    assert code == "InvalidRequest"
    assert "ecr:PutLifecyclePolicy failed" in message
    assert ecr.holds("app") is None


def test_create_that_cannot_be_undone_hands_over_the_model(wire: Wire, ecr: StrictEcr) -> None:
    ecr.faults.deny.add("ecr:DeleteRepository")
    answer = wire.finish("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": {"Version": "2012-10-17"}})
    assert answer["status"] == "FAILED"
    assert answer["resourceModel"]["RepositoryName"] == "app"
    assert "could not be deleted again: ecr:DeleteRepository was denied" in answer["message"]


def test_create_does_not_undo_by_force(wire: Wire, ecr: StrictEcr) -> None:
    ecr.after("CreateRepository", lambda _: ecr.repository("app").with_images(1), nth=1)
    answer = wire.call("CREATE", {"RepositoryName": "app", "RepositoryPolicyText": {"Version": "2012-10-17"}})
    assert answer["resourceModel"]["RepositoryName"] == "app"
    assert ecr.holds("app") == 1


# Read and list


def test_read_of_a_repository_that_is_not_ours_reports_it_without_our_settings(wire: Wire, ecr: StrictEcr) -> None:
    ecr.repository("app", tags={"team": "shop"})
    model = wire.succeed("READ", {"RepositoryName": "app"})
    assert model["Tags"] == [{"Key": "team", "Value": "shop"}]
    assert "EmptyOnDelete" not in model
    assert "DeletionProtection" not in model


def test_read_shows_what_was_changed_behind_our_back(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app"})
    put_tag(ecr, "awstut:auto-purge", "off")
    put_tag(ecr, "awstut:deletion-protection", "on")
    ecr.call("SetRepositoryPolicy", {"repositoryName": "app", "policyText": json.dumps(POLICY)})
    ecr.call("PutImageTagMutability", {"repositoryName": "app", "imageTagMutability": "IMMUTABLE"})
    model = wire.succeed("READ", {"RepositoryName": "app"})
    assert model["EmptyOnDelete"] is False
    assert model["DeletionProtection"] is True
    assert model["RepositoryPolicyText"] == POLICY
    assert model["ImageTagMutability"] == "IMMUTABLE"


def test_read_names_the_registry_of_a_lifecycle_policy_only_if_asked(wire: Wire) -> None:
    wire.succeed("CREATE", {"RepositoryName": "app", "LifecyclePolicy": {"LifecyclePolicyText": LIFECYCLE}})
    assert wire.succeed("READ", {"RepositoryName": "app"})["LifecyclePolicy"] == {"LifecyclePolicyText": LIFECYCLE}


def test_list_pages_through_all_repositories_once(wire: Wire, ecr: StrictEcr) -> None:
    names = {f"app-{number}" for number in range(2_345)}
    for name in names:
        ecr.repository(name)
    found: list[str] = []
    token = None
    for _ in range(3):
        answer = wire.call("LIST", next_token=token)
        found += [model["RepositoryName"] for model in answer["resourceModels"]]
        token = answer.get("nextToken")
    assert token is None
    assert len(found) == len(names)
    assert set(found) == names


def test_list_with_a_token_that_nobody_gave_is_an_invalid_request(wire: Wire) -> None:
    code, message = wire.fail("LIST", next_token="made up")
    assert code == "InvalidRequest"
    assert "ecr:DescribeRepositories failed" in message
