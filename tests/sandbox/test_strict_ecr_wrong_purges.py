"""Purges that are wrong, and pass on lenient emulators, must be seen to fail on the strict ECR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandbox.ecr import StrictEcr

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient


def pages(client: ECRClient, **chosen: Any) -> list[dict[str, Any]]:
    """All images, as they should be listed."""
    found: list[dict[str, Any]] = []
    request: dict[str, Any] = {"repositoryName": "app", "filter": {"imageStatus": "ANY"}} | chosen
    while True:
        answer = client.describe_images(**request)
        found += answer["imageDetails"]  # type: ignore[arg-type]
        if "nextToken" not in answer:
            return found
        request["nextToken"] = answer["nextToken"]


def delete(client: ECRClient, ids: list[dict[str, str]], size: int = 100) -> list[dict[str, Any]]:
    failures: list[Any] = []
    for start in range(0, len(ids), size):
        answer = client.batch_delete_image(repositoryName="app", imageIds=ids[start : start + size])  # type: ignore[arg-type]
        failures += answer["failures"]
    return failures


def assert_not_empty(ecr: StrictEcr, left: int) -> None:
    assert ecr.holds("app") == left
    with pytest.raises(ClientError, match="RepositoryNotEmptyException"):
        ecr.client().delete_repository(repositoryName="app")


def test_one_page_only(ecr: StrictEcr) -> None:
    ecr.repository("app").with_images(250)
    client = ecr.client()
    delete(client, client.list_images(repositoryName="app")["imageIds"])  # type: ignore[arg-type]
    assert_not_empty(ecr, 150)


def test_one_page_of_the_largest_size_only(ecr: StrictEcr) -> None:
    ecr.repository("app").with_images(1_001)
    client = ecr.client()
    delete(client, client.list_images(repositoryName="app", maxResults=1_000)["imageIds"])  # type: ignore[arg-type]
    assert_not_empty(ecr, 1)


def test_a_batch_of_101(ecr: StrictEcr) -> None:
    ecr.repository("app").with_images(101)
    client = ecr.client()
    ids = [{"imageDigest": each["imageDigest"]} for each in pages(client)]
    with pytest.raises(ClientError, match="InvalidParameterException"):
        delete(client, ids, size=101)
    assert_not_empty(ecr, 101)


def test_an_empty_batch(ecr: StrictEcr) -> None:
    ecr.repository("app")
    with pytest.raises(Exception, match="InvalidParameterException"):
        ecr.call("BatchDeleteImage", {"repositoryName": "app", "imageIds": []})


def test_deletes_by_tag_leave_what_has_none(ecr: StrictEcr) -> None:
    ecr.repository("app").with_multi_arch(3)
    client = ecr.client()
    tags = [{"imageTag": tag} for each in pages(client) for tag in each.get("imageTags", ())]
    assert delete(client, tags) == []
    assert_not_empty(ecr, 6)


def test_deletes_by_one_tag_each_only_untag(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged("a", "b")
    delete(ecr.client(), [{"imageTag": "a"}])
    assert_not_empty(ecr, 1)
    assert ecr.images("app")[0].tags == ["b"]


def test_no_second_pass(ecr: StrictEcr) -> None:
    ecr.repository("app").with_multi_arch(4)
    client = ecr.client()
    ids = [{"imageDigest": each["imageDigest"]} for each in pages(client)]
    failures = delete(client, ids)
    assert {each["failureCode"] for each in failures} == {"ImageReferencedByManifestList"}
    assert_not_empty(ecr, 8)
    assert delete(client, ids[:2]) == []
    assert ecr.holds("app") == 6


def test_nested_indexes_need_a_third_pass(ecr: StrictEcr) -> None:
    ecr.repository("app").with_index_of_indexes()
    client = ecr.client()
    left = []
    for _ in range(3):
        delete(client, [{"imageDigest": each["imageDigest"]} for each in pages(client)])
        left.append(ecr.holds("app"))
    assert left == [6, 4, 0]


def test_active_images_only(ecr: StrictEcr) -> None:
    ecr.repository("app").with_images(5).with_archived(5).with_activating(1)
    client = ecr.client()
    listed = client.describe_images(repositoryName="app")["imageDetails"]
    delete(client, [{"imageDigest": each["imageDigest"]} for each in listed])
    assert_not_empty(ecr, 6)


def test_failures_ignored(ecr: StrictEcr) -> None:
    ecr.repository("app").with_images(3)
    digest = ecr.images("app")[0].digest
    ecr.faults.image_failures[digest] = ("KmsError", "The key is disabled.", None)
    client = ecr.client()
    answer = client.batch_delete_image(
        repositoryName="app", imageIds=[{"imageDigest": each["imageDigest"]} for each in pages(client)]
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert_not_empty(ecr, 1)


def test_tagged_then_untagged_page_by_page_as_cdk_does(ecr: StrictEcr) -> None:
    """The children of an index that comes later on the page stay behind, and nobody comes back for them."""
    ecr.repository("app").with_multi_arch(4, per_architecture_tags=True)
    client = ecr.client()
    ids = client.list_images(repositoryName="app")["imageIds"]
    delete(client, [each for each in ids if "imageTag" in each])  # type: ignore[misc]
    delete(client, [each for each in ids if "imageTag" not in each])  # type: ignore[misc]
    assert_not_empty(ecr, 8)


def test_an_index_and_its_children_in_the_right_order_in_one_call(ecr: StrictEcr) -> None:
    """References are judged as they were when the call came in."""
    ecr.repository("app").with_multi_arch(1)
    client = ecr.client()
    index_first = [{"imageDigest": each["imageDigest"]} for each in reversed(pages(client))]
    assert [each["failureCode"] for each in delete(client, index_first)] == ["ImageReferencedByManifestList"] * 2
    assert_not_empty(ecr, 2)


def test_pages_without_their_token(ecr: StrictEcr) -> None:
    """The same page again and again, where nothing is deleted in between."""
    ecr.repository("app").with_images(250)
    client = ecr.client()
    seen = {each["imageDigest"] for _ in range(3) for each in client.list_images(repositoryName="app")["imageIds"]}
    assert len(seen) == 100


def test_force_is_seen(ecr: StrictEcr) -> None:
    """Nobody has listed the images that were deleted with their repository."""
    ecr.repository("app").with_images(3)
    ecr.client().delete_repository(repositoryName="app", force=True)
    assert [each.by_force for each in ecr.deletion_log] == [True] * 3
