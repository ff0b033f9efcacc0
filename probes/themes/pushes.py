"""Pushes: what ECR checks, and what it makes of an image."""

from __future__ import annotations

import json
from collections.abc import Mapping

from probes.belief import Answer, Belief, api, user_guide
from probes.place import Place, deleted, said
from probes.pushing import INDEX_TYPE, Manifest, image, index
from probes.registry import probe

_SRC = "src/awstut_ecr_autopurgerepository"
_INVALID = "InvalidParameterException"
_EXISTS = "ImageAlreadyExistsException"
_SIGNATURE = "application/vnd.example.signature"

BELIEFS = (
    Belief(
        "immutable-tags",
        "In a repository that is IMMUTABLE, a tag cannot move to another image, unless an exclusion filter matches "
        "the tag.",
        (api("PutImage"), user_guide("image-tag-mutability")),
        (f"{_SRC}/repository/translate.py",),
        {"a tag that moves": "ImageTagAlreadyExistsException", "a tag that a filter excludes": "accepted"},
        enforced_in=("pushes.store_manifest ImageTagAlreadyExistsException",),
    ),
    Belief(
        "checks-of-pushes",
        "PutImage refuses a manifest that is not JSON or has no media type, a digest that is not the manifest's, an "
        "image that exists already, and a tag that is not valid.",
        (api("PutImage"),),
        (),
        {
            "no JSON": _INVALID,
            "another digest": "ImageDigestDoesNotMatchException",
            "the same tag again": _EXISTS,
            "the same digest again": _EXISTS,
            "a tag with a space": _INVALID,
            "no media type": _INVALID,
        },
        enforced_in=(
            "pushes.put_image ImageDigestDoesNotMatchException",
            "pushes.store_manifest InvalidParameterException",
            "pushes._already_exists ImageAlreadyExistsException",
            "pushes._new_image InvalidParameterException",
        ),
    ),
    Belief(
        "children-come-first",
        "A push of an index is refused while one of its children is missing. So a repository never holds an index "
        "without its children.",
        (api("PutImage"),),
        (f"{_SRC}/deletion/purge.py",),
        {"an index of a missing image": "ReferencedImagesNotFoundException"},
        enforced_in=("pushes._new_image ReferencedImagesNotFoundException",),
    ),
    Belief(
        "repushed-tags",
        "If a tag is pushed again, it moves to the new image, and the earlier image loses it. buildx creates an index "
        "even for a single platform, so old indexes are left untagged.",
        (user_guide("docker-push-ecr-image"), "buildx, run against a registry"),
        (f"{_SRC}/deletion/inventory.py",),
        {"untagged images after two pushes of latest": 1},
    ),
    Belief(
        "referrers",
        "Signatures and SBOMs are images of their own (referrers). subjectManifestDigest names the image to which "
        "they belong (their subject), artifactMediaType their kind. They can be deleted before or after their "
        "subject.",
        (api("ImageDetail"),),
        (f"{_SRC}/deletion/inventory.py",),
        {
            "subjectManifestDigest": "the subject's",
            "artifactMediaType": _SIGNATURE,
            "delete of the subject": "deleted",
            "delete of the referrer": "deleted",
        },
    ),
    Belief(
        "statuses-of-the-protocol",
        "The registry's own protocol (the API for docker push and pull) answers 404 for a repository, a manifest or a "
        "layer that does not exist, and 400 or 404 for a manifest that it refuses.",
        ("[distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md)",),
        (),
        {
            "a missing manifest": 404,
            "a missing layer": 404,
            "a missing repository": 404,
            "a digest that does not match": 400,
            "a manifest that is no JSON": 400,
        },
        enforced_in=(
            "registry._CODES NAME_UNKNOWN",
            "registry._CODES DENIED",
            "registry._CODES TAG_INVALID",
            "registry._CODES MANIFEST_BLOB_UNKNOWN",
            "registry._route UNSUPPORTED",
            "registry._route MANIFEST_INVALID",
            "registry._upload BLOB_UPLOAD_UNKNOWN",
            "registry._upload DIGEST_INVALID",
            "registry._blob BLOB_UNKNOWN",
            "registry._put_manifest DIGEST_INVALID",
            "registry._get_manifest MANIFEST_UNKNOWN",
        ),
    ),
    Belief(
        "images-of-a-repository",
        "A repository holds up to 10,000 images by default, or up to 100,000 according to newer documents; the quota "
        "can be raised. A subject has at most 100 referrers.",
        (user_guide("service-quotas"),),
        ("awstut-ecr-autopurgerepository.json", "benchmarks/RESULTS.md"),
        unasked="So many pushes would take hours. make bench purges 100,000 images of the sandbox's ECR.",
    ),
)


def _put(place: Place, name: str, manifest: Manifest, tag: str = "", **more: str) -> str:
    """The error code of PutImage."""
    given = {"imageManifestMediaType": manifest.media_type, **({"imageTag": tag} if tag else {}), **more}
    code, message = said(place.ecr.put_image, repositoryName=name, imageManifest=manifest.text, **given)
    if message:
        place.details.setdefault("messages", []).append(message)
    return code


def _put_without_media_type(place: Place, name: str, manifest: Manifest) -> str:
    document = json.loads(manifest.content)
    del document["mediaType"]
    return said(place.ecr.put_image, repositoryName=name, imageManifest=json.dumps(document), imageTag="x")[0]


@probe(
    "immutable-tags",
    "checks-of-pushes",
    "children-come-first",
    "repushed-tags",
    creates="1 repository with images",
    seconds=20,
)
def checks_of_pushes(place: Place) -> Mapping[str, Answer]:
    """Push what ECR takes, and what it refuses."""
    name = place.repository("pushes")
    place.push(name, "one", "latest")
    place.pushing(name).put_manifest(image("latest, again"), "latest")
    untagged = place.ecr.describe_images(repositoryName=name, filter={"tagStatus": "UNTAGGED"})["imageDetails"]
    missing = index(image("never pushed"))
    other = image("other")
    checks = {
        "no JSON": _put(place, name, Manifest(other.media_type, b"{"), "x"),
        "another digest": _put(place, name, other, "x", imageDigest=missing.digest),
        "the same tag again": _put(place, name, image("one"), "one"),
        "the same digest again": _put(place, name, image("one")),
        "a tag with a space": _put(place, name, other, "x y"),
        "no media type": _put_without_media_type(place, name, other),
    }
    child = _put(place, name, missing, "index")
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    place.ecr.put_image_tag_mutability(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    _put(place, name, image("dev 1"), "dev-1")
    return {
        "immutable-tags": {
            "a tag that moves": _put(place, name, other, "one"),
            "a tag that a filter excludes": _put(place, name, image("dev 2"), "dev-1"),
        },
        "checks-of-pushes": checks,
        "children-come-first": {"an index of a missing image": child},
        "repushed-tags": {"untagged images after two pushes of latest": len(untagged)},
    }


@probe("referrers", "statuses-of-the-protocol", creates="1 repository with 2 images", seconds=20)
def referrers_and_protocol(place: Place) -> Mapping[str, Answer]:
    """Push a signature of an image, and ask for what is not there."""
    name = place.repository("referrers")
    [subject] = place.push(name, "subject")
    target, signature = place.pushing(name), image("signature", subject, _SIGNATURE)
    target.put_manifest(signature)
    ids = [{"imageDigest": signature.digest}]
    [found] = place.ecr.describe_images(repositoryName=name, imageIds=ids)["imageDetails"]
    missing = f"sha256:{'0' * 64}"
    protocol = {
        "a missing manifest": target.status_of("GET", "manifests/none"),
        "a missing layer": target.status_of("HEAD", f"blobs/{missing}"),
        "a missing repository": place.pushing(place.name("missing")).status_of("GET", "manifests/none"),
        "a digest that does not match": target.try_manifest(image("x"), missing)[0],
        "a manifest that is no JSON": target.try_manifest(Manifest(INDEX_TYPE, b"{"), "x")[0],
    }
    gone = [deleted(place.ecr, name, each)[0] for each in (subject.digest, signature.digest)]
    same = found.get("subjectManifestDigest") == subject.digest
    place.details["record"] = json.loads(json.dumps(found, default=str))
    return {
        "referrers": {
            "subjectManifestDigest": "the subject's" if same else found.get("subjectManifestDigest", "none"),
            "artifactMediaType": found.get("artifactMediaType", "none"),
            "delete of the subject": gone[0],
            "delete of the referrer": gone[1],
        },
        "statuses-of-the-protocol": protocol,
    }
