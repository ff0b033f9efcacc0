"""What the repositories hold that are emptied, and the least number of calls with which that can be done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.ecr import StrictEcr
from sandbox.ecr.builder import RepositoryBuilder

NAME = "app"
# What lets each contender do its work: our mark, and CDK's.
TAGS = {"awstut:auto-purge": "on", "aws-cdk:auto-delete-images": "true"}
SHOWN_ABOVE = 10_000  # images: a purge of so many shows its progress in a tag
PAGE, BATCH = 1_000, 100  # images that DescribeImages lists, and BatchDeleteImage deletes, at most
# What the repository is, and its tags; both again before images are deleted, because one old answer must not decide
# about them, with the registry (does ECR carry deletions elsewhere?); the delete of the repository, and that it is
# gone.
FIXED_CALLS = 7
# An image that arrives after the listing needs another pass: the refused delete of the repository, what it is and its
# tags, twice, a page, a batch.
CALLS_OF_ANOTHER_PASS = 7
# Steps that follow one another, while other calls are side by side: what the repository is; its tags; all that is asked
# again; one round of deletes; the delete of the repository; that it is gone. The pages come one after the other, too.
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
