"""What is still in a repository: pages of images of every status, and what the rules say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from . import protection, settings
from .configuration import Configuration
from .errors import invalid_request, service_code
from .pacing import LAST_START_SECONDS, Pacer, Pool, until_answered
from .progress import Progress
from .records import Spool
from .report import Report, Reporter
from .telemetry import Figures

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import DescribeImagesResponseTypeDef, ImageDetailTypeDef

PAGE_SIZE = 1_000  # images that DescribeImages answers at most
BATCH_SIZE = 100  # images that BatchDeleteImage takes at most
INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)


@dataclass
class Slice:
    """What one call of the handler works with."""

    ecr: ECRClient
    name: str
    requester: settings.Owner
    configuration: Configuration
    pacer: Pacer
    pool: Pool
    progress: Progress
    reporter: Reporter
    began: float  # on the clock's monotonic time
    figures: Figures = field(default_factory=Figures)
    arn: str | None = None  # of the repository, once it is known, and while it is there
    may_be_frozen: bool = False  # whether to look for a statement that an earlier delete left in its policy


@dataclass(frozen=True)
class Pass:
    """What counts during one pass: the repository, its rules as they are now, and the moment."""

    arn: str
    stored: settings.Stored
    rules: protection.Rules
    report: Report | None

    def listing(self) -> Listing:
        """Where images are listed; with records for the report, if there is one."""
        return Listing(spool=self.report.spool() if self.report else None)


@dataclass
class Listing:
    """Digests of images that are still there, those of indexes apart; of the whole repository, or a part of it.

    ``sizes`` are in bytes, by digest; ``spool`` keeps the records for the purge report.
    """

    indexes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    protected: protection.Protected = field(default_factory=protection.Protected)
    next_token: str | None = None
    whole: bool = False
    spool: Spool | None = None

    def __len__(self) -> int:
        return len(self.indexes) + len(self.others)

    def restart(self) -> None:
        """Forget what was listed, as it is listed again from the beginning."""
        self.indexes, self.others, self.sizes = [], [], {}
        self.protected, self.whole = protection.Protected(), True
        if self.spool:
            self.spool.restart()

    def add(self, images: Sequence[ImageDetailTypeDef], rules: protection.Rules) -> None:
        """Take up a page."""
        if self.spool:
            self.spool.add(images)
        for image in images:
            kind = self.indexes if image.get("imageManifestMediaType") in INDEX_TYPES else self.others
            kind.append(image["imageDigest"])
            self.sizes[image["imageDigest"]] = image.get("imageSizeInBytes", 0)
            words = rules.protecting(image)
            if words:
                self.protected.add(image, words)


def list_images(work: Slice, this: Pass, listing: Listing, *, to_the_end: bool = False) -> Listing:
    """List images from where the pass stands, to its end if there is time. Raises HandlerError for a protected one.

    Time is left for deleting, unless ``to_the_end``: then the pass stands where the listing was cut off.
    """
    progress = work.progress
    token = progress.token
    listing.whole = token is None
    while True:
        page = _page(work, token)
        if page is None:
            progress.restart_pass()
            listing.restart()
            token = None
            continue
        listing.add(page["imageDetails"], this.rules)
        token = page.get("nextToken")
        if to_the_end:
            progress.token = token
            progress.found += len(page["imageDetails"])
        if token is None or (not to_the_end and _is_enough(work, listing)):
            break
    listing.next_token = token
    listing.whole = listing.whole and token is None
    progress.known = max(progress.known, progress.deleted + (progress.found if to_the_end else len(listing)))
    refuse_protected(work, this, listing)
    return listing


def _is_enough(work: Slice, listing: Listing) -> bool:
    """Whether more is listed than can be deleted in what is left of the slice, or half of it is over."""
    return len(listing) >= work.pacer.requests_left() * BATCH_SIZE or work.pacer.seconds_left() < LAST_START_SECONDS / 2


def refuse_protected(work: Slice, this: Pass, listing: Listing) -> None:
    """Raise HandlerError if one of the listed images may not go: then none goes."""
    if listing.protected.count:
        deleted, known = work.progress.deleted, work.progress.known
        refusal = protection.protected_refusal(this.stored, this.arn, listing.protected, deleted, known)
        raise invalid_request(refusal)


def _page(work: Slice, token: str | None) -> DescribeImagesResponseTypeDef | None:
    """One page of images of every status: active, archived, being restored. None if ECR no longer takes the token."""
    request: dict[str, Any] = {"repositoryName": work.name, "maxResults": PAGE_SIZE, "filter": {"imageStatus": "ANY"}}
    if token is not None:
        request["nextToken"] = token
    try:
        return until_answered(work.pacer, lambda: work.ecr.describe_images(**request))
    except ClientError as error:
        if token is None or service_code(error) != "InvalidParameterException":
            raise
    return None
