"""Archived images, and images that are being restored."""

from __future__ import annotations

from collections.abc import Mapping

from probes.belief import MODEL, Answer, Belief, api, user_guide
from probes.place import ACCEPTED, Place, deleted, refusal
from probes.registry import probe

_SRC = "src/awstut_ecr_autopurgerepository"
_INVALID = "InvalidParameterException"
_NOT_SUPPORTED = "ImageStorageClassUpdateNotSupportedException"

BELIEFS = (
    Belief(
        "listings-are-of-active-images",
        "ListImages and DescribeImages return ACTIVE images only, unless filter.imageStatus asks for others.",
        (api("ListImagesFilter"), api("DescribeImagesFilter")),
        (f"{_SRC}/deletion/inventory.py",),
        {
            "DescribeImages without a filter": ["ACTIVE"],
            "rows of ListImages without a filter": 1,
            "ACTIVE": ["ACTIVE"],
            "ARCHIVED": ["ARCHIVED"],
            "ACTIVATING": ["ACTIVATING"],
        },
    ),
    Belief(
        "any-status",
        "ANY in filter.imageStatus selects the images of every status. AWS's documentation does not list ANY; the "
        "service model does.",
        (MODEL, api("DescribeImagesFilter")),
        (f"{_SRC}/deletion/inventory.py",),
        {"DescribeImages with ANY": ["ACTIVATING", "ACTIVE", "ARCHIVED"]},
        {"DescribeImages with ANY": (_INVALID,)},
        "faults.refuse_any_status",
    ),
    Belief(
        "archived-images-count",
        "A repository that holds only archived images is not empty. Archived images can be deleted by digest, also "
        "while they are being restored.",
        (user_guide("archive-image"),),
        (f"{_SRC}/deletion/inventory.py", f"{_SRC}/deletion/purge.py"),
        {
            "DeleteRepository without force": "RepositoryNotEmptyException",
            "delete of an archived image": "deleted",
            "delete of an image that is being restored": "deleted",
        },
    ),
    Belief(
        "force-and-archived-images",
        "DeleteRepository with force deletes archived images, too.",
        (api("DeleteRepository"),),
        ("guides/comparison.md",),
        {"DeleteRepository with force": ACCEPTED},
    ),
    Belief(
        "storage-classes",
        "UpdateImageStorageClass archives an active image, and begins to restore an archived one. It refuses an image "
        "that is in the wanted class already.",
        (api("UpdateImageStorageClass"),),
        (),
        {
            "status after ARCHIVE": "ARCHIVED",
            "ARCHIVE a second time": _NOT_SUPPORTED,
            "status after STANDARD": "ACTIVATING",
            "STANDARD a second time": _NOT_SUPPORTED,
        },
        enforced_in=("images.update_image_storage_class ImageStorageClassUpdateNotSupportedException",),
    ),
    Belief(
        "restored-images",
        "A restore takes about 20 minutes. After it, DescribeImages returns lastActivatedAt.",
        (user_guide("archive-image"),),
        (f"{_SRC}/rules/images.py",),
        unasked="The run would take 20 minutes longer.",
    ),
    Belief(
        "charge-for-archived-images",
        "Archived images have a minimum charge of 90 days.",
        (user_guide("archive-image"),),
        (f"{_SRC}/deletion/report/reconciliation.py", "guides/comparison.md"),
        unasked="Only the bill shows it. The probes themselves archive three images of less than 1 KB.",
    ),
)


@probe(
    "listings-are-of-active-images",
    "any-status",
    "archived-images-count",
    "storage-classes",
    "force-and-archived-images",
    creates="2 repositories with 4 images, 3 of which are archived",
    seconds=30,
)
def statuses_of_images(place: Place) -> Mapping[str, Answer]:
    """Archive images, and restore one."""
    name = place.repository("statuses")
    active, archived, restored = (each.digest for each in place.push(name, "active", "archived", "restored"))
    storage = {
        "status after ARCHIVE": _move(place, name, archived, "ARCHIVE"),
        "ARCHIVE a second time": _move(place, name, archived, "ARCHIVE"),
    }
    _move(place, name, restored, "ARCHIVE")
    storage["status after STANDARD"] = _move(place, name, restored, "STANDARD")
    storage["STANDARD a second time"] = _move(place, name, restored, "STANDARD")
    rows = place.ecr.list_images(repositoryName=name)["imageIds"]
    listings = {
        "DescribeImages without a filter": _statuses(place, name),
        "rows of ListImages without a filter": len(rows),
        **{status: _statuses(place, name, status) for status in ("ACTIVE", "ARCHIVED", "ACTIVATING")},
    }
    any_status = _statuses(place, name, "ANY")
    restoring = deleted(place.ecr, name, restored)[0]
    deleted(place.ecr, name, active)
    without = refusal(place.ecr.delete_repository, repositoryName=name)
    by_digest = deleted(place.ecr, name, archived)[0]
    return {
        "listings-are-of-active-images": listings,
        "any-status": {"DescribeImages with ANY": any_status},
        "archived-images-count": {
            "DeleteRepository without force": without,
            "delete of an archived image": by_digest,
            "delete of an image that is being restored": restoring,
        },
        "force-and-archived-images": {"DeleteRepository with force": _force(place)},
        "storage-classes": storage,
    }


def _move(place: Place, name: str, digest: str, storage_class: str) -> str:
    """Change the storage class of an image. Returns the image's status after that, or the error code."""
    asked = {"repositoryName": name, "imageId": {"imageDigest": digest}, "targetStorageClass": storage_class}
    code = refusal(place.ecr.update_image_storage_class, **asked)
    if code != ACCEPTED:
        return code
    [found] = place.ecr.describe_images(repositoryName=name, imageIds=[{"imageDigest": digest}])["imageDetails"]
    status: str = found.get("imageStatus", "none")
    return status


def _statuses(place: Place, name: str, status: str = "") -> list[str] | str:
    """The statuses of the images that are listed, or the error code."""
    more = {"filter": {"imageStatus": status}} if status else {}
    code = refusal(place.ecr.describe_images, repositoryName=name, **more)
    if code != ACCEPTED:
        return code
    found = place.ecr.describe_images(repositoryName=name, **more)["imageDetails"]
    return sorted(each.get("imageStatus", "none") for each in found)


def _force(place: Place) -> str:
    """Delete a repository that holds one archived image."""
    name = place.repository("force")
    [only] = place.push(name, "only")
    _move(place, name, only.digest, "ARCHIVE")
    return refusal(place.ecr.delete_repository, repositoryName=name, force=True)
