"""What is still in a repository: pages of images of every status, folded into the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from .. import ecr as calls
from ..errors import service_code
from ..pacing import Pacer, until_answered
from .report.records import Spool
from .state import Counts, CurrentPass
from .verdict import Verdict

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import DescribeImagesResponseTypeDef, ImageDetailTypeDef

INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)


@dataclass
class Listing:
    """Digests of images that are still there, those of indexes apart.

    ``sizes`` are in bytes, by digest. ``next_token`` is ECR's token of the page after the last one, None at the end.
    ``is_complete`` is True if these are all images of the repository. ``spool`` keeps the records for the purge
    report, if there is one.
    """

    spool: Spool | None = None
    indexes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    next_token: str | None = None
    is_complete: bool = False

    def __len__(self) -> int:
        return len(self.indexes) + len(self.others)

    def restart(self) -> None:
        """Forget all images, because they are listed again from the first page."""
        self.indexes, self.others, self.sizes = [], [], {}
        if self.spool:
            self.spool.restart()

    def add(self, images: Sequence[ImageDetailTypeDef]) -> None:
        """Add a page."""
        if self.spool:
            self.spool.add(images)
        for image in images:
            kind = self.indexes if image.get("imageManifestMediaType") in INDEX_TYPES else self.others
            kind.append(image["imageDigest"])
            self.sizes[image["imageDigest"]] = image.get("imageSizeInBytes", 0)


@dataclass
class Inventory:
    """Lists the images of one repository. ``list_until`` is on the clock's monotonic time; it leaves time to delete."""

    ecr: ECRClient
    name: str
    pacer: Pacer
    list_until: float
    current_pass: CurrentPass
    counts: Counts

    def everything(self, verdict: Verdict, spool: Spool | None) -> Listing:
        """All images, from where an earlier call stopped; they are folded into the verdict.

        Raises OutOfTimeError; then the pass goes on where the listing stopped.
        """
        verdict.images = self.current_pass.found
        listing, token = self._begin(spool)
        while True:
            page = self._page(token)
            if page is None:
                listing, token = self._restart(listing, verdict)
                continue
            self._add(page, listing, verdict)
            token = page.get("nextToken")
            self.current_pass.go_on_at(token, len(page["imageDetails"]))
            if token is None:
                break
        self.counts.notice(self.current_pass.found)
        return listing

    def next_part(self, verdict: Verdict, spool: Spool | None) -> Listing:
        """As many images, from where the pass is, as can be deleted in this call; they are folded into the verdict."""
        listing, token = self._begin(spool)
        while True:
            page = self._page(token)
            if page is None:
                listing, token = self._restart(listing, verdict)
                continue
            self._add(page, listing, verdict)
            token = page.get("nextToken")
            if token is None or self._is_enough(len(listing)):
                break
        listing.next_token = token
        listing.is_complete = listing.is_complete and token is None
        self.counts.notice(len(listing))
        return listing

    def _begin(self, spool: Spool | None) -> tuple[Listing, str | None]:
        token = self.current_pass.token
        return Listing(spool, is_complete=token is None), token

    def _restart(self, listing: Listing, verdict: Verdict) -> tuple[Listing, None]:
        """Begin again at the first page: ECR no longer takes the token."""
        self.current_pass.restart()
        verdict.restart()
        listing.restart()
        listing.is_complete = True
        return listing, None

    def _add(self, page: DescribeImagesResponseTypeDef, listing: Listing, verdict: Verdict) -> None:
        listing.add(page["imageDetails"])
        verdict.add(page["imageDetails"])

    def _is_enough(self, images: int) -> bool:
        """Whether more is listed than can be deleted in what is left of the call, or half of that time is over."""
        can_be_deleted = self.pacer.requests_left() * calls.IMAGES_PER_BATCH
        return images >= can_be_deleted or self.pacer.clock.monotonic() > self.list_until

    def _page(self, token: str | None) -> DescribeImagesResponseTypeDef | None:
        """One page; None if ECR no longer takes the token."""
        try:
            return until_answered(self.pacer, lambda: calls.describe_images(self.ecr, self.name, token))
        except ClientError as error:
            if token is None or service_code(error) != "InvalidParameterException":
                raise
        return None
