"""The repositories that are emptied, and the fewest calls that empty them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.ecr import StrictEcr
from sandbox.ecr.builder import RepositoryBuilder

NAME = "app"
# What lets each contender do its work: our mark, and CDK's.
TAGS = {"awstut:auto-purge": "on", "aws-cdk:auto-delete-images": "true"}
SHOWN_ABOVE = 10_000  # images: a purge of more than these shows its progress in a tag
PAGE, BATCH = 1_000, 100  # images that DescribeImages lists, and BatchDeleteImage deletes, at most
# Read the repository and its tags (2 calls). Before images are deleted, read both again, because one old answer must
# not decide, and read the registry, because ECR may replicate deletes (3). Delete the repository, and see that it is
# gone (2).
FIXED_CALLS = 7
# An image that arrives after the listing needs another pass: the refused delete of the repository (1 call), two
# reads of the repository and its tags (4), a page (1), a batch (1).
CALLS_OF_ANOTHER_PASS = 7
# Steps that follow one another; the calls of one step run side by side: read the repository; read its tags; read all
# again; one round of deletes; delete the repository; see that it is gone. Pages follow one another, too.
FIXED_STEPS = 6
BURSTS = (1, 3)  # beside the one that is assumed
BURST_CASE = "10,000 images"


@dataclass(frozen=True)
class Case:
    """``pushes`` is how many images are pushed meanwhile: one just before each of the first batches of deletes."""

    fill: Callable[[RepositoryBuilder], object]
    pushes: int = 0


def _many_tags(builder: RepositoryBuilder) -> None:
    for image in range(10):
        builder.with_tagged(*(f"image-{image}-tag-{tag}" for tag in range(100)))


CASES: dict[str, Case] = {
    "100 images": Case(lambda builder: builder.with_images(100)),
    "1,000 images": Case(lambda builder: builder.with_images(1_000)),
    "10,000 images": Case(lambda builder: builder.with_images(10_000)),
    "100,000 images": Case(lambda builder: builder.with_images(100_000)),
    "3,300 two-architecture builds": Case(lambda builder: builder.with_multi_arch(3_300)),
    "latest re-pushed 500 times": Case(lambda builder: builder.with_repushed_latest(500)),
    "10 images of 100 tags": Case(_many_tags),
    "500 active and 500 archived": Case(lambda builder: builder.with_images(500).with_archived(500)),
    "1,000 images, 5 pushes meanwhile": Case(lambda builder: builder.with_images(1_000), pushes=5),
}


def prepare(ecr: StrictEcr, case: Case) -> int:
    """Fill a repository, and return how many images it holds."""
    builder = ecr.repository(NAME, tags=TAGS)
    case.fill(builder)
    for nth in range(1, case.pushes + 1):
        ecr.before("BatchDeleteImage", lambda _: builder.with_images(1, tag="late-{n}"), nth=nth)
    return ecr.holds(NAME) or 0


def least_calls(images: int, pushed: int = 0) -> int:
    """The fewest calls that look at so many images, delete them, delete the repository, and see that it is gone.

    ``pushed`` of the images arrive meanwhile. A purge of many images shows its progress, by a tag.
    """
    first = images - pushed
    shown = 1 if images > SHOWN_ABOVE else 0
    fixed = FIXED_CALLS + shown + (CALLS_OF_ANOTHER_PASS if pushed else 0)
    return fixed + math.ceil(first / PAGE) + math.ceil(first / BATCH)


def least_steps(images: int) -> int:
    """The fewest calls one after the other that list and delete so many images, however many are side by side."""
    return FIXED_STEPS + math.ceil(images / PAGE)
