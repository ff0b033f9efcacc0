"""What is still in a repository: pages of images of every status, folded into the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from .. import ecr as calls
from ..errors import service_code
from ..pacing import OutOfTimeError, Pacer, until_answered
from .report.records import Spool
from .state import Counts, CurrentPass
from .verdict import Verdict

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import DescribeImagesResponseTypeDef, ImageDetailTypeDef

INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
# ANY is in botocore's service model, but not in ECR's documentation, which lists these statuses.
STATUSES = ("ACTIVE", "ARCHIVED", "ACTIVATING")
_BYTES_OF_AN_ENTRY = 110  # beside the tag: the digest, two names, punctuation
MOST_RESTARTS = 3  # of one listing, if ECR does not accept its own token


@dataclass
class Listing:
    """Digests of images that are still there, each once, those of indexes apart.

    ``sizes`` are in bytes, by digest. ``answer_bytes`` is the size of the answer to a request that deletes 100 of the
    images: the average of the page with the most. The answer repeats all tags of the images. ``is_complete`` is True if
    these are all images of the repository, ``is_last`` if the pass ends with them; else it goes on at the next status
    and token. ``spool`` keeps the records for the purge report, if there is one.
    """

    spool: Spool | None = None
    indexes: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    answer_bytes: int = 0
    is_complete: bool = False
    is_last: bool = True
    next_status: str | None = None
    next_token: str | None = None

    def __len__(self) -> int:
        return len(self.indexes) + len(self.others)

    def restart(self) -> None:
        """Forget all images, because they are listed again from the first page."""
        self.indexes, self.others, self.sizes = [], [], {}
        self.is_complete = True
        if self.spool:
            self.spool.restart()

    def add(self, images: Sequence[ImageDetailTypeDef]) -> list[ImageDetailTypeDef]:
        """Add a page. Returns its images that were not on an earlier page: pages shift when others delete."""
        new = list({each["imageDigest"]: each for each in images if each["imageDigest"] not in self.sizes}.values())
        for image in new:
            is_index = image.get("imageManifestMediaType") in INDEX_TYPES
            (self.indexes if is_index else self.others).append(image["imageDigest"])
            if self.spool:
                self.spool.add(image, is_index=is_index)
            self.sizes[image["imageDigest"]] = image.get("imageSizeInBytes", 0)
        if new:
            answered = sum(map(_bytes_answered, new)) * calls.IMAGES_PER_BATCH // len(new)
            self.answer_bytes = max(self.answer_bytes, answered)
        return new


@dataclass
class Place:
    """Where a walk goes on: at a page, of images of one status (None: of every status)."""

    status: str | None
    token: str | None

    @property
    def is_first(self) -> bool:
        """Whether this is where a pass begins."""
        return self.token is None and self.status in (None, STATUSES[0])


class CheckWatch(Protocol):
    """Watches how far a check is (progress.py)."""

    def count_page(self) -> None: ...

    def is_time_to_answer(self) -> bool: ...


@dataclass
class Inventory:
    """Lists the images of one repository. ``list_until`` is on the clock's monotonic time; it leaves time to delete.

    ``progress`` watches the check of a delete; None where nobody deletes.
    """

    ecr: ECRClient
    name: str
    pacer: Pacer
    list_until: float
    current_pass: CurrentPass
    counts: Counts
    progress: CheckWatch | None
    _next: Place | None = None  # where the listing of this call goes on; None before its first page

    def everything(self, verdict: Verdict, spool: Spool | None) -> Listing:
        """All images, from where an earlier call stopped; they are folded into the verdict.

        Stops at the first page that is a reason against the delete: the listing is not complete then. Raises
        OutOfTimeError; then the pass goes on where the listing stopped.
        """
        listing = Listing(spool)
        verdict.images_before = self.current_pass.found
        for count, place in self._pages(listing, verdict, self._where_the_pass_is()):
            self.current_pass.go_on_at(*_as_pair(place), count)
            if spool and spool.is_full:
                spool.give_up()
            if self.progress:
                self.progress.count_page()
            if verdict.reasons():
                listing.is_complete = False
                break
            if place is not None and self.progress and self.progress.is_time_to_answer():
                raise OutOfTimeError
        self.counts.notice(self.current_pass.found)
        if spool and spool.has_given_up:  # What is to be deleted is listed again, in parts.
            listing.is_complete = False
        return listing

    def further_pages(self, verdict: Verdict) -> Iterator[None]:
        """Fold page after page into the verdict. Nothing is kept of them.

        Begins where this call's listing stopped. If this call has listed nothing, begins at the first page, because the
        verdict knows nothing of the images that an earlier call has listed.
        """
        yield from (None for _ in self._pages(Listing(), verdict, self._next or self._first_page()))

    def next_part(self, verdict: Verdict, spool: Spool | None) -> Listing:
        """As many further images of the pass as this call can delete; they are folded into the verdict.

        Stops at the first page that is a reason against the delete.
        """
        listing = Listing(spool)
        for _, place in self._pages(listing, verdict, self._where_the_pass_is()):
            listing.next_status, listing.next_token = _as_pair(place)
            listing.is_last = place is None
            if self._is_enough(len(listing)) or (spool and spool.is_full) or verdict.reasons():
                break
        listing.is_complete = listing.is_complete and listing.is_last
        self.counts.notice(len(listing))
        return listing

    def _pages(self, listing: Listing, verdict: Verdict, first: Place) -> Iterator[tuple[int, Place | None]]:
        """Add page after page. Yields how many new images it had, and where the next page is (None after the last)."""
        listing.is_complete, restarts = first.is_first, 0
        place: Place | None = first
        while place is not None:
            page = self._page(place, restarts)
            if page is None:
                restarts += 1
                place = self._restart(listing, verdict)
                continue
            new = listing.add(page["imageDetails"])
            verdict.add(new)
            self._next = place = self._after(place, page.get("nextToken"))
            if place is None:
                verdict.end_of_images()
            yield len(new), place

    def _where_the_pass_is(self) -> Place:
        return Place(self.current_pass.status or self._first_page().status, self.current_pass.token)

    def _first_page(self) -> Place:
        return Place(STATUSES[0] if self.current_pass.apart else None, None)

    def _restart(self, listing: Listing, verdict: Verdict) -> Place:
        """Begin again at the first page."""
        self.current_pass.restart()
        verdict.restart()
        listing.restart()
        return self._where_the_pass_is()

    def _after(self, place: Place, token: str | None) -> Place | None:
        """The place after a page; None at the end of the pass."""
        if token is not None:
            return Place(place.status, token)
        if place.status is None or place.status == STATUSES[-1]:
            return None
        return Place(STATUSES[STATUSES.index(place.status) + 1], None)

    def _is_enough(self, images: int) -> bool:
        """Whether more is listed than can be deleted in what is left of the call, or half of that time is over."""
        can_be_deleted = self.pacer.requests_left() * calls.IMAGES_PER_BATCH
        return images >= can_be_deleted or self.pacer.clock.monotonic() > self.list_until

    def _page(self, place: Place, restarts: int) -> DescribeImagesResponseTypeDef | None:
        """One page; None if the listing has to begin again, because ECR takes no such token, or no such status."""
        try:
            return until_answered(
                self.pacer, lambda: calls.describe_images(self.ecr, self.name, place.token, place.status or "ANY")
            )
        except ClientError as error:
            if service_code(error) != "InvalidParameterException":
                raise
            if place.token is None and place.status is None:
                self.current_pass.list_apart()
            elif place.token is None or restarts >= MOST_RESTARTS:
                raise
        return None


def _bytes_answered(image: ImageDetailTypeDef) -> int:
    """How long the answer is that ECR gives for a deleted image: an entry of digest and tag for each of its tags."""
    tags = image.get("imageTags") or ("",)
    return sum(_BYTES_OF_AN_ENTRY + len(tag) for tag in tags)


def _as_pair(place: Place | None) -> tuple[str | None, str | None]:
    return (place.status, place.token) if place else (None, None)
