"""Operations on images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sandbox.ecr import enumerations, paging
from sandbox.ecr.errors import EcrError, invalid
from sandbox.ecr.image import TAG, Image
from sandbox.ecr.repository import Repository
from sandbox.ecr.state import Parameters, RegistryState

LARGEST_BATCH = 100
_BAD_DIGEST = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
_BAD_TAG = "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9-_.]+'"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def _filtered(ecr: RegistryState, repository: Repository, parameters: Parameters, scope: str) -> Iterator[Image]:
    """The images from the start of the page that have the status and tag status that the filter asks for."""
    status, tagged = _status(ecr, parameters), _tag_status(parameters)
    after = paging.place(scope, parameters)
    for image in ecr.lateness.images_after(repository, int(after) if after else 0):
        if status not in ("ANY", image.status):
            continue
        if tagged == "ANY" or (tagged == "TAGGED") == bool(image.tags):
            yield image


def _status(ecr: RegistryState, parameters: Parameters) -> str:
    status: str = parameters.get("filter", {}).get("imageStatus", "ACTIVE")
    known = enumerations.IMAGE_STATUSES
    enumerations.check("filter.imageStatus", status, known[:-1] if ecr.faults.refuse_any_status else known)
    return status


def _tag_status(parameters: Parameters) -> str:
    status: str = parameters.get("filter", {}).get("tagStatus", "ANY")
    enumerations.check("filter.tagStatus", status, enumerations.TAG_STATUSES)
    return status


def list_images(ecr: RegistryState, parameters: Parameters) -> Parameters:
    """One row for each tag; one for an image without tags."""
    repository = ecr.find_to_read(parameters)
    size = paging.page_size(parameters)
    scope = f"list-images {repository.arn}"
    sequence, _, last = (paging.place(scope, parameters) or "0/").partition("/")
    images = ecr.lateness.images_after(repository, int(sequence) - 1)
    status, tagged = _status(ecr, parameters), _tag_status(parameters)

    def rows() -> Iterator[tuple[str, Parameters]]:
        for image in images:
            if status not in ("ANY", image.status) or not (tagged == "ANY" or (tagged == "TAGGED") == bool(image.tags)):
                continue
            for tag in sorted(image.tags) or [""]:
                if image.sequence > int(sequence) or tag > last:
                    row = {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})}
                    yield f"{image.sequence}/{tag}", row

    page, token = paging.cut(rows(), size, scope, lambda each: each[0])
    ecr.lateness.note_listed(repository)
    answer: Parameters = {"imageIds": [each for _, each in page]}
    return {**answer, "nextToken": token} if token else answer


def describe_images(ecr: RegistryState, parameters: Parameters) -> Parameters:
    """One record for each image."""
    repository = ecr.find_to_read(parameters)
    if "imageIds" in parameters:
        if "nextToken" in parameters or "maxResults" in parameters:
            raise invalid("nextToken and maxResults cannot be used with imageIds")
        found = [_described(ecr, repository, each) for each in parameters["imageIds"]]
        return {"imageDetails": [image.detail(ecr.account, repository.name) for image in found]}
    size = paging.page_size(parameters)
    scope = f"describe-images {repository.arn}"
    found_images = _filtered(ecr, repository, parameters, scope)
    page, token = paging.cut(found_images, size, scope, lambda image: str(image.sequence))
    ecr.lateness.note_listed(repository)
    answer: Parameters = {"imageDetails": [image.detail(ecr.account, repository.name) for image in page]}
    return {**answer, "nextToken": token} if token else answer


def _described(ecr: RegistryState, repository: Repository, image_id: dict[str, str]) -> Image:
    """An image by its id, or one that is deleted and still described. Raises EcrError where there is none."""
    digest = image_id.get("imageDigest", "")
    if repository.images.by_digest(digest) is None:
        deleted = ecr.lateness.deleted_image(repository, digest)
        if deleted is not None:
            return deleted
    return _named(repository, image_id)


def _named(repository: Repository, image_id: dict[str, str]) -> Image:
    image, code, reason = _look_up(repository, image_id)
    if image is None:
        raise EcrError(
            "ImageNotFoundException" if code == "ImageNotFound" else "InvalidParameterException",
            _not_found(repository, image_id) if code == "ImageNotFound" else reason,
        )
    return image


def _not_found(repository: Repository, image_id: dict[str, str]) -> str:
    spelled = ", ".join(f"{name}:'{image_id.get(name, 'null')}'" for name in ("imageDigest", "imageTag"))
    return (
        f"The image with imageId {{{spelled}}} does not exist within the repository with name '{repository.name}' in "
        f"the registry with id '{repository.registry_id}'"
    )


def _look_up(repository: Repository, image_id: dict[str, str]) -> tuple[Image | None, str, str]:
    """The image that an id means, or a failure code and its reason."""
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    if digest is None and tag is None:
        return None, "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"
    known = repository.images.by_digest(digest) if digest else None
    if digest is not None and known is None and not _DIGEST.fullmatch(digest):
        return (
            None,
            "InvalidImageDigest",
            _BAD_DIGEST,
        )
    if tag is not None and not TAG.fullmatch(tag):
        return (
            None,
            "InvalidImageTag",
            _BAD_TAG,
        )
    image = known if digest else repository.images.by_tag(str(tag))
    if image is None:
        return None, "ImageNotFound", "Requested image not found"
    if digest and tag and tag not in image.tags:
        return None, "ImageTagDoesNotMatchDigest", "Invalid request parameters: image tag does not map to the digest"
    return image, "", ""


def batch_delete_image(ecr: RegistryState, parameters: Parameters) -> Parameters:
    """Delete by digest (the image with all its tags) or by tag (the tag; with the last one, the image).

    References count as they were before the call: a child is refused even if the same call deletes its index.
    """
    repository = ecr.find(parameters)
    ids = parameters["imageIds"]
    if not 1 <= len(ids) <= LARGEST_BATCH:
        raise invalid(
            "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length at most "
            f"{LARGEST_BATCH}' and at least 1"
        )
    referenced = {
        image.digest
        for image in (_look_up(repository, each)[0] for each in ids)
        if image and ecr.lateness.is_referenced(repository, image.digest)
    }
    replicates = ecr.replication.has_rules
    deleted: list[dict[str, str]] = []
    failures: list[dict[str, Any]] = []
    for each in ids:
        failure = _delete_one(ecr, repository, each, referenced, deleted)
        if failure:
            failures.append({"imageId": each, "failureCode": failure[0], "failureReason": failure[1]})
        elif replicates:
            ecr.replication.replicate(repository.name, each)
    return {"imageIds": deleted, "failures": failures}


def _delete_one(
    ecr: RegistryState,
    repository: Repository,
    image_id: dict[str, str],
    referenced: set[str],
    deleted: list[dict[str, str]],
) -> tuple[str, str] | None:
    image, code, reason = _look_up(repository, image_id)
    if image is None:
        already = any(each.get("imageDigest") == image_id.get("imageDigest") for each in deleted)
        return None if already and "imageTag" in image_id else (code, reason)
    tag = image_id.get("imageTag")
    if tag is not None and len(image.tags) > 1:
        repository.images.untag(tag)
        deleted.append({"imageDigest": image.digest, "imageTag": tag})
        return None
    fault = ecr.faults.image_failure(image.digest)
    if fault:
        return fault
    if image.digest in referenced:
        return "ImageReferencedByManifestList", (
            "Requested image referenced by manifest list: one or more manifest lists or indexes refer to it"
        )
    deleted.extend({"imageDigest": image.digest, "imageTag": each} for each in image.tags)
    if not image.tags:
        deleted.append({"imageDigest": image.digest})
    repository.images.remove(image)
    ecr.note_deletion(repository, image, by_force=False)
    return None


def batch_get_image(ecr: RegistryState, parameters: Parameters) -> Parameters:
    """Return manifests. This counts as a pull of their images."""
    repository = ecr.find(parameters)
    if not 1 <= len(parameters["imageIds"]) <= LARGEST_BATCH:
        raise invalid("Invalid parameter at 'imageIds'")
    images, failures = [], []
    for each in parameters["imageIds"]:
        image, code, reason = _look_up(repository, each)
        if image is None or image.status != "ACTIVE":
            failures.append({"imageId": each, "failureCode": code or "ImageNotFound", "failureReason": reason})
            continue
        image.last_recorded_pull_time = ecr.clock.time()
        tag = {"imageTag": each["imageTag"]} if "imageTag" in each else {}
        images.append(
            {
                "registryId": ecr.account,
                "repositoryName": repository.name,
                "imageId": {"imageDigest": image.digest, **tag},
                "imageManifest": image.manifest.decode(),
                "imageManifestMediaType": image.media_type,
            }
        )
    return {"images": images, "failures": failures}


def update_image_storage_class(ecr: RegistryState, parameters: Parameters) -> Parameters:
    """Archive an image, or begin to restore it: until ``finish_restoring`` it is ACTIVATING."""
    repository = ecr.find(parameters)
    image = _named(repository, parameters["imageId"])
    target = parameters["targetStorageClass"]
    enumerations.check("targetStorageClass", target, enumerations.STORAGE_CLASSES)
    if target == "ARCHIVE" and image.status == "ACTIVE":
        image.status, image.last_archived_at = "ARCHIVED", ecr.clock.time()
    elif target == "STANDARD" and image.status == "ARCHIVED":
        image.status = "ACTIVATING"
    else:
        raise EcrError("ImageStorageClassUpdateNotSupportedException", f"The image is {image.status}.")
    return {
        "registryId": ecr.account,
        "repositoryName": repository.name,
        "imageId": parameters["imageId"],
        "imageStatus": image.status,
    }


def get_authorization_token(ecr: RegistryState, _parameters: Parameters) -> Parameters:
    """A token for docker login: AWS:password."""
    return {
        "authorizationData": [
            {
                "authorizationToken": "QVdTOnBhc3N3b3Jk",
                "expiresAt": ecr.clock.time() + 12 * 3_600,
                "proxyEndpoint": f"http://{ecr.registry_host}",
            }
        ]
    }
