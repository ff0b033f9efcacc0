"""What a delete would do to a repository, and the reasons against it: one fold over the pages of its images. Pure.

The delete asks the verdict before it acts, so it can be asked without acting. Only the repository's own tags decide,
and the type configuration of the account. What the request's model says authorises nothing: after a create that failed
with AlreadyExists, CloudFormation can call delete on the repository that was there before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ..rules.account import AccountRules
from ..rules.images import IMAGE_RULE_TAGS, ImageRules, ProtectedImages, fingerprint, image_rules
from ..rules.reserved_tags import DELETION_PROTECTION, MARK, owner_tags, unlocked
from ..rules.settings import Owner
from . import messages
from .look import Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef


@dataclass
class Verdict:
    """The verdict on one repository for one request.

    ``images`` counts the images that were folded in, and those that earlier calls of the same check have folded in.
    ``deleted`` of about ``known_before`` images were deleted before; they only matter for the words.
    """

    repository: Repository
    requester: Owner
    account: AccountRules
    rules: ImageRules
    images: int = 0
    deleted: int = 0
    known_before: int = 0
    protected: ProtectedImages = field(default_factory=ProtectedImages)

    @classmethod
    def on(
        cls, repository: Repository, requester: Owner, account: AccountRules, now: datetime, deleted: int, known: int
    ) -> Verdict:
        """The verdict before any image is folded in. ``requester`` has no stack where Cloud Control asks."""
        rules = image_rules(repository.stored, account, now)
        return cls(repository, requester, account, rules, deleted=deleted, known_before=known)

    @property
    def fingerprint(self) -> str:
        """The same for the same rules: if it changes, images have to be folded in again."""
        return fingerprint(self.repository.stored, self.account)

    @property
    def known(self) -> int:
        """The most images that the repository is known to have had."""
        return max(self.known_before, self.deleted + self.images)

    @property
    def may_purge(self) -> bool:
        """Whether the mark allows to delete images."""
        return self.repository.stored.settings.empty_on_delete

    @property
    def may_delete_replicas(self) -> bool:
        """Whether repository or account allow a purge whose deletions ECR carries to other Regions and accounts."""
        return self.repository.stored.settings.replicated_deletes or self.account.replicated_deletes

    def add(self, images: Iterable[ImageDetailTypeDef]) -> None:
        """Fold a page in."""
        for image in images:
            self.images += 1
            words = self.rules.protecting(image)
            if words:
                self.protected.add(image, words)

    def restart(self) -> None:
        """Forget all images, because they are listed again from the first page."""
        self.images, self.protected = 0, ProtectedImages()

    def against_any_touch(self) -> str | None:
        """Why the request must not touch the repository, whatever it holds; None if it may: not ours, or locked."""
        stored, arn = self.repository.stored, self.repository.arn
        if not stored.marked:
            return self._untouchable([messages.NO_MARK], {MARK: "on", **self._owner_tags_to_set()})
        if self.requester.stack_id and stored.owner != self.requester:
            allow = self._owner_tags_to_set()
            return messages.not_owned(arn, stored.owner, self.requester, allow, self.deleted, self.known)
        reasons: list[str] = []
        unlock: dict[str, str] = {}
        if stored.unreadable:
            reasons.append(messages.unreadable(stored.unreadable))
            unlock |= unlocked(stored, stored.unreadable)
        if stored.settings.deletion_protection and DELETION_PROTECTION not in stored.unreadable:
            reasons.append(messages.LOCKED)
            unlock[DELETION_PROTECTION] = "off"
        if self.account.deletion_protection:
            reasons.append(messages.LOCKED_BY_ACCOUNT)
        return self._untouchable(reasons, unlock) if reasons else None

    def _owner_tags_to_set(self) -> dict[str, str]:
        """The tags that make the repository the requester's."""
        present = owner_tags(self.repository.stored.owner)
        return {key: value for key, value in owner_tags(self.requester).items() if present.get(key) != value}

    def _untouchable(self, reasons: list[str], allow: dict[str, str]) -> str:
        ask = messages.LOCKED_BY_ACCOUNT in reasons
        return messages.untouchable(self.repository.arn, reasons, allow, self.deleted, self.known, ask=ask)

    def against_images(self, *, all_known: bool = True) -> str | None:
        """Why no image may be deleted: a rule protects one of them; None if all that were folded in may be deleted.

        ``all_known`` is False if there may be further images.
        """
        if not self.protected.count:
            return None
        stored, arn = self.repository.stored, self.repository.arn
        allow = unlocked(stored, [key for key in stored.switched_on if key in IMAGE_RULE_TAGS])
        return messages.protected(arn, self.protected, allow, self.deleted, self.known, all_known=all_known)

    def against_purge(self) -> str | None:
        """Why a repository that has images is not emptied; None if it may be emptied, or is empty."""
        if self.may_purge or not self.images:
            return None
        stored, arn = self.repository.stored, self.repository.arn
        return messages.not_empty(stored, arn, self.images, self.deleted, self.known)

    def against_report(self) -> str | None:
        """Why images are not deleted whose report would be written to a bucket that the account does not allow."""
        place = self.repository.stored.settings.report
        if place is None or self.account.binding or self.account.allows(place.bucket):
            return None
        stored, arn, allowed = self.repository.stored, self.repository.arn, self.account.buckets
        return messages.report_not_allowed(stored, arn, place.bucket, allowed, self.deleted, self.known)

    def against_replicas(self, destinations: tuple[str, ...] | None) -> str | None:
        """Why images are not deleted that ECR would delete in ``destinations``, too; None: nobody knows where."""
        if self.may_delete_replicas or destinations == ():
            return None
        return messages.replicated(self.repository.arn, destinations, self.deleted, self.known)
