"""Recent changes of a repository. A client that sees changes late is still shown what was there before them.

Times are monotonic seconds of the registry's clock. Only `sandbox.ecr.lateness` decides what is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sortedcontainers import SortedDict

from sandbox.ecr.image import Image

T = TypeVar("T")
_MOST_CHANGES = 50
_MOST_IMAGES = 100  # as many as one call can delete


class Past(Generic[T]):
    """The values that something had before each of its last changes."""

    def __init__(self) -> None:
        self._changes: deque[tuple[float, T]] = deque(maxlen=_MOST_CHANGES)

    def note(self, now: float, before: T) -> None:
        """Remember a value that is about to be replaced."""
        self._changes.append((now, before))

    def seen(self, present: T, now: float, delay: float) -> T:
        """The value that a client sees who learns of each change `delay` seconds late."""
        return next((before for changed, before in self._changes if changed + delay > now), present)

    def before_last_change(self, present: T) -> T:
        """The value before the last change; the present one if there was none."""
        return self._changes[-1][1] if self._changes else present


class DeletedImages:
    """Images that are deleted and still shown, in the order in which they were pushed. Constant time for each."""

    def __init__(self) -> None:
        self._by_sequence: SortedDict = SortedDict()
        self._by_digest: dict[str, Image] = {}
        self._times: deque[tuple[float, Image]] = deque()

    def add(self, image: Image, now: float) -> None:
        """Add a deleted image. It replaces an earlier one with the same digest."""
        before = self._by_digest.get(image.digest)
        if before is not None:
            del self._by_sequence[before.sequence]
        self._by_digest[image.digest] = self._by_sequence[image.sequence] = image
        self._times.append((now, image))

    def forget(self, until: float) -> None:
        """Forget what was deleted until then."""
        while self._times and self._times[0][0] <= until:
            _, image = self._times.popleft()
            if self._by_digest.get(image.digest) is image:
                del self._by_sequence[image.sequence], self._by_digest[image.digest]

    def after(self, sequence: int) -> Iterator[Image]:
        """The images that were pushed after the image with this sequence number."""
        return (self._by_sequence[key] for key in self._by_sequence.irange(minimum=sequence, inclusive=(False, True)))

    def by_digest(self, digest: str) -> Image | None:
        """The image with a digest."""
        return self._by_digest.get(digest)


@dataclass
class Traces:
    """The traces of one repository."""

    created: float | None = None  # when CreateRepository created it; None: clients find it at once
    tags: Past[dict[str, str]] = field(default_factory=Past)
    policy: Past[str | None] = field(default_factory=Past)
    deleted_images: DeletedImages = field(default_factory=DeletedImages)
    last_deleted: deque[Image] = field(default_factory=lambda: deque(maxlen=_MOST_IMAGES))
    references: dict[str, float] = field(default_factory=dict)  # digest: when an index that referenced it was deleted
    image_deleted: float | None = None  # when an image was deleted last
    first_unlisted: int = 1  # the sequence of the first image that was pushed after the last listing
