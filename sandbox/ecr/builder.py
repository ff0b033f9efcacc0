"""A repository with images in a line: ``ecr.repository("app").with_images(250).with_multi_arch(3)``."""

from __future__ import annotations

from typing import Any

from sandbox.ecr.errors import EcrError
from sandbox.ecr.image import INDEX, MANIFEST, Image, digest_of
from sandbox.ecr.state import RegistryState

_DAY = 86_400.0


class RepositoryBuilder:
    """Pushes images without a call being counted. Times are given in days before now."""

    def __init__(self, ecr: RegistryState, name: str, tags: dict[str, str] | None = None) -> None:
        self._ecr = ecr
        if name not in ecr.repositories:
            ecr.make_repository(name, {"encryptionType": "AES256"})
        self._repository = ecr.repositories[name]
        self._repository.tags.update(tags or {})

    def push(
        self,
        tags: tuple[str, ...] = (),
        *,
        children: tuple[str, ...] = (),
        status: str = "ACTIVE",
        size: int = 25_000_000,
        pushed_days_ago: float = 10,
        pulled_days_ago: float | None = None,
        activated_days_ago: float | None = None,
        subject: str | None = None,
    ) -> str:
        """Push one image, and return its digest."""
        ecr, images = self._ecr, self._repository.images
        now = ecr.clock.time()
        number = images.next_sequence()
        # JSON, but without json.dumps, which is slow for the tests that push 100,000 images
        content = f'{{"schemaVersion": 2, "repository": {self._repository.created_at}, "number": {number}}}'.encode()
        image = Image(
            digest=digest_of(content),
            sequence=0,
            media_type=INDEX if children else MANIFEST,
            manifest=content,
            pushed_at=round(now - pushed_days_ago * _DAY, 3),
            size=size,
            status=status,
            children=children,
            subject=subject,
            artifact_type="application/vnd.example.signature" if subject else None,
            last_recorded_pull_time=_ago(now, pulled_days_ago),
            last_activated_at=_ago(now, activated_days_ago),
        )
        images.add(image)
        for tag in tags:
            images.tag(image, tag)
        return image.digest

    def with_images(self, count: int, *, tag: str = "v{n}", untagged: bool = False, **chosen: Any) -> RepositoryBuilder:
        """Push single images with one tag each. ``{n}`` in ``tag`` is a number that is unique in the repository."""
        for _ in range(count):
            number = self._repository.images.next_sequence()
            self.push(() if untagged else (tag.format(n=number),), **chosen)
        return self

    def with_tagged(self, *tags: str, **chosen: Any) -> RepositoryBuilder:
        """Push one image with these tags. A tag that another image has moves to it."""
        self.push(tags, **chosen)
        return self

    def with_multi_arch(
        self,
        count: int,
        *,
        architectures: int = 2,
        tag: str = "build-{n}",
        per_architecture_tags: bool = False,
        **chosen: Any,
    ) -> RepositoryBuilder:
        """Push indexes with a tag each. Their images have a tag only if ``per_architecture_tags`` is true."""
        for _ in range(count):
            number = self._repository.images.next_sequence()
            name = tag.format(n=number)
            children = tuple(
                self.push((f"{name}-{architecture}",) if per_architecture_tags else (), **chosen)
                for architecture in range(architectures)
            )
            self.push((name,), children=children, **chosen)
        return self

    def with_repushed_latest(self, times: int) -> RepositoryBuilder:
        """Push a two-architecture ``latest`` several times. Only the last index keeps the tag."""
        for _ in range(times):
            self.push(("latest",), children=(self.push(), self.push()))
        return self

    def with_index_of_indexes(self) -> RepositoryBuilder:
        """An index of two indexes of two images each."""
        inner = tuple(self.push(children=(self.push(), self.push())) for _ in range(2))
        self.push(("nested",), children=inner)
        return self

    def with_archived(self, count: int) -> RepositoryBuilder:
        """Archived images."""
        return self.with_images(count, tag="archived-{n}", status="ARCHIVED")

    def with_activating(self, count: int) -> RepositoryBuilder:
        """Images that are being restored."""
        return self.with_images(count, tag="activating-{n}", status="ACTIVATING")

    def with_restored(self, count: int, *, activated_days_ago: float = 1) -> RepositoryBuilder:
        """Images that were archived once, and are active again."""
        return self.with_images(count, tag="restored-{n}", activated_days_ago=activated_days_ago)

    def import_from_upstream(self, *tags: str, **chosen: Any) -> str | None:
        """Push an image as a pull-through cache does; None where the policy denies ecr:BatchImportUpstreamImage."""
        try:
            self._ecr.check_policy(self._repository, "ecr:BatchImportUpstreamImage")
        except EcrError:
            return None
        return self.push(tags, **chosen)

    def with_referrers(self, *, subject_tag: str, count: int) -> RepositoryBuilder:
        """Signatures, SBOMs and the like of a tagged image: images of their own, without a tag."""
        subject = self._repository.images.by_tag(subject_tag)
        if subject is None:
            raise ValueError(f"No image has the tag {subject_tag}.")
        for _ in range(count):
            self.push(subject=subject.digest, size=2_000)
        return self


def _ago(now: float, days: float | None) -> float | None:
    return None if days is None else round(now - days * _DAY, 3)
