"""Deletes of images: batches, indexes, failures, and how late a delete shows."""

from __future__ import annotations

from collections.abc import Mapping

from probes.belief import MODEL, Answer, Belief, api, user_guide
from probes.clock import AT_ONCE, WITHIN, Seen, distribution, how_late, look_until, not_seen
from probes.place import ACCEPTED, Place, deleted, refusal
from probes.pushing import index
from probes.registry import probe

_SRC = "src/awstut_ecr_autopurgerepository"
_INVALID = "InvalidParameterException"
_REFERENCED = "ImageReferencedByManifestList"
_MISSING = f"sha256:{'0' * 64}"

BELIEFS = (
    Belief(
        "batches-of-deletes",
        "BatchDeleteImage takes 1 to 100 image ids.",
        (api("BatchDeleteImage"), MODEL),
        (f"{_SRC}/deletion/purge.py",),
        {"no id": _INVALID, "1 id": ACCEPTED, "100 ids": ACCEPTED, "101 ids": _INVALID},
        enforced_in=("images.batch_delete_image InvalidParameterException",),
    ),
    Belief(
        "deletes-by-digest-and-by-tag",
        "A delete by digest removes the image with all its tags. A delete by tag removes only the tag; if that was "
        "the image's last tag, the image is removed, too.",
        (api("BatchDeleteImage"), user_guide("delete_image")),
        (f"{_SRC}/deletion/purge.py",),
        {
            "by tag, of 2 tags": "the image is there",
            "by tag, of the last": "the image is gone",
            "by digest, of 2 tags": "the image is gone",
            "rows of the answer to that": 2,
        },
    ),
    Belief(
        "children-of-an-index",
        "ECR refuses to delete an image (a child) while an index, the list behind a multi-platform image, references "
        "it; even if the same call deletes the index: the answer has status 200, and ImageReferencedByManifestList in "
        "failures[]. After the index is deleted, the child can be deleted.",
        (
            api("BatchDeleteImage"),
            "a user's purge on AWS, without a public page: 4 indexes with 8 children in one call, 4 deleted, 8 refused",
        ),
        (f"{_SRC}/deletion/purge.py",),
        {
            "children before their index": [_REFERENCED, _REFERENCED],
            "index and children in one call": ["deleted", _REFERENCED, _REFERENCED],
            "children after their index": ["deleted", "deleted"],
        },
        enforced_in=("images._delete_one ImageReferencedByManifestList",),
    ),
    Belief(
        "children-are-not-described",
        "DescribeImages does not return the children of an index. The manifest of the index names them, but reading a "
        "manifest counts as a pull.",
        (api("ImageDetail"),),
        (f"{_SRC}/deletion/inventory.py",),
        {"digests of children in the record of an index": 0},
    ),
    Belief(
        "indexes-of-indexes",
        "ECR also refuses to delete an index while another index references it.",
        ("the OCI image specification allows nested indexes",),
        (f"{_SRC}/deletion/purge.py",),
        {"all in one call": ["deleted", _REFERENCED, _REFERENCED], "the rest in one call": ["deleted", _REFERENCED]},
        enforced_in=("images._delete_one ImageReferencedByManifestList",),
    ),
    Belief(
        "failures-of-deletes",
        "If BatchDeleteImage refuses images, its answer still has status 200, with a code for each of these images in "
        "failures[].",
        (api("ImageFailure"), MODEL),
        (f"{_SRC}/deletion/purge.py",),
        {
            "an image that is not there": "ImageNotFound",
            "no digest and no tag": "MissingDigestAndTag",
            "a digest that is none": "InvalidImageDigest",
            "a tag that is none": "InvalidImageTag",
            "a tag of another image": "ImageTagDoesNotMatchDigest",
        },
        enforced_in=(
            "images._look_up ImageNotFound",
            "images._look_up MissingDigestAndTag",
            "images._look_up InvalidImageDigest",
            "images._look_up InvalidImageTag",
            "images._look_up ImageTagDoesNotMatchDigest",
        ),
    ),
    Belief(
        "other-failures-of-deletes",
        "Further failure codes are KmsError, UpstreamAccessDenied, UpstreamTooManyRequests, UpstreamUnavailable and "
        "ImageInaccessible.",
        (MODEL,),
        (f"{_SRC}/deletion/purge.py",),
        unasked="The probe would need a KMS key or an upstream registry that does not work. The purge puts any code "
        "into its message.",
    ),
    Belief(
        "deleted-index-is-late",
        "For a while after an index is deleted, ECR can still refuse to delete its children.",
        ("an eventually consistent service may do so",),
        (f"{_SRC}/deletion/purge.py",),
        {"a child can be deleted by": AT_ONCE},
        {"a child can be deleted by": WITHIN},
        "lateness.deleted_index",
    ),
    Belief(
        "deleted-images-are-late",
        "For a while after images are deleted, they can still be listed. After the last one is deleted, "
        "DeleteRepository can still fail with RepositoryNotEmptyException.",
        ("an eventually consistent service may do so",),
        (f"{_SRC}/deletion/purge.py",),
        {"no image is listed by": AT_ONCE, "the repository can be deleted by": AT_ONCE},
        {"no image is listed by": WITHIN, "the repository can be deleted by": WITHIN},
        "lateness.deleted_images, lateness.emptied_repository",
    ),
    Belief(
        "rates-are-not-published",
        "ECR does not publish how many deletes and listings it allows a second, so a purge has to expect "
        "ThrottlingException.",
        (user_guide("service-quotas"),),
        (f"{_SRC}/pacing.py", f"{_SRC}/errors.py"),
        unasked="Finding the limit would throttle the account's other users.",
    ),
)


@probe(
    "batches-of-deletes",
    "deletes-by-digest-and-by-tag",
    "failures-of-deletes",
    creates="1 repository with images",
    seconds=20,
)
def deletes_of_images(place: Place) -> Mapping[str, Answer]:
    """Delete images that are there, and others."""
    name = place.repository("deletes")
    one, two, three = place.push(name, "one", "two", "three")
    target = place.pushing(name)
    for manifest in (one, two):
        target.put_manifest(manifest, f"{manifest.digest[-8:]}-again")

    def batch(count: int) -> str:
        ids = [{"imageDigest": f"sha256:{number:064}"} for number in range(count)]
        return refusal(place.ecr.batch_delete_image, repositoryName=name, imageIds=ids)

    failures = {
        "an image that is not there": _failure(place, name, imageDigest=_MISSING),
        "no digest and no tag": _failure(place, name),
        "a digest that is none": _failure(place, name, imageDigest="md5:1"),
        "a tag that is none": _failure(place, name, imageTag="not a tag"),
        "a tag of another image": _failure(place, name, imageDigest=three.digest, imageTag="one"),
    }
    _failure(place, name, imageTag="one")
    by_tag = _is_there(place, name, one.digest, should_be_gone=False)
    _failure(place, name, imageTag=f"{one.digest[-8:]}-again")
    by_last_tag = _is_there(place, name, one.digest, should_be_gone=True)
    answer = place.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": two.digest}])
    return {
        "batches-of-deletes": {"no id": batch(0), "1 id": batch(1), "100 ids": batch(100), "101 ids": batch(101)},
        "deletes-by-digest-and-by-tag": {
            "by tag, of 2 tags": by_tag,
            "by tag, of the last": by_last_tag,
            "by digest, of 2 tags": _is_there(place, name, two.digest, should_be_gone=True),
            "rows of the answer to that": len(answer["imageIds"]),
        },
        "failures-of-deletes": failures,
    }


def _failure(place: Place, name: str, **image_id: str) -> str:
    """The failure code of a delete."""
    failures = place.ecr.batch_delete_image(repositoryName=name, imageIds=[image_id])["failures"]
    return failures[0]["failureCode"] if failures else "deleted"


def _is_there(place: Place, name: str, digest: str, should_be_gone: bool) -> str:
    """Wait until an image is gone, because a listing can be late. If it should stay, look at it once, after a while."""
    if not should_be_gone:
        place.clock.sleep(place.settle)
    seen = look_until(place.clock, lambda: digest not in _listed(place, name), place.patience if should_be_gone else 0)
    return "the image is gone" if seen.looks else "the image is there"


def _listed(place: Place, name: str) -> set[str]:
    return {each["imageDigest"] for each in place.ecr.describe_images(repositoryName=name)["imageDetails"]}


@probe(
    "children-of-an-index",
    "children-are-not-described",
    "indexes-of-indexes",
    creates="1 repository with 2 indexes and images",
    seconds=30,
)
def deletes_of_indexes(place: Place) -> Mapping[str, Answer]:
    """Delete indexes and what they reference."""
    name = place.repository("indexes")
    target = place.pushing(name)
    children = place.push(name, "amd64", "arm64")
    digests = [each.digest for each in children]
    parent = index(*children)
    target.put_manifest(parent, "both")
    ids = [{"imageDigest": parent.digest}]
    record = str(place.ecr.describe_images(repositoryName=name, imageIds=ids)["imageDetails"])
    before = deleted(place.ecr, name, *digests)
    together = deleted(place.ecr, name, parent.digest, *digests)
    look_until(place.clock, lambda: _can_be_deleted(place, name, digests[0]), place.patience)
    after = ["deleted", *deleted(place.ecr, name, digests[1])]
    [leaf] = place.push(name, "leaf")
    inner = index(leaf)
    outer = index(inner, note="outer")
    target.put_manifest(inner)
    target.put_manifest(outer, "nested")
    return {
        "children-of-an-index": {
            "children before their index": before,
            "index and children in one call": together,
            "children after their index": after,
        },
        "children-are-not-described": {
            "digests of children in the record of an index": sum(each in record for each in digests)
        },
        "indexes-of-indexes": {
            "all in one call": deleted(place.ecr, name, outer.digest, inner.digest, leaf.digest),
            "the rest in one call": deleted(place.ecr, name, inner.digest, leaf.digest),
        },
    }


def _can_be_deleted(place: Place, name: str, digest: str) -> bool:
    return deleted(place.ecr, name, digest) == ["deleted"]


@probe(
    "deleted-index-is-late",
    "deleted-images-are-late",
    creates="5 repositories with an index and an image, one after the other",
    seconds=60,
)
def lateness_of_deletes(place: Place) -> Mapping[str, Answer]:
    """Delete an index, its child, and the repository, and see how late each shows."""
    child_seen, listed, emptied = list[Seen](), list[Seen](), list[Seen]()
    for number in range(max(1, place.tries // 4)):
        name = place.repository("late-delete")
        [child] = place.push(name, f"child-{number}")
        parent = index(child)
        place.pushing(name).put_manifest(parent, "both")
        deleted(place.ecr, name, parent.digest)
        child_seen.append(
            look_until(place.clock, lambda name=name, child=child: _can_be_deleted(place, name, child.digest), 180)  # type: ignore[misc]
        )
        listed.append(look_until(place.clock, lambda name=name: not _listed(place, name), place.patience))  # type: ignore[misc]
        emptied.append(
            look_until(
                place.clock,
                lambda name=name: refusal(place.ecr.delete_repository, repositoryName=name) == ACCEPTED,  # type: ignore[misc]
                place.patience,
            )
        )
        if not_seen(child_seen, listed, emptied):
            break
    place.details.update(child=distribution(child_seen), listed=distribution(listed), emptied=distribution(emptied))
    return {
        "deleted-index-is-late": {"a child can be deleted by": how_late(child_seen)},
        "deleted-images-are-late": {
            "no image is listed by": how_late(listed),
            "the repository can be deleted by": how_late(emptied),
        },
    }
