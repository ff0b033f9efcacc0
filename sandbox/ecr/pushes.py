"""What a push is checked for: by PutImage, and by the registry's own protocol."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

from sandbox.ecr.errors import EcrError, invalid
from sandbox.ecr.image import INDEXES, TAG, Image, digest_of
from sandbox.ecr.repository import Repository
from sandbox.ecr.state import Parameters, RegistryState


def put_image(ecr: RegistryState, parameters: Parameters) -> Parameters:
    """Push a manifest, with a tag or without."""
    repository = ecr.find(parameters)
    ecr.check_policy(repository, "ecr:PutImage")
    content = parameters["imageManifest"].encode()
    digest, tag = digest_of(content), parameters.get("imageTag")
    if parameters.get("imageDigest", digest) != digest:
        raise EcrError(
            "ImageDigestDoesNotMatchException", "The specified image digest does not match the digest of the manifest."
        )
    image = store_manifest(ecr, repository, content, parameters.get("imageManifestMediaType"), tag)
    image_id = {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})}
    return {
        "image": {
            "registryId": ecr.account,
            "repositoryName": repository.name,
            "imageId": image_id,
            "imageManifest": parameters["imageManifest"],
            "imageManifestMediaType": image.media_type,
        }
    }


def store_manifest(
    ecr: RegistryState, repository: Repository, content: bytes, media_type: str | None, tag: str | None
) -> Image:
    """Check a manifest as ECR does, and keep it. Raises EcrError."""
    try:
        manifest = json.loads(content)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise invalid("Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'")
    if tag is not None and not TAG.fullmatch(tag):
        raise invalid(f"Invalid parameter at 'imageTag': {tag}")
    digest = digest_of(content)
    images = repository.images
    bearer = images.by_tag(tag) if tag else None
    if bearer and bearer.digest == digest:
        raise _already_exists(repository, digest, tag)
    if bearer and tag and _is_immutable(repository, tag):
        raise EcrError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be overwritten "
            "because the tag is immutable.",
        )
    known = images.by_digest(digest)
    if known and tag is None:
        raise _already_exists(repository, digest, None)
    if known is None:
        known = _new_image(ecr, repository, manifest, content, media_type)
        images.add(known)
    if tag:
        images.tag(known, tag)
    return known


def _already_exists(repository: Repository, digest: str, tag: str | None) -> EcrError:
    tagged = f" and tag '{tag}'" if tag else ""
    return EcrError(
        "ImageAlreadyExistsException",
        f"Image with digest '{digest}'{tagged} already exists in the repository with name '{repository.name}' in "
        f"registry with id '{repository.registry_id}'",
    )


def _new_image(
    ecr: RegistryState, repository: Repository, manifest: dict[str, Any], content: bytes, media_type: str | None
) -> Image:
    kind = manifest.get("mediaType") or media_type
    if not kind:
        raise invalid("image manifest mediatype not provided in manifest or parameter")
    children = tuple(each["digest"] for each in manifest.get("manifests", ())) if kind in INDEXES else ()
    missing = [digest for digest in children if repository.images.by_digest(digest) is None]
    if missing:
        raise EcrError(
            "ReferencedImagesNotFoundException",
            f"Images with digests '[{', '.join(missing)}]' required for pushing image into repository with name "
            f"'{repository.name}' in the registry with id '{repository.registry_id}' do not exist",
        )
    return Image(
        digest=digest_of(content),
        sequence=0,
        media_type=kind,
        manifest=content,
        pushed_at=round(ecr.clock.time(), 3),
        size=_size(repository, manifest, content, children),
        children=children,
        subject=manifest.get("subject", {}).get("digest"),
        artifact_type=manifest.get("artifactType") or manifest.get("config", {}).get("mediaType"),
    )


def _size(repository: Repository, manifest: dict[str, Any], content: bytes, children: tuple[str, ...]) -> int:
    """The size that DescribeImages shows: of an index, that of its largest child (service model, ImageDetail)."""
    if children:
        return max(child.size for child in map(repository.images.by_digest, children) if child)
    sizes = [int(each.get("size", 0)) for each in manifest.get("layers", ())]
    return sum(sizes) + len(content)


def _is_immutable(repository: Repository, tag: str) -> bool:
    excluded = any(fnmatch.fnmatchcase(tag, each["filter"]) for each in repository.exclusion_filters)
    return repository.mutability.startswith("IMMUTABLE") != excluded
