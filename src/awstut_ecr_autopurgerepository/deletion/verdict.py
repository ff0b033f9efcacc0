"""What a delete would do to a repository, and every reason against it, computed page by page of its images. Pure.

To *fold* a page in is to add its images to the counters of the verdict; the images themselves are not kept.

The delete asks the verdict before it acts, so a preview can ask the verdict, too (asking.py). Only the repository's own
tags decide, and the type configuration of the account. What the request's model says authorises nothing: after a create
that failed with AlreadyExists, CloudFormation can call delete on the repository that was there before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from ..rules.account import AccountRules
from ..rules.images import ImageRules, ImagesFound, fingerprint, image_rules
from ..rules.in_use import ImagesInUse
from ..rules.reasons import Reason, lift_all
from ..rules.reserved_tags import (
    DELETION_PROTECTION,
    FREEZE_ON_DELETE,
    MARK,
    PURGE_REPORT,
    REPLICATED_DELETES,
    owner_tags,
    tag_command,
    unlocked,
    without_services,
)
from ..rules.settings import Owner, ReportPlace
from . import messages
from .look import Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef


IN_USE = "PurgeProtection.InUseBy"


class Outcome(Enum):
    """What a delete would do."""

    GONE = "gone"  # nothing: there is no such repository
    EMPTY = "empty"  # delete the repository, which has no image
    PURGE = "purge"  # delete all images, then the repository
    REFUSE = "refuse"  # nothing: there are reasons against it


class Question(Enum):
    """What has to be asked about a repository that has images, beside its images."""

    REPLICAS = auto()  # does ECR delete the images elsewhere, too?
    REPORT = auto()  # is there a bucket for the purge report?
    USE = auto()  # does anything use an image?
    PUSH_BLOCK = auto()  # can the push block be added to the repository policy?


@dataclass(frozen=True)
class Objection:
    """One reason as a user gets it: the rule, whole sentences, and the command that lifts this reason alone.

    ``command`` is None if no tag can lift it; then ``message`` says who can.
    """

    rule: str
    message: str
    command: str | None


@dataclass(frozen=True)
class Answer:
    """What a delete would do now, as far as it can be known without doing it.

    ``images`` are of all statuses. ``destinations`` are the Regions and accounts in which ECR would delete the images,
    too; None if the caller may not ask. ``refusal`` is the message with which the delete would fail, None if it would
    not; it ends with the command that lifts all ``objections`` that tags can lift. ``archived_note`` is about the
    minimum charge of archived images, None if there are none. ``not_known`` are sentences about what only the delete
    itself finds out.
    """

    name: str
    outcome: Outcome
    arn: str | None = None
    images: ImagesFound = field(default_factory=ImagesFound)
    destinations: tuple[str, ...] | None = ()
    objections: tuple[Objection, ...] = ()
    refusal: str | None = None
    command: str | None = None
    not_known: tuple[str, ...] = ()

    @property
    def archived_note(self) -> str | None:
        """The sentence about the minimum charge of archived images; None if there are none."""
        return messages.ARCHIVED_NOTE if self.images.archived else None


@dataclass
class Verdict:
    """The verdict on one repository for one request.

    ``images`` are those that were folded in; earlier calls of the same check have folded in ``images_before``, and no
    rule protected any of them. ``all_images_known`` is True once the last page was folded in. ``answered`` are the
    questions that were answered; ``destinations``, ``report_failure``, ``use`` and ``freeze_failure`` are the answers.
    ``deleted`` of about ``known_before`` images were deleted before; only messages use these two.
    """

    repository: Repository
    requester: Owner
    account: AccountRules
    rules: ImageRules
    deleted: int = 0
    known_before: int = 0
    images: ImagesFound = field(default_factory=ImagesFound)
    images_before: int = 0
    all_images_known: bool = False
    answered: set[Question] = field(default_factory=set)
    destinations: tuple[str, ...] | None = ()
    report_failure: str | None = None
    freeze_failure: str | None = None
    use: ImagesInUse = field(default_factory=ImagesInUse)

    @classmethod
    def on(
        cls, repository: Repository, requester: Owner, account: AccountRules, now: datetime, deleted: int, known: int
    ) -> Verdict:
        """The verdict before any image is folded in. ``requester`` has no stack where Cloud Control asks."""
        rules = image_rules(repository.stored, account, now)
        return cls(repository, requester, account, rules, deleted=deleted, known_before=known)

    @property
    def fingerprint(self) -> str:
        """A string that is the same for the same rules: if it changes, all images have to be checked again."""
        return fingerprint(self.repository.stored, self.account)

    @property
    def images_found(self) -> int:
        """How many images the repository has at least."""
        return self.images_before + self.images.count

    @property
    def known(self) -> int:
        """The most images that the repository is known to have had."""
        return max(self.known_before, self.deleted + self.images_found)

    @property
    def may_purge(self) -> bool:
        """Whether the mark allows to delete images."""
        return self.repository.stored.settings.empty_on_delete

    @property
    def may_delete_replicas(self) -> bool:
        """Whether repository or account allow a purge that ECR repeats in other Regions and accounts."""
        return self.repository.stored.settings.replicated_deletes or self.account.replicated_deletes

    @property
    def report_place(self) -> ReportPlace | None:
        """Where the purge report is written; None for nowhere."""
        return self.account.place_of(self.repository.stored.settings.report)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that are asked which images are in use, for the account or for the repository."""
        return tuple(dict.fromkeys((*self.account.in_use_by, *self.repository.stored.settings.in_use_by)))

    # The fold

    def add(self, images: Sequence[ImageDetailTypeDef]) -> None:
        """Fold a page in."""
        for image in images:
            self.images.add(image, self.rules.protecting(image))

    def restart(self) -> None:
        """Forget all images, because they are listed again from the first page."""
        self.images, self.images_before, self.all_images_known = ImagesFound(), 0, False

    def end_of_images(self) -> None:
        """Note that the last page was folded in."""
        self.all_images_known = True

    def answer_replicas(self, destinations: tuple[str, ...] | None) -> None:
        """Note where ECR carries deletions to; None: nobody knows."""
        self.destinations = destinations
        self.answered.add(Question.REPLICAS)

    def answer_report(self, failure: str | None) -> None:
        """Note why the purge report cannot be written; None: its bucket exists."""
        self.report_failure = failure
        self.answered.add(Question.REPORT)

    def answer_use(self, use: ImagesInUse) -> None:
        """Note which images are in use, and what could not be asked; if both are empty, no image is in use."""
        self.use = use
        self.answered.add(Question.USE)

    def answer_push_block(self, failure: str | None) -> None:
        """Note why the push block cannot be added to the repository policy; None: it can."""
        self.freeze_failure = failure
        self.answered.add(Question.PUSH_BLOCK)

    # What is not known yet

    @property
    def needs_more_images(self) -> bool:
        """Whether images that were not folded in yet could add or change a reason against the delete."""
        if self.all_images_known:
            return False
        return not self.images_found or not self.may_purge or bool(self.rules.rules)

    def open_questions(self) -> list[Question]:
        """What could be a further reason against the delete, and was not answered."""
        settings = self.repository.stored.settings
        matter = {
            Question.REPLICAS: not self.may_delete_replicas,
            Question.REPORT: self.report_place is not None and not list(self._against_bucket()),
            Question.USE: bool(self.services),
            Question.PUSH_BLOCK: settings.freeze,
        }
        return [each for each in Question if self.images_found and matter[each] and each not in self.answered]

    @property
    def is_complete(self) -> bool:
        """Whether all reasons are known."""
        return not (self.needs_more_images or self.open_questions()) and self.use.is_complete

    # The reasons

    def reasons(self) -> list[Reason]:
        """Every reason against the delete that is known so far, the most important first.

        If the repository is not the requester's, that is the only reason: the requester may not lift the other rules.
        """
        foreign = self.against_requester()
        if foreign:
            return [foreign]
        found = list(self._against_any_touch())
        if self.images_found:
            found += [*self._against_use(), *self._against_images(), *self._against_purge()]
        return found

    def against_requester(self) -> Reason | None:
        """Why the repository is not the requester's to delete, whatever it has; None if it is."""
        stored, present = self.repository.stored, owner_tags(self.repository.stored.owner)
        take = {key: value for key, value in owner_tags(self.requester).items() if present.get(key) != value}
        if not stored.marked:
            return Reason("Mark", messages.NO_MARK, messages.retain(self.requester), {MARK: "on", **take})
        if self.requester.stack_id and stored.owner != self.requester:
            return Reason("Owner", messages.owned_by(stored.owner), messages.retain(self.requester), take)
        return None

    def _against_any_touch(self) -> Iterator[Reason]:
        """Locks: they refuse the delete of an empty repository, too."""
        stored = self.repository.stored
        if self.account.deletion_protection:
            yield Reason("DeletionProtection", messages.LOCKED_BY_ACCOUNT, by_account=True)
        if stored.settings.deletion_protection and DELETION_PROTECTION not in stored.unreadable:
            yield Reason("DeletionProtection", messages.LOCKED, lift={DELETION_PROTECTION: "off"})
        if stored.unreadable:
            lift = unlocked(stored, stored.unreadable)
            yield Reason("UnreadableTags", messages.unreadable(stored.unreadable), lift=lift)

    def _against_use(self) -> Iterator[Reason]:
        """Images in use, and then what could not be checked, which counts as use."""
        stored, by_account = self.repository.stored, set(self.account.in_use_by)
        for services in (by_account, set(self.services) - by_account):
            samples = self.use.samples(services)
            if samples:
                why = messages.in_use(samples, by_account=services is by_account)
                lift = {} if services is by_account else without_services(stored, services & self.use.services())
                brief = messages.in_use(samples, by_account=services is by_account, brief=True)
                yield Reason(IN_USE, why, lift=lift, by_account=services is by_account, brief=brief)
        for service, failure in self.use.unchecked.items():
            why = messages.use_unknown(service, failure, by_account=service in by_account)
            lift = {} if service in by_account else without_services(stored, [service])
            yield Reason(IN_USE, why, lift=lift, by_account=service in by_account)

    def _against_images(self) -> Iterator[Reason]:
        for rule, count in self.images.by_rule.items():
            yield Reason(
                rule.kind.value,
                messages.of_images(count, rule.words, all_known=self.all_images_known),
                lift=rule.lift(self.repository.stored),
                by_account=rule.by_account,
                brief=messages.of_images(count, rule.brief, all_known=self.all_images_known),
            )

    def _against_purge(self) -> Iterator[Reason]:
        """Reasons against the delete of any image."""
        stored = self.repository.stored
        if not self.may_purge and MARK not in stored.unreadable:
            why = messages.not_empty(self.images_found, all_known=self.all_images_known)
            yield Reason("EmptyOnDelete", why, lift=unlocked(stored, [MARK]))
        if not self.may_delete_replicas and self.destinations != ():
            why, advice, brief = messages.replicated(self.destinations)
            yield Reason("AllowReplicatedDeletes", why, advice, {REPLICATED_DELETES: "on"}, brief=brief)
        yield from self._against_bucket()
        if self.report_failure is not None:
            yield self.against_report(self.report_failure)
        if self.freeze_failure is not None:
            lift = unlocked(stored, [FREEZE_ON_DELETE])
            why, advice, brief = messages.freeze_impossible(self.freeze_failure)
            yield Reason("FreezeOnDelete", why, advice, lift, brief=brief)

    def _against_bucket(self) -> Iterator[Reason]:
        place = self.repository.stored.settings.report
        if place is None or self.account.binding or self.account.allows(place.bucket):
            return
        lift = unlocked(self.repository.stored, [PURGE_REPORT])
        why, advice, brief = messages.report_not_allowed(place.bucket, self.account.buckets)
        yield Reason("PurgeReport", why, advice, lift, brief=brief)

    def against_report(self, failure: str) -> Reason:
        """Why no image is deleted where the purge report cannot be written."""
        stored = self.repository.stored
        own = PURGE_REPORT in stored.switched_on and not self.account.binding
        lift = unlocked(stored, [PURGE_REPORT]) if own else {}
        return Reason(
            "PurgeReport",
            messages.report_impossible(str(self.report_place), failure),
            "" if own else messages.REPORT_ASKED_BY_ACCOUNT,
            lift,
            by_account=not own,
            brief=messages.report_impossible_brief(failure),
        )

    # What it says

    def refusal(self, reasons: Sequence[Reason]) -> str:
        """The message of a delete that fails for these reasons."""
        arn, foreign = self.repository.arn, self.against_requester()
        if foreign:
            return messages.not_ours(arn, foreign, self.deleted, self.known)
        return messages.refused(
            arn,
            reasons,
            self.images.samples,
            self.images.protected,
            self.deleted,
            self.known,
            more=not self.is_complete,
        )

    def refusal_amid_deletes(self, reason: Reason, deleted: int, known: int) -> str:
        """The message of a delete that fails for one reason after it has deleted so many of about ``known`` images."""
        return messages.refused(self.repository.arn, [reason], (), 0, deleted, known, more=False)

    def answer(self, not_known: Sequence[str] = ()) -> Answer:
        """The verdict once all images were folded in, and all questions answered that could be."""
        arn, reasons = self.repository.arn, self.reasons()
        lift = lift_all(reasons)
        outcome = Outcome.REFUSE if reasons else Outcome.PURGE if self.images_found else Outcome.EMPTY
        return Answer(
            name=messages.name_of(arn),
            outcome=outcome,
            arn=arn,
            images=self.images,
            destinations=self.destinations,
            objections=tuple(
                Objection(each.rule, messages.alone(each), tag_command(arn, each.lift) if each.lift else None)
                for each in reasons
            ),
            refusal=self.refusal(reasons) if reasons else None,
            command=tag_command(arn, lift) if lift else None,
            not_known=tuple(not_known),
        )
