"""Pages of images, and what a page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probes.belief import MODEL, Answer, Belief, api
from probes.place import ACCEPTED, Place, refusal
from probes.registry import probe

_SRC = "src/awstut_ecr_autopurgerepository"
_INVALID = "InvalidParameterException"
_MISSING = f"sha256:{'0' * 64}"
_MORE_THAN_A_PAGE = 101  # images

BELIEFS = (
    Belief(
        "pages-of-images",
        "A page of images has 100 entries by default, and up to 1,000 with maxResults.",
        (api("DescribeImages"), api("ListImages"), MODEL),
        (f"{_SRC}/deletion/inventory.py", f"{_SRC}/ecr.py"),
        {
            "default page of DescribeImages": 100,
            "default page of ListImages": 100,
            "images found on pages of 60": _MORE_THAN_A_PAGE,
            "1,000 a page": ACCEPTED,
            "1,001 a page": _INVALID,
            "0 a page": _INVALID,
        },
        enforced_in=("paging.page_size InvalidParameterException",),
    ),
    Belief(
        "rows-of-a-listing",
        "ListImages returns one row for each tag, and one for an image without a tag. DescribeImages returns one "
        "record for each digest.",
        (api("DescribeImages"), api("ListImages")),
        (f"{_SRC}/deletion/inventory.py",),
        {"rows of ListImages for 3 tags": 3, "records of DescribeImages for 3 tags": 1, "rows for no tag": 1},
    ),
    Belief(
        "tokens-outlive-deletes",
        "A page token stays usable when images are deleted: the next page begins where the last one ended.",
        ("a token that names a position would skip images",),
        (f"{_SRC}/deletion/inventory.py",),
        {"images that were skipped": 0},
    ),
    Belief(
        "tokens-are-opaque",
        "A call with a page token that was made up, or that belongs to another repository, fails with "
        "InvalidParameterException.",
        (api("DescribeImages"),),
        (f"{_SRC}/deletion/inventory.py",),
        {"made up": _INVALID, "of another repository": _INVALID},
        enforced_in=("paging.place InvalidParameterException",),
    ),
    Belief(
        "tag-status",
        "The filter tagStatus selects tagged images, untagged images, or both.",
        (api("DescribeImagesFilter"),),
        (),
        {"TAGGED": 2, "UNTAGGED": 1, "ANY": 3},
    ),
    Belief(
        "images-by-id",
        "DescribeImages fails with ImageNotFoundException if it names an image that does not exist. A request that "
        "names images cannot ask for pages.",
        (api("DescribeImages"),),
        (),
        {"a digest that is not there": "ImageNotFoundException", "with maxResults": _INVALID, "no id": _INVALID},
        enforced_in=(
            "images.describe_images InvalidParameterException",
            "images._named ImageNotFoundException",
            "images._named ImageNotFound",
            "images._named InvalidParameterException",
        ),
    ),
)


@probe("pages-of-images", "tokens-outlive-deletes", creates="1 repository with 101 images", seconds=40)
def pages_of_images(place: Place) -> Mapping[str, Answer]:
    """List more images than fit on a page, and delete some between two pages."""
    ecr, name = place.ecr, place.repository("pages")
    pushed = {each.digest for each in place.push(name, *(f"n{n}" for n in range(_MORE_THAN_A_PAGE)))}
    described = ecr.describe_images(repositoryName=name)
    listed = ecr.list_images(repositoryName=name)
    paged = _all_on_pages(place, name, 60)

    def page(size: int) -> str:
        return refusal(ecr.describe_images, repositoryName=name, maxResults=size)

    sizes = {"1,000 a page": page(1_000), "1,001 a page": page(1_001), "0 a page": page(0)}
    first = ecr.describe_images(repositoryName=name, maxResults=50)
    digests = [each["imageDigest"] for each in first["imageDetails"]]
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": each} for each in digests])
    rest = _all_on_pages(place, name, 50, first.get("nextToken"))
    return {
        "pages-of-images": {
            "default page of DescribeImages": len(described["imageDetails"]),
            "default page of ListImages": len(listed["imageIds"]),
            "images found on pages of 60": len(paged),
            **sizes,
        },
        "tokens-outlive-deletes": {"images that were skipped": len(pushed - set(digests) - set(rest))},
    }


def _all_on_pages(place: Place, name: str, size: int, token: str | None = None) -> list[str]:
    """The digests on all pages, from a token on."""
    found: list[str] = []
    while True:
        more: dict[str, Any] = {"nextToken": token} if token else {}
        page = place.ecr.describe_images(repositoryName=name, maxResults=size, **more)
        found += [each["imageDigest"] for each in page["imageDetails"]]
        token = page.get("nextToken")
        if token is None:
            return found


@probe(
    "rows-of-a-listing",
    "tokens-are-opaque",
    "tag-status",
    "images-by-id",
    creates="2 repositories with images",
    seconds=20,
)
def rows_of_listings(place: Place) -> Mapping[str, Answer]:
    """List an image with many tags, one with a tag, and one without."""
    ecr, name, other = place.ecr, place.repository("rows"), place.repository("other")
    three, _, untagged = place.push(name, "a", "b", "c")
    target = place.pushing(name)
    target.put_manifest(three, "a2")
    target.put_manifest(three, "a3")
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "c"}])  # the last tag: the image is deleted, too
    target.put_manifest(untagged)
    rows = [each["imageDigest"] for each in ecr.list_images(repositoryName=name)["imageIds"]]
    records = [each["imageDigest"] for each in ecr.describe_images(repositoryName=name)["imageDetails"]]
    token = ecr.describe_images(repositoryName=name, maxResults=1)["nextToken"]

    def filtered(status: str) -> int:
        found = ecr.describe_images(repositoryName=name, filter={"tagStatus": status})["imageDetails"]
        return len(found)

    def by_id(*ids: dict[str, str], **more: int) -> str:
        return refusal(ecr.describe_images, repositoryName=name, imageIds=list(ids), **more)

    return {
        "rows-of-a-listing": {
            "rows of ListImages for 3 tags": rows.count(three.digest),
            "records of DescribeImages for 3 tags": records.count(three.digest),
            "rows for no tag": rows.count(untagged.digest),
        },
        "tokens-are-opaque": {
            "made up": refusal(ecr.describe_images, repositoryName=name, nextToken="made-up"),
            "of another repository": refusal(ecr.describe_images, repositoryName=other, nextToken=token),
        },
        "tag-status": {each: filtered(each) for each in ("TAGGED", "UNTAGGED", "ANY")},
        "images-by-id": {
            "a digest that is not there": by_id({"imageDigest": _MISSING}),
            "with maxResults": by_id({"imageDigest": three.digest}, maxResults=1),
            "no id": by_id({}),
        },
    }
