"""The tagging API finds, tags and untags the repositories of the strict ECR."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.server import Sandbox, start_sandbox

REPOSITORY = "arn:aws:ecr:us-east-1:123456789012:repository/"


@pytest.fixture(scope="module")
def filled() -> Iterator[Sandbox]:
    """Repositories 00 to 06 of the team shop, or search, and one without tags; and a bucket of the team shop."""
    with start_sandbox() as box:
        ecr = box.client("ecr")
        for number in range(7):
            team = "shop" if number < 5 else "search"
            tags: Any = [{"Key": "team", "Value": team}, {"Key": "number", "Value": str(number)}]
            ecr.create_repository(repositoryName=f"app/{number:02}", tags=tags)
        ecr.create_repository(repositoryName="untagged")
        box.client("s3").create_bucket(Bucket="shop-bucket")
        tagging: Any = {"TagSet": [{"Key": "team", "Value": "shop"}]}
        box.client("s3").put_bucket_tagging(Bucket="shop-bucket", Tagging=tagging)
        yield box


def found(box: Sandbox, **asked: Any) -> list[str]:
    """The names that GetResources answers, of all pages."""
    pages = box.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(**asked)
    arns = [each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]]
    return [arn.removeprefix(REPOSITORY).removeprefix("arn:aws:s3:::") for arn in arns]


SHOP = ["app/00", "app/01", "app/02", "app/03", "app/04"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([], [*SHOP, "app/05", "app/06"]),
        ([{"Key": "team", "Values": ["shop"]}], SHOP),
        (
            [{"Key": "team", "Values": ["shop", "search"]}, {"Key": "number", "Values": ["4", "5"]}],
            ["app/04", "app/05"],
        ),
        ([{"Key": "number"}], [*SHOP, "app/05", "app/06"]),
        ([{"Key": "team", "Values": ["nobody"]}], []),
    ],
)
@pytest.mark.parametrize("kind", ["ecr:repository", "ecr"])
def test_get_resources_finds_repositories_by_tag(filled: Sandbox, filters: Any, names: list[str], kind: str) -> None:
    assert found(filled, TagFilters=filters, ResourceTypeFilters=[kind]) == names


def test_get_resources_finds_resources_of_all_types(filled: Sandbox) -> None:
    assert found(filled, TagFilters=[{"Key": "team", "Values": ["shop"]}]) == [*SHOP, "shop-bucket"]
    assert found(filled, TagFilters=[{"Key": "team"}], ResourceTypeFilters=["s3"]) == ["shop-bucket"]


def test_get_resources_has_pages(filled: Sandbox) -> None:
    client = filled.client("resourcegroupstaggingapi")
    asked: Any = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": 3}
    first = client.get_resources(**asked)
    assert [len(first["ResourceTagMappingList"]), bool(first["PaginationToken"])] == [3, True]
    assert first["ResourceTagMappingList"][0]["Tags"] == [
        {"Key": "team", "Value": "shop"},
        {"Key": "number", "Value": "0"},
    ]
    assert found(filled, **asked) == [*SHOP, "app/05", "app/06"]
    for wrong in ({"PaginationToken": "made-up"}, {"ResourcesPerPage": 101}):
        with pytest.raises(ClientError, match="InvalidParameterException"):
            client.get_resources(**{**asked, **wrong})


def test_tag_and_untag_resources_change_what_ecr_holds(filled: Sandbox) -> None:
    client = filled.client("resourcegroupstaggingapi")
    arns = [REPOSITORY + "untagged", REPOSITORY + "missing"]
    failed = client.tag_resources(ResourceARNList=arns, Tags={"color": "red"})["FailedResourcesMap"]
    assert list(failed) == [REPOSITORY + "missing"]
    held = filled.control.repository("untagged")
    assert held is not None
    assert held["tags"] == {"color": "red"}
    assert found(filled, TagFilters=[{"Key": "color"}]) == ["untagged"]
    with pytest.raises(ClientError, match="aws: prefixed tag key names"):
        client.tag_resources(ResourceARNList=arns[:1], Tags={"aws:mine": "x"})
    assert client.untag_resources(ResourceARNList=arns[:1], TagKeys=["color"])["FailedResourcesMap"] == {}
    assert found(filled, TagFilters=[{"Key": "color"}]) == []
