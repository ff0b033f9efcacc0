"""How late clients see changes: ECR is eventually consistent. Without a switch of this module nothing is late.

Sources: https://github.com/hashicorp/terraform-provider-aws/issues/3849 (new repositories), /28012 (their tags),
/39064 (policies that name a new role). The other kinds of lateness are what an eventually consistent service may show.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sandbox.ecr.clock import Clock
from sandbox.ecr.errors import invalid
from sandbox.ecr.image import Image, Images
from sandbox.ecr.repository import Repository
from sandbox.ecr.traces import DeletedImages, Traces

if TYPE_CHECKING:
    from sortedcontainers import SortedDict

_DAY = 86_400.0
PRINCIPAL_NOT_FOUND = "Principal not found"
LISTING = frozenset({"DescribeImages", "ListImages"})
POLICIES = frozenset({"GetLifecyclePolicy", "GetRepositoryPolicy"})
READS = LISTING | POLICIES | {"DescribeRepositories", "ListTagsForResource"}
WRITES = frozenset({"BatchDeleteImage", "DeleteRepository", "DeleteRepositoryPolicy", "SetRepositoryPolicy"})
WRITES |= {"DeleteLifecyclePolicy", "PutLifecyclePolicy", "PutImageTagMutability", "PutImageScanningConfiguration"}
WRITES |= {"BatchGetImage", "PutImage", "TagResource", "UntagResource", "UpdateImageStorageClass"}


class Stale(StrEnum):
    """How a single answer can be out of date. Each was the right answer before some change."""

    NOT_FOUND = "not found"  # RepositoryNotFoundException
    EARLIER_REPOSITORY = "earlier repository"  # that was deleted, with its own creation time and tags, without images
    NO_TAGS = "no tags"  # those of the repository; conditions on its tags see none either
    EARLIER_TAGS = "earlier tags"  # before the last change
    NO_POLICY = "no policy"
    EARLIER_POLICY = "earlier policy"  # before the last change
    NO_IMAGES = "no images"
    NO_NEW_IMAGES = "no new images"  # none that was pushed after the listing before
    DELETED_IMAGES = "deleted images"  # the last hundred that were deleted are still listed


# The operations for which a stale answer can differ from the right answer
_OPERATIONS: dict[Stale, frozenset[str]] = {
    Stale.NOT_FOUND: READS | WRITES,
    Stale.EARLIER_REPOSITORY: READS,
    Stale.NO_TAGS: READS | WRITES,
    Stale.EARLIER_TAGS: READS | WRITES,
    Stale.NO_POLICY: POLICIES,
    Stale.EARLIER_POLICY: POLICIES - {"GetLifecyclePolicy"},
    Stale.NO_IMAGES: LISTING,
    Stale.NO_NEW_IMAGES: LISTING,
    Stale.DELETED_IMAGES: LISTING,
}


@dataclass
class _Deleted:
    repository: Repository
    time: float


@dataclass
class Lateness:
    """Switches for late answers. Set an attribute or call a method to switch one on; ``clear`` switches all off.

    Delays are in seconds; 0: not late.

    >>> ecr.lateness.new_repository = 5
    >>> ecr.lateness.stale_next("DescribeRepositories")
    """

    clock: Clock
    new_repository: float = 0  # until a new repository is found, by reads and by writes
    new_tags: float = 0  # until the tags that came with CreateRepository are seen
    changed_tags: float = 0  # until changes by TagResource and UntagResource are seen
    changed_policy: float = 0  # until GetRepositoryPolicy answers a change
    enforced_policy: float = 0  # until pushes are refused, or allowed, by a changed policy
    deleted_images: float = 0  # during which deleted images are still listed
    deleted_index: float = 0  # during which its children are refused with ImageReferencedByManifestList
    emptied_repository: float = 0  # during which DeleteRepository says that images are left
    deleted_repository: float = 0  # during which a deleted repository is still described
    deleted_name: float = 0  # during which CreateRepository says that a deleted repository exists
    new_role: float = 0  # during which a repository policy that names a new role is refused
    refusal_of_role: str = PRINCIPAL_NOT_FOUND  # or: Invalid repository policy provided
    _next: dict[str, list[Stale]] = field(default_factory=lambda: defaultdict(list), repr=False)
    _once: Stale | None = field(default=None, repr=False)  # how the current answer is stale, if it is
    _deleted: dict[str, _Deleted] = field(default_factory=dict, repr=False)  # by name: the last one that was deleted
    _first_tries: dict[str, float] = field(default_factory=dict, repr=False)  # by role ARN: when it was first named

    # For tests

    def clear(self) -> None:
        """Everything is seen at once."""
        for name in _DELAYS:
            setattr(self, name, 0)
        self.refusal_of_role = PRINCIPAL_NOT_FOUND
        self._next.clear()

    def settle(self, repository: Repository) -> None:
        """Let clients see at once what was created or deleted under the repository's name so far."""
        repository.traces.created = None
        self._deleted.pop(repository.name, None)

    def stale_next(self, operation: str, answer: str = Stale.NOT_FOUND, times: int = 1) -> None:
        """Answer the next calls of an operation as `Stale` says, if they name a repository that exists.

        Raises ValueError if the answer would be the right one.
        """
        chosen = Stale(answer)
        if operation not in _OPERATIONS[chosen]:
            raise ValueError(f"{operation} has no stale answer '{chosen}'")
        self._next[operation] += [chosen] * times

    @property
    def is_stale_next(self) -> bool:
        """Whether a stale answer is still to be given."""
        return any(self._next.values())

    def draw(self, source: random.Random | int, longest: float = 30.0, most_stale: int = 5) -> None:
        """Draw delays of up to `longest` seconds, and up to `most_stale` stale answers. The source may be a seed."""
        chosen = random.Random(source) if isinstance(source, int) else source
        for name in _DELAYS:
            setattr(self, name, chosen.choice([0.0, round(chosen.uniform(0, longest), 1)]))
        for answer in chosen.choices(list(Stale), k=chosen.randint(0, most_stale)):
            self.stale_next(chosen.choice(sorted(_OPERATIONS[answer])), answer)

    # What the service asks: repositories

    def to_change(self, repository: Repository | None) -> Repository | None:
        """The repository that a call is to change; None if it is not found yet."""
        if repository is None or self._once is Stale.NOT_FOUND:
            return None
        return None if self._lasts(repository.traces.created, self.new_repository) else repository

    def to_read(self, name: str, repository: Repository | None) -> Repository | None:
        """What a read finds under a name: the repository, one that was deleted, or nothing."""
        if self._once is Stale.NOT_FOUND:
            return None
        deleted = self._deleted.get(name)
        if self._once is Stale.EARLIER_REPOSITORY and repository is not None:
            return deleted.repository if deleted else _made_up(repository)
        if deleted and self._lasts(deleted.time, self.deleted_repository):
            return deleted.repository
        return self.to_change(repository)

    def described(self, repositories: SortedDict, after: str | None) -> Iterator[Repository]:
        """All repositories that are found, by their names, after a name."""
        names: Iterable[str] = repositories.irange(minimum=after, inclusive=(False, True))
        if self.deleted_repository and self._deleted:
            gone = (name for name in self._deleted if name not in repositories and (after is None or name > after))
            names = heapq.merge(names, sorted(gone))
        found = (self.to_read(name, repositories.get(name)) for name in names)
        return (each for each in found if each is not None)

    def is_taken(self, name: str) -> bool:
        """Whether the name of a deleted repository can't be used again yet."""
        deleted = self._deleted.get(name)
        return deleted is not None and self._lasts(deleted.time, self.deleted_name)

    def note_created(self, repository: Repository) -> None:
        repository.traces.created = self.clock.monotonic()

    def note_deleted(self, repository: Repository) -> None:
        """Remember a deleted repository. Its images are kept only if ``deleted_repository`` lets clients read them."""
        kept = repository if self.deleted_repository else replace(repository, images=Images(), blobs={}, uploads={})
        self._deleted[repository.name] = _Deleted(kept, self.clock.monotonic())

    # Tags and policies

    def tags(self, repository: Repository) -> dict[str, str]:
        """The tags that are seen, also by conditions of IAM."""
        traces = repository.traces
        if self._once is Stale.EARLIER_TAGS:
            return traces.tags.before_last_change(repository.tags)
        if self._once is Stale.NO_TAGS or self._lasts(traces.created, self.new_tags):
            return {}
        if not self.changed_tags:
            return repository.tags
        return traces.tags.seen(repository.tags, self.clock.monotonic(), self.changed_tags)

    def note_tags(self, repository: Repository) -> None:
        """Remember the tags before they change."""
        repository.traces.tags.note(self.clock.monotonic(), repository.tags)

    def policy(self, repository: Repository) -> str | None:
        """The policy that GetRepositoryPolicy answers."""
        if self._once is Stale.NO_POLICY:
            return None
        if self._once is Stale.EARLIER_POLICY:
            return repository.traces.policy.before_last_change(repository.policy)
        return self._policy_after(repository, self.changed_policy)

    def policy_in_force(self, repository: Repository) -> str | None:
        """The policy that pushes obey."""
        return self._policy_after(repository, self.enforced_policy)

    def lifecycle(self, repository: Repository) -> str | None:
        """The lifecycle policy that GetLifecyclePolicy answers."""
        return None if self._once is Stale.NO_POLICY else repository.lifecycle

    def note_policy(self, repository: Repository) -> None:
        """Remember the policy before it changes."""
        repository.traces.policy.note(self.clock.monotonic(), repository.policy)

    def check_roles(self, roles: Iterable[str], age: Callable[[str], float | None]) -> None:
        """Refuse a policy that names a role which is too new. A role of unknown age is as old as its first use."""
        if not self.new_role:
            return
        now = self.clock.monotonic()
        for arn in roles:
            known = age(arn)
            seconds = now - self._first_tries.setdefault(arn, now) if known is None else known
            if seconds < self.new_role:
                raise invalid(
                    f"Invalid parameter at 'PolicyText' failed to satisfy constraint: '{self.refusal_of_role}'"
                )

    # Images

    def images_after(self, repository: Repository, sequence: int) -> Iterator[Image]:
        """The images that a listing shows after the image with this sequence number."""
        live = repository.images.after(sequence)
        if self._once is Stale.NO_IMAGES:
            return iter(())
        if self._once is Stale.NO_NEW_IMAGES:
            return itertools.takewhile(lambda image: image.sequence < repository.traces.first_unlisted, live)
        if self._once is Stale.DELETED_IMAGES:
            last = {image.digest: image for image in repository.traces.last_deleted}
            gone: Iterable[Image] = sorted((each for each in last.values() if each.sequence > sequence), key=_sequence)
        elif self.deleted_images:
            gone = self._still_listed(repository).after(sequence)
        else:
            return live
        absent = (image for image in gone if repository.images.by_digest(image.digest) is None)
        return heapq.merge(live, absent, key=_sequence)

    def deleted_image(self, repository: Repository, digest: str) -> Image | None:
        """A deleted image that is still described."""
        return self._still_listed(repository).by_digest(digest) if self.deleted_images else None

    def is_referenced(self, repository: Repository, digest: str) -> bool:
        """Whether an index references an image, or did until it was deleted of late."""
        referenced = repository.images.is_referenced(digest)
        if referenced or not self.deleted_index:
            return referenced
        return self._lasts(repository.traces.references.get(digest), self.deleted_index)

    def is_not_empty(self, repository: Repository) -> bool:
        """Whether images are left, or seem to be."""
        return len(repository.images) > 0 or self._lasts(repository.traces.image_deleted, self.emptied_repository)

    def note_listed(self, repository: Repository) -> None:
        if self._once is None:
            repository.traces.first_unlisted = repository.images.next_sequence()

    def note_deleted_image(self, repository: Repository, image: Image) -> None:
        traces = repository.traces
        traces.last_deleted.append(image)
        if not (self.deleted_images or self.deleted_index or self.emptied_repository):
            return
        now = self.clock.monotonic()
        traces.image_deleted = now
        if self.deleted_index:
            traces.references.update(dict.fromkeys(image.children, now))
        if self.deleted_images:
            self._still_listed(repository).add(image, now)

    # One stale answer

    def take_stale(self, operation: str, exists: Callable[[], bool]) -> Stale | None:
        """The stale answer that waits for this call; None if `exists` says that it names no existing repository."""
        waiting = self._next.get(operation) if self._next else None
        return waiting.pop(0) if waiting and exists() else None

    @contextmanager
    def answering(self, once: Stale | None) -> Iterator[None]:
        """Answer one call in a stale way."""
        self._once = once
        try:
            yield
        finally:
            self._once = None

    def _lasts(self, since: float | None, delay: float) -> bool:
        return delay > 0 and since is not None and since + delay > self.clock.monotonic()

    def _policy_after(self, repository: Repository, delay: float) -> str | None:
        if not delay:
            return repository.policy
        return repository.traces.policy.seen(repository.policy, self.clock.monotonic(), delay)

    def _still_listed(self, repository: Repository) -> DeletedImages:
        found = repository.traces.deleted_images
        found.forget(self.clock.monotonic() - self.deleted_images)
        return found


_DELAYS = tuple(each.name for each in fields(Lateness) if each.type == "float")


def _sequence(image: Image) -> int:
    return image.sequence


def _made_up(repository: Repository) -> Repository:
    """An earlier repository of the same name, created a day before. It never existed."""
    created_at = repository.created_at - _DAY
    return replace(repository, created_at=created_at, tags={}, policy=None, images=Images(), traces=Traces())
