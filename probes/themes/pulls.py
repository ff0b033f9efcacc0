"""When images were pulled, and what counts as a pull."""

from __future__ import annotations

from collections.abc import Mapping

from probes.belief import MODEL, Answer, Belief, api, report, user_guide
from probes.clock import AT_ONCE, NEVER, WITHIN, how_late, look_until
from probes.place import Place
from probes.registry import probe

_SRC = "src/awstut_ecr_autopurgerepository"
_PATIENCE = 30  # seconds; ECR may take a day

BELIEFS = (
    Belief(
        "batch-get-image-is-a-pull",
        "BatchGetImage counts as a pull: ECR sets lastRecordedPullTime, up to 24 hours later.",
        (report("aws/containers-roadmap", 2390), api("ImageDetail")),
        (f"{_SRC}/deletion/inventory.py", f"{_SRC}/rules/images.py"),
        {"lastRecordedPullTime is set by": AT_ONCE},
        {"lastRecordedPullTime is set by": (*WITHIN, NEVER)},
        "none is needed, because the rule PulledWithinDays adds 24 hours",
    ),
    Belief(
        "describe-images-is-no-pull",
        "DescribeImages does not count as a pull: it does not set lastRecordedPullTime.",
        (api("DescribeImages"),),
        (f"{_SRC}/deletion/inventory.py",),
        {"lastRecordedPullTime": "none"},
    ),
    Belief(
        "archived-images-cannot-be-pulled",
        "BatchGetImage answers with a failure for an archived image.",
        (user_guide("archive-image"),),
        (),
        {"an archived image": "a failure", "an image that is not there": "ImageNotFound"},
        enforced_in=("images.batch_get_image InvalidParameterException", "images.batch_get_image ImageNotFound"),
    ),
    Belief(
        "pulls-that-are-not-recorded",
        "ECR does not record pulls by principals on the registry's exclusion list, nor by Inspector; it records those "
        "of all other scanners. Lambda, long-running ECS tasks and nodes with a cached image do not pull again while "
        "they use an image.",
        (MODEL,),
        (f"{_SRC}/rules/images.py",),
        unasked="The exclusion list is a setting of the whole registry, and a pull can become visible a day later.",
    ),
    Belief(
        "never-pulled-counts-as-pushed",
        "AWS's own lifecycle rule sinceImagePulled counts from the day of the push if an image was never pulled.",
        (user_guide("lifecycle_policy_parameters"),),
        (f"{_SRC}/rules/images.py",),
        unasked="A lifecycle rule acts some time within 24 hours, and counts in days.",
    ),
    Belief(
        "images-in-use",
        "ECS DescribeTasks returns the digest of each container's image, Lambda GetFunction the address of a "
        "function's image with its digest, and Inspector ListCoverage how often an image is in use. Lambda allows 15 "
        "calls of ListFunctions a second, and 100 of GetFunction.",
        ("the service models of ecs, lambda and inspector2 in botocore 1.44.5",),
        ("guides/protection.md",),
        unasked="The probe would need a running function, a cluster, and Inspector, which is paid for by the account "
        "as a whole.",
    ),
)


@probe(
    "batch-get-image-is-a-pull",
    "describe-images-is-no-pull",
    "archived-images-cannot-be-pulled",
    creates="1 repository with 3 images",
    seconds=45,
)
def pulls(place: Place) -> Mapping[str, Answer]:
    """Pull an image, describe another, and try to pull one that is archived."""
    ecr, name = place.ecr, place.repository("pulls")
    pulled, described, archived = (each.digest for each in place.push(name, "pulled", "described", "archived"))
    ecr.update_image_storage_class(repositoryName=name, imageId={"imageDigest": archived}, targetStorageClass="ARCHIVE")
    ecr.batch_get_image(repositoryName=name, imageIds=[{"imageDigest": pulled}])

    def was_pulled(digest: str) -> bool:
        [found] = ecr.describe_images(repositoryName=name, imageIds=[{"imageDigest": digest}])["imageDetails"]
        return "lastRecordedPullTime" in found

    seen = look_until(place.clock, lambda: was_pulled(pulled), _PATIENCE)
    missing = f"sha256:{'0' * 64}"
    failures = {
        each["imageId"]["imageDigest"]: each["failureCode"]
        for each in ecr.batch_get_image(
            repositoryName=name, imageIds=[{"imageDigest": archived}, {"imageDigest": missing}]
        )["failures"]
    }
    place.details["failures"] = sorted(failures.values())
    return {
        "batch-get-image-is-a-pull": {"lastRecordedPullTime is set by": how_late([seen])},
        "describe-images-is-no-pull": {"lastRecordedPullTime": "set" if was_pulled(described) else "none"},
        "archived-images-cannot-be-pulled": {
            "an archived image": "a failure" if archived in failures else "accepted",
            "an image that is not there": failures.get(missing, "accepted"),
        },
    }
