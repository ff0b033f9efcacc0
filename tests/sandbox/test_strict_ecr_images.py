"""Images in the strict ECR: pages, filters, deletes, pushes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.ecr import StrictEcr

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def manifest(number: int = 0, **more: Any) -> str:
    return json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [], "annotations": {"n": str(number)}, **more}
    )


def put(ecr: StrictEcr, text: str, tag: str | None = None) -> str:
    request: dict[str, Any] = {"repositoryName": "app", "imageManifest": text} | ({"imageTag": tag} if tag else {})
    return str(ecr.client().put_image(**request)["image"]["imageId"]["imageDigest"])


@pytest.mark.parametrize("operation", ["list_images", "describe_images"])
@pytest.mark.parametrize(("size", "shown"), [(None, 100), (1, 1), (1_000, 1_000)])
def test_list_and_describe_images_pages(ecr: StrictEcr, operation: str, size: int | None, shown: int) -> None:
    ecr.repository("app").with_images(1_050)
    chosen = {"maxResults": size} if size else {}
    answer = getattr(ecr.client(), operation)(repositoryName="app", **chosen)
    assert len(shown_in(answer)) == shown
    assert answer["nextToken"]


@pytest.mark.parametrize("operation", ["ListImages", "DescribeImages"])
@pytest.mark.parametrize("size", [0, 1_001, -1])
def test_list_and_describe_images_refuse_other_sizes(ecr: StrictEcr, operation: str, size: int) -> None:
    ecr.repository("app").with_images(1)
    with pytest.raises(Exception, match="between 1 and 1000"):
        ecr.call(operation, {"repositoryName": "app", "maxResults": size})


def shown_in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What ListImages or DescribeImages answered."""
    shown: list[dict[str, Any]] = answer["imageIds"] if "imageIds" in answer else answer["imageDetails"]
    return shown


@pytest.mark.parametrize("operation", ["ListImages", "DescribeImages"])
def test_list_and_describe_images_tokens_survive_deletes(ecr: StrictEcr, operation: str) -> None:
    ecr.repository("app").with_images(10)
    digests = [image.digest for image in ecr.images("app")]
    first = ecr.call(operation, {"repositoryName": "app", "maxResults": 4})
    shown = [each["imageDigest"] for each in shown_in(first)]
    ecr.call("BatchDeleteImage", {"repositoryName": "app", "imageIds": [{"imageDigest": each} for each in shown]})
    rest = ecr.call(operation, {"repositoryName": "app", "nextToken": first["nextToken"]})
    assert [each["imageDigest"] for each in shown_in(rest)] == digests[4:]


def test_list_images_tokens_survive_the_untagging_of_what_was_shown(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged(*(f"tag-{number}" for number in range(9)))
    first = ecr.call("ListImages", {"repositoryName": "app", "maxResults": 5})
    ecr.call("BatchDeleteImage", {"repositoryName": "app", "imageIds": first["imageIds"]})
    rest = ecr.call("ListImages", {"repositoryName": "app", "nextToken": first["nextToken"]})
    assert [each["imageTag"] for each in rest["imageIds"]] == [f"tag-{number}" for number in range(5, 9)]


@pytest.mark.parametrize("operation", ["ListImages", "DescribeImages"])
def test_list_and_describe_images_refuse_foreign_tokens(ecr: StrictEcr, operation: str) -> None:
    ecr.repository("app").with_images(2)
    ecr.repository("other").with_images(2)
    token = ecr.call(operation, {"repositoryName": "other", "maxResults": 1})["nextToken"]
    for each in (token, "made up", token[:-4]):
        with pytest.raises(Exception, match="InvalidParameterException"):
            ecr.call(operation, {"repositoryName": "app", "nextToken": each})


def test_list_images_one_row_for_each_tag(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged("a", "b", "c").with_images(1, untagged=True)
    ids = ecr.client().list_images(repositoryName="app")["imageIds"]
    assert [each.get("imageTag") for each in ids] == ["a", "b", "c", None]
    first = ecr.call("ListImages", {"repositoryName": "app", "maxResults": 2})
    rest = ecr.call("ListImages", {"repositoryName": "app", "nextToken": first["nextToken"]})
    assert first["imageIds"] + rest["imageIds"] == ids


def test_describe_images_one_record_for_each_digest(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged("a", "b", "c")
    [detail] = ecr.client().describe_images(repositoryName="app")["imageDetails"]
    assert detail["imageTags"] == ["a", "b", "c"]


@pytest.mark.parametrize("operation", ["ListImages", "DescribeImages"])
@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        ({}, 3),
        ({"imageStatus": "ACTIVE"}, 3),
        ({"imageStatus": "ARCHIVED"}, 2),
        ({"imageStatus": "ACTIVATING"}, 1),
        ({"imageStatus": "ANY"}, 6),
        ({"tagStatus": "TAGGED"}, 2),
        ({"tagStatus": "UNTAGGED"}, 1),
        ({"tagStatus": "ANY", "imageStatus": "ANY"}, 6),
    ],
)
def test_list_and_describe_images_filter(ecr: StrictEcr, operation: str, chosen: dict[str, str], count: int) -> None:
    builder = ecr.repository("app").with_images(2).with_images(1, untagged=True)
    builder.with_archived(2).with_activating(1)
    answer = ecr.call(operation, {"repositoryName": "app", "filter": chosen})
    assert len(shown_in(answer)) == count


def test_describe_images_does_not_name_what_is_not_there(ecr: StrictEcr) -> None:
    ecr.repository("app").with_images(1, untagged=True)
    [detail] = ecr.call("DescribeImages", {"repositoryName": "app"})["imageDetails"]
    assert not {"imageTags", "lastRecordedPullTime", "subjectManifestDigest"} & detail.keys()


def test_batch_delete_image_answers_one_entry_for_each_tag(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged("a", "b")
    digest = ecr.images("app")[0].digest
    answer = ecr.client().batch_delete_image(repositoryName="app", imageIds=[{"imageDigest": digest}])
    assert answer["imageIds"] == [{"imageDigest": digest, "imageTag": tag} for tag in "ab"]


NOWHERE = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image_id", "code"),
    [
        ({}, "MissingDigestAndTag"),
        ({"imageDigest": "sha256:short"}, "InvalidImageDigest"),
        ({"imageTag": "not/valid"}, "InvalidImageTag"),
        ({"imageDigest": NOWHERE}, "ImageNotFound"),
        ({"imageTag": "nowhere"}, "ImageNotFound"),
    ],
)
def test_batch_delete_image_failure_codes(ecr: StrictEcr, image_id: dict[str, str], code: str) -> None:
    ecr.repository("app").with_tagged("a")
    [failure] = ecr.call("BatchDeleteImage", {"repositoryName": "app", "imageIds": [image_id]})["failures"]
    assert failure["failureCode"] == code
    assert ecr.holds("app") == 1


def test_batch_delete_image_refuses_what_an_index_references(ecr: StrictEcr) -> None:
    """The same images can be deleted once the index is deleted."""
    ecr.repository("app").with_multi_arch(1)
    children, [index] = (
        [{"imageDigest": each.digest} for each in ecr.images("app") if bool(each.tags) is tagged]
        for tagged in (False, True)
    )
    answers = [
        ecr.call("BatchDeleteImage", {"repositoryName": "app", "imageIds": ids})["failures"]
        for ids in (children, [index], children)
    ]
    assert [[each["failureCode"] for each in failures] for failures in answers] == [
        ["ImageReferencedByManifestList"] * 2,
        [],
        [],
    ]
    assert ecr.holds("app") == 0


def test_batch_delete_image_of_a_tag_that_is_another_images(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged("a").with_tagged("b")
    ids = [{"imageDigest": ecr.images("app")[0].digest, "imageTag": "b"}]
    [failure] = ecr.call("BatchDeleteImage", {"repositoryName": "app", "imageIds": ids})["failures"]
    assert failure["failureCode"] == "ImageTagDoesNotMatchDigest"


def test_batch_delete_image_keeps_the_referrers_of_a_subject(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged("signed").with_referrers(subject_tag="signed", count=5)
    subject = ecr.images("app")[0].digest
    details = ecr.client().describe_images(repositoryName="app")["imageDetails"]
    assert [each.get("subjectManifestDigest") for each in details] == [None] + [subject] * 5
    ecr.call("BatchDeleteImage", {"repositoryName": "app", "imageIds": [{"imageDigest": subject}]})
    assert ecr.holds("app") == 5


def test_batch_get_image_counts_as_a_pull(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged("a")
    ecr.client().batch_get_image(repositoryName="app", imageIds=[{"imageTag": "a"}])
    assert ecr.images("app")[0].last_recorded_pull_time == ecr.clock.time()


def test_put_image_has_the_digest_of_its_manifest(ecr: StrictEcr) -> None:
    ecr.repository("app")
    assert put(ecr, manifest(), "a") == "sha256:" + hashlib.sha256(manifest().encode()).hexdigest()


def test_put_image_moves_a_tag(ecr: StrictEcr) -> None:
    ecr.repository("app")
    put(ecr, manifest(1), "a")
    put(ecr, manifest(2), "a")
    assert [image.tags for image in ecr.images("app")] == [[], ["a"]]


def test_put_image_of_an_index_needs_its_children(ecr: StrictEcr) -> None:
    ecr.repository("app")
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [{"digest": NOWHERE}]})
    with pytest.raises(ClientError) as error:
        put(ecr, index, "a")
    assert said(error.value) == (
        "ReferencedImagesNotFoundException",
        f"Images with digests '[{NOWHERE}]' required for pushing image into repository with name 'app' in the registry "
        "with id '123456789012' do not exist",
    )


def test_an_index_is_as_large_as_its_largest_child(ecr: StrictEcr) -> None:
    ecr.repository("app")
    digests = [put(ecr, manifest(number, layers=[{"size": size}])) for number, size in enumerate((70_000, 90_000))]
    put(ecr, json.dumps({"mediaType": INDEX_TYPE, "manifests": [{"digest": each} for each in digests]}), "all")
    sizes = [each["imageSizeInBytes"] for each in ecr.client().describe_images(repositoryName="app")["imageDetails"]]
    assert sizes[2] == max(sizes[:2])
    assert sizes[2] > 90_000


def said(error: ClientError) -> tuple[str, str]:
    """Code and message."""
    return error.response["Error"]["Code"], error.response["Error"]["Message"]


@pytest.mark.parametrize(("tag", "named"), [("a", " and tag 'a'"), (None, "")])
def test_put_image_of_an_existing_image_says_where_it_is(ecr: StrictEcr, tag: str | None, named: str) -> None:
    ecr.repository("app")
    digest = put(ecr, manifest(), "a")
    with pytest.raises(ClientError) as error:
        put(ecr, manifest(), tag)
    assert said(error.value) == (
        "ImageAlreadyExistsException",
        f"Image with digest '{digest}'{named} already exists in the repository with name 'app' in registry with id "
        "'123456789012'",
    )
    assert [image.tags for image in ecr.images("app")] == [["a"]]


def test_put_image_needs_a_media_type(ecr: StrictEcr) -> None:
    ecr.repository("app")
    with pytest.raises(ClientError) as error:
        put(ecr, '{"schemaVersion": 2}', "a")
    assert said(error.value) == (
        "InvalidParameterException",
        "image manifest mediatype not provided in manifest or parameter",
    )
    assert ecr.holds("app") == 0
    given = {"imageManifest": '{"schemaVersion": 2}', "imageManifestMediaType": MANIFEST_TYPE}
    ecr.call("PutImage", {"repositoryName": "app", **given})
    assert [image.media_type for image in ecr.images("app")] == [MANIFEST_TYPE]


def test_a_push_through_the_registry_needs_a_media_type(ecr: StrictEcr) -> None:
    ecr.repository("app")
    path, body = "/v2/app/manifests/a", b'{"schemaVersion": 2}'
    status, _, answer = ecr.handle_registry("PUT", path, {}, body, {})
    assert (status, json.loads(answer)["errors"][0]["code"]) == (400, "MANIFEST_INVALID")
    assert ecr.handle_registry("PUT", path, {"content-type": MANIFEST_TYPE}, body, {})[0] == 201


@pytest.mark.parametrize(
    ("image_id", "spelled"),
    [
        ({"imageTag": "a"}, "imageDigest:'null', imageTag:'a'"),
        ({"imageDigest": NOWHERE}, f"imageDigest:'{NOWHERE}', imageTag:'null'"),
    ],
)
def test_describe_images_of_an_image_that_does_not_exist(ecr: StrictEcr, image_id: Any, spelled: str) -> None:
    ecr.repository("app")
    with pytest.raises(ClientError) as error:
        ecr.client().describe_images(repositoryName="app", imageIds=[image_id])
    assert said(error.value) == (
        "ImageNotFoundException",
        f"The image with imageId {{{spelled}}} does not exist within the repository with name 'app' in the registry "
        "with id '123456789012'",
    )


@pytest.mark.parametrize(
    ("mutability", "filters", "tag", "refused"),
    [
        ("MUTABLE", [], "a", False),
        ("IMMUTABLE", [], "a", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*"], "dev-1", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev-*"], "a", True),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], "v1", True),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], "a", False),
    ],
)
def test_put_image_obeys_immutability(
    ecr: StrictEcr, mutability: str, filters: list[str], tag: str, refused: bool
) -> None:
    ecr.repository("app")
    request: dict[str, Any] = {"repositoryName": "app", "imageTagMutability": mutability}
    if filters:
        request["imageTagMutabilityExclusionFilters"] = [{"filterType": "WILDCARD", "filter": each} for each in filters]
    ecr.call("PutImageTagMutability", request)
    put(ecr, manifest(1), tag)
    if refused:
        with pytest.raises(ClientError, match="ImageTagAlreadyExistsException"):
            put(ecr, manifest(2), tag)
    else:
        put(ecr, manifest(2), tag)


def test_update_image_storage_class_archives_and_restores(ecr: StrictEcr) -> None:
    ecr.repository("app").with_tagged("a")
    request = {"repositoryName": "app", "imageId": {"imageTag": "a"}}
    assert ecr.call("UpdateImageStorageClass", request | {"targetStorageClass": "ARCHIVE"})["imageStatus"] == "ARCHIVED"
    assert ecr.client().describe_images(repositoryName="app")["imageDetails"] == []
    assert (
        ecr.call("UpdateImageStorageClass", request | {"targetStorageClass": "STANDARD"})["imageStatus"] == "ACTIVATING"
    )
